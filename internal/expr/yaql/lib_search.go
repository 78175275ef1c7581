package yaql

import (
	"strings"
	"unicode/utf8"
)

// searchLibrary has what looks for parts of strings by position.
func searchLibrary() []*overload {
	s, sub := p("string", tStr), p("sub", tStr)
	return []*overload{
		mt("substring", doSubstring, s, p("start", tInt), opt("length", tInt, int64(-1))),
		mt("indexOf", find(strings.Index), s, sub, opt("start", tInt, int64(0))),
		mt("indexOf", findWithin(strings.Index), s, sub, p("start", tInt), p("length", tInt)),
		mt("lastIndexOf", find(strings.LastIndex), s, sub, opt("start", tInt, int64(0))),
		mt("lastIndexOf", findWithin(strings.LastIndex), s, sub, p("start", tInt), p("length", tInt)),
		fn("#operator_in", func(f *frame) (any, error) { return strings.Contains(f.str(1), f.str(0)), nil }, p("left", tStr), p("right", tStr)),
	}
}

// text is a string whose characters can be counted: by bytes where it is ASCII.
type chartext struct {
	s     string
	n     int
	ascii bool
}

func newChartext(s string) chartext {
	n := utf8.RuneCountInString(s)
	return chartext{s, n, n == len(s)}
}

// offset is where character i starts in bytes.
func (t chartext) offset(i int) int {
	if t.ascii || i <= 0 {
		return i
	}
	if i >= t.n {
		return len(t.s)
	}
	for off := range t.s {
		if i == 0 {
			return off
		}
		i--
	}
	return len(t.s)
}

func (t chartext) cut(a, b int) string { return t.s[t.offset(a):t.offset(b)] }

func doSubstring(f *frame) (any, error) {
	t := newChartext(f.str(0))
	start, length := f.int(1), f.int(2)
	if length < 0 {
		length = int64(t.n)
	}
	if start < 0 {
		start += int64(t.n)
	}
	a, b := slice(t.n, start, start+length)
	return t.cut(a, b), nil
}

// find makes a method of a search in s[start:].
func find(search func(s, sub string) int) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		t := newChartext(f.str(0))
		return t.find(search, f.str(1), f.int(2), int64(t.n)), nil
	}
}

// findWithin makes a method of a search in length characters from start on.
func findWithin(search func(s, sub string) int) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		t := newChartext(f.str(0))
		start, length := f.int(2), f.int(3)
		if start < 0 {
			start += int64(t.n)
		}
		if length < 0 {
			length = int64(t.n) - start
		}
		return t.find(search, f.str(1), start, start+length), nil
	}
}

// find is Python's str.find and rfind: the position in characters, or -1.
func (t chartext) find(search func(s, sub string) int, sub string, start, stop int64) int64 {
	if start > int64(t.n) {
		return -1
	}
	a, b := slice(t.n, start, stop)
	if _, end := slice(t.n, 0, stop); end < a {
		return -1
	}
	part := t.cut(a, b)
	i := search(part, sub)
	if i < 0 {
		return -1
	}
	return int64(a + utf8.RuneCountInString(part[:i]))
}
