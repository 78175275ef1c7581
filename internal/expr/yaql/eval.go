package yaql

import (
	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxDepth bounds how deep evaluation may be nested: expressions in functions in
// lambdas, and recursion of functions made by def.
const maxDepth = 2500

// evaluator is one evaluation. It serves one goroutine.
type evaluator struct {
	ctx    *Context
	budget *value.Budget
	std    map[string]group
	depth  int
	defs   bool // def was used, so that any name may have another meaning
}

// lambda is an argument that its function evaluates when, and as often as, it
// likes: a node in the scope it was written in, or a value given by call().
type lambda struct {
	ev *evaluator
	n  any
	sc *scope
}

func (l *lambda) node() (node, bool) {
	n, ok := l.n.(node)
	return n, ok
}

func (l *lambda) call0() (any, error) {
	if n, ok := l.node(); ok {
		return l.ev.eval(n, l.sc)
	}
	return l.n, nil
}

func (l *lambda) call1(a any) (any, error) {
	if n, ok := l.node(); ok {
		return l.ev.eval(n, &scope{parent: l.sc, n: 1, first: [2]any{a}})
	}
	return l.n, nil
}

func (l *lambda) call2(a, b any) (any, error) {
	if n, ok := l.node(); ok {
		return l.ev.eval(n, &scope{parent: l.sc, n: 2, first: [2]any{a, b}})
	}
	return l.n, nil
}

// callIn evaluates the lambda in a scope instead of its own.
func (l *lambda) callIn(sc *scope) (any, error) {
	if n, ok := l.node(); ok {
		return l.ev.eval(n, sc)
	}
	return l.n, nil
}

// eval evaluates a node. A byName call evaluated here is that of a function.
func (ev *evaluator) eval(n node, sc *scope) (any, error) {
	switch n := n.(type) {
	case *constNode:
		return n.val, nil
	case *varNode:
		return sc.get(n), nil
	}
	if err := ev.budget.Step(1); err != nil {
		return nil, err
	}
	if ev.depth >= maxDepth {
		return nil, &Error{Kind: "RecursionError", Message: "maximum recursion depth exceeded", Position: n.offset(), Err: value.ErrLimit}
	}
	ev.depth++
	v, err := ev.evalNode(n, sc)
	ev.depth--
	if err != nil {
		return nil, placed(err, n.offset())
	}
	return v, nil
}

func (ev *evaluator) evalNode(n node, sc *scope) (any, error) {
	switch n := n.(type) {
	case *wrapNode:
		return ev.eval(n.inner, sc)
	case *ruleNode:
		return ev.rule(n, sc)
	case *callNode:
		return ev.evalCall(n, sc)
	}
	return nil, Raise("TypeError", "unknown kind of expression")
}

func (ev *evaluator) rule(n *ruleNode, sc *scope) (any, error) {
	k, err := ev.eval(n.key, sc)
	if err != nil {
		return nil, err
	}
	v, err := ev.eval(n.val, sc)
	return &rule{k, v}, err
}

func (ev *evaluator) evalCall(n *callNode, sc *scope) (any, error) {
	switch n.op {
	case opDot, opSafeDot:
		return ev.dot(n, sc)
	case opAnd, opOr:
		left, err := ev.eval(n.args[0].(node), sc)
		if err != nil || truth(left) == (n.op == opOr) {
			return left, err
		}
		return ev.eval(n.args[1].(node), sc)
	case opNot:
		v, err := ev.eval(n.args[0].(node), sc)
		return !truth(v), err
	case opList:
		return ev.list(n, sc)
	case opMap:
		return ev.dict(n, sc)
	case opIndex:
		return ev.index(n, sc)
	case opInto:
		if _, ok := isConst(n.args[0]); ok {
			return nil, noMatch(n.name, skipped)
		}
		left, err := ev.eval(n.args[0].(node), sc)
		if err != nil {
			return nil, err
		}
		if inner, ok := left.(*scope); ok {
			return ev.eval(n.args[1].(node), inner)
		}
		return nil, noMatch(n.name, skipped)
	case opCall, opNeg, opPos:
		return ev.call(n.name, skipped, n.args, nil, sc)
	}
	return ev.binary(n, sc)
}

// binary evaluates the binary operators that have a short way for common types.
func (ev *evaluator) binary(n *callNode, sc *scope) (any, error) {
	if ev.defs || !quickOperand(n.args[0], n.op) || !quickOperand(n.args[1], n.op) {
		return ev.call(n.name, skipped, n.args, nil, sc)
	}
	a, err := ev.eval(n.args[0].(node), sc)
	if err != nil {
		return nil, err
	}
	b, err := ev.eval(n.args[1].(node), sc)
	if err != nil {
		return nil, err
	}
	return ev.operate(n.op, a, b, sc)
}

// quickOperand says whether an operand leaves some overload of the operator
// possible before it is evaluated; only constants can rule all of them out, and
// then the other operand must not be evaluated.
func quickOperand(n any, op opcode) bool {
	c, ok := isConst(n)
	if !ok || op == opEqual || op == opNotEqual {
		return true
	}
	switch c.val.(type) {
	case int64, float64:
		return op < opIn
	case string:
		return op == opAdd || op >= opLess && op <= opGreaterEqual || op == opMatch || op == opNotMatch
	}
	return false
}

// operatorNames are the functions behind the operators, by opcode.
var operatorNames = [...]string{
	opEqual: "*equal", opNotEqual: "*not_equal", opLess: "#operator_<", opLessEqual: "#operator_<=",
	opGreater: "#operator_>", opGreaterEqual: "#operator_>=", opAdd: "#operator_+", opSub: "#operator_-",
	opMul: "#operator_*", opDiv: "#operator_/", opMod: "#operator_mod", opIn: "#operator_in",
	opMatch: "#operator_=~", opNotMatch: "#operator_!~",
}

// operate applies a binary operator to values.
func (ev *evaluator) operate(op opcode, a, b any, sc *scope) (any, error) {
	if !ev.defs {
		switch op {
		case opEqual:
			return ev.equal(a, b)
		case opNotEqual:
			same, err := ev.equal(a, b)
			return !same, err
		}
		switch x := a.(type) {
		case int64:
			if y, ok := b.(int64); ok {
				if v, ok := quickInt(op, x, y); ok {
					return v, nil
				}
			}
		case string:
			if y, ok := b.(string); ok {
				if v, ok := quickString(op, x, y); ok {
					return v, nil
				}
			}
		}
	}
	return ev.call(operatorNames[op], skipped, []any{a, b}, nil, sc)
}

func quickInt(op opcode, x, y int64) (any, bool) {
	switch op {
	case opLess:
		return x < y, true
	case opLessEqual:
		return x <= y, true
	case opGreater:
		return x > y, true
	case opGreaterEqual:
		return x >= y, true
	case opAdd:
		s := x + y
		return s, (s > x) == (y > 0)
	case opSub:
		s := x - y
		return s, (s < x) == (y > 0)
	}
	return nil, false
}

func quickString(op opcode, x, y string) (any, bool) {
	switch op {
	case opLess:
		return x < y, true
	case opLessEqual:
		return x <= y, true
	case opGreater:
		return x > y, true
	case opGreaterEqual:
		return x >= y, true
	}
	return nil, false
}

// dot evaluates a.b, a.f() and their null-safe forms. Anything else to the right
// of the dot is refused before the left side is evaluated.
func (ev *evaluator) dot(n *callNode, sc *scope) (any, error) {
	method, isMethod := n.args[1].(*callNode)
	isMethod = isMethod && method.byName
	word, isWord := n.args[1].(*constNode)
	isWord = isWord && word.keyword
	if !isMethod && !isWord && n.op == opDot {
		return nil, noMatch("#operator_.", skipped)
	}
	recv, err := ev.eval(n.args[0].(node), sc)
	if err != nil {
		return nil, err
	}
	switch {
	case recv == nil && n.op == opSafeDot:
		return nil, nil
	case isMethod:
		v, err := ev.call(method.name, recv, method.args, nil, sc)
		if err != nil {
			return nil, placed(err, method.offset())
		}
		return v, nil
	case isWord:
		v, err := ev.property(recv, word.val.(string), sc)
		if err != nil {
			return nil, placed(err, word.offset())
		}
		return v, nil
	}
	return nil, noMatch("#operator_.", skipped)
}

// property evaluates a.word: the entry of a map, the same of every element, or a
// property of a date or span.
func (ev *evaluator) property(recv any, name string, sc *scope) (any, error) {
	if m, ok := asMap(recv); ok {
		if v, ok := m.Str(name); ok {
			return v, nil
		}
		return nil, KeyError(name)
	}
	if isIterable(recv) {
		src := ev.walk(recv)
		return ev.newIter(func() (any, bool, error) {
			x, ok, err := src()
			if !ok || err != nil {
				return nil, false, err
			}
			v, err := ev.property(x, name, sc)
			return v, err == nil, err
		}, recv)
	}
	return ev.call("#property#"+name, skipped, []any{recv}, nil, sc)
}

// onlyNodes says whether args are plain positional arguments.
func onlyNodes(args []any) bool {
	for _, a := range args {
		if a == any(skipped) {
			return false
		}
		if _, ok := a.(*ruleNode); ok {
			return false
		}
	}
	return true
}

func (ev *evaluator) list(n *callNode, sc *scope) (any, error) {
	if !onlyNodes(n.args) {
		return ev.call(n.name, skipped, n.args, nil, sc)
	}
	if err := ev.budget.Grow(len(n.args) * wordSize); err != nil {
		return nil, err
	}
	out := make(value.Tuple, len(n.args))
	for i, a := range n.args {
		v, err := ev.eval(a.(node), sc)
		if err != nil {
			return nil, err
		}
		out[i] = v
	}
	return out, nil
}

func (ev *evaluator) dict(n *callNode, sc *scope) (any, error) {
	for _, a := range n.args {
		if _, ok := a.(*ruleNode); !ok {
			return ev.call(n.name, skipped, n.args, nil, sc)
		}
	}
	m := value.NewMap(len(n.args))
	if err := ev.budget.Grow(len(n.args) * 2 * wordSize); err != nil {
		return nil, err
	}
	rules := make([]rule, 0, len(n.args))
	for _, a := range n.args {
		r := a.(*ruleNode)
		k, err := ev.eval(r.key, sc)
		if err != nil {
			return nil, err
		}
		v, err := ev.eval(r.val, sc)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule{k, v})
	}
	for _, r := range rules {
		if err := ev.hashable(r.key); err != nil {
			return nil, err
		}
		m.Set(r.key, r.val)
	}
	return m, nil
}

func (ev *evaluator) index(n *callNode, sc *scope) (any, error) {
	if _, ok := isConst(n.args[0]); ok || len(n.args) != 2 || !onlyNodes(n.args) {
		return ev.call(n.name, skipped, n.args, nil, sc)
	}
	base, err := ev.eval(n.args[0].(node), sc)
	if err != nil {
		return nil, err
	}
	key, err := ev.eval(n.args[1].(node), sc)
	if err != nil {
		return nil, err
	}
	if m, ok := asMap(base); ok {
		return ev.mapItem(m, key)
	}
	return ev.call(n.name, skipped, []any{base, key}, nil, sc)
}

func (ev *evaluator) mapItem(m *value.Map, key any) (any, error) {
	if err := ev.hashable(key); err != nil {
		return nil, err
	}
	if v, ok := m.Get(key); ok {
		return v, nil
	}
	return nil, KeyError(key)
}
