// Package cesql evaluates CloudEvents SQL expressions, version 1.0.0, over an
// event's attributes.
//
// It follows the text of the specification: characters are counted, not bytes;
// AND, OR and XOR have one precedence and associate to the left; an operator
// one of whose operands gives an error is not evaluated but yields the zero
// value of its type. Parse never panics, whatever the text.
package cesql

import (
	"fmt"
	"strconv"
)

// ErrorKind is a kind of error of the specification.
type ErrorKind string

// The kinds of error.
const (
	ErrParse              ErrorKind = "parse"
	ErrMath               ErrorKind = "math"
	ErrCast               ErrorKind = "cast"
	ErrMissingAttribute   ErrorKind = "missingAttribute"
	ErrMissingFunction    ErrorKind = "missingFunction"
	ErrFunctionEvaluation ErrorKind = "functionEvaluation"
)

// Error is what went wrong in an expression, and where.
type Error struct {
	Kind ErrorKind
	Text string
	// Offset is the byte of the expression, counted from 0.
	Offset int
}

// Error says "missingAttribute at 5: the event has no attribute x".
func (e *Error) Error() string { return fmt.Sprintf("%s at %d: %s", e.Kind, e.Offset, e.Text) }

// Value is a string, an integer or a boolean.
type Value struct {
	kind valueKind
	text string
	num  int32
}

type valueKind uint8

const (
	isBool valueKind = iota // the zero Value is false
	isInt
	isString
)

// Bool returns a boolean, and false where the value is none.
func (v Value) Bool() (b, ok bool) { return v.num != 0, v.kind == isBool }

// Int returns an integer, and false where the value is none.
func (v Value) Int() (int32, bool) { return v.num, v.kind == isInt }

// Text returns a string, and false where the value is none.
func (v Value) Text() (string, bool) { return v.text, v.kind == isString }

// String is the value cast to a string.
func (v Value) String() string {
	switch v.kind {
	case isString:
		return v.text
	case isInt:
		return strconv.Itoa(int(v.num))
	}
	return strconv.FormatBool(v.num != 0)
}

func boolean(b bool) Value {
	if b {
		return Value{num: 1}
	}
	return Value{}
}

func integer(n int32) Value    { return Value{kind: isInt, num: n} }
func textValue(s string) Value { return Value{kind: isString, text: s} }

// Attributes are what an expression sees of an event. Attribute returns a
// string, a bool or an int32 and true, or false where the event has no such
// attribute. Names are in lower case.
type Attributes interface {
	Attribute(name string) (any, bool)
}

// Expression is a parsed expression. It may be evaluated by many goroutines at
// once.
type Expression struct {
	text  string
	root  *node
	mixed bool
}

// String returns the expression as it was written.
func (x *Expression) String() string { return x.text }

// Mixed says that AND, OR and XOR stand side by side without parentheses: then
// engines differ in how they read it.
func (x *Expression) Mixed() bool { return x.mixed }

// Eval evaluates the expression. With an error the value is what the
// specification gives beside it, mostly the zero value of the type.
func (x *Expression) Eval(a Attributes) (Value, *Error) { return x.root.eval(a) }

// True says whether the expression, as a filter, lets an event pass: the result
// is the boolean TRUE and no error arose.
func (x *Expression) True(a Attributes) bool {
	v, err := x.Eval(a)
	return err == nil && v.kind == isBool && v.num != 0
}
