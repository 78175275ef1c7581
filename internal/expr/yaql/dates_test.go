package yaql_test

import (
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
)

func TestDates(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`datetime('2020-01-02T03:04:05.5+02:00')`:          `2020-01-02 03:04:05.500000+02:00`,
		`datetime('Thu, 02 Jan 2020 03:04:05 -0330')`:      `2020-01-02 03:04:05-03:30`,
		`datetime('02.01.2020')`:                           `2020-02-01 00:00:00+00:00`,
		`datetime('13/02/2020 3pm')`:                       `2020-02-13 15:00:00+00:00`,
		`datetime('20200102T030405')`:                      `2020-01-02 03:04:05+00:00`,
		`datetime('2020-01-02 10:00 GMT+3')`:               `2020-01-02 10:00:00-03:00`,
		`datetime('Feb 29')`:                               `2024-02-29 00:00:00+00:00`,
		`datetime('2020 10 1', '%Y %U %w')`:                `2020-03-09 00:00:00+00:00`,
		`datetime('3 PM', '%I %p')`:                        `1900-01-01 15:00:00+00:00`,
		`datetime(2020, 12, 31).format('%j %G-%V %a %-d')`: `366 2020-53 Thu 31`,
		`datetime(2020, 1, 2, 13).format('%^a %I%p %C')`:   `THU 01PM 20`,
		`datetime(2020, 3, 1) - timespan(days => 1)`:       `2020-02-29 00:00:00+00:00`,
		`timespan(hours => -1)`:                            `-1 day, 23:00:00`,
		`timespan(days => 1) / 7`:                          `3:25:42.857143`,
		`datetime('2020-01-02T03:00:00+02:00').timestamp`:  `1577919600.0`,
		`datetime(1, 1, 1).weekday`:                        `0`,
		`datetime(9999, 12, 31).date`:                      `9999-12-31 00:00:00+00:00`,
	} {
		v, err := eval(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if value.Str(v) != want {
			t.Errorf("%s: got %s, want %s", text, value.Str(v), want)
		}
	}
	for _, text := range []string{
		`datetime('2020-13-01')`, `datetime('yesterday')`, `datetime('')`, `datetime('2020-01-02 25:00')`,
		`datetime(9999, 12, 31) + timespan(days => 1)`, `datetime('x', '%Q')`, `datetime('2020', '%Y %Y')`,
		`timespan(days => 1000000000)`, `datetime(1e)`, `datetime(10000, 1, 1)`,
	} {
		if v, err := eval(t, text); err == nil {
			t.Errorf("%s: got %s, want an error", text, value.Str(v))
		}
	}
}

func TestDumpYAML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		v    any
		o    yaql.YAMLOptions
		want string
	}{
		{value.MapOf("b", value.List{int64(1), value.List{"x"}}, "a", value.NewMap(0)), yaql.YAMLOptions{}, "a: {}\nb:\n- 1\n- - x\n"},
		{value.MapOf("a", value.MapOf("b", 1e17)), yaql.YAMLOptions{Indent: 4}, "a:\n    b: 1.0e+17\n"},
		{value.List{"yes", "1", "", "a: b", "# c", " d", "it's"}, yaql.YAMLOptions{}, "- 'yes'\n- '1'\n- ''\n- 'a: b'\n- '# c'\n- ' d'\n- it's\n"},
		{"one\ntwo", yaql.YAMLOptions{}, "'one\n\n  two'\n"},
		{"é\t", yaql.YAMLOptions{ASCII: true}, "\"\\xE9\\t\"\n"},
		{nil, yaql.YAMLOptions{}, "null\n"},
	} {
		got, err := yaql.DumpYAML(tt.v, tt.o, nil)
		if err != nil || got != tt.want {
			t.Errorf("%s: got %q, %v, want %q", value.Repr(tt.v), got, err, tt.want)
		}
	}
}
