package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func (a *app) eventCommand() *cobra.Command {
	c := &cobra.Command{Use: "event", Aliases: []string{"trigger-instance"}, Short: "send events, list them, and see what the rules made of them"}
	c.AddCommand(a.eventSend(), a.eventList(), a.eventGet(), a.eventExplain())
	return c
}

func (a *app) eventSend() *cobra.Command {
	var typ, source, id, subject, data, contentType, as string
	c := &cobra.Command{
		Use:   "send [FILE|-]",
		Short: "send an event: a CloudEvent, a source's own payload, or one made from flags",
		Long: "Sends what is in FILE (- is standard input). A CloudEvent in JSON, or a list of them, is sent as it is. Any other payload is sent\n" +
			"as a source would send it: --as names the source (zabbix, github, …) where the payload alone does not tell.\n" +
			"Without FILE the event is made from --type, --source and --data.",
		Example: "  hayate event send problem.json --as zabbix\n  hayate event send --type com.example.door --data '{\"open\": true}'\n  curl … | hayate event send -",
		Args:    cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.StringVar(&as, "as", "", "source whose payload it is: the last part of /v1/webhooks/…")
	f.StringVar(&typ, "type", "", "type of the event to make")
	f.StringVar(&source, "source", "/cli", "source of the event to make")
	f.StringVar(&id, "id", "", "id of the event to make (default: a random one)")
	f.StringVar(&subject, "subject", "", "subject of the event to make")
	f.StringVar(&data, "data", "", "data of the event to make, JSON; @FILE reads a file, - standard input")
	f.StringVar(&contentType, "content-type", "application/json", "media type of the payload or the data")
	c.RunE = func(c *cobra.Command, args []string) error {
		path, ct, body := "/v1/events", "application/cloudevents+json", []byte(nil)
		var err error
		switch {
		case len(args) == 1 && typ != "":
			return usage("FILE and --type exclude each other")
		case len(args) == 1:
			if body, err = a.readInput(args[0]); err != nil {
				return err
			}
			path, ct = route(body, as, contentType)
		case typ == "":
			return usage("nothing to send: name a FILE, or give --type and --data")
		default:
			if body, err = a.makeEvent(typ, source, id, subject, data, contentType); err != nil {
				return err
			}
		}
		r, err := a.call(c.Context(), http.MethodPost, path, nil, body, ct)
		if err != nil {
			return err
		}
		return a.printAccepted(r.body)
	}
	return c
}

// route tells CloudEvents from other payloads.
func route(body []byte, as, contentType string) (path, ct string) {
	trimmed := bytes.TrimSpace(body)
	if as == "" && json.Valid(trimmed) {
		var one struct {
			SpecVersion string `json:"specversion"`
		}
		var many []struct {
			SpecVersion string `json:"specversion"`
		}
		if json.Unmarshal(trimmed, &one) == nil && one.SpecVersion != "" {
			return "/v1/events", "application/cloudevents+json"
		}
		if json.Unmarshal(trimmed, &many) == nil && len(many) > 0 && many[0].SpecVersion != "" {
			return "/v1/events", "application/cloudevents-batch+json"
		}
	}
	if as == "" {
		as = "cli"
	}
	return "/v1/webhooks/" + as, contentType
}

func (a *app) readInput(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(a.Stdin)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, usage("%w", err)
	}
	return b, nil
}

func (a *app) makeEvent(typ, source, id, subject, data, contentType string) ([]byte, error) {
	e := hayate.Event{ID: id, Source: source, Type: typ, Subject: subject, DataContentType: contentType, Data: []byte(data)}
	var err error
	switch {
	case data == "-":
		e.Data, err = a.readInput("-")
	case strings.HasPrefix(data, "@"):
		e.Data, err = a.readInput(data[1:])
	case data == "":
		e.Data = nil
	}
	if err != nil {
		return nil, err
	}
	if id == "" {
		e.ID = randomID()
	}
	if err := e.Validate(); err != nil {
		return nil, &exit{exitUsage, err}
	}
	return json.Marshal(e)
}

// printAccepted shows what became of sent events.
func (a *app) printAccepted(raw []byte) error {
	list := bytes.TrimSpace(raw)
	var wrapped struct {
		Events json.RawMessage `json:"events"`
	}
	if json.Unmarshal(list, &wrapped) == nil && wrapped.Events != nil {
		list = wrapped.Events
	}
	if len(list) > 0 && list[0] == '{' {
		list = append(append([]byte{'['}, list...), ']')
	}
	if a.output != "table" && a.output != "wide" {
		return a.printList(list, "id", nil)
	}
	var events []object
	if err := decode(list, &events); err != nil {
		return err
	}
	for _, e := range events {
		note := fmt.Sprintf("%s execution(s)", text(e, "executions"))
		if at(e, "duplicate") == true {
			note = "known already, nothing was done again"
		}
		fmt.Fprintf(a.Stdout, "event %s accepted: %s, %s\n", text(e, "id"), text(e, "type"), note)
	}
	if len(events) == 0 {
		a.say("accepted, but the payload holds no event")
	}
	if len(events) > 0 {
		a.say("See why rules did or did not fire: hayate event explain %s", text(events[len(events)-1], "id"))
	}
	return nil
}

// listFlags are the flags that all lists share.
type listFlags struct {
	limit         int
	since, before string
	text          string
	watch         bool
}

func (l *listFlags) add(c *cobra.Command) {
	f := c.Flags()
	f.IntVarP(&l.limit, "limit", "n", 50, "most entries to show; -1 for all")
	f.StringVar(&l.since, "since", "", "only what is newer: a time, or an age such as 2h or 7d")
	f.StringVar(&l.before, "before", "", "only what is older: a time, or an age")
	f.StringVar(&l.text, "text", "", "only what contains this text")
	f.BoolVarP(&l.watch, "watch", "w", false, "show again when something changes, until interrupted")
}

func (a *app) eventList() *cobra.Command {
	var l listFlags
	var typ, source string
	c := &cobra.Command{Use: "list", Short: "list accepted events, newest first", Args: exactly(0)}
	l.add(c)
	c.Flags().StringVar(&typ, "type", "", "only events of this type (StackStorm: trigger)")
	c.Flags().StringVar(&source, "source", "", "only events from this source")
	c.RunE = func(c *cobra.Command, _ []string) error {
		q := url.Values{}
		set(q, "type", typ)
		set(q, "source", source)
		return a.lists(c, &l, "/v1/events", q, []column{
			field("ID", "id"), field("TYPE", "event.type"), field("SOURCE", "event.source"), field("SUBJECT", "event.subject"),
			{title: "FIRINGS", get: firings}, a.moment("ACCEPTED", "accepted_at"), wideField("EVENT ID", "event.id"), wideField("CORRELATION", "event.correlationkey"),
		})
	}
	return c
}

// firings sums up the decisions on an event.
func firings(o object) string {
	fs, _ := o["firings"].([]any)
	if len(fs) == 0 {
		return "none"
	}
	var bad int
	for _, f := range fs {
		if m, ok := f.(object); ok && m["status"] != "succeeded" {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Sprintf("%d (%d not carried out)", len(fs), bad)
	}
	return strconv.Itoa(len(fs))
}

func (a *app) eventGet() *cobra.Command {
	return &cobra.Command{Use: "get ID|last", Short: "show an event with its data and what it led to", Args: exactly(1), RunE: func(c *cobra.Command, args []string) error {
		r, err := a.call(c.Context(), http.MethodGet, "/v1/events/"+url.PathEscape(args[0]), nil, nil, "")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "id", func(o object) error {
			a.showEvent(o)
			return a.printIndented("data", at(o, "event.data"))
		})
	}}
}

func (a *app) showEvent(o object) {
	a.pairs([][2]string{{"event", text(o, "id")}, {"type", text(o, "event.type")}, {"source", text(o, "event.source")}, {"subject", text(o, "event.subject")},
		{"event id", text(o, "event.id")}, {"happened", a.when(text(o, "event.time"))}, {"accepted", a.when(text(o, "accepted_at"))}, {"correlation", text(o, "event.correlationkey")}})
	fs, _ := o["firings"].([]any)
	for _, f := range fs {
		m, _ := f.(object)
		line := fmt.Sprintf("  rule %s: %s", text(m, "rule"), a.paint(text(m, "status")))
		if reason := text(m, "reason"); reason != "" {
			line += " – " + reason
		}
		if ids, _ := m["executions"].([]any); len(ids) > 0 {
			line += fmt.Sprintf(" → %v", ids[0])
			if len(ids) > 1 {
				line += fmt.Sprintf(" and %d more", len(ids)-1)
			}
		}
		fmt.Fprintln(a.Stdout, line)
	}
	if len(fs) == 0 {
		fmt.Fprintln(a.Stdout, "  no rule fired")
	}
}

// pairs prints names and values, aligned, without the empty ones.
func (a *app) pairs(ps [][2]string) {
	w := 0
	for _, p := range ps {
		if p[1] != "" {
			w = max(w, cellWidth(p[0]))
		}
	}
	for _, p := range ps {
		if p[1] != "" {
			fmt.Fprintf(a.Stdout, "%s%s  %s\n", p[0], strings.Repeat(" ", w-cellWidth(p[0])), p[1])
		}
	}
}

// printIndented prints a JSON value below a title.
func (a *app) printIndented(title string, v any) error {
	if v == nil {
		return nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("  ", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := fmt.Fprintf(a.Stdout, "%s\n  %s", title, b.String())
	return err
}

func (a *app) eventExplain() *cobra.Command {
	var rule string
	var all bool
	c := &cobra.Command{
		Use:   "explain ID|last",
		Short: "show why each rule fired for an event or not: every condition, the value found, the nearest miss",
		Args:  exactly(1),
	}
	c.Flags().StringVar(&rule, "rule", "", "only this rule")
	c.Flags().BoolVar(&all, "all", false, "also rules that wait for other events")
	c.RunE = func(c *cobra.Command, args []string) error {
		r, err := a.call(c.Context(), http.MethodGet, "/v1/events/"+url.PathEscape(args[0])+"/explain", nil, nil, "")
		if err != nil {
			return err
		}
		return a.printObject(r.body, "event.id", func(o object) error {
			ev, _ := o["event"].(object)
			a.showEvent(ev)
			var x struct{ Rules []rules.Explanation }
			if err := decode(r.body, &x); err != nil {
				return err
			}
			a.showExplanations(x.Rules, hayate.Ref(rule), all)
			return nil
		})
	}
	return c
}
