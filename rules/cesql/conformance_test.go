package cesql_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/rules/cesql"
)

// attributes are an event's attributes as decoded JSON.
type attributes map[string]any

func (a attributes) Attribute(name string) (any, bool) {
	v, ok := a[name]
	if f, isNumber := v.(float64); isNumber {
		return int32(f), ok
	}
	return v, ok
}

func TestConformanceCESQL(t *testing.T) {
	b := sharedtest.Answers(t, "cesql.json")
	var file struct {
		Cases []struct {
			ID, Expression, Error, Lenient string
			Event, EventOverrides          attributes
			Result                         any
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	agree, lenient := 0, 0
	for _, c := range file.Cases {
		a := attributes{"specversion": "1.0", "id": "1", "source": "/s", "type": "t"}
		if c.Event != nil {
			a = c.Event
		}
		for k, v := range c.EventOverrides {
			a[k] = v
		}
		got, kind := run(c.Expression, a)
		switch {
		case kind == c.Error && (kind == string(cesql.ErrParse) || got == c.Result):
			agree++
		case c.Lenient != "":
			lenient++
		default:
			t.Errorf("%s: %s: %v, error %q; want %v, error %q", c.ID, c.Expression, got, kind, c.Result, c.Error)
		}
	}
	t.Logf("%d cases, %d agree, %d lenient ones answered otherwise", len(file.Cases), agree, lenient)
}

// run evaluates an expression; numbers come back as JSON has them.
func run(text string, a cesql.Attributes) (result any, kind string) {
	x, err := cesql.Parse(text)
	var bad *cesql.Error
	if errors.As(err, &bad) {
		return nil, string(bad.Kind)
	}
	v, bad := x.Eval(a)
	if bad != nil {
		kind = string(bad.Kind)
	}
	if b, ok := v.Bool(); ok {
		return b, kind
	}
	if n, ok := v.Int(); ok {
		return float64(n), kind
	}
	s, _ := v.Text()
	return s, kind
}
