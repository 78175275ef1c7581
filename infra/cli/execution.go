package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/draw"
)

func (a *app) executionCommand() *cobra.Command {
	c := &cobra.Command{Use: "execution", Aliases: []string{"exec", "executions"}, Short: "list, watch, cancel and re-run executions"}
	c.AddCommand(a.executionList(), a.executionGet(), a.executionTail(), a.executionCancel(), a.executionPause("pause", "pausing"), a.executionPause("resume", "resuming"), a.executionRerun(), a.executionWait())
	return c
}

func (a *app) executionColumns() []column {
	return []column{
		field("ID", "id"), field("ACTION", "action.ref"), {title: "STATUS", get: verdict}, field("RULE", "rule.ref"),
		a.moment("STARTED", "start_timestamp"), {title: "TOOK", get: took}, wideField("EVENT", "trigger_instance.id"), wideField("USER", "context.user"),
		wideField("ATTEMPT", "attempt"), wideField("WORKER", "worker"),
	}
}

// verdict is a status, and whether a success was proved.
func verdict(o object) string {
	st := text(o, "status")
	if st == string(hayate.StatusSucceeded) && at(o, "verified") != true {
		return st + " (unverified)"
	}
	return st
}

func took(o object) string {
	if o["elapsed_seconds"] == nil {
		return ""
	}
	s := number(o["elapsed_seconds"])
	return time.Duration(s * float64(time.Second)).Round(time.Millisecond).String()
}

func (a *app) executionList() *cobra.Command {
	var l listFlags
	var status, action, rule, event, parent, user string
	var unverified bool
	c := &cobra.Command{Use: "list", Short: "list executions, newest first", Args: exactly(0)}
	l.add(c)
	f := c.Flags()
	f.StringVar(&status, "status", "", "only in this status; several joined by commas")
	f.StringVar(&action, "action", "", "only of this action")
	f.StringVar(&rule, "rule", "", "only started by this rule")
	f.StringVar(&event, "event", "", "only started by this event")
	f.StringVar(&parent, "parent", "", "only children of this execution")
	f.BoolVar(&unverified, "unverified", false, "only those that succeeded without having asserted anything")
	f.StringVar(&user, "user", "", "only those of this user")
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := knownStatuses(status); err != nil {
			return err
		}
		q := url.Values{}
		set(q, "user", user)
		if unverified {
			q.Set("verified", "false")
		}
		set(q, "status", status)
		set(q, "action", action)
		set(q, "rule", rule)
		set(q, "trigger_instance", event)
		set(q, "parent", parent)
		return a.lists(c, &l, "/api/v1/executions", q, a.executionColumns())
	}
	return c
}

// knownStatuses refuses a word that no execution can have as its status.
func knownStatuses(list string) error {
	if list == "" {
		return nil
	}
	known := make([]string, len(hayate.Statuses))
	for i, st := range hayate.Statuses {
		known[i] = string(st)
	}
	for _, word := range strings.Split(list, ",") {
		if !slices.Contains(known, word) {
			return usage("unknown status %q%s Known: %s", word, hint(word, known), strings.Join(known, ", "))
		}
	}
	return nil
}

func (a *app) executionGet() *cobra.Command {
	var graph string
	c := &cobra.Command{
		Use:               "get ID|last",
		Short:             "show an execution: parameters, log, tasks and result",
		Example:           "  hayate execution get last\n  hayate execution get last --graph\n  hayate execution get last --graph=svg >run.svg",
		ValidArgsFunction: a.completeExecution,
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 2 && graph != "" && slices.Contains(draw.Formats, args[1]) {
			return usage("the format belongs to the flag: hayate execution get %s --graph=%s", args[0], args[1])
		}
		return exactly(1)(c, args)
	}
	c.Flags().StringVar(&graph, "graph", "", "draw the workflow and the path it took: text, svg, dot or mermaid")
	c.Flags().Lookup("graph").NoOptDefVal = "text"
	c.RunE = func(c *cobra.Command, args []string) error {
		if graph != "" {
			return a.showGraph(c.Context(), args[0], graph)
		}
		return a.showExecution(c.Context(), args[0])
	}
	return c
}

func (a *app) showExecution(ctx context.Context, id string) error {
	r, err := a.call(ctx, http.MethodGet, "/api/v1/executions/"+url.PathEscape(id), nil, nil, "")
	if err != nil {
		return err
	}
	return a.printObject(r.body, "id", func(o object) error {
		a.pairs([][2]string{{"execution", text(o, "id")}, {"action", text(o, "action.ref")}, {"status", a.paint(verdict(o))}, {"rule", text(o, "rule.ref")},
			{"event", text(o, "trigger_instance.id")}, {"parent", text(o, "parent")}, {"user", text(o, "context.user")}, {"attempt", text(o, "attempt")}, {"worker", text(o, "worker")},
			{"started", a.when(text(o, "start_timestamp"))}, {"took", took(o)}, {"deadline", deadlineOf(o)},
			{"waits for", text(o, "held_by")}, {"retry of", text(o, "context.policies.retry.retried_liveaction_id")}, {"retried by", text(o, "retried_by")}, {"trace", text(o, "trace")}})
		fmt.Fprintln(a.Stdout, "log")
		log, _ := o["log"].([]any)
		for _, l := range log {
			m, _ := l.(object)
			fmt.Fprintf(a.Stdout, "  %s  %s\n", clock(text(m, "timestamp")), a.paint(text(m, "status")))
		}
		if p, _ := o["parameters"].(object); len(p) > 0 {
			if err := a.printIndented("parameters", p); err != nil {
				return err
			}
		}
		if kids, _ := o["children"].([]any); len(kids) > 0 {
			if err := a.showTree(ctx, text(o, "id")); err != nil {
				return err
			}
		}
		return a.printIndented("result", o["result"])
	})
}

// clock is a time of day, to the millisecond, in local time.
func clock(stamp string) string {
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return stamp
	}
	return t.Local().Format("15:04:05.000")
}

func (a *app) executionTail() *cobra.Command {
	return &cobra.Command{Use: "tail ID|last", Short: "follow what an execution and its tasks do and print, until it ends", Args: exactly(1), ValidArgsFunction: a.completeExecution, RunE: func(c *cobra.Command, args []string) error {
		var x object
		if err := a.get(c.Context(), "/api/v1/executions/"+url.PathEscape(args[0]), nil, &x); err != nil {
			return err
		}
		id := text(x, "id")
		follow := a.follow
		if at(x, "liveaction.action_is_workflow") == true {
			follow = a.followTasks
		}
		if err := follow(c.Context(), id); err != nil {
			return err
		}
		return a.outcome(c.Context(), id, false)
	}}
}

// follow copies an execution's output as it appears. It returns when the
// execution has ended.
func (a *app) follow(ctx context.Context, id string) error {
	req, err := a.request(ctx, http.MethodGet, "/stream/v1/executions/"+id+"/output", nil, nil, "")
	if err != nil {
		return err
	}
	res, err := a.client(0).Do(req)
	if err != nil {
		return a.unreachable(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		b, err := io.ReadAll(res.Body)
		if err != nil {
			return err
		}
		return refusal(res.StatusCode, b)
	}
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 1<<20)
	event := ""
	for sc.Scan() {
		line := sc.Text()
		if e, ok := strings.CutPrefix(line, "event: "); ok {
			event = e
			if event == "EOF" {
				return nil
			}
			continue
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || event != "st2.execution.output__create" {
			continue
		}
		var rec struct {
			Type string `json:"output_type"`
			Data string `json:"data"`
		}
		if err := json.Unmarshal([]byte(data), &rec); err != nil {
			return fmt.Errorf("read output: %w", err)
		}
		w := a.Stdout
		if rec.Type == "stderr" {
			w = a.Stderr
		}
		fmt.Fprint(w, rec.Data)
	}
	return sc.Err()
}

// outcome turns how an execution ended into the exit code.
func (a *app) outcome(ctx context.Context, id string, requireVerified bool) error {
	var o object
	if err := a.get(ctx, "/api/v1/executions/"+id, nil, &o); err != nil {
		return err
	}
	switch st := hayate.Status(text(o, "status")); {
	case st == hayate.StatusSucceeded && requireVerified && at(o, "verified") != true:
		a.say("execution %s succeeded, but nothing was asserted: it is unverified", id)
		return &exit{code: exitUnverified}
	case st == hayate.StatusSucceeded:
		return nil
	case st == hayate.StatusTimeout:
		a.say("execution %s timed out", id)
		return &exit{code: exitTimeout}
	case st.Completed():
		a.say("execution %s ended %s; see: hayate execution get %s", id, st, id)
		return &exit{code: exitFailed}
	}
	return nil
}

func (a *app) executionWait() *cobra.Command {
	var timeout time.Duration
	var verified bool
	c := &cobra.Command{Use: "wait ID", Short: "wait until an execution has ended; the exit code says how", Args: exactly(1), ValidArgsFunction: a.completeExecution}
	c.Flags().DurationVar(&timeout, "timeout", 0, "longest time to wait; 0 waits for ever")
	c.Flags().BoolVar(&verified, "require-verified", false, "exit with 6 when the execution succeeded without having asserted anything")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := a.wait(c.Context(), args[0], timeout); err != nil {
			return err
		}
		return a.outcome(c.Context(), args[0], verified)
	}
	return c
}

// wait returns once an execution has ended, or waits for somebody.
func (a *app) wait(ctx context.Context, id string, timeout time.Duration) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	told, held := false, false
	p := a.progress(id)
	defer p.end()
	for {
		var o object
		q := url.Values{"include_attributes": {"status"}, "wait": {"30"}}
		if !told || p.on {
			q.Set("wait", "2") // soon enough for a person who looks at the screen
		}
		if err := a.get(ctx, "/api/v1/executions/"+url.PathEscape(id), q, &o); err != nil {
			if ctx.Err() == context.DeadlineExceeded {
				return fmt.Errorf("execution %s has not ended within %s: %w", id, timeout, context.DeadlineExceeded)
			}
			return err
		}
		st := hayate.Status(text(o, "status"))
		if st.Completed() || st == hayate.StatusPending {
			return nil
		}
		p.note(string(st))
		if st == hayate.StatusDelayed && !held {
			held = true
			p.end()
			if err := a.sayHeld(ctx, id); err != nil {
				return err
			}
		}
		if st == hayate.StatusPaused && !told {
			told = true
			p.end()
			if err := a.sayPaused(ctx, id); err != nil {
				return err
			}
		}
	}
}

// sayHeld tells whoever waits for a delayed execution which policy holds it.
func (a *app) sayHeld(ctx context.Context, id string) error {
	var o object
	if err := a.get(ctx, "/api/v1/executions/"+url.PathEscape(id), nil, &o); err != nil {
		return err
	}
	if policy := text(o, "held_by"); policy != "" {
		a.say("execution %s waits: the policy %s lets no more run at once. Look at it: hayate policy get %s", id, policy, policy)
	}
	return nil
}

// sayPaused tells whoever waits for a paused execution what it waits for.
func (a *app) sayPaused(ctx context.Context, id string) error {
	var kids []object
	if err := a.get(ctx, "/api/v1/executions/"+url.PathEscape(id)+"/children", url.Values{"depth": {"-1"}}, &kids); err != nil {
		return err
	}
	asked := false
	for _, k := range kids {
		if text(k, "status") == string(hayate.StatusPending) {
			asked = true
			a.say("execution %s waits for an answer. See the question: hayate inquiry get %s\nAnswer it: hayate inquiry respond %s NAME=VALUE…", id, text(k, "id"), text(k, "id"))
		}
	}
	if !asked {
		a.say("execution %s is paused. Go on: hayate execution resume %s", id, id)
	}
	return nil
}

func (a *app) executionCancel() *cobra.Command {
	return &cobra.Command{Use: "cancel ID...", Short: "cancel executions", Args: atLeast(1), ValidArgsFunction: a.completeExecution, RunE: func(c *cobra.Command, args []string) error {
		bad := false
		for _, id := range args {
			r, err := a.call(c.Context(), http.MethodDelete, "/api/v1/executions/"+url.PathEscape(id), nil, nil, "")
			if err != nil {
				return err
			}
			var o object
			if err := decode(r.body, &o); err != nil {
				return err
			}
			if fault := text(o, "faultstring"); fault != "" {
				fmt.Fprintf(a.Stderr, "hayate: execution %s: %s\n", id, fault)
				bad = true
				continue
			}
			fmt.Fprintf(a.Stdout, "execution %s is %s\n", id, text(o, "status"))
		}
		if bad {
			return &exit{code: exitError}
		}
		return nil
	}}
}

func (a *app) executionPause(verb, status string) *cobra.Command {
	return &cobra.Command{Use: verb + " ID...", Short: verb + " workflows", Args: atLeast(1), ValidArgsFunction: a.completeExecution, RunE: func(c *cobra.Command, args []string) error {
		for _, id := range args {
			var o object
			if err := a.send(c.Context(), http.MethodPut, "/api/v1/executions/"+url.PathEscape(id), map[string]string{"status": status}, &o); err != nil {
				return err
			}
			fmt.Fprintf(a.Stdout, "execution %s is %s\n", id, text(o, "status"))
		}
		return nil
	}}
}

func (a *app) executionRerun() *cobra.Command {
	var wait bool
	var tasks, noReset []string
	c := &cobra.Command{Use: "rerun ID [NAME=VALUE...]", Aliases: []string{"re-run"}, Short: "run again, with the same parameters or some changed, or from tasks of a workflow", Args: atLeast(1),
		Long: "Runs an execution again, as a new one. With --task a workflow that has ended without success is continued from those tasks: what is\n" +
			"finished keeps its results and is not run again. Of a task with items all items run again; with --no-reset only those that failed.",
		Example: "  hayate execution rerun 6b05cf8450ad99071e59db9b host=web-2\n  hayate execution rerun last --task deploy --task notify --no-reset deploy"}
	c.Flags().BoolVar(&wait, "wait", false, "wait until it has ended; the exit code says how")
	c.Flags().StringSliceVar(&tasks, "task", nil, "continue the workflow from this task; may be repeated")
	c.Flags().StringSliceVar(&tasks, "tasks", nil, "the same, as st2 has it: names joined by commas")
	c.Flags().StringSliceVar(&noReset, "no-reset", nil, "of this task run only the items again that failed; may be repeated")
	if err := c.Flags().MarkHidden("tasks"); err != nil {
		panic(err) // the flag is defined above
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		var old object
		if err := a.get(c.Context(), "/api/v1/executions/"+url.PathEscape(args[0]), nil, &old); err != nil {
			return err
		}
		params, err := a.parameters(c.Context(), text(old, "action.ref"), args[1:])
		if err != nil {
			return err
		}
		body := map[string]any{"parameters": params}
		switch {
		case len(tasks) > 0 && len(params) > 0:
			return usage("either name tasks or change parameters: a workflow is continued with the parameters it has")
		case len(tasks) == 0 && len(noReset) > 0:
			return usage("--no-reset goes with --task")
		case len(tasks) > 0:
			reset := []string{}
			for _, t := range tasks {
				if !slices.Contains(noReset, t) {
					reset = append(reset, t)
				}
			}
			for _, t := range noReset {
				if !slices.Contains(tasks, t) {
					return usage("--no-reset %s: there is no --task %s%s", t, t, hint(t, tasks))
				}
			}
			body["tasks"], body["reset"] = tasks, reset
		}
		var x object
		if err := a.send(c.Context(), http.MethodPost, "/api/v1/executions/"+url.PathEscape(text(old, "id"))+"/re_run", body, &x); err != nil {
			return err
		}
		return a.started(c.Context(), text(x, "id"), wait, 0, false)
	}
	return c
}

// started prints a new execution, and waits for its end if asked.
func (a *app) started(ctx context.Context, id string, wait bool, timeout time.Duration, verified bool) error {
	if !wait {
		fmt.Fprintln(a.Stdout, id)
		a.say("Follow it: hayate execution tail %s", id)
		return nil
	}
	if err := a.wait(ctx, id, timeout); err != nil {
		return err
	}
	if err := a.showExecution(ctx, id); err != nil {
		return err
	}
	return a.outcome(ctx, id, verified)
}

func (a *app) runCommand() *cobra.Command {
	var async, verified bool
	var timeout, delay time.Duration
	var target string
	var deadline string
	c := &cobra.Command{
		Use:     "run ACTION [NAME=VALUE...]",
		Short:   "run an action and wait for it",
		Long:    "Runs an action and shows its result; the exit code says how it ended. Values are read as the action's schema wants them:\nnumbers, true and false, JSON or a,b,c for arrays, JSON or k=v,k2=v2 for objects; @FILE is the content of a file.",
		Example: "  hayate run core.local cmd='uname -a'\n  hayate run core.http url=http://127.0.0.1:8080/ method=GET\n  hayate run core.local cmd=backup.sh --async",
		Args:    atLeast(1), ValidArgsFunction: a.complete("/api/v1/actions"),
	}
	f := c.Flags()
	f.BoolVarP(&async, "async", "a", false, "do not wait: print the execution's id")
	f.DurationVar(&timeout, "timeout", 0, "longest time to wait for the end; the execution goes on")
	f.DurationVar(&delay, "delay", 0, "start it this much later")
	f.StringVar(&target, "target", "", "who performs it: amqp:TAG for a worker with that tag; default: as the action says")
	f.StringVar(&deadline, "deadline", "", "when a workflow must be over: a time, or how long from now (2h); then it is canceled and ends as a timeout")
	f.BoolVar(&verified, "require-verified", false, "exit with 6 when it succeeds without having asserted anything")
	c.RunE = func(c *cobra.Command, args []string) error {
		params, err := a.parameters(c.Context(), args[0], args[1:])
		if err != nil {
			return err
		}
		var x object
		body := map[string]any{"action": args[0], "parameters": params}
		if delay > 0 {
			body["delay"] = delay.Milliseconds()
		}
		if target != "" {
			body["target"] = target
		}
		if deadline != "" {
			at, err := toCome(deadline)
			if err != nil {
				return err
			}
			body["deadline"] = at.UTC().Format(time.RFC3339Nano)
		}
		if err := a.send(c.Context(), http.MethodPost, "/api/v1/executions", body, &x); err != nil {
			return err
		}
		return a.started(c.Context(), text(x, "id"), !async, timeout, verified)
	}
	return c
}
