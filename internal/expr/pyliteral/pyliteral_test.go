package pyliteral_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/pyliteral"
	"github.com/hayate-run/hayate/internal/expr/value"
)

func TestParse(t *testing.T) {
	tests := []struct{ in, want string }{
		{`{'a': 1, "b": [True, False, None], 'c': ('x', 2.0)}`, `{"a":1,"b":[true,false,null],"c":["x",2.0]}`},
		{`{}`, `{}`},
		{`[]`, `[]`},
		{`()`, `[]`},
		{`(1,)`, `[1]`},
		{`(1)`, `1`},
		{`[1, 2,]`, `[1,2]`},
		{`{2: 2, None: 3, True: 4, 1.5: 5}`, `{"2":2,"null":3,"true":4,"1.5":5}`},
		{`{1: 2, True: 4}`, `{"1":4}`},
		{`-5`, `-5`},
		{`0x1F`, `31`},
		{`1_000`, `1000`},
		{`123456789012345678901234567890`, `123456789012345678901234567890`},
		{`1.`, `1.0`},
		{`.5e3`, `500.0`},
		{`-2.5E-3`, `-0.0025`},
		{`'it\'s' "\u3042\n"`, `"it'sあ\n"`},
		{`u'\xe9' r'\d'`, `"é\\d"`},
		{`'\101\q'`, `"A\\q"`},
		{`'''a
b'''`, `"a\nb"`},
		{` [ 'a' , ] `, `["a"]`},
		{`'日本'`, `"日本"`},
	}
	for _, tt := range tests {
		v, err := pyliteral.Parse(tt.in)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.in, err)
			continue
		}
		if got, err := value.Encode(v); err != nil || string(got) != tt.want {
			t.Errorf("Parse(%q) is %s, %v, want %s", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "a", "[1", "[1 2]", "{'a': }", "{[1]: 2}", "'a", "'a\nb'", "b'a'", "__import__('os')",
		"1 + 1", "[,]", "007", "1e999", "nan", "{1, 2: 3}", "{1: 2, 3}", `'\xZZ'`, strings.Repeat("[", 1000), "1j", "True False", "--5"} {
		if got, err := pyliteral.Parse(in); err == nil {
			t.Errorf("Parse(%.40q) = %s, want an error", in, value.Repr(got))
		}
	}
}

func TestSet(t *testing.T) {
	v, err := pyliteral.Parse("{1, 'a', 1}")
	if s, ok := v.(*value.Set); err != nil || !ok || value.Repr(s) != "{1, 'a'}" {
		t.Errorf("got %s, %v", value.Repr(v), err)
	}
}

func ExampleParse() {
	v, err := pyliteral.Parse("{'host': 'web-1', 'up': True, 'ports': (80, 443)}")
	if err != nil {
		fmt.Println(err)
		return
	}
	b, err := value.Encode(v)
	fmt.Println(string(b), err)
	// Output: {"host":"web-1","up":true,"ports":[80,443]} <nil>
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{'a': [1, 2.5, (None,)]}`, `u'x' r"\d" '''y'''`, `-0x1f`, `{1: 'a', True: {}}`, `'\x41\u3042\777'`, "((1))"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := pyliteral.Parse(s)
		if err != nil {
			return
		}
		if again, err := pyliteral.Parse(value.Repr(v)); err != nil || !value.Equal(v, again) {
			t.Errorf("Parse(%q) = %s, which reads as %s, %v", s, value.Repr(v), value.Repr(again), err)
		}
	})
}
