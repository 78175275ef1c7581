package yaql

import (
	"errors"
	"fmt"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Error is what is wrong with an expression or went wrong in it.
type Error struct {
	Kind     string // the class that the Python implementation raises: NoMatchingFunctionException, KeyError, …
	Message  string // the text of that exception
	Position int    // where in the expression, in characters; 0 where unknown
	Err      error  // the cause outside the language, such as value.ErrLimit
}

// Error returns "Kind: message".
func (e *Error) Error() string { return e.Kind + ": " + e.Message }

// Unwrap returns the cause outside the language.
func (e *Error) Unwrap() error { return e.Err }

// Raise makes an error of a class, for functions that callers add.
func Raise(kind, format string, args ...any) error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &Error{Kind: kind, Message: format}
}

// KeyError is Python's error for a missing key, whose text is the key's repr.
func KeyError(key any) error { return &Error{Kind: "KeyError", Message: repr(key)} }

// asError gives any error the form of this package.
func asError(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var v *value.Error
	if errors.As(err, &v) {
		return &Error{Kind: v.Class, Message: v.Message}
	}
	if errors.Is(err, value.ErrLimit) {
		return &Error{Kind: "LimitExceeded", Message: err.Error(), Err: err}
	}
	return &Error{Kind: "Exception", Message: err.Error(), Err: err}
}

// placed gives an error that has no position yet one. It does not change the
// error itself, which a function may return more than once.
func placed(err error, pos int) error {
	if e, ok := err.(*Error); ok && e.Position == 0 && pos > 0 {
		c := *e
		c.Position = pos
		return &c
	}
	return err
}

func unknownFunction(name string) error {
	return &Error{Kind: "NoFunctionRegisteredException", Message: `Unknown function "` + name + `"`}
}

func unknownMethod(name string, receiver any) error {
	return &Error{
		Kind:    "NoMethodRegisteredException",
		Message: fmt.Sprintf("Unknown method \"%s\" for receiver %s", name, shownReceiver(receiver)),
	}
}

func noMatch(name string, receiver any) error {
	if receiver == skipped {
		return &Error{Kind: "NoMatchingFunctionException", Message: `No function "` + name + `" matches supplied arguments`}
	}
	return &Error{
		Kind:    "NoMatchingMethodException",
		Message: fmt.Sprintf("No method \"%s\" for receiver %s matches supplied arguments", name, shownReceiver(receiver)),
	}
}

func ambiguous(name string, receiver any) error {
	if receiver == skipped {
		return &Error{Kind: "AmbiguousFunctionException", Message: `Ambiguous function "` + name + `"`}
	}
	return &Error{
		Kind:    "AmbiguousMethodException",
		Message: fmt.Sprintf("Ambiguous method \"%s\" for receiver %s", name, shownReceiver(receiver)),
	}
}

// maxShown bounds the text of a receiver in a message.
const maxShown = 64 << 10

func shownReceiver(v any) string {
	s := str(v)
	if len(s) > maxShown {
		return s[:maxShown] + "…"
	}
	return s
}
