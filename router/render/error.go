package render

import (
	"errors"
	"fmt"

	"github.com/hayate-run/hayate"
)

// Kind tells what part of rendering refused.
type Kind int

// The kinds. StackStorm keeps a failed execution for the first two and none for
// the others.
const (
	Graph     Kind = iota // a dependency is missing or circular
	Template              // a template could not be rendered
	Cast                  // a value does not fit its type
	Schema                // the whole does not fit the schema
	Immutable             // the caller gave a fixed parameter
)

// Error is a mistake in supplied parameters. It is an ErrInvalid.
type Error struct {
	Kind    Kind
	Message string
}

func (e *Error) Error() string { return e.Message }

// Unwrap makes it an ErrInvalid.
func (e *Error) Unwrap() error { return hayate.ErrInvalid }

// Recorded says whether StackStorm records a failed execution for it.
func (e *Error) Recorded() bool { return e.Kind == Graph || e.Kind == Template }

// Errorf makes an Error.
func Errorf(k Kind, format string, args ...any) *Error {
	return &Error{k, fmt.Sprintf(format, args...)}
}

// AsError finds the Error in an error's chain.
func AsError(err error) (*Error, bool) {
	var e *Error
	ok := errors.As(err, &e)
	return e, ok
}
