package yaql

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func stringLibrary() []*overload {
	s := p("string", tStr)
	concat := fn("concat", doConcat).more(tStr)
	out := []*overload{
		concat,
		concat.renamed("#operator_+"),
		mt("toUpper", func(f *frame) (any, error) { return value.Upper(f.str(0)), nil }, s),
		mt("toLower", func(f *frame) (any, error) { return value.Lower(f.str(0)), nil }, s),
		ext("len", func(f *frame) (any, error) { return int64(utf8.RuneCountInString(f.str(0))), nil }, s),
		mt("split", splitWith(pySplit), s, opt("separator", tStrN, nil), opt("maxSplits", tInt, int64(-1))),
		mt("rightSplit", splitWith(pyRightSplit), s, opt("separator", tStrN, nil), opt("maxSplits", tInt, int64(-1))),
		mt("join", func(f *frame) (any, error) { return f.join(f.args[0], f.str(1)) }, p("sequence", tIterable), p("separator", tStr)),
		mt("join", func(f *frame) (any, error) { return f.join(f.args[1], f.str(0)) }, p("separator", tStr), p("sequence", tIterable)),
		fn("str", func(f *frame) (any, error) { return f.ev.yaqlText(f.args[0]) }, p("value", tAny)),
		mt("trim", trimWith(true, true), s, opt("chars", tStrN, nil)),
		mt("trimLeft", trimWith(true, false), s, opt("chars", tStrN, nil)),
		mt("trimRight", trimWith(false, true), s, opt("chars", tStrN, nil)),
		ext("norm", doNorm, p("string", tStrN), opt("chars", tStrN, nil)),
		ext("isEmpty", doIsEmpty, p("string", tStrN), opt("trim", tBool, true), opt("chars", tStrN, nil)),
		mt("replace", doReplace, s, p("old", tStr), p("new", tStr), opt("count", tInt, int64(-1))),
		mt("replace", doReplaceMap, s, p("replacements", tMap), opt("count", tInt, int64(-1))),
		fn("#operator_*", func(f *frame) (any, error) { return f.repeat(0, 1) }, p("left", tStr), p("right", tInt)),
		fn("#operator_*", func(f *frame) (any, error) { return f.repeat(1, 0) }, p("left", tInt), p("right", tStr)),
		mt("toCharArray", doToCharArray, s),
		fn("isString", func(f *frame) (any, error) { _, ok := f.args[0].(string); return ok, nil }, p("arg", tAny)),
		mt("startsWith", affix(strings.HasPrefix), s).more(tStr),
		mt("endsWith", affix(strings.HasSuffix), s).more(tStr),
		fn("characters", doCharacters, characterParams()...),
	}
	for _, name := range []string{"<", "<=", ">", ">="} {
		out = append(out, fn("#operator_"+name, func(f *frame) (any, error) {
			return value.Order(name, f.args[0], f.args[1])
		}, p("left", tStr), p("right", tStr)))
	}
	return out
}

// grow charges a text of n bytes to the budget.
func (f *frame) grow(n int) error { return f.ev.budget.Grow(n) }

func doConcat(f *frame) (any, error) {
	n := 0
	for _, a := range f.rest {
		n += len(a.(string))
	}
	if err := f.grow(n); err != nil {
		return nil, err
	}
	var b strings.Builder
	b.Grow(n)
	for _, a := range f.rest {
		b.WriteString(a.(string))
	}
	return b.String(), nil
}

// isSpace says what Python counts as white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }

// splitWith makes a method of a way to split; the pieces are a Python list.
func splitWith(split func(s, sep string, most int) []string) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		sep, given := f.args[1].(string)
		if given && sep == "" {
			return nil, Raise("ValueError", "empty separator")
		}
		s := f.str(0)
		most, err := f.size(2)
		if err != nil {
			return nil, err
		}
		if err := f.ev.budget.Step(len(s) / 16); err != nil {
			return nil, err
		}
		pieces := split(s, sep, int(max(-1, min(most, 1<<31))))
		out := make(value.List, len(pieces))
		for i, x := range pieces {
			out[i] = x
		}
		return &value.Array{Items: out}, f.grow(len(out) * wordSize)
	}
}

// pySplit splits at sep, or with an empty sep at runs of white space, at most so
// many times; a negative number means no bound.
func pySplit(s, sep string, most int) []string {
	if sep != "" {
		if most < 0 {
			return strings.Split(s, sep)
		}
		return strings.SplitN(s, sep, most+1)
	}
	var out []string
	s = strings.TrimLeftFunc(s, isSpace)
	for s != "" {
		end := strings.IndexFunc(s, isSpace)
		if most >= 0 && len(out) == most {
			return append(out, strings.TrimRightFunc(s, isSpace))
		}
		if end < 0 {
			return append(out, s)
		}
		out = append(out, s[:end])
		s = strings.TrimLeftFunc(s[end:], isSpace)
	}
	return out
}

// pyRightSplit is pySplit from the right.
func pyRightSplit(s, sep string, most int) []string {
	if most < 0 {
		return pySplit(s, sep, most)
	}
	var reversed []string
	if sep != "" {
		for len(reversed) < most {
			i := strings.LastIndex(s, sep)
			if i < 0 {
				break
			}
			reversed = append(reversed, s[i+len(sep):])
			s = s[:i]
		}
		reversed = append(reversed, s)
	} else {
		s = strings.TrimRightFunc(s, isSpace)
		for s != "" {
			i := strings.LastIndexFunc(s, isSpace)
			if i < 0 || len(reversed) == most {
				reversed = append(reversed, strings.TrimLeftFunc(s, isSpace))
				break
			}
			_, n := utf8.DecodeRuneInString(s[i:])
			reversed = append(reversed, s[i+n:])
			s = strings.TrimRightFunc(s[:i], isSpace)
		}
	}
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return reversed
}

func (f *frame) join(items any, sep string) (any, error) {
	var b strings.Builder
	first := true
	err := f.ev.each(items, func(v any) (bool, error) {
		s, err := f.stringOf(v)
		if err != nil {
			return true, err
		}
		if err := f.grow(len(s) + len(sep)); err != nil {
			return true, err
		}
		if !first {
			b.WriteString(sep)
		}
		first = false
		b.WriteString(s)
		return false, nil
	})
	return b.String(), err
}

// trim is Python's strip: of white space, or with chars of any of these.
func trim(s string, chars any, left, right bool) string {
	drop := isSpace
	if set, ok := chars.(string); ok {
		drop = func(r rune) bool { return strings.ContainsRune(set, r) }
	}
	if left {
		s = strings.TrimLeftFunc(s, drop)
	}
	if right {
		s = strings.TrimRightFunc(s, drop)
	}
	return s
}

func trimWith(left, right bool) func(*frame) (any, error) {
	return func(f *frame) (any, error) { return trim(f.str(0), f.args[1], left, right), nil }
}

func doNorm(f *frame) (any, error) {
	s, ok := f.args[0].(string)
	if !ok {
		return nil, nil
	}
	if s = trim(s, f.args[1], true, true); s == "" {
		return nil, nil
	}
	return s, nil
}

func doIsEmpty(f *frame) (any, error) {
	s, ok := f.args[0].(string)
	if !ok {
		return true, nil
	}
	if f.bool(1) {
		s = trim(s, f.args[2], true, true)
	}
	return s == "", nil
}

// replace is Python's str.replace; a negative count means all.
func (f *frame) replace(s, old, with string, count int64) (string, error) {
	if count == 0 {
		return s, nil
	}
	n := int64(strings.Count(s, old))
	if count > 0 {
		n = min(n, count)
	}
	if n > 0 && int64(len(with)) > (1<<40)/n {
		return "", f.grow(1<<63 - 1)
	}
	if err := f.grow(len(s) + int(n)*len(with)); err != nil {
		return "", err
	}
	return strings.Replace(s, old, with, int(min(max(count, -1), 1<<31))), nil
}

func doReplace(f *frame) (any, error) {
	count, err := f.size(3)
	if err != nil {
		return nil, err
	}
	return f.replace(f.str(0), f.str(1), f.str(2), count)
}

func doReplaceMap(f *frame) (any, error) {
	s := f.str(0)
	count, err := f.size(2)
	if err != nil && f.mapping(1).Len() > 0 {
		return nil, err
	}
	for k, v := range f.mapping(1).All() {
		old, err := f.stringOf(k)
		if err != nil {
			return nil, err
		}
		with, err := f.stringOf(v)
		if err != nil {
			return nil, err
		}
		if s, err = f.replace(s, old, with, count); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (f *frame) repeat(text, times int) (any, error) {
	s := f.str(text)
	n, err := f.index(times, "OverflowError")
	if err != nil {
		return nil, err
	}
	if n <= 0 || s == "" {
		return "", nil
	}
	if n > 1<<40/int64(len(s)) {
		return nil, f.grow(1<<63 - 1)
	}
	if err := f.grow(int(n) * len(s)); err != nil {
		return nil, err
	}
	return strings.Repeat(s, int(n)), nil
}

func doToCharArray(f *frame) (any, error) {
	if err := f.grow(len(f.str(0)) * 2 * wordSize); err != nil {
		return nil, err
	}
	return value.Tuple(chars(f.str(0))), nil
}

func affix(has func(s, affix string) bool) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		for _, a := range f.rest {
			if has(f.str(0), a.(string)) {
				return true, nil
			}
		}
		return false, nil
	}
}

const (
	lowerLetters = "abcdefghijklmnopqrstuvwxyz"
	upperLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	punctuation  = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	asciiSpaces  = " \t\n\r\v\f"
)

// characterSets are the parameters of characters(); those without characters
// name constants that Python 3 no longer has.
func characterSets() [][2]string {
	return [][2]string{
		{"digits", "0123456789"},
		{"hexdigits", "0123456789abcdefABCDEF"},
		{"asciiLowercase", lowerLetters},
		{"asciiUppercase", upperLetters},
		{"asciiLetters", lowerLetters + upperLetters},
		{"letters", ""},
		{"octdigits", "01234567"},
		{"punctuation", punctuation},
		{"printable", "0123456789" + lowerLetters + upperLetters + punctuation + asciiSpaces},
		{"lowercase", ""},
		{"uppercase", ""},
		{"whitespace", asciiSpaces},
	}
}

func characterParams() []param {
	var out []param
	for _, set := range characterSets() {
		out = append(out, opt(set[0], tBoolN, false))
	}
	return out
}

func doCharacters(f *frame) (any, error) {
	seen := value.NewSet()
	for i, set := range characterSets() {
		if !f.bool(i) {
			continue
		}
		if set[1] == "" {
			return nil, Raise("AttributeError", "module 'string' has no attribute '%s'", set[0])
		}
		for _, c := range set[1] {
			seen.Add(string(c))
		}
	}
	return value.Tuple(seen.Items()), nil
}
