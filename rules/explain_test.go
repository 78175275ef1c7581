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
			if len(need) > 0 || (x.Matched || x.Failed == 0) && c.cause != rules.CauseDisabled {
				t.Fatalf("got %+v, need %v", x, need)
			}
			if x.Hint == nil || x.Hint.Cause != c.cause || c.fix != "" && x.Hint.Fix != c.fix {
				t.Errorf("got %+v, want cause %s, fix %s; conditions %s", x.Hint, c.cause, c.fix, asJSON(t, x.Conditions))
			}
		})
	}
}

// everyday is a rule as one writes it, with a mistake in one of its places.
func everyday(dialect, mistake string) hayate.Rule {
	r := hayate.Rule{Pack: "p", Name: "r", Enabled: true, Trigger: hayate.Trigger{Type: "com.zabbix.problem"}}
	switch dialect {
	case "criteria":
		r.Criteria = json.RawMessage(`{"trigger.event_name":{"type":"contains","pattern":"is down"},` + mistake + `,"trigger.tags.team":{"type":"equals","pattern":"shop"}}`)
	case "pattern":
		r.Pattern = json.RawMessage(`{"event_name":[{"wildcard":"*is down"}],` + mistake + `}`)
	case "filters":
		r.Filters = json.RawMessage(`[{"prefix":{"type":"com.zabbix"}},` + mistake + `]`)
	case "trigger":
		r.Trigger.Type = mistake
		r.Criteria = json.RawMessage(`{"trigger.severity":{"type":"equals","pattern":"High"}}`)
	}
	return r
}

// TestExplainOfEverydayRules has the mistakes of everyday in rules with other
// conditions that hold: the right cause comes first.
func TestExplainOfEverydayRules(t *testing.T) {
	const data = `{"event_name":"Service checkout is down","severity":"High","level":4,"code":"0503","port":"８０８０","acked":false,"maint":"yes",
		"host":{"name":"web-01.example.com","ip":"192.0.2.7"},"tags":{"team":"shop","area":"ｻｰﾊﾞｰ"},"site":"Ｔｏｋｙｏ","note":"disk full \n","zone":" east","id":"a\u200b",
		"users":["ada","bob"],"disks":[{"name":"sda","full":true}],"group":"Linux servers/Web","ratio":"0.95","user-name":"ada","message":"10.0.0.1 GET /health"}`
	for _, c := range []struct {
		name, dialect, mistake string
		cause                  rules.Cause
	}{
		{"wrong case of a value", "criteria", `"trigger.severity":{"type":"equals","pattern":"high"}`, rules.CauseCase},
		{"wrong case in a list", "criteria", `"trigger.severity":{"type":"inside","pattern":["high","disaster"]}`, rules.CauseCase},
		{"wrong case in contains", "criteria", `"trigger.group":{"type":"contains","pattern":"linux"}`, rules.CauseCase},
		{"wrong case in a regex", "criteria", `"trigger.severity":{"type":"matchregex","pattern":"^high$"}`, rules.CauseCase},
		{"wrong case of a prefix", "criteria", `"trigger.host.name":{"type":"startswith","pattern":"WEB-"}`, rules.CauseCase},
		{"a number in quotes", "criteria", `"trigger.level":{"type":"equals","pattern":"4"}`, rules.CauseType},
		{"greater than a string", "criteria", `"trigger.level":{"type":"greaterthan","pattern":"3"}`, rules.CauseType},
		{"a string that looks like a number", "criteria", `"trigger.ratio":{"type":"greaterthan","pattern":0.9}`, rules.CauseType},
		{"missing quotes around a code", "criteria", `"trigger.code":{"type":"equals","pattern":503}`, rules.CauseType},
		{"missing quotes around yes", "criteria", `"trigger.maint":{"type":"equals","pattern":true}`, rules.CauseType},
		{"a boolean in quotes", "criteria", `"trigger.acked":{"type":"equals","pattern":"False"}`, rules.CauseType},
		{"a boolean as a number", "criteria", `"trigger.acked":{"type":"equals","pattern":"no"}`, rules.CauseType},
		{"full-width digits", "criteria", `"trigger.port":{"type":"equals","pattern":"8080"}`, rules.CauseWidth},
		{"full-width digits against a number", "criteria", `"trigger.port":{"type":"equals","pattern":8080}`, rules.CauseWidth},
		{"full-width letters", "criteria", `"trigger.site":{"type":"equals","pattern":"Tokyo"}`, rules.CauseWidth},
		{"full-width letters in another case", "criteria", `"trigger.site":{"type":"startswith","pattern":"tokyo"}`, rules.CauseWidth},
		{"half-width kana", "criteria", `"trigger.tags.area":{"type":"equals","pattern":"サーバー"}`, rules.CauseWidth},
		{"hiragana for half-width kana", "criteria", `"trigger.tags.area":{"type":"contains","pattern":"さーばー"}`, rules.CauseForm},
		{"white space behind it", "criteria", `"trigger.note":{"type":"equals","pattern":"disk full"}`, rules.CauseSpace},
		{"white space before it", "criteria", `"trigger.zone":{"type":"startswith","pattern":"east"}`, rules.CauseSpace},
		{"white space in the rule", "criteria", `"trigger.severity":{"type":"equals","pattern":"High "}`, rules.CauseSpace},
		{"white space in the rule's list", "criteria", `"trigger.severity":{"type":"in","pattern":[" High","Low"]}`, rules.CauseSpace},
		{"an invisible character", "criteria", `"trigger.id":{"type":"equals","pattern":"a"}`, rules.CauseSpace},
		{"a level too high", "criteria", `"trigger.ip":{"type":"equals","pattern":"192.0.2.7"}`, rules.CausePath},
		{"a level too deep", "criteria", `"trigger.body.severity":{"type":"equals","pattern":"High"}`, rules.CausePath},
		{"no trigger before the key", "criteria", `"severity":{"type":"equals","pattern":"High"}`, rules.CausePath},
		{"body for trigger", "criteria", `"body.host.name":{"type":"startswith","pattern":"web"}`, rules.CausePath},
		{"case of a key", "criteria", `"trigger.Severity":{"type":"equals","pattern":"High"}`, rules.CauseName},
		{"a hyphen for an underscore", "criteria", `"trigger.event-name":{"type":"contains","pattern":"down"}`, rules.CauseName},
		{"a typo in a key", "criteria", `"trigger.tags.taem":{"type":"equals","pattern":"shop"}`, rules.CauseName},
		{"no such field", "criteria", `"trigger.acknowledged_by":{"type":"exists","pattern":true}`, rules.CauseMissing},
		{"equals on a list", "criteria", `"trigger.users":{"type":"equals","pattern":"ada"}`, rules.CauseList},
		{"equals on an object", "criteria", `"trigger.host":{"type":"equals","pattern":"web-01.example.com"}`, rules.CauseList},
		{"a list for equals", "criteria", `"trigger.severity":{"type":"equals","pattern":["High","Disaster"]}`, rules.CauseOperator},
		{"a wildcard for equals", "criteria", `"trigger.host.name":{"type":"equals","pattern":"web-*"}`, rules.CauseOperator},
		{"a regex for contains", "criteria", `"trigger.message":{"type":"contains","pattern":"GET .*health"}`, rules.CauseOperator},
		{"an anchored regex", "criteria", `"trigger.message":{"type":"matchregex","pattern":"GET"}`, rules.CauseOperator},
		{"a broken regex", "criteria", `"trigger.message":{"type":"regex","pattern":"GET ("}`, rules.CauseError},
		{"a typo in the value", "criteria", `"trigger.severity":{"type":"equals","pattern":"Hihg"}`, rules.CauseSpelling},
		{"another value", "criteria", `"trigger.severity":{"type":"equals","pattern":"Disaster"}`, rules.CauseValue},
		{"pattern: wrong case", "pattern", `"severity":["high","disaster"]`, rules.CauseCase},
		{"pattern: a number in quotes", "pattern", `"level":["4"]`, rules.CauseType},
		{"pattern: missing quotes", "pattern", `"code":[503]`, rules.CauseType},
		{"pattern: numeric on a string", "pattern", `"ratio":[{"numeric":[">",0.9]}]`, rules.CauseType},
		{"pattern: a boolean in quotes", "pattern", `"acked":["false"]`, rules.CauseType},
		{"pattern: full-width letters", "pattern", `"site":["Tokyo"]`, rules.CauseWidth},
		{"pattern: full-width digits", "pattern", `"port":[8080]`, rules.CauseWidth},
		{"pattern: half-width kana", "pattern", `"tags":{"area":["サーバー"]}`, rules.CauseWidth},
		{"pattern: white space behind it", "pattern", `"note":["disk full"]`, rules.CauseSpace},
		{"pattern: a prefix behind white space", "pattern", `"zone":[{"prefix":"east"}]`, rules.CauseSpace},
		{"pattern: an envelope that is not there", "pattern", `"detail":{"severity":["High"]}`, rules.CausePath},
		{"pattern: case of a key", "pattern", `"Severity":["High"]`, rules.CauseName},
		{"pattern: no such field", "pattern", `"acknowledged_by":[{"exists":true}]`, rules.CauseMissing},
		{"pattern: a wildcard as a string", "pattern", `"host":{"name":["web-*"]}`, rules.CauseOperator},
		{"pattern: a suffix for a prefix", "pattern", `"host":{"name":[{"prefix":"example.com"}]}`, rules.CauseOperator},
		{"filters: wrong case", "filters", `{"exact":{"subject":"Web-01"}}`, rules.CauseCase},
		{"filters: a member of the data", "filters", `{"exact":{"severity":"High"}}`, rules.CausePath},
		{"filters: a typo in an attribute", "filters", `{"prefix":{"sorce":"/z"}}`, rules.CauseMissing},
		{"filters: wrong case in an expression", "filters", `{"sql":"subject = 'WEB-01' AND source = '/zabbix'"}`, rules.CauseCase},
		{"filters: white space", "filters", `{"exact":{"source":"/zabbix "}}`, rules.CauseSpace},
		{"trigger: wrong case", "trigger", "com.zabbix.Problem", rules.CauseCase},
		{"trigger: a part is missing", "trigger", "zabbix.problem", rules.CauseSpelling},
		{"trigger: a typo", "trigger", "com.zabix.problem", rules.CauseSpelling},
		{"trigger: another one", "trigger", "core.st2.webhook", rules.CauseTrigger},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &hayate.Event{ID: "1", Source: "/zabbix", Type: "com.zabbix.problem", Subject: "web-01", Data: []byte(data)}
			wrong := everyday(c.dialect, c.mistake)
			other := hayate.Rule{Pack: "p", Name: "other", Enabled: true, Trigger: hayate.Trigger{Type: "com.github.push"}, Pattern: json.RawMessage(`{"ref":["x"]}`)}
			xs, _ := rules.ExplainAll([]hayate.Rule{other, wrong}, e, nil)
			x := xs[0]
			if x.Rule != "p.r" || x.Matched || x.Failed != 1 {
				t.Fatalf("got %s", asJSON(t, xs))
			}
			if x.Hint == nil || x.Hint.Cause != c.cause {
				t.Errorf("got %+v, want the cause %s; conditions %s", x.Hint, c.cause, asJSON(t, x.Conditions))
			}
			if !x.SameTrigger && !x.NearTrigger {
				t.Error("the rule is shown with none of its trigger")
			}
		})
	}
}

func TestExplainOfADisabledRule(t *testing.T) {
	e := &hayate.Event{ID: "1", Source: "/s", Type: "x", Data: []byte(`{"a":"B"}`)}
	for criteria, matches := range map[string]bool{`{"trigger.a":{"type":"equals","pattern":"B"}}`: true, `{"trigger.a":{"type":"equals","pattern":"b"}}`: false} {
		x, _ := rules.ExplainAll([]hayate.Rule{{Pack: "p", Name: "r", Trigger: hayate.Trigger{Type: "x"}, Criteria: json.RawMessage(criteria)}}, e, nil)
		if x[0].Matched != matches || x[0].Enabled || x[0].Hint == nil || x[0].Hint.Cause != rules.CauseDisabled {
			t.Errorf("%s: got %s", criteria, asJSON(t, x))
		}
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
	// the rule has a number, the event a string: put it in quotes
	// pattern: "503"
}
