package cesql

import (
	"math"
	"strings"
	"unicode"
	"unicode/utf8"
)

// function is a built-in function.
type function struct {
	params   []valueKind // of the fixed parameters
	optional int         // how many of the last ones may be left out
	variadic bool        // further strings may follow
	result   valueKind
	call     func(n *node, args []Value) (Value, *Error)
}

// functions are the built-in ones, by name in upper case.
var functions = map[string]*function{
	"LENGTH": {params: []valueKind{isString}, result: isInt, call: func(_ *node, a []Value) (Value, *Error) {
		return integer(int32(utf8.RuneCountInString(a[0].text))), nil
	}},
	"CONCAT": {variadic: true, result: isString, call: func(_ *node, a []Value) (Value, *Error) {
		return textValue(join(a, "")), nil
	}},
	"CONCAT_WS": {params: []valueKind{isString}, variadic: true, result: isString, call: func(_ *node, a []Value) (Value, *Error) {
		return textValue(join(a[1:], a[0].text)), nil
	}},
	"LOWER": {params: []valueKind{isString}, result: isString, call: func(_ *node, a []Value) (Value, *Error) {
		return textValue(strings.ToLower(a[0].text)), nil
	}},
	"UPPER": {params: []valueKind{isString}, result: isString, call: func(_ *node, a []Value) (Value, *Error) {
		return textValue(strings.ToUpper(strings.ReplaceAll(a[0].text, "ß", "SS"))), nil
	}},
	"TRIM": {params: []valueKind{isString}, result: isString, call: func(_ *node, a []Value) (Value, *Error) {
		return textValue(strings.TrimFunc(a[0].text, unicode.IsSpace)), nil
	}},
	"LEFT":      {params: []valueKind{isString, isInt}, result: isString, call: left},
	"RIGHT":     {params: []valueKind{isString, isInt}, result: isString, call: right},
	"SUBSTRING": {params: []valueKind{isString, isInt, isInt}, optional: 1, result: isString, call: substring},
	"ABS": {params: []valueKind{isInt}, result: isInt, call: func(n *node, a []Value) (Value, *Error) {
		switch x := a[0].num; {
		case x == math.MinInt32:
			return integer(math.MaxInt32), &Error{ErrMath, "the absolute value is not a 32-bit integer", n.at}
		case x < 0:
			return integer(-x), nil
		}
		return a[0], nil
	}},
	"INT":    {params: []valueKind{isInt}, result: isInt, call: same},
	"BOOL":   {params: []valueKind{isBool}, result: isBool, call: same},
	"STRING": {params: []valueKind{isString}, result: isString, call: same},
}

// same returns its argument: the cast has happened already.
func same(_ *node, a []Value) (Value, *Error) { return a[0], nil }

func join(a []Value, sep string) string {
	parts := make([]string, len(a))
	for i := range a {
		parts[i] = a[i].text
	}
	return strings.Join(parts, sep)
}

// call evaluates the arguments, casts them and calls the function.
func (n *node) call(a Attributes) (Value, *Error) {
	f := n.fn
	if f == nil {
		return n.fail(ErrMissingFunction, "there is no function %s", n.name)
	}
	if c := len(n.args); c < len(f.params)-f.optional || c > len(f.params) && !f.variadic {
		return Value{}, &Error{ErrMissingFunction, "there is no function " + n.name + " with so many parameters", n.at}
	}
	args := make([]Value, len(n.args))
	for i, x := range n.args {
		want := isString
		if i < len(f.params) {
			want = f.params[i]
		}
		v, err := x.eval(a)
		if err == nil {
			v, err = n.cast(v, want)
		}
		if err != nil {
			return n.zero(), err
		}
		args[i] = v
	}
	return f.call(n, args)
}

func (n *node) misused(v Value, text string) (Value, *Error) {
	return v, &Error{ErrFunctionEvaluation, text, n.at}
}

// cut returns the characters of s from the first up to the last one wanted.
func cut(s string, from, to int) string {
	start, end, k := len(s), len(s), 0
	for i := range s {
		if k == from {
			start = i
		}
		if k == to {
			end = i
			break
		}
		k++
	}
	return s[min(start, end):end]
}

func left(n *node, a []Value) (Value, *Error) {
	if a[1].num < 0 {
		return n.misused(a[0], "the length is negative")
	}
	return textValue(cut(a[0].text, 0, int(a[1].num))), nil
}

func right(n *node, a []Value) (Value, *Error) {
	if a[1].num < 0 {
		return n.misused(a[0], "the length is negative")
	}
	size := utf8.RuneCountInString(a[0].text)
	return textValue(cut(a[0].text, max(size-int(a[1].num), 0), size)), nil
}

func substring(n *node, a []Value) (Value, *Error) {
	s, at := a[0].text, int(a[1].num)
	size := utf8.RuneCountInString(s)
	length := size
	if len(a) == 3 {
		length = int(a[2].num)
	}
	switch {
	case at > size || -at > size:
		return n.misused(textValue(""), "the position is outside the string")
	case length < 0:
		return n.misused(textValue(""), "the length is negative")
	case at == 0:
		return textValue(""), nil
	case at < 0:
		at = size + at
	default:
		at--
	}
	return textValue(cut(s, at, min(at+length, size))), nil
}
