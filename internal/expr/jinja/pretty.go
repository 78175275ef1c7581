package jinja

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// plain turns what only templates know (safe text, groups, views) into plain
// values, for writers that do not know it. Parts without any are kept, and all
// that comes after the budget's last step.
func plain(v any, budget *value.Budget) any { return plainAt(v, budget, 0) }

func plainAt(v any, budget *value.Budget, depth int) any {
	if depth > value.MaxDepth || budget.Step(1) != nil {
		return v
	}
	each := func(items []any) ([]any, bool) {
		var out []any
		for i, x := range items {
			y := plainAt(x, budget, depth+1)
			if out == nil && different(x, y) {
				out = append([]any(nil), items...)
			}
			if out != nil {
				out[i] = y
			}
		}
		return out, out != nil
	}
	switch v := v.(type) {
	case Markup:
		return string(v)
	case *Group:
		return plainAt(v.pair, budget, depth)
	case value.List:
		if out, ok := each(v); ok {
			return value.List(out)
		}
	case value.Tuple:
		if out, ok := each(v); ok {
			return value.Tuple(out)
		}
	case *value.Array:
		if out, ok := each(v.Items); ok {
			return &value.Array{Items: out}
		}
	case *value.Map:
		var out *value.Map
		for k, x := range v.All() {
			y := plainAt(x, budget, depth+1)
			if out == nil && different(x, y) {
				out = v.Clone()
			}
			if out != nil {
				out.Set(k, y)
			}
		}
		if out != nil {
			return out
		}
	}
	return v
}

// different says whether plain made something new of x.
func different(x, y any) bool {
	switch x := x.(type) {
	case Markup, *Group:
		return true
	case value.List:
		y, ok := y.(value.List)
		return !ok || len(x) > 0 && len(y) > 0 && &x[0] != &y[0]
	case value.Tuple:
		y, ok := y.(value.Tuple)
		return !ok || len(x) > 0 && len(y) > 0 && &x[0] != &y[0]
	case *value.Array, *value.Map:
		return x != y
	}
	return false
}

// prettyPrinter is Python's pprint with its defaults.
type prettyPrinter struct {
	b      []byte
	width  int
	budget *value.Budget
	err    error
}

func (p *prettyPrinter) write(t string) {
	if p.err == nil {
		p.err = p.budget.Grow(len(t))
	}
	if p.err == nil {
		p.b = append(p.b, t...)
	}
}

// print writes a value at an indentation; allowance is what must follow on its
// last line.
func (p *prettyPrinter) print(v any, indent, allowance, depth int) {
	if p.err != nil || depth > value.MaxDepth {
		return
	}
	short := p.repr(v, 0)
	if utf8.RuneCountInString(short) <= p.width-indent-allowance {
		p.write(short)
		return
	}
	switch v := v.(type) {
	case *value.Map:
		p.dict(v, indent, allowance, depth)
	case value.Tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		p.items("(", v, end, indent, allowance, depth)
	case value.List:
		p.items("[", v, "]", indent, allowance, depth)
	case *value.Array:
		p.items("[", v.Items, "]", indent, allowance, depth)
	case *value.Set:
		p.items("{", sortItems(v.Items()), "}", indent, allowance, depth)
	case string:
		p.text(v, indent, allowance, depth)
	default:
		p.write(short)
	}
}

func (p *prettyPrinter) items(open string, items []any, end string, indent, allowance, depth int) {
	p.write(open)
	for i, x := range items {
		if i > 0 {
			p.write(",\n" + strings.Repeat(" ", indent+1))
		}
		a := 1
		if i == len(items)-1 {
			a = allowance + len(end)
		}
		p.print(x, indent+1, a, depth+1)
	}
	p.write(end)
}

func (p *prettyPrinter) dict(m *value.Map, indent, allowance, depth int) {
	p.write("{")
	keys := sortItems(m.Keys())
	for i, k := range keys {
		if i > 0 {
			p.write(",\n" + strings.Repeat(" ", indent+1))
		}
		r := value.Repr(k)
		p.write(r + ": ")
		v, _ := m.Get(k)
		a := 1
		if i == len(keys)-1 {
			a = allowance + 1
		}
		p.print(v, indent+1+utf8.RuneCountInString(r)+2, a, depth+1)
	}
	p.write("}")
}

// text breaks a long text into pieces between words.
func (p *prettyPrinter) text(t string, indent, allowance, depth int) {
	var chunks []string
	lines := splitLines(t, true)
	if depth == 0 {
		indent++
		allowance++
	}
	width := p.width - indent
	for i, line := range lines {
		r := value.Repr(line)
		if i == len(lines)-1 {
			width -= allowance
		}
		if utf8.RuneCountInString(r) <= width {
			chunks = append(chunks, r)
			continue
		}
		words := wordsWithSpace(line)
		most := p.width - indent
		current := ""
		for j, w := range words {
			limit := most
			if j == len(words)-1 && i == len(lines)-1 {
				limit -= allowance
			}
			if utf8.RuneCountInString(value.Repr(current+w)) > limit {
				if current != "" {
					chunks = append(chunks, value.Repr(current))
				}
				current = w
			} else {
				current += w
			}
		}
		if current != "" {
			chunks = append(chunks, value.Repr(current))
		}
	}
	if len(chunks) == 1 {
		p.write(value.Repr(t))
		return
	}
	if depth == 0 {
		p.write("(")
	}
	p.write(strings.Join(chunks, "\n"+strings.Repeat(" ", indent)))
	if depth == 0 {
		p.write(")")
	}
}

// wordsWithSpace cuts a text into words, each with the white space behind it.
func wordsWithSpace(t string) []string {
	var out []string
	start, space := 0, false
	for i, r := range t {
		blank := isSpace(r)
		if space && !blank {
			out = append(out, t[start:i])
			start = i
		}
		space = blank
	}
	return append(out, t[start:])
}

// sortItems sorts values where they can be compared, and by type where not.
func sortItems(items []any) []any {
	out := append([]any(nil), items...)
	slices.SortStableFunc(out, func(a, b any) int {
		c, err := value.Compare(a, b)
		if err != nil {
			return strings.Compare(value.Type(a), value.Type(b))
		}
		return c
	})
	return out
}

// repr is repr with the keys of dicts sorted.
func (p *prettyPrinter) repr(v any, depth int) string {
	if p.err == nil {
		p.err = p.budget.Step(1)
	}
	if depth > value.MaxDepth || p.err != nil {
		return "..."
	}
	each := func(items []any) string {
		var parts []string
		for _, x := range items {
			parts = append(parts, p.repr(x, depth+1))
		}
		return strings.Join(parts, ", ")
	}
	switch v := v.(type) {
	case *value.Map:
		var parts []string
		for _, k := range sortItems(v.Keys()) {
			x, _ := v.Get(k)
			parts = append(parts, value.Repr(k)+": "+p.repr(x, depth+1))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case value.List:
		return "[" + each(v) + "]"
	case *value.Array:
		return "[" + each(v.Items) + "]"
	case value.Tuple:
		if len(v) == 1 {
			return "(" + each(v) + ",)"
		}
		return "(" + each(v) + ")"
	case string:
		if p.err = p.budget.Grow(len(v)); p.err != nil {
			return "..."
		}
	}
	return value.Repr(v)
}
