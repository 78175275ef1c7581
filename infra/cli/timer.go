package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router"
)

func (a *app) timerCommand() *cobra.Command {
	c := &cobra.Command{Use: "timer", Aliases: []string{"timers"}, Short: "list the timers that rules wait for, and their next ticks"}
	var rule string
	list := &cobra.Command{Use: "list", Short: "list timers", Args: exactly(0), RunE: func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "rule", rule)
		return a.lists(c, &listFlags{limit: -1}, "/v1/timers", q, []column{field("ID", "id"), {title: "TYPE", get: timerType}, field("SCHEDULE", "schedule"), field("ZONE", "timezone"),
			{title: "NEXT", get: a.firstTick}, a.moment("LAST", "last"), {title: "RULES", get: func(o object) string { return joined(o["rules"]) }}, wideField("MISFIRE", "misfire")})
	}}
	list.Flags().StringVar(&rule, "rule", "", "only the timer that this rule waits for")
	get := &cobra.Command{Use: "get TIMER", Short: "show a timer and its next ten ticks", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		r, err := a.call(c.Context(), http.MethodGet, "/v1/timers/"+url.PathEscape(args[0]), url.Values{"next": {"10"}}, nil, "")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "id", func(object) error { return a.printYAML(r.body) })
	}}
	c.AddCommand(list, get, a.timerNext(), a.timerPreview())
	return c
}

func timerType(o object) string {
	return strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(text(o, "type"), "core.st2."), "Timer"))
}

func joined(v any) string {
	list, _ := v.([]any)
	parts := make([]string, len(list))
	for i, x := range list {
		parts[i] = fmt.Sprint(x)
	}
	return strings.Join(parts, ", ")
}

// firstTick is a column that shows how far away the next tick is.
func (a *app) firstTick(o object) string {
	next, _ := o["next"].([]any)
	if len(next) == 0 {
		return "never"
	}
	stamp := fmt.Sprint(next[0])
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil || a.timeForm != "relative" {
		return a.when(stamp)
	}
	return ahead(time.Until(t))
}

// ahead tells how far away a time to come is.
func ahead(d time.Duration) string {
	d = max(d, 0).Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("in %ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("in %dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("in %dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("in %dd", int(d.Hours()/24))
}

// tick is one tick to come, as timer next lists it.
type tick struct {
	Tick     time.Time `json:"tick"`
	Zone     string    `json:"timezone"`
	Timer    string    `json:"timer,omitempty"`
	Type     string    `json:"type"`
	Schedule string    `json:"schedule,omitempty"`
	Rules    []string  `json:"rules,omitempty"`
}

func (a *app) timerNext() *cobra.Command {
	var n int
	c := &cobra.Command{Use: "next [TIMER|RULE]", Short: "list the next ticks of one timer, or of all", Args: cobra.MaximumNArgs(1), ValidArgsFunction: a.complete("/api/v1/rules"),
		Example: "  hayate timer next\n  hayate timer next backup.nightly -n 3\n  hayate timer next -o json"}
	c.Flags().IntVarP(&n, "limit", "n", 10, "how many ticks")
	c.RunE = func(c *cobra.Command, args []string) error {
		if n < 1 {
			return usage("--limit must be above 0")
		}
		var all []router.Timer
		if err := a.get(c.Context(), "/v1/timers", url.Values{"next": {strconv.Itoa(n)}}, &all); err != nil {
			return err
		}
		ticks, err := ticksOf(all, args)
		if err != nil {
			return err
		}
		return a.printTicks(ticks[:min(n, len(ticks))])
	}
	return c
}

// ticksOf are the ticks of the timers that the arguments select, in order of time.
func ticksOf(all []router.Timer, args []string) ([]tick, error) {
	var out []tick
	found := len(args) == 0
	for _, t := range all {
		rules := make([]string, len(t.Rules))
		for i, ref := range t.Rules {
			rules[i] = string(ref)
		}
		if len(args) > 0 && args[0] != t.ID && !slices.Contains(rules, args[0]) {
			continue
		}
		found = true
		for _, at := range t.Next {
			out = append(out, tick{Tick: at, Zone: t.Zone, Timer: t.ID, Type: t.Type, Schedule: t.Schedule, Rules: rules})
		}
	}
	if !found {
		return nil, usage("%q is no timer, and no enabled rule that waits for one. See \"hayate timer list\"", args[0])
	}
	slices.SortStableFunc(out, func(x, y tick) int { return cmp.Or(x.Tick.Compare(y.Tick), cmp.Compare(x.Timer, y.Timer)) })
	return out, nil
}

func (a *app) printTicks(ticks []tick) error {
	raw, err := json.Marshal(ticks)
	if err != nil {
		return err
	}
	if len(ticks) == 0 {
		a.say("no tick is to come")
		if a.output == "table" || a.output == "wide" {
			return nil
		}
		raw = []byte("[]")
	}
	return a.printList(raw, "tick", []column{
		{title: "TICK", get: localTick}, {title: "IN", get: func(o object) string {
			t, err := time.Parse(time.RFC3339Nano, text(o, "tick"))
			if d := time.Until(t); err == nil && d > -time.Second {
				return strings.TrimPrefix(ahead(d), "in ")
			}
			return ""
		}},
		field("ZONE", "timezone"), field("SCHEDULE", "schedule"), {title: "RULES", get: func(o object) string { return joined(o["rules"]) }}, wideField("TIMER", "timer"),
	})
}

// localTick is a tick's time in its zone, with the offset that holds then.
func localTick(o object) string {
	t, err := time.Parse(time.RFC3339Nano, text(o, "tick"))
	if err != nil {
		return text(o, "tick")
	}
	return t.Format("Mon 2006-01-02 15:04:05 -07:00")
}

// timerPreview shows the ticks of a schedule that no rule has yet.
func (a *app) timerPreview() *cobra.Command {
	var n int
	var from string
	c := &cobra.Command{Use: "preview cron|interval|date NAME=VALUE...", Short: "list the ticks that a timer with these parameters would have, without a server", Args: atLeast(2),
		Example: "  hayate timer preview cron hour=2 minute=30 timezone=Europe/Berlin\n  hayate timer preview cron 'day=last fri' hour=17\n  hayate timer preview interval unit=minutes delta=5"}
	c.Flags().IntVarP(&n, "limit", "n", 10, "how many ticks")
	c.Flags().StringVar(&from, "from", "", "ticks after this time (default: now)")
	c.RunE = func(c *cobra.Command, args []string) error {
		if n < 1 {
			return usage("--limit must be above 0")
		}
		kinds := map[string]string{"cron": cron.CronTimer, "interval": cron.IntervalTimer, "date": cron.DateTimer}
		trigger := cmp.Or(kinds[args[0]], args[0])
		if !cron.IsTimer(trigger) {
			return usage("%q is no kind of timer%s Known: cron, interval, date", args[0], hint(args[0], []string{"cron", "interval", "date"}))
		}
		if params := fromCrontab(args[1:]); trigger == cron.CronTimer && params != "" {
			return usage("a timer is written by the names of its fields, not as a line of a crontab: hayate timer preview cron %s", params)
		}
		params, err := answerOf(args[1:])
		if err != nil {
			return err
		}
		s, err := cron.Parse(trigger, mustJSON(params), nil)
		if err != nil {
			return usage("%v", err)
		}
		at := time.Now()
		if from != "" {
			if at, err = moment(from); err != nil {
				return err
			}
		}
		s = s.From(at.Truncate(time.Second))
		var ticks []tick
		for len(ticks) < n {
			next, ok := s.Next(at)
			if !ok {
				break
			}
			ticks = append(ticks, tick{Tick: next, Zone: s.Zone().String(), Type: trigger, Schedule: strings.Join(args[1:], " ")})
			at = next
		}
		return a.printTicks(ticks)
	}
	return c
}

// crontabDays are the days of the week as a crontab numbers them.
var crontabDays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// fromCrontab writes the five fields of a crontab's line, given as one argument or as
// five, as parameters of a cron timer; "" where it is no such line. A timer's week
// begins on Monday, as 0, so days are written by name.
func fromCrontab(args []string) string {
	fields := strings.Fields(strings.Join(args, " "))
	if len(fields) != 5 || strings.Contains(fields[0], "=") {
		return ""
	}
	var out []string
	for i, name := range []string{"minute", "hour", "day", "month", "day_of_week"} {
		v := fields[i]
		if strings.ContainsRune(v, '=') {
			return ""
		}
		if name == "day_of_week" {
			v = crontabDay.ReplaceAllStringFunc(v, func(d string) string {
				last := len(d) - 1
				return d[:last] + crontabDays[d[last]-'0']
			})
		}
		if v == "*" && i > 1 {
			continue
		}
		if strings.ContainsAny(v, "*?/,") && v != "*" || v == "*" {
			v = "'" + name + "=" + v + "'"
		} else {
			v = name + "=" + v
		}
		out = append(out, v)
	}
	return strings.Join(out, " ")
}

// crontabDay is a number of a day of the week with what precedes it; a step after a
// slash is none.
var crontabDay = regexp.MustCompile(`(^|[,-])[0-7]\b`)

// toCome reads a time, or how far away it is.
func toCome(v string) (time.Time, error) {
	if d, err := settings.ParseDuration(v); err == nil {
		return time.Now().Add(d), nil
	}
	at, err := moment(v)
	if err != nil {
		return at, usage("%q is neither a time (2026-01-31T12:00:00Z) nor how far away it is (2h, 7d)", v)
	}
	return at, nil
}

// deadlineOf tells an execution's deadline, and how far away it is while that matters.
func deadlineOf(o object) string {
	t, err := time.Parse(time.RFC3339Nano, text(o, "deadline"))
	if err != nil {
		return ""
	}
	out := t.Local().Format(time.RFC3339)
	if d := time.Until(t); d > 0 && text(o, "end_timestamp") == "" {
		out += " (" + ahead(d) + ")"
	}
	return out
}
