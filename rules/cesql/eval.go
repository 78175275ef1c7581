package cesql

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// zero is the value of a part that could not be evaluated.
func (n *node) zero() Value {
	switch n.op {
	case "+", "-", "*", "/", "%", "negate":
		return integer(0)
	case "call":
		if n.fn != nil {
			return Value{kind: n.fn.result}
		}
	}
	return Value{}
}

func (n *node) fail(k ErrorKind, format string, args ...any) (Value, *Error) {
	return n.zero(), &Error{k, fmt.Sprintf(format, args...), n.at}
}

// eval evaluates a part. An operator whose operand fails yields its zero value
// and that error.
func (n *node) eval(a Attributes) (Value, *Error) {
	switch n.op {
	case "literal":
		return n.val, nil
	case "attribute":
		if v, ok := read(a, n.name); ok {
			return v, nil
		}
		return n.fail(ErrMissingAttribute, "the event has no attribute %s", n.name)
	case "EXISTS":
		_, ok := read(a, n.name)
		return boolean(ok), nil
	case "AND", "OR", "XOR":
		return n.logic(a)
	case "call":
		return n.call(a)
	case "IN":
		return n.in(a)
	}
	x, err := n.args[0].eval(a)
	if err != nil {
		return n.zero(), err
	}
	switch n.op {
	case "LIKE":
		return boolean(matchLike(n.like, x.String()) != n.not), nil
	case "NOT":
		b, err := n.cast(x, isBool)
		if err != nil {
			return Value{}, err
		}
		return boolean(b.num == 0), nil
	case "negate":
		i, err := n.cast(x, isInt)
		if err != nil {
			return n.zero(), err
		}
		return n.number(-int64(i.num))
	}
	y, err := n.args[1].eval(a)
	if err != nil {
		return n.zero(), err
	}
	switch n.op {
	case "=", "!=", "<>":
		x, err := n.cast(x, y.kind)
		if err != nil {
			return Value{}, err
		}
		return boolean((x == y) == (n.op == "=")), nil
	}
	x, err = n.cast(x, isInt)
	if err == nil {
		y, err = n.cast(y, isInt)
	}
	if err != nil {
		return n.zero(), err
	}
	return n.arithmetic(int64(x.num), int64(y.num))
}

func read(a Attributes, name string) (Value, bool) {
	if name == "data" {
		return Value{}, false
	}
	x, ok := a.Attribute(name)
	if !ok {
		return Value{}, false
	}
	switch x := x.(type) {
	case string:
		return textValue(x), true
	case bool:
		return boolean(x), true
	case int32:
		return integer(x), true
	}
	return textValue(fmt.Sprint(x)), true
}

// logic evaluates AND, OR and XOR; what need not be read is not.
func (n *node) logic(a Attributes) (Value, *Error) {
	var vals [2]bool
	for i := range vals {
		v, err := n.args[i].eval(a)
		if err == nil {
			v, err = n.cast(v, isBool)
		}
		if err != nil {
			return Value{}, err
		}
		vals[i] = v.num != 0
		if n.op == "AND" && !vals[i] || n.op == "OR" && vals[i] {
			return boolean(vals[i]), nil
		}
	}
	if n.op == "XOR" {
		return boolean(vals[0] != vals[1]), nil
	}
	return boolean(vals[1]), nil
}

func (n *node) in(a Attributes) (Value, *Error) {
	x, err := n.args[0].eval(a)
	if err != nil {
		return Value{}, err
	}
	for _, e := range n.args[1:] {
		y, err := e.eval(a)
		if err == nil {
			y, err = n.cast(y, x.kind)
		}
		if err != nil {
			return Value{}, err
		}
		if x == y {
			return boolean(!n.not), nil
		}
	}
	return boolean(n.not), nil
}

// cast turns a value into another type.
func (n *node) cast(v Value, to valueKind) (Value, *Error) {
	switch {
	case v.kind == to:
		return v, nil
	case to == isString:
		return textValue(v.String()), nil
	case v.kind != isString && to == isInt:
		return integer(v.num), nil
	case v.kind != isString:
		return boolean(v.num != 0), nil
	case to == isInt:
		if i, ok := parseInt(v.text); ok {
			return integer(i), nil
		}
		return integer(0), &Error{ErrCast, fmt.Sprintf("%q is not an integer", v.text), n.at}
	}
	switch {
	case strings.EqualFold(v.text, "true"):
		return boolean(true), nil
	case strings.EqualFold(v.text, "false"):
		return boolean(false), nil
	}
	return Value{}, &Error{ErrCast, fmt.Sprintf("%q is neither true nor false", v.text), n.at}
}

// parseInt reads a 32-bit integer with an optional sign and nothing around it.
func parseInt(s string) (int32, bool) {
	i, err := strconv.ParseInt(s, 10, 32)
	return int32(i), err == nil && !strings.Contains(s, "_")
}

func (n *node) arithmetic(x, y int64) (Value, *Error) {
	switch n.op {
	case "<":
		return boolean(x < y), nil
	case "<=":
		return boolean(x <= y), nil
	case ">":
		return boolean(x > y), nil
	case ">=":
		return boolean(x >= y), nil
	case "+":
		return n.number(x + y)
	case "-":
		return n.number(x - y)
	case "*":
		return n.number(x * y)
	}
	if y == 0 {
		return n.fail(ErrMath, "division by zero")
	}
	if n.op == "/" {
		return n.number(x / y)
	}
	return n.number(x % y)
}

// number gives an integer; one that does not fit is a math error.
func (n *node) number(x int64) (Value, *Error) {
	if x < math.MinInt32 || x > math.MaxInt32 {
		return n.fail(ErrMath, "%d is not a 32-bit integer", x)
	}
	return integer(int32(x)), nil
}
