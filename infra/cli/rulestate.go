package cli

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

// ruleState shows what a rule remembers, and makes it forget.
func (a *app) ruleState() *cobra.Command {
	var key string
	var reset bool
	l := listFlags{limit: 50}
	c := &cobra.Command{Use: "state RULE", Short: "show what a rule remembers of earlier events: counts, what is expected, guards; or make it forget", Args: exactly(1),
		Long: "Shows what a rule with when or guard remembers: a line for each key, one for each target where guard.per differs from it, and one\n" +
			"for the rule as a whole. With --reset it forgets, and begins anew with the next event.",
		Example: "  hayate rule state samples.flapping\n  hayate rule state samples.flapping --key web-1 --reset", ValidArgsFunction: a.complete("/api/v1/rules")}
	c.Flags().StringVar(&key, "key", "", "only this key (or target)")
	c.Flags().BoolVar(&reset, "reset", false, "forget it; without --key everything the rule remembers")
	c.Flags().IntVarP(&l.limit, "limit", "n", 50, "most entries to show; -1 for all")
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "show again when something changes, until interrupted")
	c.RunE = func(c *cobra.Command, args []string) error {
		path := "/v1/rules/" + url.PathEscape(args[0]) + "/state"
		q := url.Values{}
		if c.Flags().Changed("key") {
			q.Set("key", key)
		}
		if !reset {
			none, err := a.remembersNothing(c, path, q)
			if err != nil {
				return err
			}
			if none {
				a.say("rule %s remembers nothing of earlier events", args[0])
				return nil
			}
			return a.lists(c, &l, path, q, []column{{title: "KEY", get: stateKey}, {title: "REMEMBERS", get: stateSummary},
				wideField("DUE", "wake"), wideField("EXPIRES", "expires")})
		}
		r, err := a.call(c.Context(), http.MethodDelete, path, q, nil, "")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "rule", func(o object) error {
			fmt.Fprintf(a.Stdout, "rule %s has forgotten %s state(s)\n", text(o, "rule"), text(o, "forgotten"))
			return nil
		})
	}
	return c
}

// remembersNothing says whether a table would be empty.
func (a *app) remembersNothing(c *cobra.Command, path string, q url.Values) (bool, error) {
	if watch, err := c.Flags().GetBool("watch"); err != nil || watch || a.output != "table" && a.output != "wide" {
		return false, err
	}
	first := url.Values{"limit": {"1"}}
	for k, v := range q {
		first[k] = v
	}
	var found []object
	err := a.get(c.Context(), path, first, &found)
	return err == nil && len(found) == 0, err
}

func stateKey(o object) string {
	k := text(o, "key")
	switch {
	case text(o, "of") == "target":
		return k + " (target)"
	case k == "":
		return "(the rule)"
	}
	return k
}

func stateSummary(o object) string {
	lines, _ := o["summary"].([]any)
	parts := make([]string, len(lines))
	for i, x := range lines {
		parts[i] = fmt.Sprint(x)
	}
	return strings.Join(parts, "; ")
}
