package jinja

import (
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func (n *constExpr) eval(*state) (any, error) { return n.v, nil }

// raw evaluates an expression but leaves a lazy value as it is.
func (s *state) raw(x expr) (any, error) {
	switch x := x.(type) {
	case *nameExpr:
		v, err := s.lookup(x.name)
		if err != nil {
			err = locate(err, x.pos)
		}
		return v, err
	case *attrExpr:
		return x.raw(s)
	case *itemExpr:
		return x.raw(s)
	}
	return x.eval(s)
}

func (n *nameExpr) eval(s *state) (any, error) {
	v, err := s.raw(n)
	if err != nil {
		return nil, err
	}
	return s.resolve(v)
}

func (n *nsExpr) eval(s *state) (any, error) { return s.env.undefinedName(n.name), nil }

func (s *state) evalAll(xs []expr) ([]any, error) {
	out := make([]any, len(xs))
	for i, x := range xs {
		v, err := x.eval(s)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, s.budget.Step(len(xs) + 1)
}

func (n *tupleExpr) eval(s *state) (any, error) {
	items, err := s.evalAll(n.items)
	if err == nil {
		err = s.grow(16 * len(items))
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return value.Tuple(items), nil
}

func (n *listExpr) eval(s *state) (any, error) {
	items, err := s.evalAll(n.items)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	v, err := s.list(items)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return v, nil
}

func (n *dictExpr) eval(s *state) (any, error) {
	m := value.NewMap(len(n.keys))
	if err := s.grow(32 * len(n.keys)); err != nil {
		return nil, locate(err, n.pos)
	}
	for i := range n.keys {
		k, err := n.keys[i].eval(s)
		if err != nil {
			return nil, err
		}
		v, err := n.vals[i].eval(s)
		if err != nil {
			return nil, err
		}
		if err := hashable(k); err != nil {
			return nil, locate(err, n.pos)
		}
		m.Set(plainKey(k), v)
	}
	return m, nil
}

// hashable refuses what cannot be a key.
func hashable(k any) error {
	if u, ok := k.(*Undefined); ok && u.Strict {
		return u.err()
	}
	return value.Hashable(k)
}

// plainKey turns safe text into text, so that maps find it.
func plainKey(k any) any {
	if m, ok := k.(Markup); ok {
		return string(m)
	}
	return k
}

func (n *condExpr) eval(s *state) (any, error) {
	t, err := n.test.eval(s)
	if err != nil {
		return nil, err
	}
	ok, err := s.truth(t)
	switch {
	case err != nil:
		return nil, locate(err, n.pos)
	case ok:
		return n.yes.eval(s)
	case n.no == nil:
		// Jinja uses the lenient class here, whatever is configured.
		return &Undefined{Hint: "the inline if-expression on line " + value.Repr(int64(n.line)) +
			" evaluated to false and no else section was defined.", Class: "UndefinedError"}, nil
	}
	return n.no.eval(s)
}

func (n *boolExpr) eval(s *state) (any, error) {
	l, err := n.l.eval(s)
	if err != nil {
		return nil, err
	}
	ok, err := s.truth(l)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	if ok == n.or {
		return l, nil
	}
	return n.r.eval(s)
}

func (n *notExpr) eval(s *state) (any, error) {
	x, err := n.x.eval(s)
	if err != nil {
		return nil, err
	}
	ok, err := s.truth(x)
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return !ok, nil
}

func (n *compareExpr) eval(s *state) (any, error) {
	l, err := n.first.eval(s)
	if err != nil {
		return nil, err
	}
	for i, op := range n.ops {
		r, err := n.rest[i].eval(s)
		if err != nil {
			return nil, err
		}
		if err := s.step(); err != nil {
			return nil, locate(err, n.pos)
		}
		ok, err := s.compare(op, l, r)
		if err != nil {
			return nil, locate(err, n.pos)
		}
		if !ok {
			return false, nil
		}
		l = r
	}
	return true, nil
}

func (s *state) compare(op string, l, r any) (bool, error) {
	switch op {
	case "==":
		return s.equal(l, r)
	case "!=":
		ok, err := s.equal(l, r)
		return !ok, err
	case "in":
		return s.contains(r, l)
	case "notin":
		ok, err := s.contains(r, l)
		return !ok, err
	}
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok {
			return false, u.err()
		}
	}
	if m, ok := r.(Markup); ok && isText(l) {
		r = string(m)
	}
	return value.Order(op, l, r)
}

func (s *state) equal(l, r any) (bool, error) {
	for _, v := range []any{l, r} {
		if u, ok := v.(*Undefined); ok && u.Strict {
			return false, u.err()
		}
	}
	return value.EqualWithin(l, r, s.budget)
}

// contains is "v in c".
func (s *state) contains(c, v any) (bool, error) {
	switch c := c.(type) {
	case string:
		return textIn(c, v)
	case Markup:
		return textIn(string(c), v)
	case *value.Map:
		if err := hashable(v); err != nil {
			return false, err
		}
		return c.Has(plainKey(v)), nil
	case *value.Set:
		if err := hashable(v); err != nil {
			return false, err
		}
		return c.Has(plainKey(v)), nil
	case *Undefined:
		if c.Strict {
			return false, c.err()
		}
		return false, nil
	}
	items, ok := value.Items(c)
	if !ok {
		if _, isIter := c.(iterable); !isIter {
			return false, value.TypeErrorf("argument of type '%s' is not iterable", value.Type(c))
		}
		var err error
		if items, err = s.iterate(c); err != nil {
			return false, err
		}
	}
	if err := s.budget.Step(len(items)/8 + 1); err != nil {
		return false, err
	}
	for _, x := range items {
		ok, err := s.equal(x, v)
		if err != nil || ok {
			return ok, err
		}
	}
	return false, nil
}

func textIn(c string, v any) (bool, error) {
	t, ok := asText(v)
	if !ok {
		if u, ok := v.(*Undefined); ok {
			if u.Strict {
				return false, u.err()
			}
		}
		return false, value.TypeErrorf("'in <string>' requires string as left operand, not %s", value.Type(v))
	}
	return strings.Contains(c, t), nil
}

func (n *concatExpr) eval(s *state) (any, error) {
	var b []byte
	for _, x := range n.items {
		v, err := x.eval(s)
		if err != nil {
			return nil, err
		}
		t, err := s.str(v)
		if err == nil {
			err = s.grow(len(t))
		}
		if err != nil {
			return nil, locate(err, n.pos)
		}
		b = append(b, t...)
	}
	return string(b), nil
}

func (n *signExpr) eval(s *state) (any, error) {
	x, err := n.x.eval(s)
	if err != nil {
		return nil, err
	}
	if u, ok := x.(*Undefined); ok {
		return nil, locate(u.err(), n.pos)
	}
	if n.minus {
		x, err = value.Neg(x)
	} else {
		x, err = value.Pos(x)
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return x, nil
}

func (n *attrExpr) eval(s *state) (any, error) {
	v, err := n.raw(s)
	if err != nil {
		return nil, err
	}
	return s.resolve(v)
}

func (n *attrExpr) raw(s *state) (any, error) {
	x, err := s.raw(n.x)
	if err != nil {
		return nil, err
	}
	if err = s.step(); err == nil {
		x, err = s.attr(x, n.name)
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return x, nil
}

func (n *itemExpr) eval(s *state) (any, error) {
	v, err := n.raw(s)
	if err != nil {
		return nil, err
	}
	return s.resolve(v)
}

func (n *itemExpr) raw(s *state) (any, error) {
	x, err := s.raw(n.x)
	if err != nil {
		return nil, err
	}
	k, err := n.key.eval(s)
	if err != nil {
		return nil, err
	}
	if err = s.step(); err == nil {
		if b, ok := k.(*bounds); ok {
			x, err = s.slice(x, b)
		} else {
			x, err = s.item(x, k)
		}
	}
	if err != nil {
		return nil, locate(err, n.pos)
	}
	return x, nil
}
