package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/packs/lint"
	"github.com/hayate-run/hayate/router"
)

// diffQuery is the body of POST /v1/rules/diff.
type diffQuery struct {
	Packs    []string             `json:"packs"`
	Rules    []hayate.Rule        `json:"rules"`
	Actions  []hayate.Action      `json:"actions"`
	Triggers []hayate.TriggerType `json:"triggers"`
	After    time.Time            `json:"timestamp_gt,omitzero"`
	Before   time.Time            `json:"timestamp_lt,omitzero"`
	Type     string               `json:"type,omitempty"`
	Against  string               `json:"against"`
	Limit    int                  `json:"limit"`
}

func (a *app) ruleDiff() *cobra.Command {
	var since, before string
	q := diffQuery{}
	c := &cobra.Command{Use: "diff DIR...", Short: "hold recorded events against changed rules: which firings would be new, gone or otherwise; does nothing", Args: atLeast(1),
		Long: "Takes the packs in DIR, each a pack or a folder of packs, in place of the registered ones of the same names, lets the server decide\n" +
			"once more on the events that it has recorded, and prints what would change: + a firing that would be new, - one that would be\n" +
			"gone, Δ one with other parameters or another outcome. Nothing is stored, queued or run.\n" +
			"The exit code is 0 when nothing would change, and 1 when something would.",
		Example: "  hayate rule diff --since 7d packs/disk\n  hayate rule diff --since 2026-01-05T09:00:00Z packs -o json"}
	f := c.Flags()
	f.StringVar(&since, "since", "7d", "only events that are newer: a time, or an age such as 2h or 7d")
	f.StringVar(&before, "before", "", "only events that are older: a time, or an age")
	f.StringVar(&q.Type, "type", "", "only events of this type")
	f.StringVar(&q.Against, "against", "current", "compare with the firings that the registered rules would lead to (current), or with those recorded (recorded)")
	f.IntVarP(&q.Limit, "limit", "n", 1000, "most differences to print, -1 for all; all are counted")
	c.RunE = func(c *cobra.Command, args []string) error {
		var err error
		if q.After, err = moment(since); err != nil {
			return err
		}
		if before != "" {
			if q.Before, err = moment(before); err != nil {
				return err
			}
		}
		if err := a.changed(&q, args); err != nil {
			return err
		}
		req, err := a.request(c.Context(), http.MethodPost, "/v1/rules/diff", nil, mustJSON(q), "application/json")
		if err != nil {
			return err
		}
		res, err := a.client(0).Do(req)
		if err != nil {
			return a.unreachable(err)
		}
		defer res.Body.Close()
		if res.StatusCode >= 400 {
			b, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
			if err != nil {
				return err
			}
			return refusal(res.StatusCode, b)
		}
		counts, err := a.showDiff(res.Body)
		if err != nil {
			return err
		}
		if counts.Added+counts.Removed+counts.Changed > 0 {
			return &exit{code: exitError}
		}
		return nil
	}
	return c
}

// changed reads the packs as they would be. One with a mistake is not compared.
func (a *app) changed(q *diffQuery, args []string) error {
	ps, err := readPacks(args)
	if err != nil {
		return err
	}
	bad := 0
	for i := range ps {
		p := &ps[i]
		found := p.Found
		if p.Pack != nil {
			good, wrong := lint.Compile(p)
			found = append(found, wrong...)
			q.Packs, q.Rules = append(q.Packs, p.Ref), append(q.Rules, good...)
			q.Triggers = append(q.Triggers, p.TriggerTypes...)
			for _, x := range p.Actions {
				// What is for people only would make the request large.
				x.Description, x.Tags, x.Notify, x.OutputSchema, x.Expect = "", nil, nil, nil, nil
				q.Actions = append(q.Actions, x)
			}
		}
		for _, d := range found {
			if d.Severity == packs.Error {
				fmt.Fprintln(a.Stderr, d)
				bad++
			}
		}
	}
	if bad > 0 {
		return usage("%d mistake(s) in the packs: mend them first; hayate pack lint shows all", bad)
	}
	return nil
}

// showDiff prints differences as they come, and then the summary.
func (a *app) showDiff(body io.Reader) (counts router.DiffCounts, err error) {
	table := a.output == "table" || a.output == "wide"
	var all []json.RawMessage
	in := bufio.NewReader(body)
	for {
		line, err := in.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			var o struct {
				router.Difference
				Summary *router.DiffCounts `json:"summary"`
				Error   string             `json:"error"`
			}
			if err := decode(line, &o); err != nil {
				return counts, fmt.Errorf("read the answer of %s: %w", a.address(), err)
			}
			switch {
			case o.Error != "":
				return counts, errors.New(o.Error)
			case o.Summary != nil:
				counts = *o.Summary
			case table:
				a.showDifference(&o.Difference)
			case a.output == "jsonl":
				fmt.Fprintf(a.Stdout, "%s\n", line)
			default:
				all = append(all, line)
			}
			if o.Summary != nil {
				return counts, a.endDiff(all, &counts, table)
			}
		}
		if err == io.EOF {
			return counts, fmt.Errorf("the answer of %s ended early", a.address())
		}
		if err != nil {
			return counts, fmt.Errorf("read the answer of %s: %w", a.address(), err)
		}
	}
}

func (a *app) endDiff(all []json.RawMessage, counts *router.DiffCounts, table bool) error {
	switch {
	case a.output == "jsonl":
		return nil
	case !table:
		if all == nil {
			all = []json.RawMessage{}
		}
		return a.printObject(mustJSON(map[string]any{"summary": counts, "differences": all}), "summary", nil)
	}
	for _, r := range counts.Rules {
		fmt.Fprintf(a.Stdout, "rule %s: +%d -%d Δ%d\n", r.Rule, r.Added, r.Removed, r.Changed)
	}
	what := "nothing would change"
	if n := counts.Added + counts.Removed + counts.Changed; n > 0 {
		what = fmt.Sprintf("%d firing(s) would be new, %d gone, %d otherwise", counts.Added, counts.Removed, counts.Changed)
	}
	fmt.Fprintf(a.Stdout, "%d event(s): %s\n", counts.Events, what)
	return nil
}

// showDifference prints a firing that would be otherwise.
func (a *app) showDifference(d *router.Difference) {
	mark, color := "Δ", "33"
	switch d.Change {
	case router.DiffAdded:
		mark, color = "+", "32"
	case router.DiffRemoved:
		mark, color = "-", "31"
	}
	line := fmt.Sprintf("%s %s  %s  %s  %s", mark, d.Rule, d.Event, d.EventType, a.when(d.At.Format(time.RFC3339Nano)))
	if d.Status != hayate.FiringSucceeded && d.Before == "" {
		line += "  " + string(d.Status)
	}
	if a.colored(a.Stdout) {
		line = "\x1b[" + color + "m" + line + "\x1b[0m"
	}
	fmt.Fprintln(a.Stdout, line)
	if d.Before != "" {
		fmt.Fprintf(a.Stdout, "    outcome: %s → %s\n", d.Before, d.Status)
	}
	if d.Reason != "" {
		fmt.Fprintf(a.Stdout, "    %s\n", oneLine(d.Reason))
	}
	for _, p := range d.Parameters {
		if string(p) != "{}" {
			fmt.Fprintf(a.Stdout, "    %s\n", oneLine(string(p)))
		}
	}
	for _, p := range d.Changed {
		name := p.Name
		if p.Action > 0 {
			name = fmt.Sprintf("action %d, %s", p.Action+1, name)
		}
		fmt.Fprintf(a.Stdout, "    %s: %s → %s\n", strings.TrimSpace(name), jsonText(p.Before), jsonText(p.After))
	}
}
