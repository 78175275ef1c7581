package stateful_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

func TestMistakesInForms(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`when: {cuont: {at_least: 2, within: 1m}}`:                    `when.cuont: unknown key "cuont", did you mean "count"?`,
		`when: {count: {atleast: 2, within: 1m}}`:                     `when.count: lacks the key "at_least"`,
		`when: {count: {at_least: 1, within: 1m}}`:                    `when.count.at_least: is 1, expected a whole number from 2 to 1000`,
		`when: {count: {at_least: "3", within: 1m}}`:                  `when.count.at_least: is the text "3", expected a whole number from 2 to 1000: leave the quotes out`,
		`when: {count: {at_least: 2.5, within: 1m}}`:                  `when.count.at_least: is 2.5, expected a whole number`,
		`when: {count: {at_least: 2, within: 10 minutes}}`:            `when.count.within: "10 minutes" is no time, expected a time such as 30s, 10m, 1h30m or 7d`,
		`when: {count: {at_least: 2, within: 0s}}`:                    `when.count.within: is 0s, the shortest is 1s`,
		`when: {count: {at_least: 2, within: 32d}}`:                   `when.count.within: is 32d, the longest is 31d`,
		`when: {count: {at_least: 2, within: 1m, again: yes please}}`: `when.count.again: is text, expected true or false`,
		`when: {count: 3}`: `when.count: is a number, expected a mapping`,
		`when: {count: {at_least: 2, within: 1m}, expected: {every: 1m}}`:                `stands beside another condition`,
		`when: {expected: {every: 1m, keys: [a]}}`:                                       `when: lacks the key "per"`,
		`when: {expected: {every: 1m}, cleared: {trigger: {type: a}}}`:                   `has cleared beside expected`,
		`when: {per: trigger.host, once: 1h}`:                                            `when.per: "trigger.host" names no value of the event; write {{ trigger.host }}`,
		`when: {per: "{{ trigger.host", once: 1h}`:                                       `when.per: `,
		`when: {both: {within: 1m}}`:                                                     `when.both: states no condition`,
		`when: {both: {within: 1m, trigger: {type: a, typ: b}}}`:                         `when.both.trigger.typ: unknown key "typ", did you mean "type"?`,
		`when: {once: {within: 1m, prolongued: true}}`:                                   `did you mean "prolonged"?`,
		`when: {max_keys: 0, once: 1m}`:                                                  `when.max_keys: is 0, expected a whole number from 1 to 100000`,
		`when: []`:                                                                       `when: is a list, expected a mapping`,
		`guard: {budget: {within: 1h}}`:                                                  `guard.budget: lacks the key "most"`,
		`guard: {breaker: {failures: 2}}`:                                                `guard.breaker: lacks the key "within"`,
		`guard: {per: "{{ trigger.x }}", budget: {most: 2}}`:                             `has per, but neither cooldown nor concurrent`,
		`{when: {expected: {every: 1m}}, guard: {per: "{{ trigger.x }}", cooldown: 1h}}`: `guard: has per beside when.expected`,
		`calendar: {zone: Asia/Tokio, silent: [{days: sat}]}`:                            `calendar.zone: unknown time zone "Asia/Tokio"`,
		`calendar: {zone: Asia/Tokyo}`:                                                   `calendar: has no windows`,
		`calendar: {silent: [{days: saturday}]}`:                                         `calendar.silent.0.days: unknown day "saturday"`,
		`calendar: {silent: [{from: "22:00"}]}`:                                          `calendar.silent.0: has from or to, but not both`,
		`calendar: {silent: [{from: 22:00, to: "24:00"}]}`:                               `calendar.silent.0.from: `,
		`calendar: {silent: [{from: "24:00", to: "01:00"}]}`:                             `calendar.silent.0.from: is 24:00, expected a time of day`,
		`calendar: {silent: [{from: "08:00", to: "08:00"}]}`:                             `begins and ends at the same time of day`,
		`calendar: {silent: [{}]}`:                                                       `calendar.silent.0: is empty`,
		`calendar: {silent: [{dates: "2026-02-30"}]}`:                                    `is no date`,
		`calendar: {silent: [{dates: "2026-02-03..2026-02-01"}]}`:                        `ends before it begins`,
		`calendar: {silent: [{dates: "2026-02-03..04-01"}]}`:                             `has a year at one end only`,
		`calendar: {silent: [{days: sat}], holidays: [de]}`:                              `unknown calendar of holidays "de"`,
		`calendar: {silent: [{days: sat}], after: later}`:                                `calendar.after: is later, expected fire or drop`,
		`calendar: {silent: [{weeks: 6}]}`:                                               `calendar.silent.0.weeks: is 6, expected a whole number from 1 to 5`,
	} {
		f, issues := stateful.Parse(rule(t, text))
		var got []string
		for _, is := range issues {
			got = append(got, is.String())
		}
		if f != nil || !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s\n got %q\nwant %q", text, got, want)
		}
	}
}

func TestAllMistakesAreTold(t *testing.T) {
	t.Parallel()
	_, issues := stateful.Parse(rule(t, `
when: {count: {at_least: 0, within: 1x}, per: host}
guard: {cooldwon: 1m, budget: {most: none}}
calendar: {silent: [{days: [sat, funday]}, {weeks: 9}]}`))
	if len(issues) != 7 {
		t.Errorf("%d mistakes: %v, want 7", len(issues), issues)
	}
}

func TestNothingDeclaredIsNoForm(t *testing.T) {
	t.Parallel()
	r := &hayate.Rule{Pack: "a", Name: "b", When: json.RawMessage("null")}
	if f, issues := stateful.Parse(r); f != nil || issues != nil || stateful.Declared(r) {
		t.Errorf("Parse gives %v, %v", f, issues)
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{second: "1s", 90 * second: "1m30s", hour: "1h", 25 * hour: "1d1h", 7 * day: "7d", 0: "0s"} {
		if got := stateful.Span(d); got != want {
			t.Errorf("Span(%v) is %q, want %q", d, got, want)
		}
	}
}

// FuzzParse: any text is a form or a list of mistakes, and what is a form decides.
func FuzzParse(f *testing.F) {
	for _, s := range [][3]string{
		{`{"per":"{{ trigger.host }}","count":{"at_least":3,"within":"10m"}}`, `{"cooldown":"10m","budget":{"most":2}}`, `{"zone":"Asia/Tokyo","silent":[{"days":["sat-sun","holiday"],"from":"22:00","to":"06:00"}],"after":"fire"}`},
		{`{"expected":{"every":"5m","keys":["a"]},"per":["{{ trigger.a }}","{{ event.subject }}"]}`, `{"concurrent":1,"per":"{{ trigger.b }}"}`, `{"active":{"dates":["12-29..01-03"],"weeks":["last"],"month_days":31},"holidays":"jp"}`},
		{`{"both":{"within":60,"pattern":{"a":["b"]}},"once":{"within":"1d","prolonged":true},"cleared":{"filters":[{"exact":{"type":"x"}}]}}`, `{"breaker":{"failures":2,"within":"1m","open":"1m"}}`, `null`},
		{`{"once":"1d2h","max_keys":1e3}`, ``, `{"silent":[{"dates":"2026-02-29"}]}`},
	} {
		f.Add(s[0], s[1], s[2])
	}
	e := hayate.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(`{"host":"a"}`)}
	f.Fuzz(func(t *testing.T, when, guard, calendar string) {
		r := &hayate.Rule{Pack: "a", Name: "b", Enabled: true, When: json.RawMessage(when), Guard: json.RawMessage(guard), Calendar: json.RawMessage(calendar)}
		form, issues := stateful.Parse(r)
		if form == nil {
			if len(issues) == 0 && stateful.Declared(r) {
				t.Fatal("neither a form nor a mistake")
			}
			return
		}
		key, err := form.Key("", &e)
		if err != nil {
			return
		}
		names := form.Keys(key, key)
		have := make([]json.RawMessage, len(names))
		for i := range 3 {
			in := stateful.Input{At: t0.Add(time.Duration(i) * hour), Event: fmt.Sprint(i), Own: true, Key: key, Started: []string{fmt.Sprint(i)}}
			out := form.Decide(in, have)
			for k, st := range out.States {
				have[k] = st.Body
				if st.Body != nil && !json.Valid(st.Body) {
					t.Fatalf("state %s is %q", names[k], st.Body)
				}
				form.Summary(st.Body, in.At, nil)
				form.Waking(names[k], st.Body)
			}
		}
	})
}
