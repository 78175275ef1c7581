package pyre

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// piece is a part of a replacement: text, or the text of a group (when >= 0).
type piece struct {
	text  string
	group int
}

// Template is a replacement that was read once.
type Template struct{ pieces []piece }

// ReadTemplate reads Python's replacement syntax: \1, \g<name>, \g<1>, and the
// escapes of letters. Errors are Python's: *Error, or IndexError for a name that
// the pattern lacks.
func (r *Regexp) ReadTemplate(repl string) (*Template, error) {
	t := &Template{}
	if strings.IndexByte(repl, '\\') < 0 {
		t.add(repl)
		return t, nil
	}
	p := &parser{src: []rune(repl), names: r.names, groups: r.groups + 1}
	start := 0
	for p.i < len(p.src) && p.err == nil {
		if p.src[p.i] != '\\' {
			p.i++
			continue
		}
		t.add(string(p.src[start:p.i]))
		if err := t.escape(p); err != nil {
			return nil, err
		}
		start = p.i
	}
	if p.err != nil {
		return nil, p.err
	}
	t.add(string(p.src[start:]))
	return t, nil
}

func (t *Template) add(s string) {
	if s != "" {
		t.pieces = append(t.pieces, piece{s, -1})
	}
}

// escape reads one escape of a replacement.
func (t *Template) escape(p *parser) error {
	start := p.i
	p.i++
	c := p.peek()
	if c == -1 {
		p.fail(start, "bad escape (end of pattern)")
		return nil
	}
	p.i++
	switch {
	case c == 'g':
		return t.group(p)
	case c == '0':
		v := rune(0)
		for n := 0; n < 2 && isOctal(p.peek()); n++ {
			v = v*8 + p.src[p.i] - '0'
			p.i++
		}
		t.add(string(v & 0xff))
		return nil
	case isASCIIDigit(c):
		g := int(c - '0')
		if isASCIIDigit(p.peek()) {
			d := p.src[p.i]
			p.i++
			if isOctal(c) && isOctal(d) && isOctal(p.peek()) {
				v := (c-'0')*64 + (d-'0')*8 + p.src[p.i] - '0'
				p.i++
				if v > 0o377 {
					p.fail(start, "octal escape value %s outside of range 0-0o377", string(p.src[start:p.i]))
				}
				t.add(string(v))
				return nil
			}
			g = g*10 + int(d-'0')
		}
		t.reference(p, g, start+1)
		return nil
	}
	if r, ok := escapes[c]; ok {
		t.add(string(r))
		return nil
	}
	if isASCIILetter(c) {
		p.fail(start, "bad escape \\%c", c)
		return nil
	}
	t.add(string(p.src[start:p.i]))
	return nil
}

func (t *Template) reference(p *parser, g, at int) {
	if g >= p.groups {
		p.fail(at, "invalid group reference %d", g)
		return
	}
	t.pieces = append(t.pieces, piece{"", g})
}

// group reads \g<name>.
func (t *Template) group(p *parser) error {
	if !p.take('<') {
		p.fail(p.i, "missing <")
		return nil
	}
	at := p.i
	name, ok := p.until('>', "group name")
	if !ok {
		return nil
	}
	if isIdentifier(name) {
		g, ok := p.names[name]
		if !ok {
			return value.Raise("IndexError", "unknown group name %s", value.Repr(name))
		}
		t.reference(p, g, at)
		return nil
	}
	g := 0
	for _, c := range name {
		if !isASCIIDigit(c) || g > maxCount {
			p.fail(at, "bad character in group name %s", value.Repr(name))
			return nil
		}
		g = g*10 + int(c-'0')
	}
	t.reference(p, g, at)
	return nil
}

// Expand appends the replacement for a match.
func (t *Template) Expand(b []byte, m *Match) []byte {
	for _, p := range t.pieces {
		if p.group < 0 {
			b = append(b, p.text...)
		} else if s, ok := m.Group(p.group); ok {
			b = append(b, s...)
		}
	}
	return b
}

// Sub replaces the first count matches, all where count is 0, by a replacement
// in Python's syntax. The budget bounds the result.
func (r *Regexp) Sub(repl, text string, count int, budget *value.Budget) (string, error) {
	t, err := r.ReadTemplate(repl)
	if err != nil {
		return "", err
	}
	return r.SubFunc(text, count, budget, func(b []byte, m *Match) ([]byte, error) { return t.Expand(b, m), nil })
}

// SubFunc is Sub with a function that appends the replacement of a match.
func (r *Regexp) SubFunc(text string, count int, budget *value.Budget, repl func([]byte, *Match) ([]byte, error)) (string, error) {
	var b []byte
	at, n, grown := 0, 0, 0
	var failed error
	err := r.All(text, func(m *Match) bool {
		s, e := m.Span(0)
		b = append(b, text[at:s]...)
		if b, failed = repl(b, m); failed == nil {
			failed = budget.Grow(len(b) - grown)
			grown = len(b)
		}
		at = e
		n++
		return failed == nil && (count <= 0 || n < count)
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		return "", err
	}
	if n == 0 {
		return text, nil
	}
	b = append(b, text[at:]...)
	return string(b), budget.Grow(len(b) - grown)
}

// Split cuts text at the first most matches, at all where most is 0. The texts
// of groups stand between the pieces, as in Python; ok is false for a group that
// took no part.
func (r *Regexp) Split(text string, most int) (pieces []string, ok []bool, err error) {
	at, n := 0, 0
	err = r.All(text, func(m *Match) bool {
		s, e := m.Span(0)
		pieces, ok = append(pieces, text[at:s]), append(ok, true)
		for g := 1; g <= r.groups; g++ {
			t, took := m.Group(g)
			pieces, ok = append(pieces, t), append(ok, took)
		}
		at = e
		n++
		return most <= 0 || n < most
	})
	return append(pieces, text[at:]), append(ok, true), err
}
