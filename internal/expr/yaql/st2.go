package yaql

import (
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jsonpath"
	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// StackStormOptions change StackStorm's functions.
type StackStormOptions struct {
	// RefuseNested makes to_json_string, to_yaml_string and json_escape fail on a
	// map inside a list, as they do in StackStorm, where the map is of a class
	// that the writers do not know.
	RefuseNested bool
}

// StackStormFunctions returns the functions that StackStorm adds to both its
// expression languages, but for those that ask its database (st2kv, task).
func StackStormFunctions(o StackStormOptions) map[string]Function {
	one := []Param{{Name: "value"}}
	pair := []Param{{Name: "value"}, {Name: "pattern"}}
	ignoreCase := Param{Name: "ignorecase", Optional: true, Default: false}
	w := dumper{refuseNested: o.RefuseNested}
	toJSON := Function{Params: []Param{
		{Name: "value"}, {Name: "indent", Optional: true},
		{Name: "sortKeys", Optional: true, Default: false},
		{Name: "separators", Optional: true, Default: value.Tuple{",", ": "}},
	}, Call: w.toJSON}
	toYAML := Function{Params: []Param{
		{Name: "value"}, {Name: "indent", Optional: true}, {Name: "allowUnicode", Optional: true, Default: true},
	}, Call: w.toYAML}
	fromJSON := Function{Params: one, Call: callFromJSON}
	fromYAML := Function{Params: one, Call: callFromYAML}
	fs := map[string]Function{
		"from_json_string": fromJSON, "json_parse": fromJSON,
		"from_yaml_string": fromYAML, "yaml_parse": fromYAML,
		"to_json_string": toJSON, "json_dump": toJSON,
		"to_yaml_string": toYAML, "yaml_dump": toYAML,
		"json_escape":                {Params: one, Call: w.jsonEscape},
		"jsonpath_query":             {Params: []Param{{Name: "value"}, {Name: "query"}}, Call: callJSONPath},
		"regex_match":                {Params: append(pair[:2:2], ignoreCase), Call: callRegexMatch},
		"regex_search":               {Params: append(pair[:2:2], ignoreCase), Call: callRegexSearch},
		"regex_replace":              {Params: append(pair[:2:2], Param{Name: "replacement"}, ignoreCase), Call: callRegexReplace},
		"regex_substring":            {Params: append(pair[:2:2], Param{Name: "resultIndex", Optional: true, Default: int64(0)}, ignoreCase), Call: callRegexSubstring},
		"to_human_time_from_seconds": {Params: []Param{{Name: "seconds"}}, Call: callHumanTime},
		"use_none":                   {Params: one, Call: callUseNone},
		"basename":                   {Params: []Param{{Name: "path"}}, Call: onPath(basename)},
		"dirname":                    {Params: []Param{{Name: "path"}}, Call: onPath(dirname)},
	}
	for name, f := range versionFunctions() {
		fs[name] = f
	}
	return fs
}

func callFromJSON(c *Call) (any, error) {
	s, err := c.Text(c.Args[0])
	if err != nil {
		return nil, err
	}
	return parseJSON(c, s)
}

// text is an argument as text: what is no string is turned into one.
func (c *Call) text(i int) (string, error) { return c.Text(c.Args[i]) }

// regex is the pattern of argument 1.
func (c *Call) regex(ignoreCase any) (*pyre.Regexp, error) {
	if p, ok := c.Args[1].(*pattern); ok {
		if truth(ignoreCase) {
			return nil, Raise("ValueError", "cannot process flags argument with a compiled pattern")
		}
		return p.re, nil
	}
	text, ok := c.Args[1].(string)
	if !ok {
		if hashable(c.Args[1]) != nil {
			return nil, hashable(c.Args[1])
		}
		return nil, Raise("TypeError", "first argument must be string or compiled pattern")
	}
	if err := c.Budget.Step(len(text)); err != nil {
		return nil, err
	}
	var flags pyre.Flags
	if truth(ignoreCase) {
		flags = pyre.IgnoreCase
	}
	re, err := pyre.Compile(text, flags)
	return re, regexError(err)
}

// subject is the text and the pattern of a regex function.
func (c *Call) subject(ignoreCase any) (string, *pyre.Regexp, error) {
	s, err := c.text(0)
	if err != nil {
		return "", nil, err
	}
	re, err := c.regex(ignoreCase)
	if err != nil {
		return "", nil, err
	}
	return s, re, c.Budget.Step(scanSteps(s, backtracks(re.String())))
}

func callRegexMatch(c *Call) (any, error) {
	s, re, err := c.subject(c.Args[2])
	if err != nil {
		return nil, err
	}
	ok, err := re.Starts(s)
	return ok, regexError(err)
}

func callRegexSearch(c *Call) (any, error) {
	s, re, err := c.subject(c.Args[2])
	if err != nil {
		return nil, err
	}
	ok, err := re.Found(s)
	return ok, regexError(err)
}

func callRegexReplace(c *Call) (any, error) {
	s, re, err := c.subject(c.Args[3])
	if err != nil {
		return nil, err
	}
	repl, ok := c.Args[2].(string)
	if !ok {
		return nil, Raise("TypeError", "decoding to str: need a bytes-like object, %s found", shortClass(c.Args[2]))
	}
	out, err := re.Sub(repl, s, 0, c.Budget)
	return out, regexError(err)
}

// callRegexSubstring is findall()[index]: the whole match, or the group where
// there is one, or a tuple of the groups.
func callRegexSubstring(c *Call) (any, error) {
	s, re, err := c.subject(c.Args[3])
	if err != nil {
		return nil, err
	}
	if c.Args[2] == nil {
		return nil, Raise("TypeError", "list indices must be integers or slices, not NoneType")
	}
	want := clampInt(c.Args[2])
	var found []*pyre.Match
	n := int64(0)
	err = re.All(s, func(m *pyre.Match) bool {
		if want < 0 || n == want {
			found = append(found, m)
		}
		n++
		return want < 0 || n <= want
	})
	if err != nil {
		return nil, regexError(err)
	}
	i := int64(0)
	if want < 0 {
		i = want + n
	}
	if i < 0 || i >= int64(len(found)) {
		return nil, Raise("IndexError", "list index out of range")
	}
	m := found[i]
	groups := make(value.Tuple, re.Groups())
	for g := range groups {
		text, _ := m.Group(g + 1)
		groups[g] = text
	}
	switch len(groups) {
	case 0:
		text, _ := m.Group(0)
		return text, nil
	case 1:
		return groups[0], nil
	}
	return groups, nil
}

// callJSONPath gives all that a path leads to, or null.
func callJSONPath(c *Call) (any, error) {
	text, ok := c.Args[1].(string)
	if !ok {
		return nil, Raise("TypeError", "expected string or bytes-like object, got '%s'", shortClass(c.Args[1]))
	}
	p, err := jsonpath.Parse(text)
	if err != nil {
		return nil, err
	}
	v, err := c.Plain(c.Args[0])
	if err != nil {
		return nil, err
	}
	found, err := p.Find(v, c.Budget)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &value.Array{Items: found}, nil
}

// noneMarker is what StackStorm writes for a null that must survive as text.
const noneMarker = "%*****__%NONE%__*****%"

func callUseNone(c *Call) (any, error) {
	if c.Args[0] == nil {
		return noneMarker, nil
	}
	return c.Args[0], nil
}

func onPath(part func(string) string) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		s, ok := c.Args[0].(string)
		if !ok {
			return nil, Raise("TypeError", "expected str, bytes or os.PathLike object, not %s", shortClass(c.Args[0]))
		}
		return part(s), nil
	}
}

// basename is what stands behind the last slash.
func basename(s string) string { return s[strings.LastIndexByte(s, '/')+1:] }

// dirname is what stands before the last slash, without the slashes at its end.
func dirname(s string) string {
	dir := s[:strings.LastIndexByte(s, '/')+1]
	if trimmed := strings.TrimRight(dir, "/"); trimmed != "" {
		return trimmed
	}
	return dir
}

// callHumanTime words a number of seconds: 1h3m5s. Months get lost, as they do in
// StackStorm: it counts with a calendar and shows years, days, hours.
func callHumanTime(c *Call) (any, error) {
	v := c.Args[0]
	if b, ok := v.(bool); ok {
		v = clampInt(b)
	}
	var secs int64
	switch x := v.(type) {
	case int64:
		secs = x
	case *big.Int:
		if x.Sign() > 0 {
			return nil, Raise("OverflowError", "Python int too large to convert to C int")
		}
		secs = -1
	case float64:
		if x != 0 && x < 1 {
			return value.FormatFloat(x) + "μs", nil
		}
		if math.IsNaN(x) {
			return nil, Raise("ValueError", "cannot convert float NaN to integer")
		}
		if x > 1e18 {
			return nil, Raise("OverflowError", "Python int too large to convert to C int")
		}
		secs = int64(math.RoundToEven(x))
	default:
		return nil, &Error{Kind: "AssertionError"}
	}
	if secs < 0 {
		return value.Str(v) + "μs", nil
	}
	if secs > maxMoment/second {
		return nil, Raise("OverflowError", "date value out of range")
	}
	t := (&datetime{us: secs * second}).civil()
	var b strings.Builder
	for i, n := range []int64{t.year - 1, t.day - 1, t.hour, t.minute, t.second} {
		if n != 0 || b.Len() > 0 {
			b.WriteString(strconv.FormatInt(n, 10))
			b.WriteByte("ydhms"[i])
		}
	}
	if b.Len() == 0 {
		return "0s", nil
	}
	return b.String(), nil
}
