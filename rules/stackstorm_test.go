package rules_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func st2Rule(criteria string) hayate.Rule {
	return hayate.Rule{Trigger: hayate.Trigger{Type: "t.x"}, Criteria: json.RawMessage(criteria)}
}

func TestDatastoreValuesAreAskedForFirst(t *testing.T) {
	r := st2Rule(`{"trigger.host":{"type":"equals","pattern":"{{ st2kv.system.main.host }}"},"trigger.n":{"type":"gt","pattern":"{{ system.least | int }}"}}`)
	r.Pack, r.Name, r.Enabled = "p", "r", true
	set, err := rules.Compile([]hayate.Rule{r})
	if err != nil {
		t.Fatal(err)
	}
	sc := rules.NewScratch()
	e := fuzzEvent(`{"host":"web","n":5}`)
	ask := func(values map[string]string, need []string, hit bool) {
		t.Helper()
		ms := set.Match(sc, e, values)
		var got []string
		if len(ms) == 1 {
			got = ms[0].Need
		}
		if !slices.Equal(got, need) || matched(ms) != hit {
			t.Errorf("with %v: need %v, matched %t; want need %v, matched %t (%+v)", values, got, matched(ms), need, hit, ms)
		}
	}
	ask(nil, []string{"system.main.host"}, false)
	ask(map[string]string{"system.main.host": "db"}, nil, false)
	ask(map[string]string{"system.main.host": "web"}, []string{"system.least"}, false)
	ask(map[string]string{"system.main.host": "web", "system.least": "4"}, nil, true)
	ask(map[string]string{"system.main.host": "web", "system.least": "5"}, nil, false)
}

func TestBackstopsWaitForStandardRules(t *testing.T) {
	rule := func(name, kind, criteria string) hayate.Rule {
		r := st2Rule(criteria)
		r.Pack, r.Name, r.Kind, r.Enabled = "p", name, kind, true
		return r
	}
	set, err := rules.Compile([]hayate.Rule{
		rule("back", hayate.KindBackstop, ""), rule("std", hayate.KindStandard, `{"trigger.n":{"type":"gt","pattern":5}}`),
		rule("back2", hayate.KindBackstop, `{"trigger.n":{"type":"eq","pattern":1}}`),
		func() hayate.Rule {
			r := rule("shadow", "", `{"trigger.n":{"type":"eq","pattern":1}}`)
			r.Mode = hayate.ModeShadow
			return r
		}(),
		rule("template", "", `{"trigger.n":{"type":"eq","pattern":"{{ st2kv.system.n | int }}"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		data string
		kv   map[string]string
		want string
	}{
		{`{"n":9}`, map[string]string{"system.n": "0"}, "p.std"},
		{`{"n":1}`, map[string]string{"system.n": "0"}, "p.back p.back2 p.shadow"},
		{`{"n":1}`, map[string]string{"system.n": "1"}, "p.shadow p.template"},
		{`{"n":"x"}`, map[string]string{"system.n": "0"}, "p.back p.std"}, // std fails, which is no match
	} {
		if got := refs(set.Match(rules.NewScratch(), fuzzEvent(c.data), c.kv)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.data, got, c.want)
		}
	}
}

func TestFoldedCriteria(t *testing.T) {
	for _, c := range []struct {
		data, criterion string
		want            bool
	}{
		{`"サーバ01 障害"`, `{"type":"contains","pattern":"ｻｰﾊﾞ","fold":["width"]}`, true},
		{`"ｻｰﾊﾞ01 障害"`, `{"type":"contains","pattern":"サーバ","fold":["nfkc"]}`, true},
		{`"さーば"`, `{"type":"equals","pattern":"ｻｰﾊﾞ","fold":["width","kana"]}`, true},
		{`"さーば"`, `{"type":"equals","pattern":"サーバ","fold":["width"]}`, false},
		{`"ＥＲＲＯＲ：disk"`, `{"type":"startswith","pattern":"error:","fold":["nfkc","case"]}`, true},
		{`"８０"`, `{"type":"in","pattern":["80","443"],"fold":"width"}`, true},
		{`"ＯＫ"`, `{"type":"nequals","pattern":"ok","fold":["width","case"]}`, false},
	} {
		ms, err := one(t, st2Rule(`{"trigger.m":`+c.criterion+`}`), fuzzEvent(`{"m":`+c.data+`}`))
		if err != nil || matched(ms) != c.want {
			t.Errorf("%s %s: matched %t, error %v; want %t", c.data, c.criterion, matched(ms), err, c.want)
		}
	}
	if _, err := one(t, st2Rule(`{"trigger.m":{"type":"gt","pattern":1,"fold":["case"]}}`), fuzzEvent(`{}`)); err == nil {
		t.Error("fold was accepted beside gt")
	}
	if _, err := one(t, st2Rule(`{"trigger.m":{"type":"eq","pattern":"x","fold":["lower"]}}`), fuzzEvent(`{}`)); err == nil {
		t.Error("an unknown folding was accepted")
	}
}

func TestTimesAreReadAsDateutilDoes(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 34, 56, 0, time.UTC)
	for text, want := range map[string]string{
		"2026-01-15T11:59:30.5Z":             "2026-01-15T11:59:30.5Z",
		"2026-01-15 11:59:30 +0900":          "2026-01-15T02:59:30Z",
		"2026-01-15T11:59:30-05:30":          "2026-01-15T17:29:30Z",
		"Thu, 15 Jan 2026 11:59:30 GMT":      "2026-01-15T11:59:30Z",
		"Thu Jan 15 11:59:30 2026":           "2026-01-15T11:59:30Z",
		"15 January 2026":                    "2026-01-15T00:00:00Z",
		"January 2026":                       "2026-01-31T00:00:00Z",
		"Feb 2026":                           "2026-02-28T00:00:00Z",
		"01/02/2026":                         "2026-01-02T00:00:00Z",
		"13/02/2026":                         "2026-02-13T00:00:00Z",
		"2026/02/13 3:04 pm":                 "2026-02-13T15:04:00Z",
		"3pm":                                "2026-01-31T15:00:00Z",
		"12 am":                              "2026-01-31T00:00:00Z",
		"10h36m28.5s":                        "2026-01-31T10:36:28.5Z",
		"20260115":                           "2026-01-15T00:00:00Z",
		"202601151159":                       "2026-01-15T11:59:00Z",
		"20260115115930":                     "2026-01-15T11:59:30Z",
		"260115":                             "2015-01-26T00:00:00Z",
		"2026-01-15T11:59:30,25":             "2026-01-15T11:59:30.25Z",
		"Sat 11:00":                          "2026-01-31T11:00:00Z",
		"Mon 11:00":                          "2026-02-02T11:00:00Z",
		"2026-01-15 11:59:30 GMT+3":          "2026-01-15T14:59:30Z",
		"2026-01-15 11:59:30 +0900 (JST)":    "2026-01-15T02:59:30Z",
		"99-12-31":                           "1999-12-31T00:00:00Z",
		"2026.01.15":                         "2026-01-15T00:00:00Z",
		"5":                                  "2026-01-05T00:00:00Z",
		"1 of January of 2026":               "2026-01-01T00:00:00Z",
		"2026-02-30":                         "",
		"2026-13-45":                         "",
		"25:00":                              "",
		"yesterday":                          "",
		"2026-W03-4":                         "",
		"1768478370":                         "",
		"2026-01-15T11:59:30Z and some text": "",
	} {
		at, err := rules.ParseTime(text, now)
		got := ""
		if err == nil {
			got = at.Format(time.RFC3339Nano)
		}
		if got != want {
			t.Errorf("%s: got %s (%v), want %s", text, got, err, want)
		}
	}
}

func TestFailuresInsideSearchStayWithTheirRule(t *testing.T) {
	rule := func(name, criteria string) hayate.Rule {
		r := st2Rule(criteria)
		r.Pack, r.Name, r.Enabled = "p", name, true
		return r
	}
	search := func(condition string, least int) string {
		return fmt.Sprintf(`{"trigger.l":{"type":"search","condition":"%s","pattern":{"item":{"type":"gt","pattern":%d}}}}`, condition, least)
	}
	set, err := rules.Compile([]hayate.Rule{
		rule("a", search("any", 0)), rule("b", `{"trigger.x":{"type":"eq","pattern":2}}`), rule("c", search("any", 5)), rule("d", `{"trigger.x":{"type":"nexists","pattern":1}}`),
		rule("e", search("all", 0)), rule("f", `{"trigger.x":{"type":"eq","pattern":1}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	sc := rules.NewScratch()
	for range 2 {
		// One item is no number: the child fails there.
		got := described(set.Match(sc, fuzzEvent(`{"l":[1,"x"],"x":1}`), nil))
		if want := []string{"p.a match", "p.c error", "p.e error", "p.f match"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		got = described(set.Match(sc, fuzzEvent(`{"l":[1,2],"x":2}`), nil))
		if want := []string{"p.a match", "p.b match", "p.e match"}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestOfDuplicateMembersCriteriaSeeTheLast(t *testing.T) {
	for _, c := range []struct {
		data, criteria, want string
	}{
		{`{"a":"x","a":"y"}`, `{"trigger.a":{"type":"eq","pattern":"y"}}`, "match"},
		{`{"a":"x","a":"y"}`, `{"trigger.a":{"type":"eq","pattern":"x"}}`, ""},
		{`{"a":{"b":"x"},"a":{"c":1}}`, `{"trigger.a.b":{"type":"exists","pattern":1}}`, ""},
		{`{"a":{"b":"x"},"a":{"c":1}}`, `{"trigger.a.b":{"type":"startswith","pattern":"x"}}`, "error"},
		{`{"a":{"b":"x"},"a":{"b":"z"}}`, `{"trigger.a.b":{"type":"startswith","pattern":"z"}}`, "match"},
		{`{"a":"x","a":[1]}`, `{"trigger.a":{"type":"contains","pattern":1}}`, "match"},
		{`{"a":[{"b":1},{"b":2}],"c":"x"}`, `{"trigger.c":{"type":"eq","pattern":"x"}}`, "match"},
	} {
		ms, err := one(t, st2Rule(c.criteria), fuzzEvent(c.data))
		if err != nil {
			t.Fatal(err)
		}
		got := strings.TrimPrefix(strings.Join(described(ms), " "), "p.r ")
		if got != c.want {
			t.Errorf("%s %s: got %q, want %q", c.data, c.criteria, got, c.want)
		}
	}
}
