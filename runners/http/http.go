// Package http makes HTTP requests, as StackStorm's runner http-request does:
// parameters, results and statuses are theirs (spec: StackStorm 3.8,
// contrib/runners/http_runner). A status from 200 to 206 is a success, and since
// the server said so, a proved one.
package http

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// Name is the runner's name in action metadata.
const Name = "http-request"

const (
	// defaultTimeout is that of StackStorm's action parameter, in seconds.
	defaultTimeout = 60
	// maxRedirects is where following them ends.
	maxRedirects = 30
)

// Config says how requests are made. The zero value is usable.
type Config struct {
	// Version is what the User-Agent says: hayate/<version>. Default: "dev".
	Version string
	// MaxBody bounds what is kept of a response's body, decompressed, in bytes.
	// Default: 1 MiB.
	MaxBody int64
	// Proxy finds the proxy of a request that names none. Default: the
	// environment's (HTTP_PROXY, HTTPS_PROXY, NO_PROXY).
	Proxy func(*http.Request) (*url.URL, error)
	// Dial makes connections. Default: net.Dialer's.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Runner makes requests. It may be used at once from many goroutines.
type Runner struct {
	c Config
}

// New returns a Runner.
func New(c Config) *Runner {
	if c.Version == "" {
		c.Version = "dev"
	}
	if c.MaxBody <= 0 {
		c.MaxBody = 1 << 20
	}
	if c.Proxy == nil {
		c.Proxy = http.ProxyFromEnvironment
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{Timeout: 30 * time.Second}).DialContext
	}
	return &Runner{c: c}
}

// Describe returns the one runner type it serves.
func (*Runner) Describe() []hayate.Runner {
	return []hayate.Runner{{
		Name:        Name,
		Description: "Makes an HTTP request.",
		Aliases:     []string{"http-runner"},
		OutputKey:   "body",
		Asserts:     true,
		OutputSchema: json.RawMessage(`{"type":"object","properties":{"status_code":{"type":"integer"},` +
			`"body":{},"parsed":{"type":"boolean"},"headers":{"type":"object"}}}`),
		Parameters: hayate.Parameters{
			param("url", `{"type":"string","description":"Where the request goes.","required":true}`),
			param("headers", `{"type":"object","description":"Header fields to send."}`),
			param("cookies", `{"type":"object","description":"Cookies to send."}`),
			param("allow_redirects", `{"type":"boolean","description":"Follow redirects.","default":false}`),
			param("http_proxy", `{"type":"string","description":"URL of the proxy for http."}`),
			param("https_proxy", `{"type":"string","description":"URL of the proxy for https."}`),
			param("username", `{"type":"string","description":"User name for basic authentication."}`),
			param("password", `{"type":"string","description":"Password for basic authentication.","secret":true}`),
			param("verify_ssl_cert", `{"type":"boolean","description":"Check the server's certificate.","default":true}`),
			param("url_hosts_blacklist", `{"type":"array","description":"Hosts that are refused.","items":{"type":"string"}}`),
			param("url_hosts_whitelist", `{"type":"array","description":"The only hosts that are allowed.","items":{"type":"string"}}`),
		},
	}}
}

// param makes a parameter of its schema.
func param(name, schema string) hayate.Parameter {
	p := hayate.Parameter{Schema: json.RawMessage(schema)}
	if err := json.Unmarshal([]byte(schema), &p); err != nil {
		panic("http: schema of " + name + ": " + err.Error()) // a bug of this file
	}
	p.Name = name
	return p
}

// Run makes the request and waits for the whole response. What goes wrong with
// it is a failed result {error, traceback}, or {error} with status timeout or
// canceled; Run itself returns no error. It streams no output.
func (r *Runner) Run(ctx context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
	s, err := readSettings(t)
	m := mask.New(append(s.secrets(), t.Secrets...))
	if err != nil {
		return failure(m, err), nil
	}
	ctx, cancel := withBound(ctx, s, t)
	defer cancel()
	value, status, err := r.request(ctx, t, s)
	if err != nil {
		return r.judge(ctx, m, s, t, err), nil
	}
	res := hayate.Result{Status: hayate.StatusFailed, Value: m.JSON(value)}
	if status >= 200 && status <= 206 {
		res.Status, res.Verified = hayate.StatusSucceeded, true
	}
	return res, nil
}

// withBound bounds the attempt by the smaller of the action's parameter and the
// task's own bound.
func withBound(ctx context.Context, s settings, t hayate.Task) (context.Context, context.CancelFunc) {
	if d := s.bound(t); d > 0 {
		return context.WithTimeout(ctx, d)
	}
	return context.WithCancel(ctx)
}

// judge maps an error to StackStorm's statuses.
func (r *Runner) judge(ctx context.Context, m *mask.Masker, s settings, t hayate.Task, err error) hayate.Result {
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return hayate.Result{Status: hayate.StatusCanceled, Value: object("error", "Action canceled.")}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(ctx.Err(), context.DeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		text := "no complete answer"
		if d := s.bound(t); d > 0 {
			text += " within " + d.String()
		}
		return hayate.Result{Status: hayate.StatusTimeout, Value: object("error", m.String(text+": "+err.Error()))}
	}
	return failure(m, err)
}

func failure(m *mask.Masker, err error) hayate.Result {
	return hayate.Result{Status: hayate.StatusFailed, Value: object("error", m.String(err.Error()), "traceback", "")}
}

// object is a JSON object of texts.
func object(pairs ...string) json.RawMessage {
	b := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(append(b, jsonText(pairs[i])...), ':'), jsonText(pairs[i+1])...)
	}
	return append(b, '}')
}

func jsonText(s string) json.RawMessage {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// request sends the request and reads the answer.
func (r *Runner) request(ctx context.Context, t hayate.Task, s settings) (json.RawMessage, int, error) {
	u, err := s.target()
	if err != nil {
		return nil, 0, err
	}
	if err := s.allowed(u); err != nil {
		return nil, 0, err
	}
	req, err := r.build(ctx, t, s, u)
	if err != nil {
		return nil, 0, err
	}
	transport, err := r.transport(s)
	if err != nil {
		return nil, 0, err
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		switch {
		case !s.AllowRedirects:
			return http.ErrUseLastResponse
		case len(via) >= maxRedirects:
			return fmt.Errorf("more than %d redirects", maxRedirects)
		}
		return s.allowed(next.URL)
	}}
	resp, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer resp.Body.Close()
	value, err := r.answer(resp)
	return value, resp.StatusCode, err
}

// transport serves one attempt, so that no connection outlives it.
func (r *Runner) transport(s settings) (*http.Transport, error) {
	proxies := map[string]*url.URL{}
	for scheme, text := range map[string]string{"http": s.HTTPProxy, "https": s.HTTPSProxy} {
		if text == "" {
			continue
		}
		if !strings.Contains(text, "://") {
			text = "http://" + text
		}
		u, err := url.Parse(text)
		if err != nil || u.Host == "" {
			return nil, fmt.Errorf("%s_proxy: not the URL of a proxy", scheme)
		}
		proxies[scheme] = u
	}
	return &http.Transport{
		DialContext: r.c.Dial,
		Proxy: func(req *http.Request) (*url.URL, error) {
			if u := proxies[req.URL.Scheme]; u != nil {
				return u, nil
			}
			return r.c.Proxy(req)
		},
		// verify_ssl_cert: false is what the user asked for.
		TLSClientConfig:        &tls.Config{InsecureSkipVerify: s.Verify != nil && !*s.Verify, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    30 * time.Second,
		MaxResponseHeaderBytes: 1 << 20,
		DisableKeepAlives:      true,
		DisableCompression:     true, // decompressed here, whatever the caller accepts
		ForceAttemptHTTP2:      true,
	}, nil
}

// settings are the runner's parameters and the action's own.
type settings struct {
	URL            string          `json:"url"`
	Headers        json.RawMessage `json:"headers"`
	Cookies        json.RawMessage `json:"cookies"`
	AllowRedirects bool            `json:"allow_redirects"`
	HTTPProxy      string          `json:"http_proxy"`
	HTTPSProxy     string          `json:"https_proxy"`
	Username       string          `json:"username"`
	Password       string          `json:"password"`
	Verify         *bool           `json:"verify_ssl_cert"`
	Blacklist      []string        `json:"url_hosts_blacklist"`
	Whitelist      []string        `json:"url_hosts_whitelist"`

	action
}

// action are StackStorm's parameters of core.http that the runner understands.
type action struct {
	Method          string          `json:"method"`
	Body            json.RawMessage `json:"body"`
	Params          json.RawMessage `json:"params"`
	Auth            json.RawMessage `json:"auth"`
	Timeout         *float64        `json:"timeout"`
	FileName        string          `json:"file_name"`
	FileContent     string          `json:"file_content"`
	FileContentType string          `json:"file_content_type"`
}

func readSettings(t hayate.Task) (settings, error) {
	var s settings
	if len(t.RunnerParameters) > 0 {
		if err := json.Unmarshal(t.RunnerParameters, &s); err != nil {
			return s, fmt.Errorf("read runner parameters: %v", err)
		}
	}
	s.action = action{}
	if len(t.Parameters) > 0 {
		if err := json.Unmarshal(t.Parameters, &s.action); err != nil {
			return s, fmt.Errorf("read parameters: %v", err)
		}
	}
	if len(s.Blacklist) > 0 && len(s.Whitelist) > 0 {
		return s, errors.New(`"url_hosts_blacklist" and "url_hosts_whitelist" parameters are mutually exclusive. Only one should be provided.`)
	}
	return s, nil
}

// secrets are the password and the form it takes in a header.
func (s settings) secrets() []string {
	if s.Password == "" {
		return nil
	}
	return []string{s.Password, basic(s.Username, s.Password)}
}

// bound is the time that an attempt may take, 0 for no bound.
func (s settings) bound(t hayate.Task) time.Duration {
	seconds := float64(defaultTimeout)
	if s.Timeout != nil {
		seconds = max(0, *s.Timeout)
	}
	d := time.Duration(min(seconds, 1e9) * float64(time.Second))
	if t.Timeout > 0 && (d == 0 || t.Timeout < d) {
		d = t.Timeout
	}
	return d
}

// target reads the URL and adds the parameter params to its query.
func (s settings) target() (*url.URL, error) {
	if s.URL == "" {
		return nil, errors.New("url: must be specified")
	}
	u, err := url.Parse(strings.TrimSpace(s.URL))
	if err != nil {
		// The text of the error repeats the URL, which may hold a password.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, fmt.Errorf("url: %v", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("url %q: want http://host… or https://host…", u.Redacted())
	}
	u.RawQuery = escapeQuery(u.RawQuery)
	more, err := form(s.Params)
	if err != nil {
		return nil, fmt.Errorf("params: %v", err)
	}
	if more != "" {
		u.RawQuery = strings.TrimPrefix(u.RawQuery+"&"+more, "&")
	}
	return u, nil
}

// escapeQuery escapes what may not stand in a query; what is escaped stays.
func escapeQuery(q string) string {
	var b strings.Builder
	for i := 0; i < len(q); i++ {
		if c := q[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>`{}|\\^", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// allowed checks the URL's host, without port and brackets, against the lists.
func (s settings) allowed(u *url.URL) error {
	same := func(listed string) bool { return strings.EqualFold(strings.Trim(listed, "[]"), u.Hostname()) }
	if slices.ContainsFunc(s.Blacklist, same) {
		return fmt.Errorf("URL %q is blacklisted", u.Redacted())
	}
	if len(s.Whitelist) > 0 && !slices.ContainsFunc(s.Whitelist, same) {
		return fmt.Errorf("URL %q is not whitelisted", u.Redacted())
	}
	return nil
}
