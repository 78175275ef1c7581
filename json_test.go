package hayate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	digits := func(n int) string { return strings.Repeat("9", n) }
	for _, tt := range []struct {
		name, text, want string // want: in the error
	}{
		{"an ordinary value", `{"a": [1, -2.5e3, "x", true, null]}`, ""},
		{"as deep as may be", deep(500), ""},
		{"deeper", deep(501), "nested deeper"},
		{"objects too", strings.Repeat(`{"a":`, 501) + "1" + strings.Repeat("}", 501), "nested deeper"},
		{"brackets in a string are text", `"` + strings.Repeat("[", 600) + `"`, ""},
		{"an escaped quote does not end a string", `"\"` + strings.Repeat("[", 600) + `"`, ""},
		{"an escaped backslash does not escape the quote", `["\\",` + deep(500) + `]`, "nested deeper"},
		{"side by side is not deep", "[" + strings.Repeat("[],", 2000) + "[]]", ""},
		{"a number as long as may be", digits(1000), ""},
		{"a longer one", "[" + digits(1001) + "]", "a number of more than"},
		{"in a fraction", "1." + digits(1000), "a number of more than"},
		{"in an exponent", "1e" + digits(1000), "a number of more than"},
		{"many numbers are not a long one", "[" + strings.Repeat("1234567890,", 200) + "1]", ""},
		{"digits in a string are text", `"` + digits(5000) + `"`, ""},
		{"a byte that is no UTF-8", "\"\xff\"", "not UTF-8"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := hayate.CheckJSON([]byte(tt.text))
			switch {
			case tt.want == "" && err != nil:
				t.Errorf("got %v, want none", err)
			case tt.want != "" && (!errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want ErrInvalid saying %q", err, tt.want)
			}
		})
	}
}
