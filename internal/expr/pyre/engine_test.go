package pyre

import (
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzEnginesAgree compares RE2 with the machine wherever both can answer, and
// makes sure that no pattern breaks either.
func FuzzEnginesAgree(f *testing.F) {
	for _, s := range []string{
		`(a|ab)(c|bcd)*`, `\bfoo\b|[^\w]$`, `(?i)[a-k]+?x{2,3}`, `(?=a)(?<!b)\1?`, `(?m)^a.*$`, `(?:a*)+(b)?`, `(?P<n>\d)(?(n)a|b)`, `a{,2}+[\W1]`,
	} {
		f.Add(s, "aab foo\n", uint8(0))
	}
	f.Fuzz(func(t *testing.T, pattern, text string, flags uint8) {
		if len(pattern) > 60 || len(text) > 60 || !utf8.ValidString(text) || !utf8.ValidString(pattern) {
			return
		}
		r, err := Compile(pattern, Flags(flags)&31)
		if err != nil {
			return
		}
		for _, how := range []mode{anywhere, atStart, whole} {
			m := r.machine(text)
			ok, err := m.find(0, how, -1)
			if err != nil {
				continue
			}
			var want []int
			if ok {
				want = m.spans()
			}
			if re := r.re2(text, how); re != nil {
				if got := re.FindStringSubmatchIndex(text); !reflect.DeepEqual(got, want) {
					t.Errorf("%q on %q, mode %d: RE2 says %v, the machine %v", pattern, text, how, got, want)
				}
			}
		}
		if _, err := r.Sub(`<\g<0>>`, text, 0, nil); err != nil && !strings.Contains(err.Error(), "too many steps") {
			t.Errorf("%q on %q: %v", pattern, text, err)
		}
	})
}

func TestSimplePatternsRunInLinearTime(t *testing.T) {
	t.Parallel()
	for _, p := range []string{`(a+)+$`, `\bweb\d+\b`, `^[^:]+: (?P<x>.*)$`, `(?i)error|warn`, `a{2,5}?`, ``} {
		r, err := Compile(p, 0)
		if err != nil {
			t.Fatal(err)
		}
		if r.re2("some text", anywhere) == nil {
			t.Errorf("%q does not run on RE2", p)
		}
	}
}
