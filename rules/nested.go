package rules

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// step is one part of a key: a name, or a place in a list.
type step struct {
	name  string
	index int
	list  bool
}

// stepsOf reads a key that has names and places only, such as a.b[0].'c d'; nil
// where it has more.
func stepsOf(key string) []step {
	var out []step
	for key != "" {
		switch {
		case key[0] == '.':
			key = key[1:]
		case key[0] == '[':
			inner, rest, ok := strings.Cut(key[1:], "]")
			n, err := strconv.Atoi(inner)
			if !ok || err != nil {
				return nil
			}
			out, key = append(out, step{index: n, list: true}), rest
		case key[0] == '\'' || key[0] == '"':
			name, rest, ok := strings.Cut(key[1:], key[:1])
			if !ok {
				return nil
			}
			out, key = append(out, step{name: name}), rest
		default:
			end := strings.IndexAny(key, ".[")
			if end < 0 {
				end = len(key)
			}
			if strings.ContainsAny(key[:end], "*?@$()|") {
				return nil
			}
			out, key = append(out, step{name: key[:end]}), key[end:]
		}
	}
	return out
}

// namesAsSteps are steps that are names only.
func namesAsSteps(names []string) []step {
	out := make([]step, len(names))
	for i, n := range names {
		out[i] = step{name: n}
	}
	return out
}

// spellSteps writes steps as a key would.
func spellSteps(prefix string, steps []step) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(prefix, "."))
	for _, s := range steps {
		switch {
		case s.list:
			fmt.Fprintf(&b, "[%d]", s.index)
			continue
		case b.Len() > 0:
			b.WriteByte('.')
		}
		if isPlainName(s.name) {
			b.WriteString(s.name)
		} else {
			b.WriteString("'" + s.name + "'")
		}
	}
	return b.String()
}

// nestedHint follows a key as far as it leads, and says what ends it where that is
// more than a name that is not there: a text that holds JSON, a list that is
// shorter, a name that has dots itself.
func nestedHint(data any, prefix string, steps []step) *Hint {
	at := data
	for i, s := range steps {
		here := spellSteps(prefix, steps[:i])
		if text, ok := at.(string); ok && holdsJSON(text) {
			return &Hint{Cause: CauseType, Text: here + " is a text that holds JSON, and nothing in a text has a name: let the source send it as JSON"}
		}
		if s.list {
			l, ok := at.(value.List)
			if !ok {
				return nil
			}
			if s.index < 0 || s.index >= len(l) {
				return &Hint{Cause: CauseList, Text: fmt.Sprintf("%s has %d item(s), and the first is [0]", here, len(l))}
			}
			at = l[s.index]
			continue
		}
		m, ok := at.(*value.Map)
		if !ok {
			return nil
		}
		next, ok := m.Str(s.name)
		if !ok {
			way := dotted(m, steps[i:])
			if way == nil {
				return nil
			}
			right := spellSteps(prefix, append(append([]step(nil), steps[:i]...), way...))
			return &Hint{Cause: CauseName, Fix: right, Text: "the event has a name with dots, which stands in quotes in a key: " + right}
		}
		at = next
	}
	return nil
}

// maxDotted bounds the parts of a key that are tried as one name.
const maxDotted = 16

// dotted reads the first steps as one name with dots; nil where the data has
// nothing by that either.
func dotted(m *value.Map, steps []step) []step {
	name := steps[0].name
	for i := 1; i < min(len(steps), maxDotted) && !steps[i].list; i++ {
		name += "." + steps[i].name
		if next, ok := m.Str(name); ok && leads(next, steps[i+1:]) {
			return append([]step{{name: name}}, steps[i+1:]...)
		}
	}
	return nil
}

// leads says whether there is something where steps lead.
func leads(at any, steps []step) bool {
	for _, s := range steps {
		switch x := at.(type) {
		case *value.Map:
			next, ok := x.Str(s.name)
			if !ok || s.list {
				return false
			}
			at = next
		case value.List:
			if !s.list || s.index < 0 || s.index >= len(x) {
				return false
			}
			at = x[s.index]
		default:
			return false
		}
	}
	return true
}

// holdsJSON says whether a text is an object or a list in JSON.
func holdsJSON(s string) bool {
	s = strings.TrimSpace(s)
	if s == "" || s[0] != '{' && s[0] != '[' {
		return false
	}
	v, err := value.DecodeString(s)
	return err == nil && isContainer(v)
}
