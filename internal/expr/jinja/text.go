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
	"upper":        pure("upper", func(t string) any { return upper(t) }),
	"lower":        pure("lower", func(t string) any { return lower(t) }),
	"casefold":     pure("casefold", func(t string) any { return strings.ReplaceAll(lower(t), "ß", "ss") }),
	"capitalize":   pure("capitalize", func(t string) any { return capitalize(t) }),
	"title":        pure("title", func(t string) any { return titled(t) }),
	"swapcase":     pure("swapcase", func(t string) any { return swapcase(t) }),
	"isalnum":      pure("isalnum", func(t string) any { return all(t, isAlnum) }),
	"isalpha":      pure("isalpha", func(t string) any { return all(t, unicode.IsLetter) }),
	"isascii":      pure("isascii", func(t string) any { return isASCII(t) }),
	"isdecimal":    pure("isdecimal", func(t string) any { return all(t, func(r rune) bool { return value.DigitValue(r) >= 0 }) }),
	"isdigit":      pure("isdigit", func(t string) any { return all(t, isDigitRune) }),
	"isnumeric":    pure("isnumeric", func(t string) any { return all(t, unicode.IsNumber) }),
	"isspace":      pure("isspace", func(t string) any { return all(t, isSpace) }),
	"isprintable":  pure("isprintable", func(t string) any { return t == "" || all(t, unicode.IsPrint) }),
	"isidentifier": pure("isidentifier", func(t string) any { return all(t, isNameRune) && !unicode.IsNumber(firstRune(t)) }),
	"islower":      pure("islower", func(t string) any { return cased(t) && lower(t) == t }),
	"isupper":      pure("isupper", func(t string) any { return cased(t) && upper(t) == t }),
	"istitle":      pure("istitle", func(t string) any { return cased(t) && titled(t) == t }),
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

func firstRune(t string) rune {
	r, _ := utf8.DecodeRuneInString(t)
	return r
}

func all(t string, f func(rune) bool) bool {
	for _, r := range t {
		if !f(r) {
			return false
		}
	}
	return t != ""
}

func isAlnum(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }

// isDigitRune is Python's isdigit: decimal digits and superscripts.
func isDigitRune(r rune) bool {
	return value.DigitValue(r) >= 0 || strings.ContainsRune("²³¹⁰⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", r) || r >= '①' && r <= '⑨'
}

func cased(t string) bool {
	for _, r := range t {
		if unicode.IsUpper(r) || unicode.IsLower(r) || unicode.IsTitle(r) {
			return true
		}
	}
	return false
}

// upper is Python's str.upper, which knows that ß becomes two letters.
func upper(t string) string {
	if isASCII(t) {
		return strings.ToUpper(t)
	}
	return strings.NewReplacer("ß", "SS", "ﬁ", "FI", "ﬂ", "FL", "ﬀ", "FF", "ŉ", "ʼN").Replace(mapRunes(t, unicode.ToUpper, "ßﬁﬂﬀŉ"))
}

func mapRunes(t string, f func(rune) rune, but string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(but, r) {
			return r
		}
		return f(r)
	}, t)
}

// lower is Python's str.lower: a final sigma has a form of its own, İ two runes.
func lower(t string) string {
	if isASCII(t) {
		return strings.ToLower(t)
	}
	low := mapRunes(t, unicode.ToLower, "İΣ")
	if !strings.ContainsAny(low, "İΣ") {
		return low
	}
	var b strings.Builder
	var before rune
	for i, r := range low {
		switch r {
		case 'İ':
			b.WriteString("i̇")
		case 'Σ':
			next := firstRune(low[i+len("Σ"):])
			if unicode.IsLetter(before) && !unicode.IsLetter(next) {
				b.WriteRune('ς')
			} else {
				b.WriteRune('σ')
			}
		default:
			b.WriteRune(r)
		}
		before = r
	}
	return b.String()
}

func capitalize(t string) string {
	if t == "" {
		return t
	}
	_, n := utf8.DecodeRuneInString(t)
	return titleRune(t[:n]) + lower(t[n:])
}

func titleRune(t string) string {
	if t == "ß" {
		return "Ss"
	}
	return string(unicode.ToTitle(firstRune(t)))
}

// titled is Python's str.title: a letter behind a letter is small.
func titled(t string) string {
	var b strings.Builder
	inside := false
	for _, r := range t {
		isCased := unicode.IsLetter(r) && (unicode.ToLower(r) != r || unicode.ToUpper(r) != r || unicode.IsLower(r))
		switch {
		case inside:
			b.WriteString(lower(string(r)))
		case isCased:
			b.WriteString(titleRune(string(r)))
		default:
			b.WriteRune(r)
		}
		inside = isCased
	}
	return b.String()
}

func swapcase(t string) string {
	var b strings.Builder
	for _, r := range t {
		switch {
		case unicode.IsUpper(r):
			b.WriteString(lower(string(r)))
		case unicode.IsLower(r):
			b.WriteString(upper(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
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

func splitter(name string, split func(t string, sep string, most int) []string) textMethod {
	return func(s *state, t string, c *Call) (any, error) {
		a, err := c.Bind(name, 0, "sep", "maxsplit")
		if err != nil {
			return nil, err
		}
		most := -1
		if n, ok := a[1].(int64); ok {
			most = int(min(max(n, -1), 1<<30))
		}
		sep := ""
		if a[0] != nil && a[0] != (Absent{}) {
			x, ok := asText(a[0])
			if !ok {
				return nil, value.TypeErrorf("must be str or None, not %s", value.Type(a[0]))
			}
			if sep = x; sep == "" {
				return nil, value.ValueErrorf("empty separator")
			}
		}
		return s.texts(split(t, sep, most))
	}
}

// texts makes a list of strings.
func (s *state) texts(parts []string) (any, error) {
	items := make([]any, len(parts))
	n := 0
	for i, p := range parts {
		items[i] = p
		n += len(p)
	}
	if err := s.grow(n); err != nil {
		return nil, err
	}
	return s.list(items)
}

// splitText splits at sep, or at white space where sep is empty, at most so many
// times (any number where it is negative).
func splitText(t, sep string, most int) []string {
	if sep != "" {
		if most < 0 {
			return strings.Split(t, sep)
		}
		return strings.SplitN(t, sep, most+1)
	}
	var out []string
	t = strings.TrimLeftFunc(t, isSpace)
	for t != "" {
		i := strings.IndexFunc(t, isSpace)
		if i < 0 || most >= 0 && len(out) == most {
			if most >= 0 && len(out) == most {
				t = strings.TrimRightFunc(t, isSpace)
			}
			return append(out, t)
		}
		out = append(out, t[:i])
		t = strings.TrimLeftFunc(t[i:], isSpace)
	}
	return out
}

func rsplitText(t, sep string, most int) []string {
	if most < 0 {
		return splitText(t, sep, most)
	}
	var out []string
	if sep == "" {
		t = strings.TrimRightFunc(t, isSpace)
		for t != "" {
			i := strings.LastIndexFunc(t, isSpace)
			if i < 0 || len(out) == most {
				if len(out) == most {
					t = strings.TrimLeftFunc(t, isSpace)
				}
				out = append(out, t)
				break
			}
			_, n := utf8.DecodeRuneInString(t[i:])
			out = append(out, t[i+n:])
			t = strings.TrimRightFunc(t[:i], isSpace)
		}
	} else {
		for len(out) < most {
			i := strings.LastIndex(t, sep)
			if i < 0 {
				break
			}
			out = append(out, t[i+len(sep):])
			t = t[:i]
		}
		out = append(out, t)
	}
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

func textLines(s *state, t string, c *Call) (any, error) {
	a, err := c.Bind("splitlines", 0, "keepends")
	if err != nil {
		return nil, err
	}
	return s.texts(splitLines(t, a[0] != Absent{} && value.Truth(a[0])))
}

// splitLines splits at all of Unicode's line boundaries.
func splitLines(t string, keep bool) []string {
	var out []string
	for t != "" {
		i := strings.IndexAny(t, "\n\r\v\f\x1c\x1d\x1e\u0085\u2028\u2029")
		if i < 0 {
			return append(out, t)
		}
		_, n := utf8.DecodeRuneInString(t[i:])
		if strings.HasPrefix(t[i:], "\r\n") {
			n = 2
		}
		if keep {
			out = append(out, t[:i+n])
		} else {
			out = append(out, t[:i])
		}
		t = t[i+n:]
	}
	return out
}

func partition(name string, find func(t, x string) int) textMethod {
	return func(_ *state, t string, c *Call) (any, error) {
		if err := positional(c, name, 1, 1); err != nil {
			return nil, err
		}
		x, ok := asText(c.Args[0])
		if !ok {
			return nil, value.TypeErrorf("must be str, not %s", value.Type(c.Args[0]))
		}
		if x == "" {
			return nil, value.ValueErrorf("empty separator")
		}
		if i := find(t, x); i >= 0 {
			return value.Tuple{t[:i], x, t[i+len(x):]}, nil
		}
		if name == "rpartition" {
			return value.Tuple{"", "", t}, nil
		}
		return value.Tuple{t, "", ""}, nil
	}
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
