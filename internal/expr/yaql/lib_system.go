package yaql

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

func systemLibrary() []*overload {
	let := fn("let", doLet).more(tAny)
	let.named = &param{}
	return []*overload{
		let,
		fn("with", doWith).more(tAny),
		mt("unpack", doUnpack, p("sequence", tIterable)).more(tStr),
		fn("def", doDef, p("name", tStr), p("func", tLambda)),
		mt("assert", doAssert, p("obj", tAny), p("condition", tLambda), opt("message", tStr, "Assertion failed")),
		fn("call", doCall, p("name", tStr), p("args", tSeq), p("kwargs", tMap), opt("receiver", tAny, skipped)),
		fn("#operator_and", doAnd, p("left", tLambda), p("right", tLambda)),
		fn("#operator_or", doOr, p("left", tLambda), p("right", tLambda)),
		fn("#unary_operator_not", func(f *frame) (any, error) { return !truth(f.args[0]), nil }, p("arg", tAny)),
		fn("bool", func(f *frame) (any, error) { return truth(f.args[0]), nil }, p("value", tAny)),
		fn("isBoolean", func(f *frame) (any, error) { _, ok := f.args[0].(bool); return ok, nil }, p("value", tAny)),
	}
}

func doLet(f *frame) (any, error) {
	sc := f.sc.child()
	sc.numbered(f.rest)
	for _, n := range f.named {
		sc.set(n.name, n.val)
	}
	return sc, f.ev.budget.Grow((len(f.rest) + len(f.named)) * wordSize)
}

func doWith(f *frame) (any, error) {
	sc := f.sc.child()
	sc.numbered(f.rest)
	return sc, f.ev.budget.Grow(len(f.rest) * wordSize)
}

// doUnpack takes one element more than there are names, to see that there are
// too many; without names an iterator loses its first element by that.
func doUnpack(f *frame) (any, error) {
	sc := f.sc.child()
	w := f.ev.walk(f.args[0])
	var items []any
	for len(items) <= len(f.rest) {
		v, ok, err := w()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		items = append(items, v)
	}
	if len(f.rest) > 0 {
		if len(items) != len(f.rest) {
			return nil, Raise("ValueError", "Cannot unpack %d elements into %d", len(items), len(f.rest))
		}
		for i, v := range items {
			sc.set(f.rest[i].(string), v)
		}
		return sc, nil
	}
	all, err := f.ev.collect(f.args[0])
	if err != nil {
		return nil, err
	}
	sc.numbered(all)
	return sc, f.ev.budget.Grow(len(all) * wordSize)
}

// doDef makes a function known in a new scope, which its body sees too.
func doDef(f *frame) (any, error) {
	sc := f.sc.child()
	body := &lambda{ev: f.ev, n: f.lambda(1).n, sc: sc}
	name := camelName(f.str(0))
	o := &overload{name: name, function: true, rest: &param{}, named: &param{}}
	o.do = func(g *frame) (any, error) {
		inner := body.sc.child()
		inner.numbered(g.rest)
		for _, n := range g.named {
			inner.set(n.name, n.val)
		}
		return body.callIn(inner)
	}
	sc.defs = map[string]*overload{name: o}
	f.ev.defs = true
	return sc, nil
}

// camelName is the name under which a function is registered: some_name becomes
// someName, and underscores at the end go. In #kind#some_name only the last part
// changes.
func camelName(s string) string {
	s = strings.TrimRight(s, "_")
	if s == "" {
		return s
	}
	prefix := ""
	if r, n := utf8.DecodeRuneInString(s); !unicode.IsLetter(r) {
		end := strings.IndexRune(s[n:], r)
		if end <= 0 {
			return s
		}
		prefix, s = s[:n+end+n], s[n+end+n:]
	}
	var b strings.Builder
	runes := []rune(s)
	for i := 0; i < len(runes); i++ {
		if i > 0 && runes[i] == '_' && i+1 < len(runes) && isWordRune(runes[i+1]) {
			i++
			b.WriteRune(unicode.ToUpper(runes[i]))
			continue
		}
		b.WriteRune(runes[i])
	}
	return prefix + b.String()
}

func doAssert(f *frame) (any, error) {
	obj := f.args[0]
	if isIterator(obj) {
		obj = f.ev.memorized(obj)
	}
	ok, err := f.lambda(1).call1(obj)
	if err != nil {
		return nil, err
	}
	if !truth(ok) {
		return nil, &Error{Kind: "AssertionError", Message: f.str(2)}
	}
	return obj, nil
}

func doCall(f *frame) (any, error) {
	items, err := f.ev.collect(f.args[1])
	if err != nil {
		return nil, err
	}
	var named []namedArg
	for k, v := range f.mapping(2).All() {
		name, ok := k.(string)
		if !ok {
			return nil, Raise("TypeError", "expected string or bytes-like object")
		}
		if r, _ := utf8.DecodeRuneInString(name); name == "" || strings.HasPrefix(name, "__") || !isWordRune(r) || unicode.IsDigit(r) {
			return nil, Raise("RuntimeError", "dictionary changed size during iteration")
		}
		named = append(named, namedArg{name, v})
	}
	return f.ev.call(f.str(0), f.args[3], append([]any(nil), items...), named, f.sc)
}

func doAnd(f *frame) (any, error) {
	v, err := f.lambda(0).call0()
	if err != nil || !truth(v) {
		return v, err
	}
	return f.lambda(1).call0()
}

func doOr(f *frame) (any, error) {
	v, err := f.lambda(0).call0()
	if err != nil || truth(v) {
		return v, err
	}
	return f.lambda(1).call0()
}

func branchingLibrary() []*overload {
	return []*overload{
		fn("switch", doSwitch).more(tLazyRule).rules(),
		fn("selectCase", doSelectCase).more(tLambda),
		fn("selectAllCases", doSelectAllCases).more(tLambda),
		fn("examine", doExamine).more(tLambda),
		mt("switchCase", doSwitchCase, p("case", tInt)).more(tLambda),
		fn("coalesce", doCoalesce).more(tLambda),
	}
}

func doSwitch(f *frame) (any, error) {
	for _, a := range f.rest {
		r := a.(*ruleNode)
		c, err := f.ev.eval(r.key, f.sc)
		if err != nil {
			return nil, err
		}
		if truth(c) {
			return f.ev.eval(r.val, f.sc)
		}
	}
	return nil, nil
}

func doSelectCase(f *frame) (any, error) {
	for i, a := range f.rest {
		v, err := a.(*lambda).call0()
		if err != nil {
			return nil, err
		}
		if truth(v) {
			return int64(i), nil
		}
	}
	return int64(len(f.rest)), nil
}

func doSelectAllCases(f *frame) (any, error) {
	i := 0
	return f.ev.newIter(func() (any, bool, error) {
		for i < len(f.rest) {
			v, err := f.rest[i].(*lambda).call0()
			if err != nil {
				return nil, false, err
			}
			i++
			if truth(v) {
				return int64(i - 1), true, nil
			}
		}
		return nil, false, nil
	})
}

func doExamine(f *frame) (any, error) {
	i := 0
	return f.ev.newIter(func() (any, bool, error) {
		if i == len(f.rest) {
			return nil, false, nil
		}
		v, err := f.rest[i].(*lambda).call0()
		i++
		return truth(v), true, err
	})
}

func doSwitchCase(f *frame) (any, error) {
	if len(f.rest) == 0 {
		return nil, nil
	}
	i := f.int(0)
	if i < 0 || i >= int64(len(f.rest)) {
		i = int64(len(f.rest) - 1)
	}
	return f.rest[i].(*lambda).call0()
}

func doCoalesce(f *frame) (any, error) {
	for _, a := range f.rest {
		v, err := a.(*lambda).call0()
		if err != nil || v != nil {
			return v, err
		}
	}
	return nil, nil
}

// commonLibrary has equality and the order of null, which is less than anything.
func commonLibrary() []*overload {
	out := []*overload{
		fn("*equal", func(f *frame) (any, error) { return f.ev.equal(f.args[0], f.args[1]) }, p("left", tAny), p("right", tAny)),
		fn("*not_equal", func(f *frame) (any, error) {
			same, err := f.ev.equal(f.args[0], f.args[1])
			return !same, err
		}, p("left", tAny), p("right", tAny)),
	}
	for _, o := range []struct {
		name                      string
		nullRight, nullLeft, both bool
	}{
		{"#operator_<", false, true, false},
		{"#operator_<=", false, true, true},
		{"#operator_>", true, false, false},
		{"#operator_>=", true, false, true},
	} {
		out = append(out,
			constant(o.name, o.nullRight, p("left", tObject), p("right", tNull)),
			constant(o.name, o.nullLeft, p("left", tNull), p("right", tObject)),
			constant(o.name, o.both, p("left", tNull), p("right", tNull)))
	}
	return out
}

func constant(name string, v bool, params ...param) *overload {
	return fn(name, func(*frame) (any, error) { return v, nil }, params...)
}

// stringOf is the function str, which defs may replace.
func (f *frame) stringOf(v any) (string, error) {
	if f.ev.defs {
		s, err := f.ev.call("str", skipped, []any{v}, nil, f.sc)
		if err != nil {
			return "", err
		}
		text, ok := s.(string)
		if !ok {
			return "", Raise("TypeError", "sequence item 0: expected str instance, %s found", shortClass(s))
		}
		return text, nil
	}
	return f.ev.yaqlText(v)
}

// yaqlText is YAQL's str(): null, true and false in YAQL's spelling, all else in
// Python's.
func (ev *evaluator) yaqlText(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case bool:
		if v {
			return "true", nil
		}
		return "false", nil
	}
	return ev.text(v)
}
