package rules_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func TestExplainNamesTheCauseOfEverydayMistakes(t *testing.T) {
	criteria := func(s string) hayate.Rule {
		return hayate.Rule{Pack: "p", Name: "r", Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}, Criteria: json.RawMessage(s)}
	}
	pattern := func(s string) hayate.Rule {
		return hayate.Rule{Pack: "p", Name: "r", Enabled: true, Pattern: json.RawMessage(s)}
	}
	filters := func(s string) hayate.Rule {
		return hayate.Rule{Pack: "p", Name: "r", Enabled: true, Filters: json.RawMessage(s)}
	}
	data := `{"host":"Web-01","severity":5,"code":"503","level":"８０","server":"サーバ","note":" down ","ok":false,"tags":["prod","web"],
		"body":{"status":"DOWN"},"disks":[{"name":"sda"},{"name":"sdb","full":true}],"名前":"カ\u3099","msg":"disk full on web"}`
	for _, c := range []struct {
		name  string
		rule  hayate.Rule
		cause rules.Cause
		fix   string
	}{
		{"wrong case", criteria(`{"trigger.host":{"type":"equals","pattern":"web-01"}}`), rules.CauseCase, ""},
		{"a number in quotes", criteria(`{"trigger.severity":{"type":"equals","pattern":"5"}}`), rules.CauseType, "pattern: 5"},
		{"a string without quotes", criteria(`{"trigger.code":{"type":"equals","pattern":503}}`), rules.CauseType, `pattern: "503"`},
		{"a truth value in quotes", criteria(`{"trigger.ok":{"type":"equals","pattern":"false"}}`), rules.CauseType, "pattern: false"},
		{"full-width digits", criteria(`{"trigger.level":{"type":"equals","pattern":"80"}}`), rules.CauseWidth, ""},
		{"full-width digits against a number", criteria(`{"trigger.level":{"type":"gt","pattern":80}}`), rules.CauseWidth, ""},
		{"half-width kana", criteria(`{"trigger.server":{"type":"equals","pattern":"ｻｰﾊﾞ"}}`), rules.CauseWidth, ""},
		{"hiragana", criteria(`{"trigger.server":{"type":"contains","pattern":"さーば"}}`), rules.CauseForm, ""},
		{"white space around it", criteria(`{"trigger.note":{"type":"equals","pattern":"down"}}`), rules.CauseSpace, ""},
		{"wrong level", criteria(`{"trigger.status":{"type":"equals","pattern":"DOWN"}}`), rules.CausePath, "trigger.body.status"},
		{"a misspelt name", criteria(`{"trigger.severty":{"type":"gt","pattern":3}}`), rules.CauseName, "trigger.severity"},
		{"case of a name", criteria(`{"trigger.Host":{"type":"eq","pattern":"Web-01"}}`), rules.CauseName, "trigger.host"},
		{"equals on a list", criteria(`{"trigger.tags":{"type":"equals","pattern":"prod"}}`), rules.CauseList, "type: contains"},
		{"a list without index", criteria(`{"trigger.disks.name":{"type":"equals","pattern":"sda"}}`), rules.CauseList, "trigger.disks[0].name"},
		{"a wildcard in equals", criteria(`{"trigger.host":{"type":"equals","pattern":"Web-*"}}`), rules.CauseOperator, "type: matchwildcard"},
		{"an anchored regex", criteria(`{"trigger.msg":{"type":"matchregex","pattern":"full"}}`), rules.CauseOperator, "type: regex"},
		{"contains meant", criteria(`{"trigger.msg":{"type":"equals","pattern":"disk full"}}`), rules.CauseOperator, "type: contains"},
		{"a string in an item of search", criteria(`{"trigger.disks":{"type":"search","condition":"any","pattern":{"item.name":{"type":"eq","pattern":"sdb"},"item.full":{"type":"eq","pattern":"true"}}}}`), rules.CauseType, "pattern: true"},
		{"a field that items of search lack", criteria(`{"trigger.disks":{"type":"search","condition":"any","pattern":{"item.Name":{"type":"eq","pattern":"sda"}}}}`), rules.CauseName, "item.name"},
		{"no such field", criteria(`{"trigger.xyzzy":{"type":"exists","pattern":true}}`), rules.CauseMissing, ""},
		{"a typo in the value", criteria(`{"trigger.host":{"type":"equals","pattern":"Web-02"}}`), rules.CauseSpelling, ""},
		{"another value", criteria(`{"trigger.host":{"type":"equals","pattern":"database"}}`), rules.CauseValue, ""},
		{"pattern: wrong case", pattern(`{"host":["web-01"]}`), rules.CauseCase, `{"equals-ignore-case": "web-01"}`},
		{"pattern: a number in quotes", pattern(`{"severity":["5"]}`), rules.CauseType, "[5]"},
		{"pattern: wrong level", pattern(`{"detail":{"status":["DOWN"]}}`), rules.CausePath, "body.status"},
		{"pattern: a wildcard as string", pattern(`{"host":["Web-*"]}`), rules.CauseOperator, `{"wildcard": "Web-*"}`},
		{"pattern: different elements", pattern(`{"disks":{"name":["sda"],"full":[true]}}`), rules.CauseElements, ""},
		{"pattern: prefix in the wrong case", pattern(`{"host":[{"prefix":"web"}]}`), rules.CauseCase, ""},
		{"filter: wrong case", filters(`[{"exact":{"type":"MON.alert"}}]`), rules.CauseCase, ""},
		{"filter: an attribute in the data", filters(`[{"any":[{"prefix":{"host":"Web"}},{"exact":{"id":"2"}}]}]`), rules.CausePath, "pattern or criteria"},
		{"filter: wrong case in an expression", filters(`[{"sql":"type = 'Mon.alert' OR id = 'x'"}]`), rules.CauseCase, ""},
		{"filter: a misspelt attribute", filters(`[{"sql":"surce = '/s'"}]`), rules.CauseMissing, ""},
		{"not enabled", hayate.Rule{Pack: "p", Name: "r"}, rules.CauseDisabled, "enabled: true"},
		{"a misspelt trigger", hayate.Rule{Pack: "p", Name: "r", Enabled: true, Trigger: hayate.Trigger{Type: "mon.Alert"}}, rules.CauseCase, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &hayate.Event{ID: "1", Source: "/s", Type: "mon.alert", Data: []byte(data)}
			xs, need := rules.ExplainAll([]hayate.Rule{c.rule}, e, nil)
			x := xs[0]
			if len(need) > 0 || x.Matched || x.Failed == 0 {
				t.Fatalf("got %+v, need %v", x, need)
			}
			if x.Hint == nil || x.Hint.Cause != c.cause || c.fix != "" && x.Hint.Fix != c.fix {
				t.Errorf("got %+v, want cause %s, fix %s; conditions %s", x.Hint, c.cause, c.fix, asJSON(t, x.Conditions))
			}
		})
	}
}

func asJSON(t testing.TB, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestExplainRanksTheNearestMissFirst(t *testing.T) {
	rs := []hayate.Rule{
		{Pack: "p", Name: "other", Enabled: true, Trigger: hayate.Trigger{Type: "x.y"}},
		{Pack: "p", Name: "far", Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}, Criteria: json.RawMessage(`{"trigger.a":{"type":"eq","pattern":9},"trigger.b":{"type":"eq","pattern":9}}`)},
		{Pack: "p", Name: "near", Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}, Criteria: json.RawMessage(`{"trigger.a":{"type":"eq","pattern":1},"trigger.b":{"type":"eq","pattern":"2"}}`)},
		{Pack: "p", Name: "hit", Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}},
		{Pack: "p", Name: "last", Kind: hayate.KindBackstop, Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}},
	}
	xs, _ := rules.ExplainAll(rs, &hayate.Event{ID: "1", Source: "/s", Type: "mon.alert", Data: []byte(`{"a":1,"b":2}`)}, nil)
	var got []string
	for _, x := range xs {
		got = append(got, x.Rule.Name())
	}
	if want := "[hit last near far other]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if xs[1].Matched {
		t.Error("a backstop rule matched beside a standard one of its trigger")
	}
}

func ExampleSet_Explain() {
	set, err := rules.Compile([]hayate.Rule{{
		Pack: "web", Name: "down", Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"},
		Criteria: json.RawMessage(`{"trigger.code": {"type": "equals", "pattern": 503}}`),
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	x, _ := set.Explain("web.down", &hayate.Event{Type: "mon.alert", Data: []byte(`{"code": "503"}`)}, nil)
	fmt.Println(x.Matched, x.Hint.Cause)
	fmt.Println(x.Hint.Text)
	fmt.Println(x.Hint.Fix)
	// Output:
	// false type
	// the rule compares with the number 503, the event has the string "503": put it in quotes
	// pattern: "503"
}
