package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
	"github.com/hayate-run/hayate/rules"
)

func (a *app) ruleTest() *cobra.Command {
	var file, id, as string
	c := &cobra.Command{Use: "test RULE", Short: "hold an event against a rule without doing anything; exit code 1 says that it does not match", Args: exactly(1),
		Long: "Holds a recorded event, or one from a file, against a rule, enabled or not. Nothing is stored or started. The file holds a CloudEvent\n" +
			"in JSON, or with --as what a source sends.",
		Example: "  hayate rule test samples.restart_on_problem --event-id last\n  hayate rule test samples.restart_on_problem --event event.json\n" +
			"  hayate rule test samples.restart_on_problem --event problem.json --as zabbix",
		ValidArgsFunction: a.complete("/api/v1/rules")}
	c.Flags().StringVar(&file, "event", "", "file that holds the event; - is standard input")
	c.Flags().StringVar(&id, "event-id", "", "an event that was accepted, or last")
	c.Flags().StringVar(&as, "as", "", "source whose payload the file is: the last part of /v1/webhooks/…")
	c.RunE = func(c *cobra.Command, args []string) error {
		events, err := a.testEvents(c.Context(), file, id, as)
		if err != nil {
			return err
		}
		all := []rules.Explanation{}
		for _, e := range events {
			r, err := a.call(c.Context(), http.MethodPost, "/v1/rules/"+url.PathEscape(args[0])+"/explain", nil, e, "application/json")
			if err != nil {
				return err
			}
			var xs []rules.Explanation
			if err := json.Unmarshal(r.body, &xs); err != nil {
				return err
			}
			all = append(all, xs...)
		}
		if a.output == "table" || a.output == "wide" {
			a.showExplanations(all, "", true)
		} else if err := a.printList(mustJSON(all), "rule", nil); err != nil {
			return err
		}
		for _, x := range all {
			if x.Matched {
				return nil
			}
		}
		return &exit{code: exitError}
	}
	return c
}

// testEvents are the events to be held against a rule, each in JSON: a payload may
// hold several.
func (a *app) testEvents(ctx context.Context, file, id, as string) ([][]byte, error) {
	switch {
	case (file == "") == (id == ""):
		return nil, usage("name the event: either --event FILE or --event-id ID")
	case id != "" && as != "":
		return nil, usage("--as is for what a source sends: name it with --event FILE")
	case id != "":
		var o struct {
			Event json.RawMessage `json:"event"`
		}
		err := a.get(ctx, "/v1/events/"+url.PathEscape(id), nil, &o)
		return [][]byte{o.Event}, err
	}
	body, err := a.readInput(file)
	if err != nil {
		return nil, err
	}
	if as == "" {
		var e hayate.Event
		if err := json.Unmarshal(body, &e); err != nil {
			return nil, usage("%s holds no CloudEvent: %v. For what a source sends, say which with --as SOURCE", file, err)
		}
		return [][]byte{body}, nil
	}
	es, err := normalize.Events(&normalize.Request{Hint: as, ContentType: "application/json", Body: body, Now: time.Now(), NewID: randomID})
	if err != nil {
		return nil, usage("%s cannot be read as a payload of %s: %v", file, as, err)
	}
	if len(es) == 0 {
		return nil, usage("%s holds no event", file)
	}
	out := make([][]byte, len(es))
	for i := range es {
		if out[i], err = json.Marshal(es[i]); err != nil {
			return nil, fmt.Errorf("event %s: %w", es[i].ID, err)
		}
	}
	return out, nil
}
