package jinja

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

type textMethod func(s *state, t string, c *Call) (any, error)

// pure makes a method of a function of the text alone.
func pure(name string, f func(t string) any) textMethod {
	return func(s *state, t string, c *Call) (any, error) {
		if n := len(c.Args); n > 0 {
			return nil, value.TypeErrorf("str.%s() takes no arguments (%d given)", name, n)
		}
		return f(t), s.grow(2 * len(t))
	}
}

var textMethods = map[string]textMethod{
	"upper":        pure("upper", func(t string) any { return value.Upper(t) }),
	"lower":        pure("lower", func(t string) any { return value.Lower(t) }),
	"casefold":     pure("casefold", func(t string) any { return value.Fold(t) }),
	"capitalize":   pure("capitalize", func(t string) any { return value.Capitalize(t) }),
	"title":        pure("title", func(t string) any { return value.Title(t) }),
	"swapcase":     pure("swapcase", func(t string) any { return value.SwapCase(t) }),
	"isalnum":      pure("isalnum", func(t string) any { return all(t, isAlnum) }),
	"isalpha":      pure("isalpha", func(t string) any { return all(t, unicode.IsLetter) }),
	"isascii":      pure("isascii", func(t string) any { return isASCII(t) }),
	"isdecimal":    pure("isdecimal", func(t string) any { return all(t, func(r rune) bool { return value.DigitValue(r) >= 0 }) }),
	"isdigit":      pure("isdigit", func(t string) any { return all(t, isDigitRune) }),
	"isnumeric":    pure("isnumeric", func(t string) any { return all(t, isNumericRune) }),
	"isspace":      pure("isspace", func(t string) any { return all(t, isSpace) }),
	"isprintable":  pure("isprintable", func(t string) any { return t == "" || all(t, unicode.IsPrint) }),
	"isidentifier": pure("isidentifier", func(t string) any { return all(t, isNameRune) && !unicode.IsNumber(firstRune(t)) }),
	"islower":      pure("islower", func(t string) any { return value.AllLower(t) }),
	"isupper":      pure("isupper", func(t string) any { return value.AllUpper(t) }),
	"istitle":      pure("istitle", func(t string) any { return value.AllTitle(t) }),
	"strip":        stripper("strip", strings.TrimFunc, strings.Trim),
	"lstrip":       stripper("lstrip", strings.TrimLeftFunc, strings.TrimLeft),
	"rstrip":       stripper("rstrip", strings.TrimRightFunc, strings.TrimRight),
	"startswith":   affix("startswith", strings.HasPrefix),
	"endswith":     affix("endswith", strings.HasSuffix),
	"removeprefix": remover("removeprefix", strings.TrimPrefix),
	"removesuffix": remover("removesuffix", strings.TrimSuffix),
	"find":         textFinder("find", strings.Index, ""),
	"rfind":        textFinder("rfind", strings.LastIndex, ""),
	"index":        textFinder("index", strings.Index, "substring not found"),
	"rindex":       textFinder("rindex", strings.LastIndex, "substring not found"),
	"count":        textCount,
	"split":        splitter("split", splitText),
	"rsplit":       splitter("rsplit", rsplitText),
	"splitlines":   textLines,
	"partition":    partition("partition", strings.Index),
	"rpartition":   partition("rpartition", strings.LastIndex),
	"replace":      textReplace,
	"join":         textJoin,
	"center":       padder("center"),
	"ljust":        padder("ljust"),
	"rjust":        padder("rjust"),
	"zfill":        textZfill,
	"expandtabs":   textExpandTabs,
	"encode":       func(s *state, t string, _ *Call) (any, error) { return value.Bytes(t), s.grow(len(t)) },
	"translate":    textTranslate,
	"maketrans":    textMaketrans,
}

// textMethodNamed returns a method of text. The two that format can reach every
// other method, so they stand outside of the table.
func textMethodNamed(name string) (textMethod, bool) {
	switch name {
	case "format":
		return textFormat, true
	case "format_map":
		return textFormatMap, true
	}
	m, ok := textMethods[name]
	return m, ok
}

// textArg returns an argument that must be text.
func textArg(v any, what string) (string, error) {
	t, ok := asText(v)
	if !ok {
		if u, ok := v.(*Undefined); ok {
			return "", u.err()
		}
		return "", value.TypeErrorf("%s must be str, not %s", what, value.Type(v))
	}
	return t, nil
}

func stripper(name string, spaces func(string, func(rune) bool) string, chars func(string, string) string) textMethod {
	return func(_ *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 0, 1); err != nil {
			return nil, err
		}
		if len(c.Args) == 0 || c.Args[0] == nil {
			return spaces(t, isSpace), nil
		}
		cut, ok := asText(c.Args[0])
		if !ok {
			return nil, value.TypeErrorf("%s arg must be None or str", name)
		}
		return chars(t, cut), nil
	}
}

func affix(name string, has func(t, x string) bool) textMethod {
	return func(_ *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 3); err != nil {
			return nil, err
		}
		t, ok := cutText(t, c.Args[1:])
		if !ok {
			return false, nil
		}
		options := []any{c.Args[0]}
		if tuple, ok := c.Args[0].(value.Tuple); ok {
			options = tuple
		}
		for _, o := range options {
			x, ok := asText(o)
			if !ok {
				return nil, value.TypeErrorf("%s first arg must be str or a tuple of str, not %s", name, value.Type(o))
			}
			if has(t, x) {
				return true, nil
			}
		}
		return false, nil
	}
}

// cutText is t[start:end] by the arguments behind a substring; ok is false where
// start lies behind the end.
func cutText(t string, args []any) (string, bool) {
	if len(args) == 0 {
		return t, true
	}
	runes := []rune(t)
	b := &bounds{from: args[0]}
	if len(args) > 1 {
		b.to = args[1]
	}
	if i, isInt := args[0].(int64); isInt && i > int64(len(runes)) {
		return "", false
	}
	at, err := b.positions(len(runes))
	if err != nil || len(at) == 0 {
		return "", true
	}
	return string(runes[at[0] : at[0]+len(at)]), true
}

func remover(name string, f func(t, x string) string) textMethod {
	return func(_ *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 1); err != nil {
			return nil, err
		}
		x, err := textArg(c.Args[0], name+"() argument")
		return f(t, x), err
	}
}

func textFinder(name string, f func(t, x string) int, missing string) textMethod {
	return func(s *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 3); err != nil {
			return nil, err
		}
		x, ok := asText(c.Args[0])
		if !ok {
			return nil, value.TypeErrorf("must be str, not %s", value.Type(c.Args[0]))
		}
		part, ok := cutText(t, c.Args[1:])
		i := -1
		if ok {
			i = f(part, x)
		}
		if i < 0 {
			if missing != "" {
				return nil, value.ValueErrorf("%s", missing)
			}
			return int64(-1), nil
		}
		n := utf8.RuneCountInString(part[:i])
		if len(c.Args) > 1 {
			if from, ok := c.Args[1].(int64); ok {
				size := int64(utf8.RuneCountInString(t))
				if from < 0 {
					from = max(from+size, 0)
				}
				n += int(from)
			}
		}
		return int64(n), s.budget.Step(len(t)/64 + 1)
	}
}

func textCount(s *state, t string, c *Call) (any, error) {
	if err := positional(c, "count", 1, 3); err != nil {
		return nil, err
	}
	x, ok := asText(c.Args[0])
	if !ok {
		return nil, value.TypeErrorf("must be str, not %s", value.Type(c.Args[0]))
	}
	part, ok := cutText(t, c.Args[1:])
	if !ok {
		return int64(0), nil
	}
	return int64(strings.Count(part, x)), s.budget.Step(len(t)/64 + 1)
}

func textReplace(s *state, t string, c *Call) (any, error) {
	if err := positional(c, "replace", 2, 3); err != nil {
		return nil, err
	}
	var x [2]string
	for i := range x {
		var ok bool
		if x[i], ok = asText(c.Args[i]); !ok {
			return nil, value.TypeErrorf("replace() argument %d must be str, not %s", i+1, value.Type(c.Args[i]))
		}
	}
	count := -1
	if len(c.Args) > 2 {
		n, ok := c.Args[2].(int64)
		if !ok {
			return nil, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(c.Args[2]))
		}
		count = int(min(max(n, -1), 1<<30))
	}
	return s.replace(t, x[0], x[1], count)
}

// replace is t.replace(old, new, count), within the budget.
func (s *state) replace(t, old, by string, count int) (any, error) {
	n := strings.Count(t, old)
	if count >= 0 {
		n = min(n, count)
	}
	if err := s.grow(len(t) + n*len(by)); err != nil {
		return nil, err
	}
	return strings.Replace(t, old, by, count), nil
}

func textJoin(s *state, t string, c *Call) (any, error) {
	if len(c.Args) != 1 {
		return nil, value.TypeErrorf("str.join() takes exactly one argument (%d given)", len(c.Args))
	}
	items, err := s.iterate(c.Args[0])
	if err != nil {
		if _, ok := err.(*value.Error); ok {
			return nil, value.TypeErrorf("can only join an iterable")
		}
		return nil, err
	}
	var b strings.Builder
	for i, x := range items {
		p, ok := asText(x)
		if !ok {
			return nil, value.TypeErrorf("sequence item %d: expected str instance, %s found", i, value.Type(x))
		}
		if i > 0 {
			b.WriteString(t)
		}
		if err := s.grow(len(t) + len(p)); err != nil {
			return nil, err
		}
		b.WriteString(p)
	}
	return b.String(), nil
}

func padder(name string) textMethod {
	return func(s *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 2); err != nil {
			return nil, err
		}
		n, ok := c.Args[0].(int64)
		if !ok {
			return nil, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(c.Args[0]))
		}
		fill := " "
		if len(c.Args) > 1 {
			fill, ok = asText(c.Args[1])
			if !ok || utf8.RuneCountInString(fill) != 1 {
				return nil, value.TypeErrorf("The fill character must be exactly one character long")
			}
		}
		return s.pad(t, n, fill, name)
	}
}

// pad fills a text up to a width.
func (s *state) pad(t string, width int64, fill, how string) (any, error) {
	n := width - int64(utf8.RuneCountInString(t))
	if n <= 0 {
		return t, nil
	}
	if err := s.grow(int(min(n, 1<<40))*len(fill) + len(t)); err != nil {
		return nil, err
	}
	left := int64(0)
	switch how {
	case "rjust":
		left = n
	case "center":
		left = n/2 + n&width&1 // an odd space goes to the left of an odd width
	}
	return strings.Repeat(fill, int(left)) + t + strings.Repeat(fill, int(n-left)), nil
}

func textZfill(s *state, t string, c *Call) (any, error) {
	if err := positional(c, "zfill", 1, 1); err != nil {
		return nil, err
	}
	n, ok := c.Args[0].(int64)
	if !ok {
		return nil, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(c.Args[0]))
	}
	sign := ""
	if t != "" && (t[0] == '+' || t[0] == '-') {
		sign, t = t[:1], t[1:]
		n--
	}
	v, err := s.pad(t, n, "0", "rjust")
	if err != nil {
		return nil, err
	}
	return sign + v.(string), nil
}

func textExpandTabs(s *state, t string, c *Call) (any, error) {
	a, err := c.Bind("expandtabs", 0, "tabsize")
	if err != nil {
		return nil, err
	}
	size := 8
	if n, ok := a[0].(int64); ok {
		size = int(min(max(n, 0), 1<<20))
	}
	if err := s.grow(strings.Count(t, "\t")*size + len(t)); err != nil {
		return nil, err
	}
	var b strings.Builder
	col := 0
	for _, r := range t {
		switch r {
		case '\t':
			if size > 0 {
				n := size - col%size
				b.WriteString(strings.Repeat(" ", n))
				col += n
			}
			continue
		case '\n', '\r':
			col = -1
		}
		b.WriteRune(r)
		col++
	}
	return b.String(), nil
}

func textFormat(s *state, t string, c *Call) (any, error) {
	return value.FormatFields(t, s.budget, func(first any, steps []value.FieldStep) (any, error) {
		switch k := first.(type) {
		case int64:
			if k >= int64(len(c.Args)) {
				return nil, value.Raise("IndexError", "tuple index out of range")
			}
			return s.follow(c.Args[k], steps)
		case string:
			for i, n := range c.Names {
				if n == k {
					return s.follow(c.Named[i], steps)
				}
			}
		}
		return nil, value.Raise("KeyError", "%s", value.Repr(first))
	})
}

func textFormatMap(s *state, t string, c *Call) (any, error) {
	if len(c.Args) != 1 {
		return nil, value.TypeErrorf("format_map() takes exactly one argument (%d given)", len(c.Args))
	}
	return value.FormatFields(t, s.budget, func(first any, steps []value.FieldStep) (any, error) {
		if m, ok := c.Args[0].(*value.Map); ok {
			if v, ok := m.Get(first); ok {
				return s.follow(v, steps)
			}
		}
		return nil, value.Raise("KeyError", "%s", value.Repr(first))
	})
}

// follow walks the steps of a format field, in the sandbox.
func (s *state) follow(v any, steps []value.FieldStep) (any, error) {
	for _, st := range steps {
		var err error
		if name, ok := st.Key.(string); ok && st.Attr {
			v, err = s.attr(v, name)
		} else {
			v, err = s.item(v, st.Key)
		}
		if err != nil {
			return nil, err
		}
		if v, err = s.resolve(v); err != nil {
			return nil, err
		}
	}
	if u, ok := v.(*Undefined); ok && u.Strict {
		return nil, u.err()
	}
	return v, nil
}

func textTranslate(s *state, t string, c *Call) (any, error) {
	if err := positional(c, "translate", 1, 1); err != nil {
		return nil, err
	}
	m, ok := c.Args[0].(*value.Map)
	if !ok {
		return nil, value.TypeErrorf("'%s' object is not subscriptable", value.Type(c.Args[0]))
	}
	var b strings.Builder
	for _, r := range t {
		v, ok := m.Get(int64(r))
		switch x := v.(type) {
		case nil:
			if !ok {
				b.WriteRune(r)
			}
		case int64:
			b.WriteRune(rune(x))
		case string:
			if err := s.grow(len(x)); err != nil {
				return nil, err
			}
			b.WriteString(x)
		}
	}
	return b.String(), s.grow(len(t))
}

func textMaketrans(s *state, _ string, c *Call) (any, error) {
	if err := positional(c, "maketrans", 1, 3); err != nil {
		return nil, err
	}
	out := value.NewMap(0)
	if m, ok := c.Args[0].(*value.Map); ok && len(c.Args) == 1 {
		for k, v := range m.All() {
			if t, ok := k.(string); ok {
				k = int64(firstRune(t))
			}
			out.Set(k, v)
		}
		return out, s.grow(32 * m.Len())
	}
	if len(c.Args) == 1 {
		return nil, value.TypeErrorf("if you give only one argument to maketrans it must be a dict")
	}
	from, err := textArg(c.Args[0], "maketrans() argument 1")
	if err != nil {
		return nil, err
	}
	to, err := textArg(c.Args[1], "maketrans() argument 2")
	if err != nil {
		return nil, err
	}
	f, r := []rune(from), []rune(to)
	if len(f) != len(r) {
		return nil, value.ValueErrorf("the first two maketrans arguments must have equal length")
	}
	for i := range f {
		out.Set(int64(f[i]), int64(r[i]))
	}
	if len(c.Args) > 2 {
		drop, err := textArg(c.Args[2], "maketrans() argument 3")
		if err != nil {
			return nil, err
		}
		for _, x := range drop {
			out.Set(int64(x), nil)
		}
	}
	return out, s.grow(32 * out.Len())
}
