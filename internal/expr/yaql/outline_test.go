package yaql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/yaql"
)

func TestOutlineTellsTheContextFromValuesAtHand(t *testing.T) {
	t.Parallel()
	for expr, want := range map[string]string{
		"$.a + 1":                         "0$",
		"'疾風' + $.a":                      "11$",
		"$":                               "0$",
		"len($.l.where($.x > 1)) = $.n":   "0len 4$ 8where 14($) 26$",
		"where($.l, $ > 1)":               "0where 6$ 11($)",
		"task(a).result.select($.v)":      "0task 15select 22($)",
		"switch($.a > 1 => $.b, true=>1)": "0switch 7$ 18$",
		"'$.a'":                           "",
	} {
		ms, into, err := yaql.Outline(expr)
		if err != nil || into {
			t.Errorf("%s: %v, into %v", expr, err, into)
		}
		var got []string
		for _, m := range ms {
			name := m.Name
			if name == "" {
				name = "$"
				if m.Inner {
					name = "($)"
				}
			}
			got = append(got, fmt.Sprintf("%d%s", m.At, name))
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: got %s, want %s", expr, s, want)
		}
	}
	if _, into, err := yaql.Outline("let(x => 1) -> $x"); err != nil || !into {
		t.Errorf("into %v, %v", into, err)
	}
	if _, _, err := yaql.Outline("$."); err == nil {
		t.Error("what does not parse has no outline")
	}
}
