package http_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	nethttp "net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/http"
	"golang.org/x/text/encoding/japanese"
)

// values are the members of a result.
type values struct {
	StatusCode int               `json:"status_code"`
	Body       json.RawMessage   `json:"body"`
	Parsed     bool              `json:"parsed"`
	Headers    map[string]string `json:"headers"`
	Error      string            `json:"error"`
	Traceback  *string           `json:"traceback"`
}

func (v values) body() string {
	var s string
	if json.Unmarshal(v.Body, &s) == nil {
		return s
	}
	return string(v.Body)
}

type object map[string]any

func raw(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func task(t testing.TB, runner, action object) hayate.Task {
	return hayate.Task{
		Action:           hayate.Action{Pack: "core", Name: "http", Runner: http.Name},
		RunnerParameters: raw(t, runner),
		Parameters:       raw(t, action),
	}
}

func run(t testing.TB, c http.Config, x hayate.Task) (hayate.Status, values) {
	t.Helper()
	return runWith(t, context.Background(), c, x)
}

func runWith(t testing.TB, ctx context.Context, c http.Config, x hayate.Task) (hayate.Status, values) {
	t.Helper()
	if c.Proxy == nil {
		c.Proxy = func(*nethttp.Request) (*url.URL, error) { return nil, nil }
	}
	res, err := http.New(c).Run(ctx, x, nil)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	var v values
	if err := json.Unmarshal(res.Value, &v); err != nil {
		t.Fatalf("result %s: %v", res.Value, err)
	}
	if res.Verified != (res.Status == hayate.StatusSucceeded) {
		t.Errorf("%s is verified: %v", res.Status, res.Verified)
	}
	return res.Status, v
}

func serve(t testing.TB, h nethttp.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// echo answers with what it was asked, as JSON.
func echo(w nethttp.ResponseWriter, r *nethttp.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "host": r.Host, "body": string(body), "header": r.Header,
	})
}

type asked struct {
	Method, URI, Host, Body string
	Header                  nethttp.Header
}

func (v values) asked(t testing.TB) asked {
	t.Helper()
	var a asked
	if err := json.Unmarshal(v.Body, &a); err != nil || !v.Parsed {
		t.Fatalf("body %s, parsed %v, error %q: %v", v.Body, v.Parsed, v.Error, err)
	}
	return a
}

func TestStatusCodes(t *testing.T) {
	at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		var code int
		fmt.Sscanf(r.URL.Path, "/%d", &code)
		w.Header().Set("Location", "/200")
		w.WriteHeader(code)
	})
	for code, want := range map[int]hayate.Status{200: "succeeded", 201: "succeeded", 204: "succeeded", 206: "succeeded",
		207: "failed", 226: "failed", 301: "failed", 302: "failed", 304: "failed", 400: "failed", 404: "failed", 500: "failed", 503: "failed"} {
		status, v := run(t, http.Config{}, task(t, object{"url": fmt.Sprintf("%s/%d", at, code)}, nil))
		if status != want || v.StatusCode != code || v.Parsed || v.body() != "" {
			t.Errorf("%d: %s, %+v, want %s", code, status, v, want)
		}
	}
}

func TestRequest(t *testing.T) {
	at := serve(t, echo)
	jsonType := object{"Content-Type": "application/json"}
	tests := []struct {
		name           string
		runner, action object
		method, body   string
		header, value  string
	}{
		{"GET without a body", nil, nil, "GET", "", "Accept", "*/*"},
		{"POST with a body", nil, object{"body": "x=ü"}, "POST", "x=ü", "Content-Type", ""},
		{"the method as given", nil, object{"method": "put", "body": "x"}, "PUT", "x", "Content-Length", "1"},
		{"an object is a form", nil, object{"body": object{"a": []any{1, "b c"}, "n": nil}}, "POST", "a=1&a=b+c", "Content-Type", "application/x-www-form-urlencoded"},
		{"JSON from an object", object{"headers": jsonType}, object{"body": object{"a": 1.5, "b": "<日>"}}, "POST", `{"a":1.5,"b":"\u003c日\u003e"}`, "Content-Type", "application/json"},
		{"JSON from a text", object{"headers": jsonType}, object{"body": `{"b": 1, "a": [true]}`}, "POST", `{"b":1,"a":[true]}`, "Content-Type", "application/json"},
		{"JSON from a Python literal", object{"headers": jsonType}, object{"body": `{'b': None, 'a': [True, 'it\'s']}`}, "POST", `{"b":null,"a":[true,"it's"]}`, "Content-Type", "application/json"},
		{"not exactly that type, not encoded", object{"headers": object{"content-type": "application/json; charset=utf-8"}}, object{"body": `{"b": 1}`}, "POST", `{"b": 1}`, "Content-Type", "application/json; charset=utf-8"},
		{"nothing is not encoded", object{"headers": jsonType}, nil, "GET", "", "Content-Type", "application/json"},
		{"header values are text", object{"headers": object{"X-N": 5, "X-Null": nil}}, nil, "GET", "", "X-N", "5"},
		{"the agent is ours", object{"headers": object{"user-agent": "me"}}, nil, "GET", "", "User-Agent", "hayate/1.2"},
		{"the action's name", nil, nil, "GET", "", "X-Stanley-Action", "http"},
		{"cookies", object{"cookies": object{"b": 1}, "headers": object{"Cookie": "a=0"}}, nil, "GET", "", "Cookie", "a=0; b=1"},
		{"username and password", object{"username": "u", "password": "pass:ü"}, nil, "GET", "", "Authorization", "Basic ********"},
		{"auth as text", nil, object{"auth": "u:p"}, "GET", "", "Authorization", "Basic dTpw"},
		{"auth as a list", nil, object{"auth": []string{"u", "p"}}, "GET", "", "Authorization", "Basic dTpw"},
		{"auth as an object", nil, object{"auth": object{"username": "u", "password": "p"}}, "GET", "", "Authorization", "Basic dTpw"},
		{"the runner's wins", object{"username": "only"}, object{"auth": "x:y"}, "GET", "", "Authorization", "Basic b25seTo="},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.runner == nil {
				tt.runner = object{}
			}
			tt.runner["url"] = at
			status, v := run(t, http.Config{Version: "1.2"}, task(t, tt.runner, tt.action))
			a := v.asked(t)
			if status != hayate.StatusSucceeded || a.Method != tt.method || a.Body != tt.body {
				t.Errorf("%s: %s %q, want %s %q", status, a.Method, a.Body, tt.method, tt.body)
			}
			if got := a.Header.Get(tt.header); got != tt.value {
				t.Errorf("%s: %q, want %q", tt.header, got, tt.value)
			}
		})
	}
}

func TestBasicAuthentication(t *testing.T) {
	at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "pass:ü" {
			w.WriteHeader(401)
		}
	})
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword("u", "pass:ü")
	for _, runner := range []object{{"url": at, "username": "u", "password": "pass:ü"}, {"url": u.String()}} {
		if status, v := run(t, http.Config{}, task(t, runner, nil)); status != hayate.StatusSucceeded {
			t.Errorf("%v: %s, %+v", runner, status, v)
		}
	}
}

func TestTarget(t *testing.T) {
	at := serve(t, echo)
	tests := []struct {
		path   string
		params any
		want   string
	}{
		{"/a%20b?x=1", nil, "/a%20b?x=1"},
		{"/a b?q=x y", nil, "/a%20b?q=x%20y"},
		{"/日本?語=あ", nil, "/%E6%97%A5%E6%9C%AC?%E8%AA%9E=%E3%81%82"},
		{"/p", json.RawMessage(`{"z":"1 2","a":["x","y"],"n":null,"b":true}`), "/p?z=1+2&a=x&a=y&b=True"},
		{"/p?c=0", "a=b c", "/p?c=0&a=b%20c"},
		{"", nil, "/"},
	}
	for _, tt := range tests {
		_, v := run(t, http.Config{}, task(t, object{"url": at + tt.path}, object{"params": tt.params}))
		if got := v.asked(t).URI; got != tt.want {
			t.Errorf("%s with %v: asked for %s, want %s", tt.path, tt.params, got, tt.want)
		}
	}
	_, v := run(t, http.Config{}, task(t, object{"url": at, "headers": object{"Host": "example.org"}}, nil))
	if got := v.asked(t).Host; got != "example.org" {
		t.Errorf("host %q, want example.org", got)
	}
}

func TestFile(t *testing.T) {
	at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		f, h, err := r.FormFile("report.csv")
		if err != nil {
			nethttp.Error(w, err.Error(), 400)
			return
		}
		content, _ := io.ReadAll(f)
		fmt.Fprintf(w, "%s %s %s %s %s", r.Method, h.Filename, h.Header.Get("Content-Type"), content, r.FormValue("note"))
	})
	action := object{"file_name": "report.csv", "file_content": "a,b\nあ,い", "file_content_type": "text/csv", "body": object{"note": "n"}}
	status, v := run(t, http.Config{}, task(t, object{"url": at}, action))
	if want := "POST report.csv text/csv a,b\nあ,い n"; status != hayate.StatusSucceeded || v.body() != want {
		t.Errorf("%s, %q, want %q", status, v.body(), want)
	}
	action["body"] = "text"
	if status, v := run(t, http.Config{}, task(t, object{"url": at}, action)); status != hayate.StatusFailed || !strings.Contains(v.Error, "form fields") {
		t.Errorf("a text beside a file: %s, %+v", status, v)
	}
}

func TestAnswer(t *testing.T) {
	sjis, err := japanese.ShiftJIS.NewEncoder().String("障害です")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, typ, body string
		want            string
		parsed          bool
	}{
		{"JSON", "application/json", " {\"a\": [1, 2.0]}\n", `{"a": [1, 2.0]}`, true},
		{"JSON with a charset", "application/json; charset=utf-8", `"あ"`, `"あ"`, true},
		{"JSON of another type", "application/problem+json", `{"a":1}`, `"{\"a\":1}"`, false},
		{"broken JSON", "application/json", `{"a":`, `"{\"a\":"`, false},
		{"no JSON at all", "application/json", "", `""`, false},
		{"Shift_JIS", "text/html; charset=Shift_JIS", sjis, `"障害です"`, false},
		{"text without a charset that is UTF-8", "text/plain", "障害", `"障害"`, false},
		{"text without a charset that is not", "text/plain", "caf\xe9", `"café"`, false},
		{"bytes", "application/octet-stream", "a\xff\x00b", `"a�\u0000b"`, false},
		{"an unknown charset", "text/plain; charset=klingon", "ok", `"ok"`, false},
		{"a byte order mark", "application/json", "\ufeff[1]", `[1]`, true},
	}
	for _, tt := range tests {
		at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			w.Header().Set("Content-Type", tt.typ)
			w.Header().Add("X-Two", "a")
			w.Header().Add("X-Two", "b")
			_, _ = io.WriteString(w, tt.body)
		})
		status, v := run(t, http.Config{}, task(t, object{"url": at}, nil))
		if status != hayate.StatusSucceeded || string(v.Body) != tt.want || v.Parsed != tt.parsed {
			t.Errorf("%s: %s, body %s, parsed %v, want %s, %v", tt.name, status, v.Body, v.Parsed, tt.want, tt.parsed)
		}
		if v.Headers["Content-Type"] != tt.typ || v.Headers["X-Two"] != "a, b" {
			t.Errorf("%s: headers %v", tt.name, v.Headers)
		}
	}
}

func TestCompressedAnswer(t *testing.T) {
	const text = `{"compressed":true}`
	pack := func(w io.WriteCloser, b *bytes.Buffer) []byte {
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	var gz, zl, fl bytes.Buffer
	bare, err := flate.NewWriter(&fl, 5)
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string][]byte{"gzip": pack(gzip.NewWriter(&gz), &gz), "deflate": pack(zlib.NewWriter(&zl), &zl), "bare": pack(bare, &fl)}
	for name, body := range bodies {
		at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("compression is not asked for")
			}
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", strings.Replace(name, "bare", "deflate", 1))
			_, _ = w.Write(body)
		})
		if _, v := run(t, http.Config{}, task(t, object{"url": at}, nil)); string(v.Body) != text {
			t.Errorf("%s: body %s, error %q", name, v.Body, v.Error)
		}
		if status, v := run(t, http.Config{}, task(t, object{"url": at}, object{"method": "HEAD"})); status != hayate.StatusSucceeded {
			t.Errorf("%s, HEAD: %s, %+v", name, status, v)
		}
	}
	at := serve(t, func(w nethttp.ResponseWriter, _ *nethttp.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not gzip")
	})
	if status, v := run(t, http.Config{}, task(t, object{"url": at}, nil)); status != hayate.StatusFailed || v.Error == "" {
		t.Errorf("broken compression: %s, %+v", status, v)
	}
}

func TestLargeAnswerIsBounded(t *testing.T) {
	at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `"`+strings.Repeat("あ", 1<<20)+`"`)
	})
	status, v := run(t, http.Config{}, task(t, object{"url": at}, nil))
	body := v.body()
	if status != hayate.StatusSucceeded || v.Parsed || len(body) > 1<<20+200 || !strings.HasPrefix(body, `"あ`) ||
		!strings.HasSuffix(body, "あ\n[hayate: the response is longer than 1048576 bytes; the rest is left out]") {
		t.Errorf("%s, parsed %v, %d bytes, end %q", status, v.Parsed, len(body), body[max(0, len(body)-90):])
	}
	if strings.Contains(body, "�") {
		t.Error("the cut fell into a character")
	}
	at = serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) { _, _ = io.WriteString(w, "1234567890") })
	if _, v := run(t, http.Config{MaxBody: 10}, task(t, object{"url": at}, nil)); v.body() != "1234567890" {
		t.Errorf("exactly at the bound: %q", v.body())
	}
}

func TestRedirects(t *testing.T) {
	var at string
	at = serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		switch r.URL.Path {
		case "/from":
			nethttp.Redirect(w, r, "/to", 302)
		case "/loop":
			nethttp.Redirect(w, r, "/loop", 302)
		case "/away":
			nethttp.Redirect(w, r, strings.Replace(at, "127.0.0.1", "localhost", 1)+"/to", 302)
		default:
			_, _ = io.WriteString(w, "arrived")
		}
	})
	status, v := run(t, http.Config{}, task(t, object{"url": at + "/from"}, nil))
	if status != hayate.StatusFailed || v.StatusCode != 302 || v.Headers["Location"] != "/to" {
		t.Errorf("by default: %s, %+v", status, v)
	}
	status, v = run(t, http.Config{}, task(t, object{"url": at + "/from", "allow_redirects": true}, nil))
	if status != hayate.StatusSucceeded || v.body() != "arrived" {
		t.Errorf("allowed: %s, %+v", status, v)
	}
	if status, v = run(t, http.Config{}, task(t, object{"url": at + "/loop", "allow_redirects": true}, nil)); status != hayate.StatusFailed || !strings.Contains(v.Error, "redirects") {
		t.Errorf("a loop: %s, %+v", status, v)
	}
	for _, list := range []object{{"url_hosts_blacklist": []string{"localhost"}}, {"url_hosts_whitelist": []string{"127.0.0.1"}}} {
		list["url"], list["allow_redirects"] = at+"/away", true
		if status, v = run(t, http.Config{}, task(t, list, nil)); status != hayate.StatusFailed || !strings.Contains(v.Error, "listed") {
			t.Errorf("to a forbidden host with %v: %s, %+v", list, status, v)
		}
	}
}

func TestMistakesInTheTask(t *testing.T) {
	at := serve(t, echo)
	closed := httptest.NewServer(nethttp.HandlerFunc(echo))
	closed.Close()
	jsonType := object{"Content-Type": "application/json"}
	tests := []struct {
		name           string
		runner, action object
		want           string
	}{
		{"no URL", object{}, nil, "url: must be specified"},
		{"no scheme", object{"url": "example.org/x"}, nil, "want http://"},
		{"another scheme", object{"url": "file:///etc/passwd"}, nil, "want http://"},
		{"a wrong URL", object{"url": "http://u:s3cret@h:port/"}, nil, "url: invalid port"},
		{"a URL of the wrong type", object{"url": 5}, nil, "read runner parameters"},
		{"a method of the wrong type", object{"url": at}, object{"method": 5}, "read parameters"},
		{"a wrong method", object{"url": at}, object{"method": "G ET"}, "method"},
		{"both lists", object{"url": at, "url_hosts_blacklist": []string{"a"}, "url_hosts_whitelist": []string{"b"}}, nil, "mutually exclusive"},
		{"a blacklisted host", object{"url": at, "url_hosts_blacklist": []string{"127.0.0.1"}}, nil, "is blacklisted"},
		{"a blacklisted IPv6 host", object{"url": "http://[::1]:80/", "url_hosts_blacklist": []string{"::1"}}, nil, "is blacklisted"},
		{"a host not whitelisted", object{"url": at, "url_hosts_whitelist": []string{"example.org"}}, nil, "is not whitelisted"},
		{"nobody listens", object{"url": closed.URL}, nil, "refused"},
		{"a body that is no JSON", object{"url": at, "headers": jsonType}, object{"body": "a b"}, "can't be parsed as JSON"},
		{"headers that are no object", object{"url": at, "headers": []int{1}}, nil, "headers: want an object"},
		{"a wrong header", object{"url": at, "headers": object{"a b": "c"}}, nil, "invalid header"},
		{"a wrong cookie", object{"url": at, "cookies": object{"a": "b;c"}}, nil, "is not a cookie"},
		{"a wrong proxy", object{"url": at, "http_proxy": "::"}, nil, "http_proxy"},
		{"a wrong auth", object{"url": at}, object{"auth": []int{1}}, "auth: want"},
	}
	for _, tt := range tests {
		status, v := run(t, http.Config{}, task(t, tt.runner, tt.action))
		if status != hayate.StatusFailed || !strings.Contains(v.Error, tt.want) || v.StatusCode != 0 || v.Traceback == nil {
			t.Errorf("%s: %s, %+v, want failed and %q", tt.name, status, v, tt.want)
		}
		if strings.Contains(v.Error, "s3cret") {
			t.Errorf("%s: the error tells a password: %s", tt.name, v.Error)
		}
	}
}

func TestAllowedHost(t *testing.T) {
	at := serve(t, echo)
	for _, runner := range []object{{"url_hosts_whitelist": []string{"127.0.0.1"}}, {"url_hosts_blacklist": []string{"example.org"}}} {
		runner["url"] = at
		if status, v := run(t, http.Config{}, task(t, runner, nil)); status != hayate.StatusSucceeded {
			t.Errorf("%v: %s, %+v", runner, status, v)
		}
	}
}

func TestTimeoutAndCancel(t *testing.T) {
	arrived, release := make(chan struct{}, 10), make(chan struct{})
	at := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.WriteHeader(200)
		_ = nethttp.NewResponseController(w).Flush()
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	status, v := run(t, http.Config{}, task(t, object{"url": at}, object{"timeout": 0.05}))
	if status != hayate.StatusTimeout || !strings.HasPrefix(v.Error, "no complete answer within 50ms") {
		t.Errorf("the parameter: %s, %+v", status, v)
	}
	x := task(t, object{"url": at}, nil)
	x.Timeout = 50 * time.Millisecond
	if status, v := run(t, http.Config{}, x); status != hayate.StatusTimeout {
		t.Errorf("the task's own: %s, %+v", status, v)
	}
	<-arrived
	<-arrived
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // ends with the third request
		<-arrived
		cancel()
	}()
	if status, v := runWith(t, ctx, http.Config{}, task(t, object{"url": at}, nil)); status != hayate.StatusCanceled || v.Error != "Action canceled." {
		t.Errorf("cancel: %s, %+v", status, v)
	}
}

func TestCertificates(t *testing.T) {
	s := httptest.NewUnstartedServer(nethttp.HandlerFunc(echo))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	for _, verify := range []any{nil, true} {
		if status, v := run(t, http.Config{}, task(t, object{"url": s.URL, "verify_ssl_cert": verify}, nil)); status != hayate.StatusFailed || !strings.Contains(v.Error, "certificate") {
			t.Errorf("verify_ssl_cert %v: %s, %+v", verify, status, v)
		}
	}
	if status, v := run(t, http.Config{}, task(t, object{"url": s.URL, "verify_ssl_cert": false}, nil)); status != hayate.StatusSucceeded {
		t.Errorf("not verified: %s, %+v", status, v)
	}
}

func TestProxy(t *testing.T) {
	proxy := serve(t, func(w nethttp.ResponseWriter, r *nethttp.Request) {
		fmt.Fprintf(w, "proxied %s", r.URL)
	})
	for _, setting := range []string{proxy, strings.TrimPrefix(proxy, "http://")} {
		_, v := run(t, http.Config{}, task(t, object{"url": "http://nowhere.invalid/x", "http_proxy": setting}, nil))
		if v.body() != "proxied http://nowhere.invalid/x" {
			t.Errorf("http_proxy %s: %+v", setting, v)
		}
	}
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	c := http.Config{Proxy: nethttp.ProxyURL(u)}
	if _, v := run(t, c, task(t, object{"url": "http://nowhere.invalid/y", "https_proxy": "http://unused.invalid"}, nil)); v.body() != "proxied http://nowhere.invalid/y" {
		t.Errorf("the environment's: %+v", v)
	}
}

func TestSecretsAreMasked(t *testing.T) {
	at := serve(t, echo)
	x := task(t, object{"url": at + "/?key=t0ken-1", "username": "u", "password": "pässword", "headers": object{"X-P": "t0ken-1"}}, object{"body": `pässword`})
	x.Secrets = []string{"t0ken-1"}
	status, v := run(t, http.Config{}, x)
	if got := string(v.Body); status != hayate.StatusSucceeded || strings.Contains(got, "t0ken-1") || strings.Contains(got, "sword") || !strings.Contains(got, "********") {
		t.Errorf("%s, body %s", status, got)
	}
	x = task(t, object{"url": "ftp://t0ken-1/"}, nil)
	x.Secrets = []string{"t0ken-1"}
	if _, v := run(t, http.Config{}, x); strings.Contains(v.Error, "t0ken") || !strings.Contains(v.Error, "********") {
		t.Errorf("error %q", v.Error)
	}
}

func TestNothingOutlivesRun(t *testing.T) {
	at := serve(t, echo)
	run(t, http.Config{}, task(t, object{"url": at}, nil))
	before := runtime.NumGoroutine()
	for range 100 {
		run(t, http.Config{}, task(t, object{"url": at}, object{"body": "x"}))
	}
	if after := runtime.NumGoroutine(); after > before+20 { // the server's own end a little later
		t.Errorf("%d goroutines, before 100 runs %d", after, before)
	}
}

func TestDescribe(t *testing.T) {
	d := http.New(http.Config{}).Describe()
	if len(d) != 1 || d[0].Name != "http-request" || d[0].OutputKey != "body" || !d[0].Asserts || d[0].NoEffect {
		t.Fatalf("Describe = %+v", d)
	}
	if p := d[0].Parameters.Get("url"); p == nil || !p.Required {
		t.Errorf("url = %+v", p)
	}
	if p := d[0].Parameters.Get("password"); p == nil || !p.Secret {
		t.Errorf("password = %+v", p)
	}
	if p := d[0].Parameters.Get("verify_ssl_cert"); p == nil || string(p.Default) != "true" {
		t.Errorf("verify_ssl_cert = %+v", p)
	}
}

func ExampleRunner_Run() {
	s := httptest.NewServer(nethttp.HandlerFunc(func(w nethttp.ResponseWriter, r *nethttp.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"you_are":%q}`, r.UserAgent())
	}))
	defer s.Close()
	res, err := http.New(http.Config{Version: "1.0"}).Run(context.Background(), hayate.Task{
		RunnerParameters: json.RawMessage(`{"url": "` + s.URL + `"}`),
	}, nil)
	var v struct{ Body json.RawMessage }
	if err == nil {
		err = json.Unmarshal(res.Value, &v)
	}
	fmt.Println(res.Status, string(v.Body), err)
	// Output: succeeded {"you_are":"hayate/1.0"} <nil>
}

// The reference lists every parameter.
func TestReferenceIsComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/runners.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## `"+http.Name+"`\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, p := range http.New(http.Config{}).Describe()[0].Parameters {
		if !strings.Contains(section, "\n| `"+p.Name+"` | "+p.Type) {
			t.Errorf("parameter %s (%s) is not listed", p.Name, p.Type)
		}
	}
}
