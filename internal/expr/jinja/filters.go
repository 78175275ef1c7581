package jinja

import (
	"hash/fnv"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

type filterFunc = func(s *state, a []any) (any, error)

// bound describes a filter with parameters: "do_replace" takes "s old new count",
// of which the first three are required. A plus sign before the name says that
// the original gets its environment as an argument before them.
func bound(py string, required int, params string, fn filterFunc) *builtin {
	name, hidden := strings.CutPrefix(py, "+")
	return &builtin{py: name, hidden: hidden, required: required, params: strings.Fields(params), fn: fn}
}

// free describes a filter that takes any arguments.
func free(py string, fn func(s *state, c *Call) (any, error)) *builtin {
	return &builtin{py: py, free: fn}
}

// builtinFilters returns Jinja's filters, in a map of its own.
func builtinFilters() map[string]*builtin {
	m := map[string]*builtin{
		"abs":            bound("abs", 1, "x", func(s *state, a []any) (any, error) { return value.Abs(a[0]) }),
		"attr":           bound("+do_attr", 2, "obj name", filterAttr),
		"batch":          bound("do_batch", 2, "value linecount fill_with", filterBatch),
		"capitalize":     bound("do_capitalize", 1, "s", onText(value.Capitalize)),
		"center":         bound("do_center", 1, "value width", filterCenter),
		"default":        bound("do_default", 1, "value default_value boolean", filterDefault),
		"dictsort":       bound("do_dictsort", 1, "value case_sensitive by reverse", filterDictsort),
		"escape":         bound("escape", 1, "s", filterEscape),
		"filesizeformat": bound("do_filesizeformat", 1, "value binary", filterFilesize),
		"first":          bound("+sync_do_first", 1, "seq", filterFirst),
		"float":          bound("do_float", 1, "value default", filterFloat),
		"forceescape":    bound("do_forceescape", 1, "value", filterForceEscape),
		"format":         free("do_format", filterFormat),
		"groupby":        bound("+sync_do_groupby", 2, "value attribute default case_sensitive", filterGroupby),
		"indent":         bound("do_indent", 1, "s width first blank", filterIndent),
		"int":            bound("do_int", 1, "value default base", filterInt),
		"items":          bound("do_items", 1, "value", filterItems),
		"join":           bound("+sync_do_join", 1, "value d attribute", filterJoin),
		"last":           bound("+do_last", 1, "seq", filterLast),
		"length":         bound("len", 1, "obj", func(s *state, a []any) (any, error) { return s.length(a[0]) }),
		"list":           bound("sync_do_list", 1, "value", filterList),
		"lower":          bound("do_lower", 1, "s", onText(value.Lower)),
		"map":            free("do_map", filterMap),
		"max":            bound("+do_max", 1, "value case_sensitive attribute", extreme(">")),
		"min":            bound("+do_min", 1, "value case_sensitive attribute", extreme("<")),
		"pprint":         bound("do_pprint", 1, "value", filterPprint),
		"random":         bound("+do_random", 1, "seq", filterRandom),
		"reject":         free("do_reject", chooser(false, false)),
		"rejectattr":     free("do_rejectattr", chooser(true, false)),
		"replace":        bound("+do_replace", 3, "s old new count", filterReplace),
		"reverse":        bound("do_reverse", 1, "value", filterReverse),
		"round":          bound("do_round", 1, "value precision method", filterRound),
		"safe":           bound("do_mark_safe", 1, "value", filterSafe),
		"select":         free("do_select", chooser(false, true)),
		"selectattr":     free("do_selectattr", chooser(true, true)),
		"slice":          bound("sync_do_slice", 2, "value slices fill_with", filterSlice),
		"sort":           bound("+do_sort", 1, "value reverse case_sensitive attribute", filterSort),
		"string":         bound("soft_str", 1, "s", filterString),
		"striptags":      bound("do_striptags", 1, "value", filterStriptags),
		"sum":            bound("+sync_do_sum", 1, "iterable attribute start", filterSum),
		"title":          bound("do_title", 1, "s", onText(titleWords)),
		"tojson":         bound("+do_tojson", 1, "value indent", filterToJSON),
		"trim":           bound("do_trim", 1, "value chars", filterTrim),
		"truncate":       bound("+do_truncate", 1, "s length killwords end leeway", filterTruncate),
		"unique":         bound("+sync_do_unique", 1, "value case_sensitive attribute", filterUnique),
		"upper":          bound("do_upper", 1, "s", onText(value.Upper)),
		"urlencode":      bound("do_urlencode", 1, "value", filterURLEncode),
		"urlize":         bound("+do_urlize", 1, "value trim_url_limit nofollow target rel extra_schemes", filterURLize),
		"wordcount":      bound("do_wordcount", 1, "s", filterWordcount),
		"wordwrap":       bound("+do_wordwrap", 1, "s width break_long_words wrapstring break_on_hyphens", filterWordwrap),
		"xmlattr":        bound("+do_xmlattr", 1, "d autospace", filterXMLAttr),
	}
	m["d"], m["e"], m["count"] = m["default"], m["escape"], m["length"]
	return m
}

// given says whether an argument was given, and is not None.
func given(v any) bool { return v != nil && v != Absent{} }

// flag is an argument's truth; absent ones are false.
func flag(v any) bool { return v != Absent{} && value.Truth(v) }

// integer is an argument that must be an integer, or def where it is absent.
func integer(v any, def int) (int, error) {
	switch v := v.(type) {
	case Absent:
		return def, nil
	case int64:
		return int(min(max(v, -1<<40), 1<<40)), nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	case *Undefined:
		return 0, v.err()
	}
	return 0, value.TypeErrorf("'%s' object cannot be interpreted as an integer", value.Type(v))
}

// onText makes a filter of a function of text, which safe text stays safe under.
func onText(f func(string) string) filterFunc {
	return func(s *state, a []any) (any, error) {
		t, err := s.str(a[0])
		if err == nil {
			err = s.grow(2 * len(t))
		}
		if err != nil {
			return nil, err
		}
		if _, safe := a[0].(Markup); safe {
			return Markup(f(t)), nil
		}
		return f(t), nil
	}
}

func filterAttr(s *state, a []any) (any, error) {
	name, ok := asText(a[1])
	if !ok {
		return nil, value.TypeErrorf("attribute name must be string, not '%s'", value.Type(a[1]))
	}
	switch x := a[0].(type) {
	case *value.Map:
		// Only attributes count here, never items.
		if _, ok := dictMethods[name]; !ok && !isDunder(x, name) {
			return s.env.undefinedMember(x, name), nil
		}
	case *Undefined:
		return nil, x.err()
	}
	return s.attr(a[0], name)
}

func filterBatch(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	n, err := integer(a[1], 0)
	if err != nil {
		return nil, err
	}
	if given(a[2]) && n > 0 {
		if err := s.grow(16 * n); err != nil {
			return nil, err
		}
	}
	var out []any
	var row []any
	for _, x := range items {
		if len(row) == n {
			out = append(out, &value.Array{Items: row})
			row = nil
		}
		row = append(row, x)
	}
	if len(row) > 0 {
		for given(a[2]) && len(row) < n {
			row = append(row, a[2])
		}
		out = append(out, &value.Array{Items: row})
	}
	return s.generator(out)
}

func filterSlice(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	n, err := integer(a[1], 0)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, value.Raise("ZeroDivisionError", "integer division or modulo by zero")
	}
	if err := s.grow(16 * max(n, 0)); err != nil {
		return nil, err
	}
	var out []any
	for i, at := 0, 0; i < n; i++ {
		size := len(items) / n
		extra := i < len(items)%n
		if extra {
			size++
		}
		row := append([]any(nil), items[at:at+size]...)
		at += size
		if given(a[2]) && !extra {
			row = append(row, a[2])
		}
		out = append(out, &value.Array{Items: row})
	}
	return s.generator(out)
}

func filterCenter(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err != nil {
		return nil, err
	}
	n, err := integer(a[1], 80)
	if err != nil {
		return nil, err
	}
	return s.pad(t, int64(n), " ", "center")
}

func filterDefault(_ *state, a []any) (any, error) {
	_, undefined := a[0].(*Undefined)
	if undefined || flag(a[2]) && !value.Truth(a[0]) {
		if a[1] == (Absent{}) {
			return "", nil
		}
		return a[1], nil
	}
	return a[0], nil
}

func filterEscape(s *state, a []any) (any, error) {
	if m, ok := a[0].(Markup); ok {
		return m, nil
	}
	return filterForceEscape(s, a)
}

func filterForceEscape(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err == nil {
		err = s.grow(6 * len(t))
	}
	return Markup(escape(t)), err
}

func filterSafe(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	return Markup(t), err
}

func filterString(s *state, a []any) (any, error) {
	if _, ok := asText(a[0]); ok {
		return a[0], nil
	}
	return s.str(a[0])
}

// length is len(v).
func (s *state) length(v any) (any, error) {
	if items, ok := value.Items(v); ok {
		return int64(len(items)), nil
	}
	switch v := v.(type) {
	case string:
		return int64(utf8.RuneCountInString(v)), nil
	case Markup:
		return int64(utf8.RuneCountInString(string(v))), nil
	case *value.Map:
		return int64(v.Len()), nil
	case *value.Set:
		return int64(v.Len()), nil
	case value.Bytes:
		return int64(len(v)), nil
	case *View:
		return int64(v.m.Len()), nil
	case *Range:
		return v.size(), nil
	case *loop:
		return int64(len(v.items)), nil
	case *Undefined:
		if v.Strict {
			return nil, v.err()
		}
		return int64(0), nil
	}
	return nil, value.TypeErrorf("object of type '%s' has no len()", value.Type(v))
}

func filterList(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	return s.list(append([]any(nil), items...))
}

func filterItems(s *state, a []any) (any, error) {
	switch m := a[0].(type) {
	case *Undefined:
		return s.generator(nil)
	case *value.Map:
		return s.generator((&View{m, "items"}).List())
	}
	return nil, value.TypeErrorf("Can only get item pairs from a mapping.")
}

func filterFirst(s *state, a []any) (any, error) {
	if it, ok := a[0].(*Iterator); ok && len(it.rest) > 0 {
		v := it.rest[0]
		it.rest = it.rest[1:]
		return v, nil
	}
	if t, ok := asText(a[0]); ok && t != "" {
		_, n := utf8.DecodeRuneInString(t)
		return t[:n], nil
	}
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return s.env.undefinedHint("No first item, sequence was empty."), nil
	}
	return items[0], nil
}

func filterLast(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if _, once := a[0].(*Iterator); once || err != nil && recoverable(err, "TypeError") {
		return nil, value.TypeErrorf("'%s' object is not reversible", value.Type(a[0]))
	}
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return s.env.undefinedHint("No last item, sequence was empty."), nil
	}
	return items[len(items)-1], nil
}

func filterRandom(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	if len(items) == 0 {
		return s.env.undefinedHint("No random item, sequence was empty."), nil
	}
	if s.env.o.Random != nil {
		return items[s.env.o.Random(len(items))], nil
	}
	b, err := value.AppendRepr(nil, value.List(items), s.budget)
	if err != nil {
		return nil, err
	}
	h := fnv.New64a()
	h.Write(b)
	return items[h.Sum64()%uint64(len(items))], nil
}

func filterReverse(s *state, a []any) (any, error) {
	if t, ok := asText(a[0]); ok {
		runes := []rune(t)
		for i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {
			runes[i], runes[j] = runes[j], runes[i]
		}
		return string(runes), s.grow(len(t))
	}
	items, err := s.iterate(a[0])
	if err != nil {
		if recoverable(err, "TypeError") {
			return nil, value.Raise("FilterArgumentError", "argument must be iterable")
		}
		return nil, err
	}
	name := "reversed"
	switch a[0].(type) {
	case value.List, *value.Array:
		name = "list_reverseiterator"
	case *value.Map:
		name = "dict_reversekeyiterator"
	case *Range:
		name = "range_iterator"
	case *Iterator, *value.Set:
		return s.list(reversed(items))
	}
	return &Iterator{name, reversed(items)}, s.grow(16 * len(items))
}

func filterFormat(s *state, c *Call) (any, error) {
	if len(c.Args) == 0 {
		return nil, missingArguments("do_format", []string{"'value'"})
	}
	f, err := s.str(c.Args[0])
	if err != nil {
		return nil, err
	}
	_, safe := c.Args[0].(Markup)
	var args any = value.Tuple(c.Args[1:])
	if len(c.Names) > 0 {
		if len(c.Args) > 1 {
			return nil, value.Raise("FilterArgumentError", "can't handle positional and keyword arguments at the same time")
		}
		m := value.NewMap(len(c.Names))
		for i, n := range c.Names {
			m.Set(n, c.Named[i])
		}
		args = m
	}
	t, err := s.percent(f, args, safe)
	if safe && err == nil {
		return Markup(t), nil
	}
	return t, err
}

func filterReplace(s *state, a []any) (any, error) {
	var t [3]string
	for i := range t {
		var err error
		if t[i], err = s.str(a[i]); err != nil {
			return nil, err
		}
	}
	count := -1
	if given(a[3]) {
		var err error
		if count, err = integer(a[3], -1); err != nil {
			return nil, err
		}
	}
	return s.replace(t[0], t[1], t[2], count)
}

func filterTrim(s *state, a []any) (any, error) {
	t, err := s.str(a[0])
	if err != nil {
		return nil, err
	}
	if !given(a[1]) {
		t = strings.TrimFunc(t, isSpace)
	} else {
		cut, ok := asText(a[1])
		if !ok {
			return nil, value.TypeErrorf("strip arg must be None or str")
		}
		t = strings.Trim(t, cut)
	}
	if _, safe := a[0].(Markup); safe {
		return Markup(t), nil
	}
	return t, nil
}

func filterJoin(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	sep := ""
	if a[1] != (Absent{}) {
		if sep, err = s.str(a[1]); err != nil {
			return nil, err
		}
	}
	get, err := s.getter(a[2], false, nil)
	if err != nil {
		return nil, err
	}
	var b []byte
	for i, x := range items {
		if x, err = get(x); err != nil {
			return nil, err
		}
		t, err := s.str(x)
		if err == nil {
			err = s.grow(len(t) + len(sep))
		}
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, sep...)
		}
		b = append(b, t...)
	}
	return string(b), nil
}

func filterSum(s *state, a []any) (any, error) {
	items, err := s.iterate(a[0])
	if err != nil {
		return nil, err
	}
	var total any = int64(0)
	if a[2] != (Absent{}) {
		total = a[2]
	}
	if _, ok := asText(total); ok {
		return nil, value.TypeErrorf("sum() can't sum strings [use ''.join(seq) instead]")
	}
	get, err := s.getter(a[1], false, nil)
	if err != nil {
		return nil, err
	}
	for _, x := range items {
		if x, err = get(x); err != nil {
			return nil, err
		}
		if total, err = s.arith("+", total, x); err != nil {
			return nil, err
		}
	}
	return total, nil
}
