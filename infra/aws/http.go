package aws

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"

	"github.com/hayate-run/hayate"
)

// maxAnswer bounds an answer's body, in bytes: Lambda takes 6 MB, of which base64
// and the rest of the answer want their part.
const maxAnswer = 4 << 20

// HTTP answers the requests of a function URL or an HTTP API (payload version
// 2.0) with an http.Handler. Answers are whole: a stream ends with the
// invocation's time. It may be called at once from many goroutines.
type HTTP struct {
	base
	handler http.Handler
	prepare func(context.Context) error
}

// NewHTTP returns a function that hands requests to a handler. prepare, where it
// is not nil, is done before each request; it should be cheap when it was done before. It connects to nothing.
func NewHTTP(c FunctionConfig, handler http.Handler, prepare func(context.Context) error) (*HTTP, error) {
	b, err := newBase(c)
	if err != nil {
		return nil, err
	}
	if handler == nil {
		return nil, fmt.Errorf("lambda function: the handler is missing: %w", hayate.ErrInvalid)
	}
	if prepare == nil {
		prepare = func(context.Context) error { return nil }
	}
	return &HTTP{base: b, handler: handler, prepare: prepare}, nil
}

// Invoke answers one request.
func (f *HTTP) Invoke(ctx context.Context, payload json.RawMessage) (any, error) {
	t, id := newTally(f.c.Now()), requestID(ctx)
	defer f.report(t, id)
	ctx, cancel := beforeDeadline(ctx)
	defer cancel()
	r, err := requestOf(ctx, payload)
	if err != nil {
		return nil, err
	}
	t.add("Requests", 1)
	if r.URL.Path != "/livez" {
		err := f.load(ctx)
		if err == nil {
			err = f.prepare(ctx)
		}
		if err != nil {
			f.c.Log.Error("request refused", "request_id", id, "err", err)
			return problem(http.StatusServiceUnavailable, "the store is away; repeat in a few seconds"), nil
		}
	}
	w := &answer{header: http.Header{}}
	f.handler.ServeHTTP(w, r)
	if w.tooLarge {
		return problem(http.StatusInternalServerError, fmt.Sprintf("the answer has more than %d bytes; ask for less, with limit", maxAnswer)), nil
	}
	return w.response(), nil
}

// requestOf is the request that the payload describes.
func requestOf(ctx context.Context, payload []byte) (*http.Request, error) {
	var p events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(payload, &p); err != nil || p.RequestContext.HTTP.Method == "" {
		return nil, fmt.Errorf("want a request of a function URL or an HTTP API, payload version 2.0, found something else: %w", hayate.ErrInvalid)
	}
	body := []byte(p.Body)
	if p.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(p.Body); err != nil {
			return nil, fmt.Errorf("body: not base64 although isBase64Encoded says so: %w", hayate.ErrInvalid)
		}
	}
	u := &url.URL{Path: first(p.RawPath, "/"), RawQuery: p.RawQueryString}
	if plain, err := url.PathUnescape(u.Path); err == nil && plain != u.Path {
		u.Path, u.RawPath = plain, u.Path
	}
	if stage := p.RequestContext.Stage; stage != "" && stage != "$default" { // an HTTP API's stage is part of the path
		u.Path, u.RawPath = first(strings.TrimPrefix(u.Path, "/"+stage), "/"), ""
	}
	r, err := http.NewRequestWithContext(ctx, p.RequestContext.HTTP.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("request: %v: %w", err, hayate.ErrInvalid)
	}
	for k, v := range p.Headers {
		r.Header.Set(k, v)
	}
	if len(p.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(p.Cookies, "; "))
	}
	r.Host = first(r.Header.Get("Host"), p.RequestContext.DomainName)
	r.RequestURI = u.RequestURI()
	r.RemoteAddr = net.JoinHostPort(p.RequestContext.HTTP.SourceIP, "0")
	if r.Header.Get("X-Request-Id") == "" {
		r.Header.Set("X-Request-Id", p.RequestContext.RequestID)
	}
	return r, nil
}

// answer collects what a handler writes.
type answer struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	tooLarge bool
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if a.body.Len()+len(b) > maxAnswer {
		a.tooLarge = true
		return 0, io.ErrShortWrite
	}
	return a.body.Write(b)
}

// Flush does nothing: an answer goes out whole. Handlers that stream ask for it.
func (a *answer) Flush() {}

func (a *answer) response() events.APIGatewayV2HTTPResponse {
	a.WriteHeader(http.StatusOK)
	out := events.APIGatewayV2HTTPResponse{StatusCode: a.status, Headers: map[string]string{}, Cookies: a.header.Values("Set-Cookie")}
	for k, v := range a.header {
		if k != "Set-Cookie" {
			out.Headers[k] = strings.Join(v, ", ")
		}
	}
	if body := a.body.Bytes(); utf8.Valid(body) {
		out.Body = string(body)
	} else {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(body), true
	}
	return out
}

// problem is an answer that says what is wrong, in the form of RFC 9457.
func problem(status int, text string) events.APIGatewayV2HTTPResponse {
	b, err := json.Marshal(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "detail": text})
	if err != nil {
		panic(err) // texts and a number
	}
	h := map[string]string{"Content-Type": "application/problem+json"}
	if status == http.StatusServiceUnavailable {
		h["Retry-After"] = "5"
	}
	return events.APIGatewayV2HTTPResponse{StatusCode: status, Headers: h, Body: string(b)}
}
