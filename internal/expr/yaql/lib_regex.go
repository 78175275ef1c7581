package yaql

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// pattern is a compiled regular expression.
type pattern struct {
	re    *pyre.Regexp
	flags pyre.Flags
	heavy bool // may have to backtrack: no match of it is cheap for sure
}

// PyType is the name of the class in Python.
func (*pattern) PyType() string { return "Pattern" }

// PyRepr is the text in Python: re.compile('a', re.IGNORECASE).
func (r *pattern) PyRepr() string {
	text := "re.compile(" + shortened(value.Repr(r.re.String()), 200)
	var names []string
	for _, f := range []struct {
		flag pyre.Flags
		name string
	}{{pyre.IgnoreCase, "re.IGNORECASE"}, {pyre.Multiline, "re.MULTILINE"}, {pyre.DotAll, "re.DOTALL"}} {
		if r.flags&f.flag != 0 {
			names = append(names, f.name)
		}
	}
	if len(names) > 0 {
		text += ", " + strings.Join(names, "|")
	}
	return text + ")"
}

// PyEqual says whether other is the same pattern with the same flags.
func (r *pattern) PyEqual(other any) bool {
	o, ok := other.(*pattern)
	return ok && r.key() == o.key()
}

// HashKey is the same for equal patterns.
func (r *pattern) HashKey() any { return r.key() }

type patternKey struct {
	text  string
	flags pyre.Flags
}

func (r *pattern) key() patternKey { return patternKey{r.re.String(), r.flags} }

// shortened cuts a text to n characters.
func shortened(s string, n int) string {
	t := newChartext(s)
	if t.n <= n {
		return s
	}
	return t.cut(0, n)
}

func regexLibrary() []*overload {
	re, s := p("regexp", tRegex), p("string", tStr)
	repl, count := p("repl", tStr), opt("count", tInt, int64(0))
	by := p("repl", tLambda)
	split := opt("maxSplit", tInt, int64(0))
	sel := opt("selector", tLambda, nil)
	out := []*overload{
		fn("regex", doRegex, p("pattern", tStr), opt("ignoreCase", tBoolN, false),
			opt("multiLine", tBoolN, false), opt("dotAll", tBoolN, false)),
		mt("matches", func(f *frame) (any, error) { return f.found(0, 1) }, re, s),
		mt("matches", func(f *frame) (any, error) { return f.found(1, 0) }, s, p("regexp", tStr)),
		mt("search", doSearch, re, s, sel),
		mt("searchAll", doSearchAll, re, s, sel),
		mt("split", func(f *frame) (any, error) { return f.regexSplit(0, 1) }, re, s, split),
		mt("split", func(f *frame) (any, error) { return f.regexSplit(1, 0) }, s, re, split),
		mt("replace", func(f *frame) (any, error) { return f.regexReplace(0, 1) }, re, s, repl, count),
		mt("replace", func(f *frame) (any, error) { return f.regexReplace(1, 0) }, s, re, repl, count),
		mt("replaceBy", func(f *frame) (any, error) { return f.regexReplaceBy(0, 1) }, re, s, by, count),
		mt("replaceBy", func(f *frame) (any, error) { return f.regexReplaceBy(1, 0) }, s, re, by, count),
		fn("escapeRegex", func(f *frame) (any, error) { return escapeRegex(f.str(0)), nil }, s),
		fn("isRegex", func(f *frame) (any, error) { _, ok := f.args[0].(*pattern); return ok, nil }, p("value", tAny)),
	}
	for _, t := range []ptype{tRegex, tStr} {
		params := []param{p("string", tStr), p("regexp", t)}
		if t == tStr {
			params[1].name = "pattern"
		}
		out = append(out,
			fn("#operator_=~", func(f *frame) (any, error) { return f.found(1, 0) }, params...),
			fn("#operator_!~", func(f *frame) (any, error) {
				found, err := f.found(1, 0)
				return !truth(found), err
			}, params...))
	}
	return out
}

// regexError gives the errors of package pyre the class they have in Python.
func regexError(err error) error {
	var e *pyre.Error
	if errors.As(err, &e) {
		return &Error{Kind: "error", Message: e.Message}
	}
	return err
}

func compileRegex(text string, flags pyre.Flags) (*pattern, error) {
	re, err := pyre.Compile(text, flags)
	if err != nil {
		return nil, regexError(err)
	}
	return &pattern{re, flags, backtracks(text)}, nil
}

// backtracks says whether a pattern may have what only a backtracking machine can
// match: look-around, back-references, atomic groups, conditions.
func backtracks(text string) bool {
	for _, s := range []string{"(?=", "(?!", "(?<", "(?P=", "(?>", "(?(", "+)", "++", "*+", "?+"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	for i := 0; i+1 < len(text); i++ {
		if text[i] == '\\' {
			if i++; text[i] >= '1' && text[i] <= '9' {
				return true
			}
		}
	}
	return false
}

// scanSteps is what walking over a text once with a regular expression costs.
func scanSteps(text string, heavy bool) int {
	if heavy {
		return 1000 + len(text)
	}
	return 1 + len(text)/16
}

// pattern is argument i as a regular expression; strings are compiled.
func (f *frame) pattern(i int) (*pattern, error) {
	if r, ok := f.args[i].(*pattern); ok {
		return r, nil
	}
	if err := f.ev.budget.Step(len(f.str(i))); err != nil {
		return nil, err
	}
	return compileRegex(f.str(i), 0)
}

// scanned charges the walk of a pattern over a text.
func (f *frame) scanned(re any, s string) error {
	p, ok := re.(*pattern)
	return f.ev.budget.Step(scanSteps(s, ok && p.heavy))
}

func doRegex(f *frame) (any, error) {
	var flags pyre.Flags
	for i, flag := range []pyre.Flags{pyre.IgnoreCase, pyre.Multiline, pyre.DotAll} {
		if f.bool(i + 1) {
			flags |= flag
		}
	}
	if err := f.ev.budget.Step(len(f.str(0))); err != nil {
		return nil, err
	}
	return compileRegex(f.str(0), flags)
}

func (f *frame) found(re, s int) (any, error) {
	r, err := f.pattern(re)
	if err != nil {
		return nil, err
	}
	if err := f.scanned(r, f.str(s)); err != nil {
		return nil, err
	}
	ok, err := r.re.Found(f.str(s))
	return ok, regexError(err)
}

// publish makes the groups of a match known as $1 (all of it), $2, …. As in
// Python, a pattern with named groups cannot be published: the group's text is
// taken for a pair.
func publish(sc *scope, m *pyre.Match, text string) error {
	ascii := newChartext(text).ascii
	at := func(off int) int64 {
		if ascii || off < 0 {
			return int64(off)
		}
		return int64(utf8.RuneCountInString(text[:off]))
	}
	for i := 0; i <= m.Regexp().Groups(); i++ {
		start, end := m.Span(i)
		var v any
		if s, ok := m.Group(i); ok {
			v = s
		}
		sc.set(itoa(i+1), &dict{value.MapOf("value", v, "start", at(start), "end", at(end))})
	}
	for i := 1; i <= m.Regexp().Groups(); i++ {
		if m.Regexp().GroupName(i) == "" {
			continue
		}
		s, ok := m.Group(i)
		switch n := newChartext(s).n; {
		case !ok:
			return Raise("TypeError", "cannot unpack non-iterable NoneType object")
		case n < 2:
			return Raise("ValueError", "not enough values to unpack (expected 2, got %d)", n)
		case n > 2:
			return Raise("ValueError", "too many values to unpack (expected 2)")
		}
		return Raise("IndexError", "no such group")
	}
	return nil
}

// selected is the text of a match, or what the selector makes of it.
func (f *frame) selected(m *pyre.Match, text string, sel *lambda) (any, error) {
	if sel == nil {
		s, _ := m.Group(0)
		return s, nil
	}
	sc := f.sc.child()
	if err := publish(sc, m, text); err != nil {
		return nil, err
	}
	return sel.callIn(sc)
}

func doSearch(f *frame) (any, error) {
	text := f.str(1)
	if err := f.scanned(f.args[0], text); err != nil {
		return nil, err
	}
	m, err := f.args[0].(*pattern).re.Search(text)
	if err != nil || m == nil {
		return nil, regexError(err)
	}
	return f.selected(m, text, f.lambda(2))
}

func doSearchAll(f *frame) (any, error) {
	text := f.str(1)
	var all []*pyre.Match
	i := -1
	return f.ev.newIter(func() (any, bool, error) {
		if i < 0 {
			if err := f.scanned(f.args[0], text); err != nil {
				return nil, false, err
			}
			err := f.args[0].(*pattern).re.All(text, func(m *pyre.Match) bool {
				all = append(all, m)
				return f.grow(4*wordSize) == nil
			})
			if err == nil {
				err = f.grow(0)
			}
			if err != nil {
				return nil, false, regexError(err)
			}
			i = 0
		}
		if i == len(all) {
			return nil, false, nil
		}
		m := all[i]
		i++
		v, err := f.selected(m, text, f.lambda(2))
		return v, true, err
	})
}

func (f *frame) regexSplit(re, s int) (any, error) {
	text := f.str(s)
	if err := f.scanned(f.args[re], text); err != nil {
		return nil, err
	}
	most, err := f.size(2)
	if err != nil {
		return nil, err
	}
	if most < 0 {
		return &value.Array{Items: value.List{text}}, nil
	}
	pieces, given, err := f.args[re].(*pattern).re.Split(text, int(min(most, 1<<31)))
	if err != nil {
		return nil, regexError(err)
	}
	out := make(value.List, len(pieces))
	for i := range pieces {
		if given[i] {
			out[i] = pieces[i]
		}
	}
	return &value.Array{Items: out}, f.grow(len(out) * wordSize)
}

func (f *frame) regexReplace(re, s int) (any, error) {
	text := f.str(s)
	count, err := f.size(3)
	if err != nil {
		return nil, err
	}
	if err := f.scanned(f.args[re], text); err != nil {
		return nil, err
	}
	if count < 0 {
		return text, nil
	}
	out, err := f.args[re].(*pattern).re.Sub(f.str(2), text, int(min(count, 1<<31)), f.ev.budget)
	return out, regexError(err)
}

// regexReplaceBy replaces each match by what the lambda makes of it.
func (f *frame) regexReplaceBy(re, s int) (any, error) {
	text, by := f.str(s), f.lambda(2)
	count, err := f.size(3)
	if err != nil {
		return nil, err
	}
	if err := f.scanned(f.args[re], text); err != nil {
		return nil, err
	}
	if count < 0 {
		return text, nil
	}
	pieces, at := 0, 0
	out, err := f.args[re].(*pattern).re.SubFunc(text, int(min(count, 1<<31)), f.ev.budget, func(b []byte, m *pyre.Match) ([]byte, error) {
		v, err := f.selected(m, text, by)
		if err != nil {
			return b, err
		}
		start, end := m.Span(0)
		if start > at {
			pieces++
		}
		at = end
		switch v := v.(type) {
		case string:
			pieces++
			return append(b, v...), nil
		case nil:
			return b, nil
		}
		return b, Raise("TypeError", "sequence item %d: expected str instance, %s found", pieces, shortClass(v))
	})
	return out, regexError(err)
}

// escapeRegex is Python's re.escape.
func escapeRegex(s string) string {
	const special = "()[]{}?*+-|^$\\.&~# \t\n\r\v\f"
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if strings.IndexByte(special, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
