package e2e_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// TestAccessWithoutToken: on a loopback address the operator of the host needs no
// token, and nobody counts as the operator who comes through a proxy, from a web
// page, or under another name.
func TestAccessWithoutToken(t *testing.T) {
	t.Parallel()
	s := hayatetest.Start(t, hayatetest.Options{})
	_, port, _ := strings.Cut(s.Addr, ":")
	for _, c := range []struct {
		name   string
		header []string
		want   int
	}{
		{"the operator", nil, 200},
		{"by the name localhost", []string{"Host", "localhost:" + port}, 200},
		{"by the other loopback address", []string{"Host", "[::1]:" + port}, 200},
		{"by a name that was rebound to this host", []string{"Host", "evil.example.com"}, 401},
		{"by a name that begins like an address", []string{"Host", "127.0.0.1.evil.example.com"}, 401},
		{"a web page", []string{"Origin", "https://evil.example.com"}, 401},
		{"a web page of this host", []string{"Origin", s.URL}, 401},
		{"an image of a web page", []string{"Sec-Fetch-Site", "cross-site"}, 401},
		{"an image of a page of another port", []string{"Sec-Fetch-Site", "same-site"}, 401},
		{"an image, in an old browser", []string{"Referer", "https://evil.example.com/"}, 401},
		{"an address typed into a browser", []string{"Sec-Fetch-Site", "none"}, 200},
		{"a link of its own page", []string{"Sec-Fetch-Site", "same-origin", "Referer", s.URL + "/"}, 200},
		{"a proxy (Forwarded)", []string{"Forwarded", "for=192.0.2.1"}, 401},
		{"a proxy (X-Forwarded-For)", []string{"X-Forwarded-For", "192.0.2.1"}, 401},
		{"a proxy (X-Real-IP)", []string{"X-Real-IP", "192.0.2.1"}, 401},
		{"a proxy (Via)", []string{"Via", "1.1 proxy"}, 401},
		{"a wrong token", []string{"X-Auth-Token", "hyt_wrong"}, 401},
		{"an expired way of saying it", []string{"Authorization", "Bearer nothing"}, 401},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, path := range []string{"/api/v1/executions", "/v1/events"} {
				if r := s.Do(t, http.MethodGet, path, nil, c.header...); r.Status != c.want {
					t.Errorf("GET %s: status %d, want %d: %s", path, r.Status, c.want, r.Body)
				}
			}
			event := hayatetest.Event("/test/access", c.name, "test.any", "{}")
			r := s.Do(t, http.MethodPost, "/v1/events", event, append(c.header, "Content-Type", hayatetest.Structured)...)
			if (r.Status == http.StatusAccepted) != (c.want == 200) {
				t.Errorf("POST /v1/events: status %d", r.Status)
			}
		})
	}
	// Health checks tell no secrets and are asked by those who have no token.
	if r := s.Do(t, http.MethodGet, "/livez", nil, "X-Forwarded-For", "192.0.2.1"); r.Status != http.StatusOK {
		t.Errorf("/livez through a proxy: status %d", r.Status)
	}
}

// TestAccessWithToken: on any other address every call needs a token, which is
// stored hashed, revocable, and never logged.
func TestAccessWithToken(t *testing.T) {
	t.Parallel()
	local := hayatetest.Start(t, hayatetest.Options{})
	code, token, errs := local.CLI(t, "auth", "token", "create", "--user", "alice", "--note", "test")
	token = strings.TrimSpace(token)
	if code != 0 || len(token) < 20 {
		t.Fatalf("create a token: exit code %d, %q, %s", code, token, errs)
	}
	if err := local.Stop(); err != nil {
		t.Fatal(err)
	}
	s := hayatetest.Start(t, hayatetest.Options{Data: local.Data, Args: []string{"--listen", "0.0.0.0:0"}})
	_, port, _ := strings.Cut(s.Addr, "]:")
	if port == "" {
		_, port, _ = strings.Cut(s.Addr, ":")
	}
	s.URL = "http://127.0.0.1:" + port
	if r := s.Do(t, http.MethodGet, "/api/v1/executions", nil); r.Status != http.StatusUnauthorized {
		t.Errorf("without a token: status %d, want 401", r.Status)
	} else {
		var fault struct{ Faultstring string }
		if err := json.Unmarshal(r.Body, &fault); err != nil || fault.Faultstring == "" {
			t.Errorf("the refusal has not StackStorm's form: %s", r.Body)
		}
	}
	for _, header := range [][]string{{"X-Auth-Token", token}, {"St2-Api-Key", token}, {"Authorization", "Bearer " + token}} {
		if r := s.Do(t, http.MethodGet, "/api/v1/executions", nil, header...); r.Status != http.StatusOK {
			t.Errorf("with %s: status %d, %s", header[0], r.Status, r.Body)
		}
	}
	env := []string{"HAYATE_SERVER=" + s.URL, "HAYATE_TOKEN=" + token}
	code, out, errs := hayatetest.Run(t, env, "run", "core.noop", "-o", "json")
	if code != 0 || !strings.Contains(out, `"user": "alice"`) {
		t.Errorf("run with a token: exit code %d, %s%s", code, out, errs)
	}
	if code, _, errs := hayatetest.Run(t, env[:1], "execution", "list"); code != 4 || !strings.Contains(errs, "token") {
		t.Errorf("the command line without a token: exit code %d, want 4: %s", code, errs)
	}
	code, out, _ = hayatetest.Run(t, env, "auth", "token", "list", "-o", "json")
	if code != 0 || !strings.Contains(out, "alice") || strings.Contains(out, token) {
		t.Errorf("list tokens: exit code %d, %s", code, out)
	}
	var ids []struct{ ID string }
	if err := json.Unmarshal([]byte(out), &ids); err != nil || len(ids) != 1 {
		t.Fatalf("list tokens: %v in %s", err, out)
	}
	if code, _, errs := hayatetest.Run(t, env, "auth", "token", "delete", ids[0].ID); code != 0 {
		t.Errorf("delete the token: exit code %d, %s", code, errs)
	}
	if r := s.Do(t, http.MethodGet, "/api/v1/executions", nil, "X-Auth-Token", token); r.Status != http.StatusUnauthorized {
		t.Errorf("with a revoked token: status %d, want 401", r.Status)
	}
	if log := s.Log() + local.Log(); strings.Contains(log, token) {
		t.Error("the token is in the log")
	}
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	filesWithout(t, s.Data, token)
}

// filesWithout fails where a file below dir holds a text.
func filesWithout(t *testing.T, dir, text string) {
	t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		n++
		if strings.Contains(string(b), text) {
			t.Errorf("%s holds it in clear", path)
		}
		return err
	})
	if err != nil || n == 0 {
		t.Errorf("%d files were read, %v", n, err)
	}
}
