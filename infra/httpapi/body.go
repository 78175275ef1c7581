package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/hayate-run/hayate"
)

// bounded is a request's body of at most limit bytes, whose errors say whose mistake
// they are: what arrives broken or too slowly is the sender's.
func bounded(w http.ResponseWriter, r *http.Request, limit int64) io.ReadCloser {
	return body{http.MaxBytesReader(w, r.Body, limit)}
}

type body struct{ io.ReadCloser }

func (b body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	_, large := tooLarge(err)
	switch {
	case err == nil || errors.Is(err, io.EOF) || large:
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fmt.Errorf("the body came too slowly: %w", errSlow)
	default:
		err = fmt.Errorf("read the body: %w: %w", err, hayate.ErrInvalid)
	}
	return n, err //nolint:wrapcheck // io.EOF is compared
}

// tooLarge recognises the error of a body beyond its bound, and gives the bound.
func tooLarge(err error) (int64, bool) {
	var m *http.MaxBytesError
	if !errors.As(err, &m) {
		return 0, false
	}
	return m.Limit, true
}
