package rules

import (
	"errors"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate"
)

// Problem is a mistake in a rule: where, what was found, what would be right.
// It is of kind hayate.ErrInvalid.
type Problem struct {
	Rule hayate.Ref
	// Field is the way to the place within the rule: "criteria", the key, "type".
	Field []string
	Text  string
}

// Error says "rule pack.name: pattern.detail.state: …".
func (p *Problem) Error() string {
	return fmt.Sprintf("rule %s: %s: %s", p.Rule, strings.Join(p.Field, "."), p.Text)
}

// Unwrap makes a Problem an invalid document.
func (p *Problem) Unwrap() error { return hayate.ErrInvalid }

// Problems lists what Compile found wrong, or nil where err has none.
func Problems(err error) []*Problem {
	var one *Problem
	if p, ok := err.(*Problem); ok {
		return []*Problem{p}
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var out []*Problem
		for _, e := range many.Unwrap() {
			out = append(out, Problems(e)...)
		}
		return out
	}
	if errors.As(err, &one) {
		return []*Problem{one}
	}
	return nil
}

// problems collects the mistakes of one rule.
type problems struct {
	rule hayate.Ref
	list []error
}

func (p *problems) add(field []string, format string, args ...any) {
	p.list = append(p.list, &Problem{Rule: p.rule, Field: append([]string(nil), field...), Text: fmt.Sprintf(format, args...)})
}
