package value_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func TestFormatIsPythons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		v    any
		spec string
		want string
	}{
		{int64(5), "", "5"}, {int64(5), "03d", "005"}, {int64(-5), "+05", "-0005"}, {int64(1234567), ",", "1,234,567"},
		{int64(255), "#x", "0xff"}, {int64(5), "*^7", "***5***"}, {int64(1234567), "012,", "0,001,234,567"},
		{1.5, ".2f", "1.50"}, {2.675, ".2f", "2.67"}, {1e16, "", "1e+16"}, {0.256, ".1%", "25.6%"}, {1234.5, ",.1f", "1,234.5"},
		{12.0, ".2", "1.2e+01"}, {1e-7, "g", "1e-07"}, {"ab", ">5", "   ab"}, {"abc", ".2", "ab"}, {true, "d", "1"}, {"é", "05", "é0000"},
		{"x", "d", "ValueError: Unknown format code 'd' for object of type 'str'"},
		{int64(1), ".2d", "ValueError: Precision not allowed in integer format specifier"},
		{value.List{}, "5", "TypeError: unsupported format string passed to list.__format__"},
	} {
		got, err := value.Format(c.v, c.spec)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("format(%s, %q): got %q, want %q", value.Repr(c.v), c.spec, got, c.want)
		}
	}
}

func TestPercentIsPythons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		format string
		args   any
		want   string
	}{
		{"%s-%03d", value.Tuple{"a", int64(7)}, "a-007"}, {"%05.2f|%-5s|%+d", value.Tuple{2.5, "x", int64(3)}, "02.50|x    |+3"},
		{"%(a)s %(b)r", value.MapOf("a", int64(1), "b", "x"), "1 'x'"}, {"%s", value.List{int64(1)}, "[1]"}, {"100%%", value.Tuple{}, "100%"},
		{"%*d", value.Tuple{int64(4), int64(7)}, "   7"}, {"%d", 3.9, "3"}, {"%x", int64(255), "ff"}, {"%c%c", value.Tuple{"a", int64(98)}, "ab"},
		{"%s", value.Tuple{}, "TypeError: not enough arguments for format string"},
		{"%s", value.Tuple{"a", "b"}, "TypeError: not all arguments converted during string formatting"},
		{"%d", "x", "TypeError: %d format: a real number is required, not str"},
		{"%q", "x", "ValueError: unsupported format character 'q' (0x71) at index 1"},
		{"%(a)s", "x", "TypeError: format requires a mapping"},
	} {
		got, err := value.Percent(c.format, c.args, nil, nil)
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%q %% %s: got %q, want %q", c.format, value.Repr(c.args), got, c.want)
		}
	}
	if _, err := value.Percent("%99999999d", int64(1), value.NewBudget(1, 1000), nil); !errors.Is(err, value.ErrLimit) {
		t.Errorf("a wide field: got %v, want ErrLimit", err)
	}
}

func TestFormatFieldsIsPythons(t *testing.T) {
	t.Parallel()
	lookup := func(first any, steps []value.FieldStep) (any, error) {
		return fmt.Sprint(first, steps), nil
	}
	for format, want := range map[string]string{
		"{} {}":       "0 [] 1 []",
		"{1}{{}}":     "1 []{}",
		"{a.b[0][k]}": "a[{true b} {false 0} {false k}]",
		"{:>6}":       "  0 []",
		"{!r}":        "'0 []'",
		"{a!s:*^{w}}": "ValueError: Invalid format specifier",
		"{":           "ValueError: Single '{' encountered in format string",
		"}":           "ValueError: Single '}' encountered in format string",
		"{a":          "ValueError: expected '}' before end of string",
		"{}{0}":       "ValueError: cannot switch from manual field specification to automatic field numbering",
	} {
		got, err := value.FormatFields(format, nil, lookup)
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", format, got, want)
		}
	}
}
