package cesql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/rules/cesql"
)

// holds evaluates a Need.
func holds(n cesql.Need, a attributes) bool {
	switch n.Kind {
	case cesql.NeedAll:
		for _, x := range n.Of {
			if !holds(x, a) {
				return false
			}
		}
		return true
	case cesql.NeedAny:
		for _, x := range n.Of {
			if holds(x, a) {
				return true
			}
		}
		return false
	case cesql.NeedAttribute:
		v, ok := a.Attribute(n.Attribute)
		s := fmt.Sprint(v)
		switch n.Test {
		case cesql.IsEqual:
			return ok && s == n.Text
		case cesql.HasPrefix:
			return ok && strings.HasPrefix(s, n.Text)
		case cesql.HasSuffix:
			return ok && strings.HasSuffix(s, n.Text)
		}
		return ok
	}
	return true
}

func TestNeedsAreNeverStricterThanTheExpression(t *testing.T) {
	events := []attributes{
		{"id": "1", "type": "com.x", "num": float64(5), "flag": true, "name": "alpha"},
		{"id": "TRUE", "type": "com.y", "flag": false, "num": float64(0)},
		{"id": "05", "type": "", "name": ""},
	}
	for _, text := range []string{
		"num = '5'", "'05' = num", "num IN ('05')", "num IN ('5', '6')", "flag IN ('TRUE')", "flag = 'true'", "name LIKE 'al%a'", "name LIKE 'alpha'",
		"name NOT LIKE 'b%'", "EXISTS name OR num = 5", "NOT EXISTS name", "flag", "num < 6 AND flag", "id = '05' XOR flag", "name LIKE '%'", "name LIKE ''",
	} {
		x, err := cesql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range events {
			if x.True(a) && !holds(x.Needs(), a) {
				t.Errorf("%s is true of %v, but not what it needs: %+v", text, a, x.Needs())
			}
		}
	}
}

func TestMixedChainsAreNoticed(t *testing.T) {
	for text, want := range map[string]bool{
		"a AND b OR c": true, "a AND (b OR c)": false, "a AND b AND c": false, "(a XOR b OR c) AND d": true, "a OR b": false,
	} {
		x, err := cesql.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := x.Mixed(); got != want {
			t.Errorf("%s: mixed %t, want %t", text, got, want)
		}
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for _, text := range []string{strings.Repeat("(", 100_000), strings.Repeat("NOT ", 10_000) + "a", strings.Repeat("-", 50_000) + "1", "LEFT(" + strings.Repeat("LEFT(", 5_000)} {
		if _, err := cesql.Parse(text); err == nil {
			t.Errorf("%.20q… was accepted", text)
		}
	}
}

func ExampleParse() {
	x, err := cesql.Parse("type LIKE 'com.example.%' AND LENGTH(subject) < 10")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(x.True(attributes{"type": "com.example.order", "subject": "orders/42"}))
	_, err = cesql.Parse("type LIKE 5")
	fmt.Println(err)
	// Output:
	// true
	// parse at 10: LIKE takes a string literal
}
