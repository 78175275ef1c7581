package cesql_test

import (
	"testing"

	"github.com/hayate-run/hayate/rules/cesql"
)

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"type LIKE 'com.%' AND NOT (subject = \"a\" OR EXISTS x)", "1 + 2 * -3 % 4 / 5 >= ABS(- 6)", "x IN ('a', 1, TRUE) XOR y NOT IN (z)",
		"SUBSTRING(CONCAT_WS('-', a, 'b'), 2, 3) <> LEFT('x', 1)", "1.5", "1 IN ()", "'abc", "id ==", "NOT", "--1", "(((", "'it''s\\''",
	} {
		f.Add(s)
	}
	a := attributes{"id": "1", "source": "/s", "type": "com.x", "specversion": "1.0", "x": float64(5), "y": true}
	f.Fuzz(func(t *testing.T, s string) {
		x, err := cesql.Parse(s)
		if err != nil {
			return
		}
		first, e1 := x.Eval(a)
		second, e2 := x.Eval(a)
		if first != second || (e1 == nil) != (e2 == nil) {
			t.Errorf("%s: %v, then %v", s, first, second)
		}
		if x.True(a) && !holds(x.Needs(), a) {
			t.Errorf("%s is true, but not what it needs: %+v", s, x.Needs())
		}
	})
}
