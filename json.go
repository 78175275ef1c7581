package hayate

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// The bounds of JSON that is taken in. Beyond them clients cannot read what the API
// shows them, however right it is: Python's decoder ends at 1 000 levels, which are
// wrapped in those of the answer, and at numbers of 4 300 digits.
const (
	MaxJSONDepth  = 500
	MaxJSONNumber = 1000 // characters
)

// CheckJSON says what keeps a valid JSON value from being read everywhere: bytes that
// are not UTF-8, or more than the bounds above. The error is of kind ErrInvalid. Of
// text that is not JSON it says nothing certain.
func CheckJSON(b []byte) error {
	if !utf8.Valid(b) {
		return fmt.Errorf("is not UTF-8: %w", ErrInvalid)
	}
	if err := boundJSON(b); err != nil {
		return fmt.Errorf("%w: %w", err, ErrInvalid)
	}
	return nil
}

var (
	errDepth  = errors.New("is nested deeper than 500 levels")
	errNumber = errors.New("has a number of more than 1000 characters")
)

// boundJSON looks at what stands outside of strings.
func boundJSON(b []byte) error {
	depth, number := 0, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			i = stringEnd(b, i)
			number = 0
		case c == '[' || c == '{':
			if depth++; depth > MaxJSONDepth {
				return errDepth
			}
			number = 0
		case c == ']' || c == '}':
			depth--
			number = 0
		case c >= '0' && c <= '9':
			if number++; number > MaxJSONNumber {
				return errNumber
			}
		case c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E': // inside a number, or a literal's letter
		default:
			number = 0
		}
	}
	return nil
}

// stringEnd is where the string that begins at i ends.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return i
}
