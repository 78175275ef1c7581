package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
)

// statuses maps the kinds of error to HTTP. It is the only place that does.
var statuses = []struct {
	kind   error
	status int
	title  string
}{
	{hayate.ErrNotFound, http.StatusNotFound, "Not Found"},
	{hayate.ErrConflict, http.StatusConflict, "Conflict"},
	{hayate.ErrTooLarge, http.StatusRequestEntityTooLarge, "Too Large"},
	{hayate.ErrInvalid, http.StatusBadRequest, "Bad Request"},
	{errUnauthorized, http.StatusUnauthorized, "Unauthorized"},
	{hayate.ErrDenied, http.StatusForbidden, "Forbidden"},
	{errMediaType, http.StatusUnsupportedMediaType, "Unsupported Media Type"},
	{errSlow, http.StatusRequestTimeout, "Request Timeout"},
	{hayate.ErrBusy, http.StatusTooManyRequests, "Busy"},
	{context.DeadlineExceeded, http.StatusServiceUnavailable, "Unavailable"},
}

// Kinds of refusal that only HTTP knows.
var (
	errUnauthorized = errors.New("unauthorized")
	errMediaType    = errors.New("unsupported media type")
	errSlow         = errors.New("request timeout")
)

// fail answers an error: as StackStorm does below /api, as problem details
// (RFC 9457) elsewhere.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, title, kind := http.StatusInternalServerError, "Internal Server Error", error(nil)
	if most, yes := tooLarge(err); yes {
		err = fmt.Errorf("the body has more than %d bytes: %w", most, hayate.ErrTooLarge)
	}
	for _, k := range statuses {
		if errors.Is(err, k.kind) {
			status, title, kind = k.status, k.title, k.kind
			break
		}
	}
	switch {
	case r.Context().Err() != nil:
		s.Log.Debug("caller left", "method", r.Method, "path", r.URL.Path, "request_id", w.Header().Get("X-Request-ID"))
	case status >= 500:
		s.Log.Error("request failed", "method", r.Method, "path", r.URL.Path, "request_id", w.Header().Get("X-Request-ID"), "err", err)
	}
	if status == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	detail := message(err, kind)
	if strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, "/stream/") {
		if status == http.StatusUnauthorized {
			detail = "Unauthorized - " + detail
		}
		s.answer(w, status, map[string]string{"faultstring": detail})
		return
	}
	w.Header().Set("Content-Type", "application/problem+json")
	s.answer(w, status, struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Field  string `json:"field,omitempty"`
	}{"about:blank", title, status, detail, field(err)})
}

// message is an error's text without the name of its kind, as a sentence.
func message(err, kind error) string {
	text := err.Error()
	if kind != nil {
		bare := withoutKind(text, kind.Error(), "")
		if errors.Is(kind, hayate.ErrNotFound) && !strings.Contains(bare, kind.Error()) && !strings.Contains(bare, "exist") && !strings.HasPrefix(bare, "no ") {
			bare = withoutKind(text, kind.Error(), " "+kind.Error())
		}
		text = bare
	}
	text = strings.ReplaceAll(text, "\n", "; ")
	r, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToUpper(r)) + text[n:]
}

// withoutKind replaces a kind's name where it is a part of its own, and not where a
// sentence begins with the same word: "invalid character" stays.
func withoutKind(text, name, with string) string {
	var b strings.Builder
	for name = ": " + name; ; {
		i := strings.Index(text, name)
		if i < 0 {
			return b.String() + text
		}
		b.WriteString(text[:i])
		text = text[i+len(name):]
		if next, _ := utf8.DecodeRuneInString(text); next == ' ' || unicode.IsLetter(next) {
			b.WriteString(name)
		} else {
			b.WriteString(with)
		}
	}
}

// fieldError names the member of a request that is wrong.
type fieldError struct {
	field string
	err   error
}

func (e *fieldError) Error() string { return e.err.Error() }
func (e *fieldError) Unwrap() error { return e.err }

// wrong says that a member of the request is wrong.
func wrong(field, format string, args ...any) error {
	return &fieldError{field, fmt.Errorf("%s: %s: %w", field, fmt.Sprintf(format, args...), hayate.ErrInvalid)}
}

// field finds the member that an error is about: where a fieldError says so, or
// in a text that begins with an attribute's name.
func field(err error) string {
	var f *fieldError
	if errors.As(err, &f) {
		return f.field
	}
	text := err.Error()
	for _, k := range statuses {
		text = strings.TrimSuffix(text, ": "+k.kind.Error())
	}
	for _, part := range strings.Split(text, ": ") {
		if hayate.ValidAttributeName(part) && part != "json" { // the prefix of encoding/json
			return part
		}
	}
	return ""
}

// answer writes a value as JSON.
func (s *Server) answer(w http.ResponseWriter, status int, v any) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	b, err := plainJSON(v)
	if err != nil {
		s.Log.Error("encode answer", "err", err)
		status, b = http.StatusInternalServerError, []byte(`{"faultstring":"Internal Server Error"}`)
	}
	w.WriteHeader(status)
	if _, err := w.Write(append(b, '\n')); err != nil {
		s.Log.Debug("answer not delivered", "err", err) // the caller has gone away
	}
}

// plainJSON encodes a value with <, > and & as they are: answers are no part of a
// page, and people read them.
func plainJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// decode reads a JSON object from the body; an empty body is an empty object.
func decode(r *http.Request, into any) error {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(b)) == 0 {
		b = []byte("{}")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(into); err != nil {
		var t *json.UnmarshalTypeError
		if errors.As(err, &t) && t.Field != "" {
			return wrong(t.Field, "found %s, want %s", t.Value, t.Type)
		}
		return fmt.Errorf("Failed to parse request body: %v: %w", err, hayate.ErrInvalid)
	}
	if d.More() {
		return fmt.Errorf("Failed to parse request body: something follows the JSON value: %w", hayate.ErrInvalid)
	}
	return nil
}

func requestID() string {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
