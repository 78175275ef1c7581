package jinja

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func (n *arithExpr) eval(s *state) (any, error) {
	l, err := n.l.eval(s)
	if err != nil {
		return nil, err
	}
	r, err := n.r.eval(s)
	if err != nil {
		return nil, err
	}
	if err = s.step(); err == nil {
		l, err = s.arith(n.op, l, r)
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return l, nil
}

// arith is l op r: arithmetic, and what +, * and % do with sequences.
func (s *state) arith(op string, l, r any) (any, error) {
	if value.IsNumber(l) && value.IsNumber(r) {
		return value.Arith(op, l, r)
	}
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok && op != "%" {
			return nil, u.err()
		}
	}
	switch op {
	case "+":
		return s.add(l, r)
	case "*":
		return s.repeat(l, r)
	case "%":
		if f, ok := asText(l); ok {
			_, safe := l.(Markup)
			t, err := s.percent(f, r, safe)
			if err != nil || !safe {
				return t, err
			}
			return Markup(t), nil
		}
	case "-":
		a, ok1 := l.(*value.Set)
		b, ok2 := r.(*value.Set)
		if ok1 && ok2 {
			return a.Minus(b), nil
		}
	}
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok {
			return nil, u.err()
		}
	}
	return nil, value.Unsupported(op, l, r)
}

func (s *state) add(l, r any) (any, error) {
	switch x := l.(type) {
	case string:
		switch y := r.(type) {
		case string:
			return x + y, s.grow(len(x) + len(y))
		case Markup:
			return Markup(escape(x)) + y, s.grow(2 * (len(x) + len(y)))
		}
		return nil, value.TypeErrorf("can only concatenate str (not %q) to str", value.Type(r))
	case Markup:
		if y, ok := asText(r); ok {
			if _, safe := r.(Markup); !safe {
				y = escape(y)
			}
			return x + Markup(y), s.grow(len(x) + len(y))
		}
	case value.Tuple:
		if y, ok := r.(value.Tuple); ok {
			return append(append(make(value.Tuple, 0, len(x)+len(y)), x...), y...), s.grow(16 * (len(x) + len(y)))
		}
		return nil, value.TypeErrorf("can only concatenate tuple (not %q) to tuple", value.Type(r))
	case value.List, *value.Array:
		a, _ := value.Items(l)
		if _, tuple := r.(value.Tuple); !tuple {
			if b, ok := value.Items(r); ok {
				return s.list(append(append(make([]any, 0, len(a)+len(b)), a...), b...))
			}
		}
		return nil, value.TypeErrorf("can only concatenate list (not %q) to list", value.Type(r))
	}
	return nil, value.Unsupported("+", l, r)
}

// repeat is a sequence times a number.
func (s *state) repeat(l, r any) (any, error) {
	seq, n := l, r
	if !isRepeatable(l) {
		seq, n = r, l
	}
	count, ok := n.(int64)
	if b, isBool := n.(bool); isBool {
		ok = true
		if b {
			count = 1
		}
	}
	items, isSeq := value.Items(seq)
	text, isText := asText(seq)
	if !isSeq && !isText {
		return nil, value.Unsupported("*", l, r)
	}
	if !ok {
		return nil, value.TypeErrorf("can't multiply sequence by non-int of type '%s'", value.Type(n))
	}
	count = max(count, 0)
	size := int64(len(text) + 16*len(items))
	if size > 0 && count > (1<<40)/size {
		count = (1 << 40) / size
	}
	if err := s.grow(int(size * count)); err != nil {
		return nil, err
	}
	if isText {
		t := strings.Repeat(text, int(count))
		if _, safe := seq.(Markup); safe {
			return Markup(t), nil
		}
		return t, nil
	}
	out := make([]any, 0, len(items)*int(count))
	if len(items) > 0 {
		for range count {
			out = append(out, items...)
		}
	}
	if _, tuple := seq.(value.Tuple); tuple {
		return value.Tuple(out), nil
	}
	return &value.Array{Items: out}, nil
}

func isRepeatable(v any) bool {
	_, ok := value.Items(v)
	return ok || isText(v)
}

// percent is format % args.
func (s *state) percent(format string, args any, safe bool) (string, error) {
	show := func(v any, repr bool) (string, error) {
		if u, ok := v.(*Undefined); ok && u.Strict && !repr {
			return "", u.err()
		}
		var t string
		if repr {
			t = value.Repr(v)
		} else {
			t = value.Str(v)
		}
		if safe {
			if _, ok := v.(Markup); !ok {
				t = escape(t)
			}
		}
		return t, nil
	}
	return value.Percent(format, args, s.budget, show)
}

var htmlEscapes = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", `"`, "&#34;")

// escape replaces the characters that mean something in HTML.
func escape(t string) string { return htmlEscapes.Replace(t) }
