package rules_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/rules"
)

// TestExplainOfFurtherMistakes has mistakes that operators make with what sources
// send: units, dashes, JSON in text, reversed operands.
func TestExplainOfFurtherMistakes(t *testing.T) {
	const data = `{"event_name":"Service checkout is down","tags":{"team":"shop","env":["prod","jp"]},"level":4,"used":"95%","severity":"High",
		"host":"web–01","unit":"disk\u00a0full","range":"サーバ－１","body":"{\"status\":\"DOWN\"}","form":{"payload":"[{\"status\":\"DOWN\"}]"},
		"labels":{"app.kubernetes.io/name":"shop","alertname":"Down"},"users":["ada","bob"],"clock":"1:30","at":1767603600000,"text":"disk\nfull",
		"message":"10.0.0.1 GET /health","peer":"192.0.2.7:443","none":null,"name":"web-01.example.com","group":{"id":7},"off":"off"}`
	for _, c := range []struct {
		name, dialect, mistake string
		cause                  rules.Cause
		fix                    string
	}{
		{"the bound itself", "criteria", `"trigger.level":{"type":"greaterthan","pattern":4}`, rules.CauseOperator, "pattern: 3"},
		{"the other bound itself", "criteria", `"trigger.level":{"type":"lt","pattern":4}`, rules.CauseOperator, "pattern: 5"},
		{"inside the wrong way round", "criteria", `"trigger.name":{"type":"inside","pattern":"web-01"}`, rules.CauseOperator, "type: contains"},
		{"contains the wrong way round", "criteria", `"trigger.severity":{"type":"contains","pattern":["High","Disaster"]}`, rules.CauseOperator, "type: inside"},
		{"slashes around a regex", "criteria", `"trigger.message":{"type":"regex","pattern":"/GET .*health/"}`, rules.CauseOperator, `pattern: "GET .*health"`},
		{"a wildcard in startswith", "criteria", `"trigger.name":{"type":"startswith","pattern":"web-*"}`, rules.CauseOperator, "type: matchwildcard"},
		{"exists with the pattern false", "criteria", `"trigger.maintenance":{"type":"exists","pattern":false}`, rules.CauseOperator, "type: nexists"},
		{"equals null", "criteria", `"trigger.none":{"type":"equals","pattern":null}`, rules.CauseOperator, "type: nexists, pattern: true"},
		{"equals null where the field is absent", "criteria", `"trigger.gone":{"type":"equals","pattern":null}`, rules.CauseOperator, "type: nexists, pattern: true"},
		{"a unit behind the number", "criteria", `"trigger.used":{"type":"greaterthan","pattern":90}`, rules.CauseType, ""},
		{"another dash", "criteria", `"trigger.host":{"type":"equals","pattern":"web-01"}`, rules.CauseForm, ""},
		{"a space that is none", "criteria", `"trigger.unit":{"type":"equals","pattern":"disk full"}`, rules.CauseSpace, ""},
		{"a full-width dash", "criteria", `"trigger.range":{"type":"equals","pattern":"サーバー１"}`, rules.CauseForm, ""},
		{"JSON in a text", "criteria", `"trigger.body.status":{"type":"equals","pattern":"DOWN"}`, rules.CauseType, ""},
		{"JSON in a form", "criteria", `"trigger.form.payload[0].status":{"type":"equals","pattern":"DOWN"}`, rules.CauseType, ""},
		{"a name with dots", "criteria", `"trigger.labels.app.kubernetes.io/name":{"type":"equals","pattern":"shop"}`, rules.CauseName, "trigger.labels.'app.kubernetes.io/name'"},
		{"a place beyond the list", "criteria", `"trigger.users[2]":{"type":"equals","pattern":"bob"}`, rules.CauseList, ""},
		{"minutes without quotes", "criteria", `"trigger.clock":{"type":"equals","pattern":90}`, rules.CauseType, `pattern: "1:30"`},
		{"milliseconds for a date", "criteria", `"trigger.at":{"type":"timediff_lt","pattern":600}`, rules.CauseType, ""},
		{"startswith on a number", "criteria", `"trigger.level":{"type":"startswith","pattern":"4"}`, rules.CauseType, ""},
		{"icontains on a list", "criteria", `"trigger.tags.env":{"type":"icontains","pattern":"PROD"}`, rules.CauseList, ""},
		{"a dot and a line break", "criteria", `"trigger.text":{"type":"regex","pattern":"disk.full"}`, rules.CauseOperator, ""},
		{"off without quotes", "criteria", `"trigger.off":{"type":"equals","pattern":false}`, rules.CauseType, `pattern: "off"`},
		{"a template that names nothing", "criteria", `"trigger.severity":{"type":"equals","pattern":"{{ trigger.want }}"}`, rules.CauseError, ""},
		{"wildcard in another case", "criteria", `"trigger.name":{"type":"matchwildcard","pattern":"WEB-*"}`, rules.CauseCase, ""},
		{"pattern: exists on an object", "pattern", `"group":[{"exists":true}]`, rules.CauseList, ""},
		{"pattern: a port behind the address", "pattern", `"peer":[{"cidr":"192.0.2.0/24"}]`, rules.CauseType, ""},
		{"pattern: the bound itself", "pattern", `"level":[{"numeric":[">",4]}]`, rules.CauseOperator, ""},
		{"pattern: JSON in a text", "pattern", `"body":{"status":["DOWN"]}`, rules.CauseType, ""},
		{"pattern: a name with dots", "pattern", `"labels":{"app":{"kubernetes":{"io/name":["shop"]}}}`, rules.CauseName, ""},
		{"pattern: wildcard in another case", "pattern", `"name":[{"wildcard":"WEB-*"}]`, rules.CauseCase, ""},
		{"filters: a star in LIKE", "filters", `{"sql":"subject LIKE 'web-*'"}`, rules.CauseOperator, ""},
		{"filters: the whole for a prefix", "filters", `{"exact":{"source":"/zab"}}`, rules.CauseOperator, ""},
		{"filters: a prefix for a suffix", "filters", `{"prefix":{"subject":"01"}}`, rules.CauseOperator, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &hayate.Event{ID: "1", Source: "/zabbix", Type: "com.zabbix.problem", Subject: "web-01", Data: []byte(data)}
			xs, _ := rules.ExplainAll([]hayate.Rule{everyday(c.dialect, c.mistake)}, e, nil)
			x := xs[0]
			if x.Matched || x.Failed != 1 {
				t.Fatalf("got %s", asJSON(t, xs))
			}
			if x.Hint == nil || x.Hint.Cause != c.cause || c.fix != "" && x.Hint.Fix != c.fix {
				t.Fatalf("got %+v, want the cause %s, fix %s", x.Hint, c.cause, c.fix)
			}
			if right := mended(t, c.dialect, c.mistake, x.Hint.Fix); right != "" {
				xs, _ := rules.ExplainAll([]hayate.Rule{everyday(c.dialect, right)}, e, nil)
				if !xs[0].Matched {
					t.Errorf("with the fix %s the rule still fails: %s", x.Hint.Fix, asJSON(t, xs[0].Hint))
				}
			}
		})
	}
}

// What a filter that is no single condition looked at is shown.
func TestExplainShowsWhatFiltersFound(t *testing.T) {
	r := hayate.Rule{Pack: "p", Name: "r", Enabled: true, Filters: json.RawMessage(`[{"not":{"exact":{"source":"/s"}}},{"any":[{"prefix":{"subject":"w"}},{"exact":{"id":"2"}}]}]`)}
	xs, _ := rules.ExplainAll([]hayate.Rule{r}, &hayate.Event{ID: "1", Source: "/s", Type: "t"}, nil)
	c := xs[0].Conditions
	if len(c) != 2 || string(c[0].Found) != `{"source":"/s"}` || c[0].Hint == nil || c[0].Hint.Text != "what must not hold does" || string(c[1].Found) != `{"id":"1"}` {
		t.Errorf("got %s", asJSON(t, c))
	}
}

// mended is a criterion with the type and the pattern that a fix says; "" where it
// says something else.
func mended(t *testing.T, dialect, mistake, fix string) string {
	t.Helper()
	if dialect != "criteria" || !strings.HasPrefix(fix, "type: ") && !strings.HasPrefix(fix, "pattern: ") {
		return ""
	}
	var m map[string]map[string]json.RawMessage
	if err := json.Unmarshal([]byte("{"+mistake+"}"), &m); err != nil {
		t.Fatal(err)
	}
	doc, found := yamldoc.Parse([]byte("{"+fix+"}"), yamldoc.Options{})
	if len(found) > 0 {
		t.Fatalf("the fix %q is no YAML: %v", fix, found)
	}
	for _, c := range m {
		for _, e := range doc.Entries() {
			c[e.Name()] = e.Value.JSON()
		}
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Trim(string(b), "{}") + "}"
}
