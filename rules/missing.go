package rules

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/textfold"
)

// maxSearched bounds how many values of an event are looked at for a field that
// is not where a rule looks.
const maxSearched = 10_000

// placed is a value in the event's data and the way to it.
type placed struct {
	names []string
	val   any
}

// missingHint says why there is nothing where a rule looks: the field is
// elsewhere, or its name is spelt otherwise.
func (p *explainer) missingHint(complex bool, key string, names []string, want any) *Hint {
	data, err := p.ev.payload()
	if err != nil {
		return &Hint{Cause: CauseError, Text: err.Error()}
	}
	if rest, ok := strings.CutPrefix(strings.SplitN(key, "#", 2)[0], "trigger."); ok && complex {
		if h := nestedHint(data, "trigger.", stepsOf(rest)); h != nil {
			return h
		}
	}
	if complex || len(names) == 0 {
		return &Hint{Cause: CauseMissing, Text: "the event has nothing there"}
	}
	prefix := ""
	if p.ev.inItem {
		// Inside search a name stands for a member of the item.
		data, prefix = p.ev.item, "item."
	} else if key != "" {
		prefix = "trigger."
	}
	at, rest := data, names
	for len(rest) > 0 {
		m, ok := at.(*value.Map)
		if !ok {
			break
		}
		next, ok := m.Str(rest[0])
		if !ok {
			break
		}
		at, rest = next, rest[1:]
	}
	if m, ok := at.(*value.Map); ok && len(rest) == 0 && m.Len() > 0 {
		return &Hint{Cause: CauseList, Text: "the field is an object, and a pattern asks for values; name one of its members: " + strings.Join(memberNames(m), ", ")}
	}
	if len(rest) == 0 {
		return &Hint{Cause: CauseMissing, Text: "the field is null or empty"}
	}
	if h := nestedHint(data, prefix, namesAsSteps(names)); h != nil {
		return h
	}
	h := misspelt(at, names, rest, prefix)
	if h != nil && !h.guess {
		return &h.Hint
	}
	// The very value under the very name at another place is surer than a name that
	// is alike.
	other, exact := p.elsewhere(data, names, prefix, want)
	switch {
	case other != nil && (exact || h == nil):
		return other
	case h != nil:
		return &h.Hint
	}
	what := "the event has no " + prefix + strings.Join(names, ".")
	if m, ok := at.(*value.Map); ok && m.Len() > 0 {
		done := names[:len(names)-len(rest)]
		where := strings.TrimSuffix(prefix+strings.Join(append(slices.Clone(done), ""), "."), ".")
		if where == "" {
			where = "its data"
		}
		what += fmt.Sprintf("; %s has %s", where, strings.Join(memberNames(m), ", "))
	}
	return &Hint{Cause: CauseMissing, Text: what}
}

// rootHint says where a key leads that does not begin with trigger.; nil where
// that is nowhere either.
func (p *explainer) rootHint(c *criterion) *Hint {
	data, err := p.ev.payload()
	if err != nil {
		return nil // said where the field is looked for
	}
	key, _, _ := strings.Cut(c.key, "#")
	for _, names := range [][]string{append([]string{strings.SplitN(key, ".", 2)[0]}, c.names...), c.names} {
		if v, ok := follow(data, names); ok && v != nil && len(names) > 0 {
			return &Hint{Cause: CausePath, Fix: "trigger." + strings.Join(names, "."), Text: "the key does not begin with trigger."}
		}
	}
	return nil
}

func follow(v any, names []string) (any, bool) {
	for _, n := range names {
		m, ok := v.(*value.Map)
		if !ok {
			return nil, false
		}
		if v, ok = m.Str(n); !ok {
			return nil, false
		}
	}
	return v, true
}

// nameHint is a Hint about a name; a guess goes by likeness alone.
type nameHint struct {
	Hint
	guess bool
}

// misspelt looks for the name under another spelling where the way ends.
func misspelt(at any, names, rest []string, prefix string) *nameHint {
	switch x := at.(type) {
	case value.List:
		done := prefix + strings.Join(names[:len(names)-len(rest)], ".")
		return &nameHint{Hint: Hint{Cause: CauseList, Fix: done + "[0]." + strings.Join(rest, "."), Text: strings.TrimSuffix(done, ".") + " is a list: say which item, or use search"}}
	case *value.Map:
		form := textfold.NFKC | textfold.Case
		loose := func(s string) string {
			return strings.NewReplacer("_", "", "-", "", " ", "").Replace(form.Fold(s))
		}
		best, guess := "", true
		most := min(3, len(rest[0])/3+1) // a change for each three letters
		for k := range x.All() {
			s := value.Str(k)
			if loose(s) == loose(rest[0]) {
				best, guess = s, false
				break
			}
			if len(rest[0]) > 3 && (distance(s, rest[0], most) < most || swapped(s, rest[0])) {
				best = s
			}
		}
		if best == "" {
			return nil
		}
		name := best
		if !isPlainName(name) {
			name = "'" + name + "'"
		}
		right := append(append(slices.Clone(names[:len(names)-len(rest)]), name), rest[1:]...)
		return &nameHint{Hint{Cause: CauseName, Fix: prefix + strings.Join(right, "."), Text: fmt.Sprintf("the event has %s, not %s", quote(best), quote(rest[0]))}, guess}
	}
	return nil
}

// swapped says whether two neighbours changed places.
func swapped(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return i+1 < len(a) && a[i] == b[i+1] && a[i+1] == b[i] && a[i+2:] == b[i+2:]
}

func isPlainName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || i > 0 && (c >= '0' && c <= '9' || c == '-')) {
			return false
		}
	}
	return s != ""
}

// elsewhere looks for the same name, or the wanted value, elsewhere in the data.
// It is exact where both are found together.
func (p *explainer) elsewhere(data any, names []string, prefix string, want any) (h *Hint, exact bool) {
	last := names[len(names)-1]
	var same, valued *placed
	left := maxSearched
	var walk func(v any, way []string)
	walk = func(v any, way []string) {
		if left--; left < 0 || len(way) > 32 {
			return
		}
		switch x := v.(type) {
		case *value.Map:
			for k, y := range x.All() {
				s := value.Str(k)
				next := append(slices.Clip(way), s)
				if s == last && (same == nil || value.Equal(y, want)) {
					same = &placed{next, y}
				}
				if want != nil && value.Equal(y, want) && valued == nil {
					valued = &placed{next, y}
				}
				walk(y, next)
			}
		case value.List:
			for i, y := range x {
				if len(way) == 0 {
					continue
				}
				next := slices.Clone(way)
				next[len(next)-1] += fmt.Sprintf("[%d]", i)
				walk(y, next)
			}
		}
	}
	walk(data, nil)
	spell := func(pl *placed) string {
		parts := slices.Clone(pl.names)
		for i := range parts {
			base, _, _ := strings.Cut(parts[i], "[")
			if !isPlainName(base) && prefix != "" {
				parts[i] = "'" + parts[i] + "'"
			}
		}
		return prefix + strings.Join(parts, ".")
	}
	switch {
	case same != nil:
		return &Hint{Cause: CausePath, Fix: spell(same), Text: fmt.Sprintf("the event has %s at another place: %s", quote(last), spell(same))}, want != nil && value.Equal(same.val, want)
	case valued != nil:
		return &Hint{Cause: CausePath, Fix: spell(valued), Text: fmt.Sprintf("the event has this value at another place: %s", spell(valued))}, false
	}
	return nil, false
}
