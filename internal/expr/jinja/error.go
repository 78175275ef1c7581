package jinja

import (
	"errors"
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Error is what goes wrong in a template, with the class and the text that
// Python shows, and where in the template it happened.
type Error struct {
	Class   string // TemplateSyntaxError, UndefinedError, TypeError, …
	Message string
	Line    int // counted from 1; 0 where it is not known
	Column  int
	// Err is the cause, where it came from a function or a limit.
	Err error
}

// Error returns "Class: message (line 1, column 4)".
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Class + ": " + e.Message
	}
	return fmt.Sprintf("%s: %s (line %d, column %d)", e.Class, e.Message, e.Line, e.Column)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// locate gives an error the place where it happened, unless it has one. An error
// that is no exception of Python's keeps its identity as the cause.
func locate(err error, p pos) error {
	var je *Error
	if errors.As(err, &je) {
		return err
	}
	var ve *value.Error
	if errors.As(err, &ve) {
		return &Error{Class: ve.Class, Message: ve.Message, Line: p.line, Column: p.col, Err: err}
	}
	if errors.Is(err, value.ErrLimit) {
		return &Error{Class: "LimitError", Message: err.Error(), Line: p.line, Column: p.col, Err: err}
	}
	return err
}

// pos is a place in a template.
type pos struct{ line, col int }

// Undefined is what a name or attribute leads to that is not there. It can be
// asked whether it is defined; most other uses are errors that say Hint.
type Undefined struct {
	Hint  string // "'x' is undefined"
	Class string // the error that using it raises: UndefinedError, SecurityError
	// Strict ones cannot even be printed or compared.
	Strict bool
}

// PyType is the name of the class.
func (u *Undefined) PyType() string {
	if u.Strict {
		return "StrictUndefined"
	}
	return "Undefined"
}

// PyRepr is "Undefined".
func (u *Undefined) PyRepr() string { return "Undefined" }

// PyStr is the empty text.
func (u *Undefined) PyStr() string { return "" }

// PyTruth is false.
func (u *Undefined) PyTruth() bool { return false }

// PyEqual says that all undefined values are equal.
func (u *Undefined) PyEqual(other any) bool {
	_, ok := other.(*Undefined)
	return ok
}

// HashKey is the same for all undefined values.
func (u *Undefined) HashKey() any { return Undefined{} }

// PyMapping says that % takes it for a mapping, as Python does with whatever has
// items.
func (u *Undefined) PyMapping() {}

// err is the error of using it.
func (u *Undefined) err() error { return value.Raise(u.Class, "%s", u.Hint) }

// undefinedName is what a name leads to that nobody defined.
func (e *Env) undefinedName(name string) *Undefined {
	return &Undefined{Hint: value.Repr(name) + " is undefined", Class: "UndefinedError", Strict: e.o.Strict}
}

// undefinedMember is what a missing attribute or item leads to.
func (e *Env) undefinedMember(obj, key any) *Undefined {
	u := &Undefined{Class: "UndefinedError", Strict: e.o.Strict}
	name, isText := asText(key)
	switch {
	case !isText:
		u.Hint = objectName(obj) + " has no element " + value.Repr(key)
	case obj == nil:
		u.Hint = "'None' has no attribute " + value.Repr(name)
	default:
		u.Hint = value.Repr(objectName(obj)) + " has no attribute " + value.Repr(name)
	}
	return u
}

// objectName is Jinja's name of a value in messages: "dict object".
func objectName(v any) string {
	if v == nil {
		return "None"
	}
	switch v := v.(type) {
	case *Undefined:
		return "jinja2.runtime.Undefined object"
	case value.Object:
		if n, ok := v.(interface{ JinjaName() string }); ok {
			return n.JinjaName()
		}
	}
	return value.Type(v) + " object"
}

func (e *Env) undefinedHint(format string, args ...any) *Undefined {
	return &Undefined{Hint: fmt.Sprintf(format, args...), Class: "UndefinedError", Strict: e.o.Strict}
}
