package rules_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
)

// oddity is a rule in one of the dialects, data, and what comes of it: match, none,
// fails (a recorded failure) or refused (when it is compiled).
type oddity struct{ rule, data, want string }

// criteriaOddities are sharp corners of StackStorm's criteria: Python's equality,
// errors that are recorded, patterns that are templates, search.
var criteriaOddities = []oddity{
	{`{"trigger.a":{"type":"eq","pattern":1}}`, `{"a":true}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":true}}`, `{"a":1.0}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":"1"}}`, `{"a":1}`, "none"},
	{`{"trigger.a":{"type":"eq","pattern":null}}`, `{"a":null}`, "none"},
	{`{"trigger.a":{"type":"neq","pattern":null}}`, `{"a":"x"}`, "match"},
	{`{"trigger.a":{"type":"neq","pattern":"x"}}`, `{"b":1}`, "match"},
	{`{"trigger.a":{"type":"ncontains","pattern":"x"}}`, `{"b":1}`, "fails"},
	{`{"trigger.a":{"type":"iequals","pattern":"x"}}`, `{"a":null}`, "fails"},
	{`{"trigger.a":{"type":"contains","pattern":"k"}}`, `{"a":{"k":0}}`, "match"},
	{`{"trigger.a":{"type":"contains","pattern":5}}`, `{"a":"15"}`, "fails"},
	{`{"trigger.a":{"type":"contains","pattern":1}}`, `{"a":[true]}`, "match"},
	{`{"trigger.a":{"type":"icontains","pattern":"x"}}`, `{"a":["x"]}`, "fails"},
	{`{"trigger.a":{"type":"istartswith","pattern":"5"}}`, `{"a":5}`, "fails"},
	{`{"trigger.a":{"type":"matchwildcard","pattern":"[!a]b?"}}`, `{"a":"cbx"}`, "match"},
	{`{"trigger.a":{"type":"matchwildcard","pattern":"A*"}}`, `{"a":"abc"}`, "none"},
	{`{"trigger.a":{"type":"regex","pattern":"a.b"}}`, `{"a":"a\nb"}`, "none"},
	{`{"trigger.a":{"type":"matchregex","pattern":"a.b"}}`, `{"a":"a\nb"}`, "match"},
	{`{"trigger.a":{"type":"matchregex","pattern":"b"}}`, `{"a":"ab"}`, "none"},
	{`{"trigger.a":{"type":"iregex","pattern":"(?<=HOST-)\\d+$"}}`, `{"a":"host-12"}`, "match"},
	{`{"trigger.a":{"type":"regex","pattern":"^\\w+$"}}`, `{"a":"障害"}`, "match"},
	{`{"trigger.a":{"type":"lt","pattern":"9"}}`, `{"a":"10"}`, "match"},
	{`{"trigger.a":{"type":"lt","pattern":9}}`, `{"a":"10"}`, "fails"},
	{`{"trigger.a":{"type":"gt","pattern":0.5}}`, `{"a":true}`, "match"},
	{`{"trigger.a":{"type":"td_lt","pattern":90}}`, `{"a":"2026-01-05 08:59:00"}`, "match"},
	{`{"trigger.a":{"type":"td_gt","pattern":"90"}}`, `{"a":"2026-01-05T17:58:00+09:00"}`, "match"},
	{`{"trigger.a":{"type":"exists","pattern":true}}`, `{"a":[]}`, "match"},
	{`{"trigger.a":{"type":"nexists","pattern":true}}`, `{}`, "none"},
	{`{"trigger.a":{"type":"nexists","pattern":true}}`, `{"b":0}`, "match"},
	{`{"trigger.a":{"type":"inside","pattern":"abc"}}`, `{"a":"bc"}`, "match"},
	{`{"trigger.a":{"type":"inside","pattern":"123"}}`, `{"a":2}`, "fails"},
	{`{"trigger.a":{"type":"in","pattern":[null]}}`, `{"b":0}`, "match"},
	{`{"trigger.a":{"type":"nin","pattern":[5.0]}}`, `{"a":5}`, "none"},
	{`{"trigger.a":{"type":"eq","pattern":9007199254740993}}`, `{"a":9007199254740992}`, "none"},
	{`{"trigger.a":{"type":"eq","pattern":9007199254740993}}`, `{"a":9007199254740992.0}`, "none"},
	{`{"trigger.l[*].id":{"type":"eq","pattern":2}}`, `{"l":[{"id":1},{"id":2}]}`, "none"},
	{`{"trigger.a#low":{"type":"gt","pattern":1},"trigger.a#high":{"type":"lt","pattern":5}}`, `{"a":3}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":"{{ trigger.b }}"}}`, `{"a":5,"b":5}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":"{{ trigger.b }}x"}}`, `{"a":"5x","b":5}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":"{{ trigger.b }} {{ trigger.c }}"}}`, `{"a":"hi yo","b":"hi","c":"yo"}`, "match"},
	{`{"trigger.a":{"type":"eq","pattern":"{{ trigger.b.c.d }}"}}`, `{"a":"","b":1}`, "fails"},
	{`{"a":{"type":"eq","pattern":1}}`, `{"a":1}`, "none"},
	{`{"trigger.l":{"type":"search","condition":"any","pattern":{"item.n":{"type":"eq","pattern":1}}}}`, `{"l":{"n":1}}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"any","pattern":{"item":{"type":"eq","pattern":"y"}}}}`, `{"l":"xy"}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"all","pattern":{"item.n":{"type":"eq","pattern":1}}}}`, `{"l":null,"a":1}`, "fails"},
	{`{"trigger.l":{"type":"search","condition":"all","pattern":{"item.n":{"type":"eq","pattern":1}}}}`, `{"l":[]}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"all2any","pattern":{"item.n":{"type":"eq","pattern":1}}}}`, `{"l":[]}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"any2any","pattern":{"item.n":{"type":"eq","pattern":1}}}}`, `{"l":[]}`, "none"},
	{`{"trigger.l":{"type":"search","condition":"any","pattern":{"item":{"type":"startswith","pattern":"a"}}}}`, `{"l":[1,"ab"]}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"all2any","pattern":{"item.n#1":{"type":"eq","pattern":1},"item.n#2":{"type":"eq","pattern":2}}}}`, `{"l":[{"n":1},{"n":2}]}`, "match"},
	{`{"trigger.l":{"type":"search","condition":"any","pattern":{"item.n":{"type":"eq","pattern":"{{ trigger.x.y }}"}}}}`, `{"l":[{"n":1}],"x":{"y":1}}`, "fails"},
	{`{"trigger.a":{"type":"equal","pattern":1}}`, `{"a":1}`, "refused"},
}

// patternOddities are sharp corners of EventBridge patterns: leaves, arrays,
// absence, numbers, what is refused.
var patternOddities = []oddity{
	{`{"a":["::1"]}`, `{"a":"0:0:0:0:0:0:0:1"}`, "match"},
	{`{"a":[{"exactly":"::1"}]}`, `{"a":"0:0:0:0:0:0:0:1"}`, "none"},
	{`{"a":[300]}`, `{"a":3.0e2}`, "match"},
	{`{"a":[300]}`, `{"a":"300"}`, "none"},
	{`{"a":[0]}`, `{"a":-0}`, "match"},
	{`{"a":[1]}`, `{"a":1E0}`, "match"},
	{`{"a":[null]}`, `{"b":1}`, "none"},
	{`{"a":[null]}`, `{"a":[null]}`, "match"},
	{`{"a":[{"exists":true}]}`, `{"a":{"b":1}}`, "none"},
	{`{"a":[{"exists":true}]}`, `{"a":[[]]}`, "none"},
	{`{"a":[{"exists":false}]}`, `{"a":[{"b":1}]}`, "match"},
	{`{"a":[{"anything-but":"x"}]}`, `{"a":null}`, "match"},
	{`{"a":[{"anything-but":"x"}]}`, `{"a":[]}`, "none"},
	{`{"a":[{"anything-but":"x"}]}`, `{"a":["x","y"]}`, "match"},
	{`{"a":[{"anything-but":{"prefix":"x"}}]}`, `{"a":5}`, "match"},
	{`{"a":[{"anything-but":"x"},{"anything-but":"y"}]}`, `{"a":"x"}`, "match"},
	{`{"a":["x",{"exists":false}]}`, `{"b":1}`, "match"},
	{`{"a":["x",{"exists":false}]}`, `{"a":"y"}`, "none"},
	{`{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[{"f":"Anna","l":"Smith"},{"f":"Peter","l":"Jones"}]}`, "none"},
	{`{"e":{"f":["Anna"],"l":["Jones"]}}`, `{"e":[{"f":"Anna","l":"Smith"},{"f":"Anna","l":"Jones"}]}`, "match"},
	{`{"a":["0"],"b":["3"]}`, `{"a":["0","1"],"b":["2","3"]}`, "match"},
	{`{"x":{"a":[1],"b":[{"exists":false}]}}`, `{"x":[{"a":1,"b":1},{"a":1}]}`, "match"},
	{`{"x":{"a":[1],"b":[{"exists":false}]}}`, `{"x":[{"a":1,"b":1},{"a":2}]}`, "none"},
	{`{"a":["x"]}`, `{"a":[["y",["x"]]]}`, "match"},
	{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"a*b"}`, "match"},
	{`{"a":[{"wildcard":"a\\*b"}]}`, `{"a":"axb"}`, "none"},
	{`{"a":[{"wildcard":"a?b"}]}`, `{"a":"axb"}`, "none"},
	{`{"a":[{"wildcard":"*\n*"}]}`, `{"a":"x\ny"}`, "match"},
	{`{"a":[{"wildcard":"a**b"}]}`, `{}`, "refused"},
	{`{"a":[{"wildcard":"a\\b"}]}`, `{}`, "refused"},
	{`{"a":[{"numeric":["<",5,">",0]}]}`, `{}`, "refused"},
	{`{"a":[{"numeric":[">",5,"<=",5]}]}`, `{}`, "refused"},
	{`{"a":[{"numeric":["=",5]}]}`, `{"a":[4,5.0]}`, "match"},
	{`{"a":[{"cidr":"10.0.0.9/8"}]}`, `{"a":"10.1.2.3"}`, "match"},
	{`{"a":[{"cidr":"10.0.0.0/8"}]}`, `{"a":"10.1.2.3/8"}`, "none"},
	{`{"a":[{"cidr":"10.0.0.0/32"}]}`, `{}`, "refused"},
	{`{"$or":[{"a":[1]},{"$or":[{"b":[2]},{"c":{"d":[3]}}]}],"e":[4]}`, `{"c":{"d":3},"e":4}`, "match"},
	{`{"$or":[{"a":[1]},{"b":[2]}],"a":[3]}`, `{"a":[1,3]}`, "match"},
	{`{"$or":[{"a":[1]}]}`, `{}`, "refused"},
	{`{"$and":[{"a":[1]},{"a":[2]}]}`, `{"a":[1,2]}`, "match"},
	{`{"$and":[{"a":[1]},{"a":[2]}]}`, `{"a":1}`, "none"},
	{`{"a":[1]}`, `{"a":2,"a":1,"a":3}`, "match"},
	{`{"a":[1],"a":[2]}`, `{}`, "refused"},
	{`{"a":{}}`, `{}`, "refused"},
	{`{"a":[]}`, `{}`, "refused"},
	{`{"a":[{"prefix":""}]}`, `{"a":""}`, "match"},
	{`{"a":[{"prefix":""}]}`, `{"a":5}`, "none"},
	{`{"a":[{"suffix":{"equals-ignore-case":"É"}}]}`, `{"a":"café"}`, "match"},
	{`{"a":[{"equals-ignore-case":"K"}]}`, `{"a":"\u212a"}`, "match"}, // the Kelvin sign
	{`{"a":[{"equals-ignore-case":"straße"}]}`, `{"a":"STRASSE"}`, "none"},
	{`{"a":["é"]}`, `{"a":"\u00e9"}`, "match"},
	{`{"a":["é"]}`, `{"a":"e\u0301"}`, "none"},
	{`{"a.b":[1]}`, `{"a":{"b":1}}`, "none"},
	{`{"a.b":[1]}`, `{"a.b":1}`, "match"},
	{`{"a":[{"anything-but":["x",1]}]}`, `{}`, "refused"},
	{`{"a":[{"anything-but":[]}]}`, `{}`, "refused"},
	{`{"a":[{"prefix":["x"]}]}`, `{}`, "refused"},
}

// filterOddities are sharp corners of CloudEvents filters and of CESQL: missing
// attributes, casts, precedence, characters.
var filterOddities = []oddity{
	{`[]`, ``, "match"},
	{`[{"exact":{"subject":"x"}}]`, ``, "none"},
	{`[{"not":{"exact":{"subject":"x"}}}]`, ``, "match"},
	{`[{"exact":{"type":"t.x","source":"/s"}}]`, ``, "match"},
	{`[{"exact":{"type":"t.x"},"prefix":{"source":"/"}}]`, ``, "refused"},
	{`[{"all":[]}]`, ``, "refused"},
	{`[{"glob":{"type":"t*"}}]`, ``, "refused"},
	{`[{"any":[{"suffix":{"source":"x"}},{"prefix":{"type":"t"}}]}]`, ``, "match"},
	{`[{"sql":"missing = ''"}]`, ``, "none"},
	{`[{"sql":"missing != ''"}]`, ``, "none"},
	{`[{"sql":"NOT EXISTS missing"}]`, ``, "match"},
	{`[{"not":{"sql":"missing = ''"}}]`, ``, "none"},
	{`[{"sql":"EXISTS SOURCE"}]`, ``, "match"},
	{`[{"sql":"'TRUE' = true"}]`, ``, "match"},
	{`[{"sql":"true = 'TRUE'"}]`, ``, "none"},
	{`[{"sql":"2 = TRUE"}]`, ``, "match"},
	{`[{"sql":"FALSE AND FALSE OR TRUE"}]`, ``, "match"},
	{`[{"sql":"TRUE OR 5 / 0 = 1"}]`, ``, "match"},
	{`[{"sql":"FALSE OR 5 / 0 = 0"}]`, ``, "none"},
	{`[{"sql":"LENGTH('障害') = 2"}]`, ``, "match"},
	{`[{"sql":"'障害' LIKE '__'"}]`, ``, "match"},
	{`[{"sql":"'t.x' LIKE 't_x' AND 't%x' LIKE 't\\\\%x' AND NOT ('tax' LIKE 't\\\\%x')"}]`, ``, "match"},
	{`[{"sql":"1 IN ('1','2')"}]`, ``, "match"},
	{`[{"sql":"'1' IN (1)"}]`, ``, "match"},
	{`[{"sql":"1 IN ()"}]`, ``, "refused"},
	{`[{"sql":"1 = 2147483648"}]`, ``, "refused"},
	{`[{"sql":"ABS(-2147483648) = 2147483647"}]`, ``, "none"},
	{`[{"sql":"SUBSTRING('abc', 0) = ''"}]`, ``, "match"},
	{`[{"sql":"SUBSTRING('abc', -2) = 'bc'"}]`, ``, "match"},
	{`[{"sql":"SUBSTRING('abc', 5) = ''"}]`, ``, "none"},
	{`[{"sql":"NOT 'a' LIKE 'b'"}]`, ``, "none"},
	{`[{"sql":"1 < 2 = TRUE"}]`, ``, "match"},
	{`[{"sql":"-7 / 2 = -3 AND -7 % 2 = -1"}]`, ``, "match"},
	{`[{"sql":"'a' < 'b'"}]`, ``, "none"},
	{`[{"sql":"type LIKE id"}]`, ``, "refused"},
	{`[{"sql":"CONCAT_WS('-', 'a', 'b') = 'a-b'"}]`, ``, "match"},
	{`[{"sql":"TRIM('　x　') = 'x'"}]`, ``, "match"},
	{`[{"sql":"IS_BOOL('x')"}]`, ``, "none"},
	{`[{"sql":"INT('+5') = 5"}]`, ``, "match"},
	{`[{"sql":"INT(' 5') = 0"}]`, ``, "none"},
	{`[{"sql":"id = 'a';"}]`, ``, "refused"},
	{`[{"cesql":"type = 't.x'"}]`, ``, "match"},
}

func TestOddities(t *testing.T) {
	t.Parallel()
	for dialect, list := range map[string][]oddity{"criteria": criteriaOddities, "pattern": patternOddities, "filters": filterOddities} {
		for _, o := range list {
			r := hayate.Rule{Trigger: hayate.Trigger{Type: "t.x"}}
			switch dialect {
			case "criteria":
				r.Criteria = json.RawMessage(o.rule)
			case "pattern":
				r.Pattern = json.RawMessage(o.rule)
			case "filters":
				r.Filters = json.RawMessage(o.rule)
			}
			data := o.data
			if data == "" {
				data = `{}`
			}
			e := &hayate.Event{ID: "a", Source: "/s", Type: "t.x", Data: []byte(data), AcceptedAt: time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)}
			got := "none"
			ms, err := one(t, r, e)
			switch {
			case err != nil:
				got = "refused"
			case len(ms) > 0 && ms[0].Err != nil:
				got = "fails"
			case len(ms) > 0:
				got = "match"
			}
			if got != o.want {
				t.Errorf("%s %s with %s: got %s, want %s (%v)", dialect, o.rule, o.data, got, o.want, err)
			}
		}
	}
}
