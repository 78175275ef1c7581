package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// address finds the server.
func (a *app) address() string {
	addr := a.named()
	if addr == "" {
		if b, err := os.ReadFile(filepath.Join(a.directory(), "listen")); err == nil {
			addr = strings.TrimSpace(string(b))
		}
	}
	if addr == "" {
		addr = "127.0.0.1:9101"
	}
	if !strings.Contains(addr, "://") {
		addr = "http://" + addr
	}
	return strings.TrimRight(addr, "/")
}

// named is the server that the caller chose, "" where that is left to the
// directory.
func (a *app) named() string {
	if a.server != "" {
		return a.server
	}
	if a.data != "" {
		return ""
	}
	return a.Getenv("HAYATE_SERVER")
}

// directory is where a server on this host keeps its data.
func (a *app) directory() string {
	if a.data != "" {
		return a.data
	}
	if dir := a.Getenv("HAYATE_DATA"); dir != "" {
		return dir
	}
	return "hayate-data"
}

// client returns a client of the server. A server on this host that nobody named
// by address is reached through the socket in its directory: whoever may open
// that is the operator, whatever the server listens on.
func (a *app) client(timeout time.Duration) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if a.named() == "" {
		socket := filepath.Join(a.directory(), ControlSocket)
		tcp := t.DialContext
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			var d net.Dialer
			if c, err := d.DialContext(ctx, "unix", socket); err == nil {
				return c, nil
			}
			return tcp(ctx, network, addr)
		}
	}
	return &http.Client{Timeout: timeout, Transport: t}
}

// ControlSocket is the name of the socket that a server keeps in its data
// directory for those who may read it.
const ControlSocket = "control.sock"

func (a *app) token() (string, error) {
	if a.tokenFile == "" {
		return a.Getenv("HAYATE_TOKEN"), nil
	}
	b, err := os.ReadFile(a.tokenFile)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// reply is a server's answer.
type reply struct {
	body  []byte
	total string // X-Total-Count
}

// call sends a request and returns the answer's body, or an error of the kind
// that the status means.
func (a *app) call(ctx context.Context, method, path string, query url.Values, body []byte, contentType string) (reply, error) {
	req, err := a.request(ctx, method, path, query, body, contentType)
	if err != nil {
		return reply{}, err
	}
	res, err := a.client(time.Minute).Do(req)
	if err != nil {
		return reply{}, a.unreachable(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, fmt.Errorf("read the answer of %s: %w", a.address(), err)
	}
	if res.StatusCode >= 400 {
		return reply{}, refusal(res.StatusCode, b)
	}
	return reply{b, res.Header.Get("X-Total-Count")}, nil
}

func (a *app) request(ctx context.Context, method, path string, query url.Values, body []byte, contentType string) (*http.Request, error) {
	u := a.address() + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, bytes.NewReader(body))
	if err != nil {
		return nil, usage("the server's address %q is not one: %v", a.address(), err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	req.Header.Set("User-Agent", "hayate/"+a.Version)
	t, err := a.token()
	if err != nil {
		return nil, err
	}
	if t != "" {
		req.Header.Set("Authorization", "Bearer "+t)
	}
	return req, nil
}

func (a *app) unreachable(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("no server answers at %s (%v). Start one with \"hayate up\", or name another with --server%w", a.address(), op.Err, silent{err})
	}
	return err
}

// refusal makes an error of a refused request.
func refusal(status int, body []byte) error {
	var p struct{ Faultstring, Detail string }
	text := strings.TrimSpace(string(body))
	if json.Unmarshal(body, &p) == nil && p.Faultstring+p.Detail != "" {
		text = p.Detail
		if p.Detail == "" || p.Faultstring != "" && !strings.Contains(p.Detail, p.Faultstring) {
			text = strings.TrimSuffix(p.Faultstring+": "+p.Detail, ": ")
		}
	}
	if text == "" {
		text = http.StatusText(status)
	}
	kind := error(nil)
	switch status {
	case http.StatusNotFound:
		kind = hayate.ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		kind = hayate.ErrDenied
	case http.StatusConflict:
		kind = hayate.ErrConflict
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		kind = hayate.ErrBusy
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		kind = hayate.ErrInvalid
	}
	if kind == nil {
		return fmt.Errorf("the server answered %d: %s", status, text)
	}
	if strings.Contains(text, kind.Error()) || strings.HasPrefix(strings.ToLower(text), "no ") {
		return fmt.Errorf("%s%w", text, silent{kind})
	}
	return fmt.Errorf("%s: %w", text, kind)
}

// silent is a kind of error that adds no words.
type silent struct{ kind error }

func (silent) Error() string   { return "" }
func (s silent) Unwrap() error { return s.kind }

// get reads a JSON value.
func (a *app) get(ctx context.Context, path string, query url.Values, into any) error {
	r, err := a.call(ctx, http.MethodGet, path, query, nil, "")
	if err != nil {
		return err
	}
	return decode(r.body, into)
}

// send posts or puts a JSON value and reads the answer.
func (a *app) send(ctx context.Context, method, path string, v, into any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	r, err := a.call(ctx, method, path, nil, b, "application/json")
	if err != nil || into == nil || len(r.body) == 0 {
		return err
	}
	return decode(r.body, into)
}
