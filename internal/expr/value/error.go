package value

import (
	"errors"
	"fmt"
)

// Error is an error as Python would raise it: users of StackStorm see the class
// and the text in messages.
type Error struct {
	Class   string // TypeError, ValueError, …
	Message string // what str(exception) gives
}

// Error returns "Class: message".
func (e *Error) Error() string { return e.Class + ": " + e.Message }

// Raise makes an Error of the class.
func Raise(class, format string, args ...any) *Error {
	if len(args) > 0 {
		format = fmt.Sprintf(format, args...)
	}
	return &Error{Class: class, Message: format}
}

// TypeErrorf makes a TypeError.
func TypeErrorf(format string, args ...any) *Error { return Raise("TypeError", format, args...) }

// ValueErrorf makes a ValueError.
func ValueErrorf(format string, args ...any) *Error { return Raise("ValueError", format, args...) }

// ErrLimit says that an evaluation was stopped because it took more steps, or
// made more data, than it was allowed to.
var ErrLimit = errors.New("evaluation limit exceeded")

// Budget bounds one evaluation: how many steps it may take and how many bytes
// of data it may make. A nil Budget has no bounds. It serves one goroutine.
type Budget struct {
	steps, bytes int64
}

// NewBudget returns a budget of so many steps and bytes.
func NewBudget(steps, bytes int64) *Budget { return &Budget{steps: steps, bytes: bytes} }

// Step takes n steps off; it fails with ErrLimit once the steps are used up, and
// then always.
func (b *Budget) Step(n int) error {
	if b == nil {
		return nil
	}
	b.steps -= int64(n)
	if b.steps < 0 {
		b.steps = -1
		return fmt.Errorf("too many steps: %w", ErrLimit)
	}
	return nil
}

// Grow takes n bytes off; it fails with ErrLimit once the bytes are used up, and
// then always. It is called before the bytes are allocated.
func (b *Budget) Grow(n int) error {
	if b == nil {
		return nil
	}
	if n < 0 || int64(n) > b.bytes {
		b.bytes = -1
		return fmt.Errorf("too much data: %w", ErrLimit)
	}
	b.bytes -= int64(n)
	return nil
}

// Left tells how many steps and bytes remain.
func (b *Budget) Left() (steps, bytes int64) {
	if b == nil {
		return 1<<63 - 1, 1<<63 - 1
	}
	return max(b.steps, 0), max(b.bytes, 0)
}
