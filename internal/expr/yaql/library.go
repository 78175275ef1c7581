package yaql

import (
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// group holds the overloads of one name.
type group struct {
	functions, methods []*overload
}

// standard is YAQL's own library.
var standard = library()

func library() map[string]group {
	lib := map[string]group{}
	for _, part := range [][]*overload{
		systemLibrary(), branchingLibrary(), commonLibrary(), mathLibrary(),
		stringLibrary(), searchLibrary(), regexLibrary(),
		listLibrary(), mapLibrary(), setLibrary(),
		queryLibrary(), selectLibrary(), groupLibrary(), generatorLibrary(),
		dateLibrary(), dateOperatorLibrary(),
	} {
		for _, o := range part {
			g := lib[o.name]
			if o.function {
				g.functions = append(g.functions, o)
			}
			if o.method {
				g.methods = append(g.methods, o)
			}
			lib[o.name] = g
		}
	}
	return lib
}

// fn is a function, mt a method, ext both.
func fn(name string, do func(*frame) (any, error), params ...param) *overload {
	return &overload{name: name, function: true, params: params, do: do}
}

func mt(name string, do func(*frame) (any, error), params ...param) *overload {
	return &overload{name: name, method: true, params: params, do: do}
}

func ext(name string, do func(*frame) (any, error), params ...param) *overload {
	return &overload{name: name, function: true, method: true, params: params, do: do}
}

// more makes an overload take further positional arguments.
func (o *overload) more(t ptype) *overload {
	o.rest = &param{typ: t}
	return o
}

// rules makes an overload take key => value as arguments instead of names.
func (o *overload) rules() *overload {
	o.noKwargs = true
	return o
}

// renamed is an overload under another name.
func (o *overload) renamed(name string) *overload {
	c := *o
	c.name = name
	return &c
}

// p is a parameter, opt one with a default.
func p(name string, t ptype) param { return param{name: name, typ: t} }

func opt(name string, t ptype, def any) param {
	return param{name: name, typ: t, opt: true, def: def}
}

// The arguments of a frame by their Go types. Types were checked before.

func (f *frame) str(i int) string { return f.args[i].(string) }

func (f *frame) bool(i int) bool { b, _ := f.args[i].(bool); return b }

// int is an integer argument, held within int64.
func (f *frame) int(i int) int64 { return clampInt(f.args[i]) }

// size is an integer argument that Python takes as a C size.
func (f *frame) size(i int) (int64, error) {
	if _, big := f.args[i].(*big.Int); big {
		return 0, Raise("OverflowError", "Python int too large to convert to C ssize_t")
	}
	return f.int(i), nil
}

// index is an integer argument that Python takes as an index or a repetition.
func (f *frame) index(i int, kind string) (int64, error) {
	if _, big := f.args[i].(*big.Int); big {
		return 0, &Error{Kind: kind, Message: "cannot fit 'int' into an index-sized integer"}
	}
	return f.int(i), nil
}

func (f *frame) lambda(i int) *lambda { l, _ := f.args[i].(*lambda); return l }

func (f *frame) mapping(i int) *value.Map { m, _ := asMap(f.args[i]); return m }

func clampInt(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case bool:
		if v {
			return 1
		}
	case *big.Int:
		if v.Sign() < 0 {
			return -1 << 61
		}
		return 1 << 61
	}
	return 0
}

// slice returns the bounds that Python's s[start:stop] means for length n.
func slice(n int, start, stop int64) (int, int) {
	fix := func(i int64) int {
		if i < 0 {
			i += int64(n)
		}
		return int(max(0, min(i, int64(n))))
	}
	a, b := fix(start), fix(stop)
	return a, max(a, b)
}
