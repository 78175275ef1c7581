package hayate

import "errors"

// The kinds of error. Callers ask with errors.Is and never compare text. One
// table maps them to HTTP statuses (infra/httpapi), one to exit codes
// (infra/cli).
var (
	// ErrNotFound says that the thing named does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that somebody else changed, claimed or finished it first,
	// or that it exists already.
	ErrConflict = errors.New("conflict")
	// ErrInvalid says that the request or document is wrong and will be wrong
	// again when repeated.
	ErrInvalid = errors.New("invalid")
	// ErrDenied says that the caller may not do this.
	ErrDenied = errors.New("denied")
	// ErrBusy says that a bound is reached or a dependency is away: repeat later.
	ErrBusy = errors.New("busy")
	// ErrTooLarge says that a size limit was exceeded.
	ErrTooLarge = errors.New("too large")
)
