package rules_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// try compiles a rule; if it is good it is matched, alone and explained, and all
// must agree.
func try(t *testing.T, r hayate.Rule, e *hayate.Event) {
	t.Helper()
	r.Pack, r.Name, r.Enabled = "p", "r", true
	s, err := rules.Compile([]hayate.Rule{r})
	if err != nil {
		if len(rules.Problems(err)) == 0 {
			t.Errorf("%v lists no problem", err)
		}
		return
	}
	ms := s.Match(rules.NewScratch(), e, nil)
	again := s.Rebuild().Match(rules.NewScratch(), e, nil)
	if !slices.Equal(described(ms), described(again)) {
		t.Errorf("got %v, then %v", described(ms), described(again))
	}
	if !json.Valid(e.Data) {
		return
	}
	x, need := s.Explain("p.r", e, nil)
	if len(need) == 0 && x.Matched != matched(ms) {
		t.Errorf("matches %t, explained %t: %+v", matched(ms), x.Matched, x)
	}
	if _, err := json.Marshal(x); err != nil {
		t.Errorf("explanation: %v", err)
	}
}

func fuzzEvent(data string) *hayate.Event {
	return &hayate.Event{ID: "1", Source: "/s", Type: "t.x", Data: []byte(data), AcceptedAt: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
}

const fuzzData = `{"a":"alpha","b":[{"c":1,"d":null},{"c":2.5}],"h":"10.0.0.1","n":{"m":[["x"],[]]},"t":"2026-01-15T11:59:30Z"}`

func FuzzPattern(f *testing.F) {
	for _, s := range []string{
		`{"a":["alpha",{"prefix":"al"},{"wildcard":"*pha"}],"b":{"c":[{"numeric":[">",1,"<=",5]}],"d":[null,{"exists":false}]}}`,
		`{"$or":[{"a":[{"anything-but":{"suffix":["x"]}}]},{"h":[{"cidr":"10.0.0.0/8"}]}],"$and":[{"n":{"m":["x"]}}]}`,
		`{"a":[{"equals-ignore-case":"ALPHA"},{"suffix":{"equals-ignore-case":"HA"}},1e400,{"exactly":"10.0.0.1"}]}`,
	} {
		f.Add(s, fuzzData)
	}
	f.Fuzz(func(t *testing.T, pattern, data string) {
		try(t, hayate.Rule{Pattern: json.RawMessage(pattern)}, fuzzEvent(data))
	})
}

func FuzzCriteria(f *testing.F) {
	for _, s := range []string{
		`{"trigger.a":{"type":"icontains","pattern":"LPH"},"trigger.a#2":{"type":"regex","pattern":"a(?=l)"}}`,
		`{"trigger.b":{"type":"search","condition":"any","pattern":{"item.c":{"type":"gt","pattern":1}}}}`,
		`{"trigger.t":{"type":"td_lt","pattern":60},"trigger.b[*].c":{"type":"in","pattern":[1,true,null]},"trigger.'a'":{"type":"matchwildcard","pattern":"[!b]*?"}}`,
		`{"trigger.a":{"type":"contains","pattern":"ﾊﾞ","fold":["nfkc","kana"]},"system.k":{"type":"eq","pattern":"{{ st2kv.system.x }}"}}`,
	} {
		f.Add(s, fuzzData)
	}
	f.Fuzz(func(t *testing.T, criteria, data string) {
		try(t, hayate.Rule{Trigger: hayate.Trigger{Type: "t.x"}, Criteria: json.RawMessage(criteria)}, fuzzEvent(data))
	})
}

func FuzzFilters(f *testing.F) {
	f.Add(`[{"exact":{"type":"t.x"}},{"any":[{"prefix":{"source":"/"}},{"not":{"suffix":{"id":"2"}}}]},{"sql":"type LIKE 't.%' AND EXISTS id"}]`, `{}`)
	f.Fuzz(func(t *testing.T, filters, data string) {
		try(t, hayate.Rule{Filters: json.RawMessage(filters)}, fuzzEvent(data))
	})
}

// FuzzEvent holds events that may not be JSON against rules that look everywhere.
func FuzzEvent(f *testing.F) {
	m := []hayate.Rule{
		{Pack: "p", Name: "a", Enabled: true, Pattern: json.RawMessage(`{"a":[{"exists":true}],"b":{"c":[{"numeric":["<",9]}],"d":[{"exists":false}]}}`)},
		{Pack: "p", Name: "b", Enabled: true, Trigger: hayate.Trigger{Type: "t.x"}, Criteria: json.RawMessage(`{"trigger.a":{"type":"contains","pattern":"alp"},"trigger.n.m":{"type":"exists","pattern":1}}`)},
		{Pack: "p", Name: "c", Enabled: true, Pattern: json.RawMessage(`{"n":{"m":[{"wildcard":"*needle*"}]},"h":[{"cidr":"10.0.0.0/8"}]}`)},
	}
	set, err := rules.Compile(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(fuzzData)
	f.Add(`{"a":"\ud83d\ude00\u00e9\"","b":[[[{"c":-0.0e1}]]]}`)
	f.Add(`{"a":` + strings.Repeat("[", 600))
	f.Add(`{"a`)
	f.Fuzz(func(t *testing.T, data string) {
		e := fuzzEvent(data)
		a := described(set.Match(rules.NewScratch(), e, nil))
		b := described(set.Rebuild().Match(rules.NewScratch(), e, nil))
		if !slices.Equal(a, b) {
			t.Errorf("got %v, then %v", a, b)
		}
	})
}

func FuzzTimeText(f *testing.F) {
	for _, s := range []string{"2026-01-15T11:59:30Z", "Thu, 15 Jan 2026 11:59:30 +0900 (JST)", "15/1/26 3pm", "10h36m28.5s", "20260115T115930", "1 of Jan of 99", "a.m. 12,5"} {
		f.Add(s)
	}
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, err := rules.ParseTime(s, now)
		if err == nil && (at.Year() < 0 || at.Year() > 10_000) {
			t.Errorf("%q is %v", s, at)
		}
	})
}

func FuzzShellPattern(f *testing.F) {
	f.Add("web-[a-c]?*", "web-b1x")
	f.Add("[!]]*[[]", "x[")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		rules.Fnmatch(pattern, s)
		if !strings.ContainsAny(pattern, "*?[") && rules.Fnmatch(pattern, s) != (pattern == s) && utf8.ValidString(pattern) && utf8.ValidString(s) {
			t.Errorf("pattern %q, text %q", pattern, s)
		}
	})
}
