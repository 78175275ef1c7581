package cli

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/rules"
)

// demoEvents are the payloads of the demo: real forms of what sources send.
var demoEvents = []struct{ title, file, source string }{
	{"Zabbix reports a problem", "zabbix-problem.json", "zabbix"},
	{"CloudWatch raises an alarm, through SNS", "cloudwatch-alarm-sns.json", "sns"},
	{"Somebody pushes to GitHub", "github-push.json", "github"},
	{"Zabbix reports the recovery, which no rule waits for", "zabbix-recovery.json", "zabbix"},
}

// demoWait bounds how long the demo waits for an execution.
const demoWait = 20 * time.Second

func (a *app) demoCommand() *cobra.Command {
	var once bool
	c := &cobra.Command{
		Use:   "demo",
		Short: "serve with sample rules, send sample events, and tell what happened",
		Long: "Starts a server on a directory of its own with the sample packs of this binary, sends it a Zabbix problem, a CloudWatch alarm\n" +
			"and a GitHub push, shows what each led to, and goes on serving. Nothing outside the directory is touched.",
		Args: exactly(0),
	}
	given := a.settingFlags(c, settings.List())
	c.Flags().BoolVar(&once, "once", false, "stop after the story instead of serving on")
	c.RunE = func(c *cobra.Command, _ []string) error {
		flags := given()
		for name, v := range map[string]string{"shipped": "core,hello,samples", "log-level": "warn"} {
			if _, ok := flags[name]; !ok {
				flags[name] = v
			}
		}
		if _, ok := flags["data"]; !ok && a.Getenv("HAYATE_DATA") == "" {
			dir, err := os.MkdirTemp("", "hayate-demo-")
			if err != nil {
				return fmt.Errorf("make a directory for the demo: %w", err)
			}
			flags["data"] = dir
		}
		s, err := settings.Load(flags, a.Getenv, a.config)
		if err != nil {
			return &exit{exitUsage, err}
		}
		return a.demo(c.Context(), s, once)
	}
	return c
}

func (a *app) demo(ctx context.Context, s settings.Settings, once bool) error {
	demoDir, err := filepath.Abs(filepath.Join(s.Data, "demo"))
	if err == nil {
		err = os.MkdirAll(demoDir, 0o755)
	}
	if err == nil {
		err = os.Setenv("DEMO_DIR", demoDir) // the sample scripts write there, and nowhere else
	}
	if err != nil {
		return fmt.Errorf("prepare the demo: %w", err)
	}
	addr, stop, err := a.background(ctx, s)
	if err != nil {
		return err
	}
	a.server = "http://" + addr
	fmt.Fprintf(a.Stdout, "hayate %s serves on %s, everything durable lies in %s\n", a.Version, a.server, s.Data)
	err = a.story(ctx)
	if err == nil {
		a.whatNext(demoDir, once)
	}
	if err != nil || once {
		if e := stop(); err == nil {
			err = e
		}
		return err
	}
	<-ctx.Done()
	return stop()
}

// story sends the events and tells what became of each.
func (a *app) story(ctx context.Context) error {
	for i, d := range demoEvents {
		body, err := fs.ReadFile(packs.Shipped(), "samples/etc/"+d.file)
		if err != nil {
			return fmt.Errorf("read the demo's event: %w", err)
		}
		fmt.Fprintf(a.Stdout, "\n%d. %s\n", i+1, d.title)
		r, err := a.call(ctx, http.MethodPost, "/v1/webhooks/"+d.source, nil, body, "application/json")
		if err != nil {
			return err
		}
		var out struct{ Events []object }
		if err := decode(r.body, &out); err != nil {
			return err
		}
		for _, e := range out.Events {
			if err := a.tell(ctx, text(e, "id")); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell prints the story of one event: event, rule, action, result.
func (a *app) tell(ctx context.Context, id string) error {
	var ev object
	if err := a.get(ctx, "/v1/events/"+id, nil, &ev); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "   %s  event   %s  %s\n", clock(text(ev, "accepted_at")), id, text(ev, "event.type"))
	fs, _ := ev["firings"].([]any)
	for _, f := range fs {
		m, _ := f.(object)
		fmt.Fprintf(a.Stdout, "   %s  rule    %s  %s\n", clock(text(m, "at")), text(m, "id"), text(m, "rule"))
		if reason := text(m, "reason"); reason != "" {
			fmt.Fprintf(a.Stdout, "                 %s\n", reason)
		}
		ids, _ := m["executions"].([]any)
		for _, x := range ids {
			if err := a.tellExecution(ctx, fmt.Sprint(x)); err != nil {
				return err
			}
		}
	}
	if len(fs) == 0 {
		return a.tellMiss(ctx, id)
	}
	return nil
}

func (a *app) tellExecution(ctx context.Context, id string) error {
	if err := a.wait(ctx, id, demoWait); err != nil {
		return err
	}
	var x object
	if err := a.get(ctx, "/api/v1/executions/"+id, nil, &x); err != nil {
		return err
	}
	fmt.Fprintf(a.Stdout, "   %s  action  %s  %s\n", clock(text(x, "start_timestamp")), id, text(x, "action.ref"))
	fmt.Fprintf(a.Stdout, "   %s  result  %s in %s: %s\n", clock(text(x, "end_timestamp")), a.paint(verdict(x)), took(x), resultText(x))
	return nil
}

// resultText is the part of a result that a person looks at first.
func resultText(x object) string {
	for _, path := range []string{"result.error", "result.stdout", "result.stderr", "result.body"} {
		if t := text(x, path); t != "" {
			lines := strings.Split(strings.TrimSpace(t), "\n")
			return oneLine(lines[len(lines)-1])
		}
	}
	return oneLine(text(x, "result"))
}

// tellMiss shows why no rule fired: the nearest miss, condition by condition.
func (a *app) tellMiss(ctx context.Context, id string) error {
	var x struct{ Rules []rules.Explanation }
	if err := a.get(ctx, "/v1/events/"+url.PathEscape(id)+"/explain", nil, &x); err != nil {
		return err
	}
	fmt.Fprintln(a.Stdout, "   no rule fired; the nearest miss:")
	if len(x.Rules) > 0 {
		near := x.Rules[0]
		var failing *rules.Condition
		for i := range near.Conditions {
			if near.Conditions[i].Verdict != rules.Holds {
				failing = &near.Conditions[i]
				break
			}
		}
		fmt.Fprintf(a.Stdout, "     %s, %d of %d conditions hold\n", near.Rule, len(near.Conditions)-near.Failed, len(near.Conditions))
		if failing != nil {
			fmt.Fprintf(a.Stdout, "     ✗ %s  found %s\n", condition(failing), jsonText(failing.Found))
		}
	}
	return nil
}

func (a *app) whatNext(dir string, once bool) {
	fmt.Fprintf(a.Stdout, "\nThe sample scripts wrote to %s\n", dir)
	if once {
		return
	}
	at := strings.TrimPrefix(a.server, "http://")
	fmt.Fprintf(a.Stdout, "\nTry next, in another terminal:\n"+
		"  export HAYATE_SERVER=%[1]s\n"+
		"  hayate execution list\n"+
		"  hayate event explain last\n"+
		"  hayate run core.local cmd='uname -a'\n"+
		"  curl -d '{\"name\":\"you\"}' -H 'Content-Type: application/json' http://%[1]s/v1/webhooks/anything\n"+
		"\nServing until Ctrl-C.\n", at)
}
