package signature_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize/signature"
)

var (
	secret = []byte("a secret of the test")
	body   = []byte(`{"state":"障害"}`)
	now    = time.Unix(1_700_000_000, 0)
)

func code(h func() hash.Hash, text string) []byte {
	m := hmac.New(h, secret)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func TestHMAC(t *testing.T) {
	t.Parallel()
	sum := hex.EncodeToString(code(sha256.New, string(body)))
	tests := []struct {
		name   string
		scheme signature.Scheme
		header string
	}{
		{"the default is sha256 in hex", signature.Scheme{}, sum},
		{"upper case hex", signature.Scheme{}, strings.ToUpper(sum)},
		{"a prefix", signature.Scheme{Prefix: "sha256="}, "sha256=" + sum},
		{"sha1", signature.Scheme{Algorithm: "sha1"}, hex.EncodeToString(code(sha1.New, string(body)))},
		{"sha512 in base64", signature.Scheme{Algorithm: "sha512", Encoding: "base64"}, base64.StdEncoding.EncodeToString(code(sha512.New, string(body)))},
		{"base64 for URLs", signature.Scheme{Encoding: "base64"}, base64.RawURLEncoding.EncodeToString(code(sha256.New, string(body)))},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := signature.HMAC(tt.scheme, secret, body, tt.header); err != nil {
				t.Errorf("genuine: %v", err)
			}
			for what, err := range map[string]error{
				"another body":   signature.HMAC(tt.scheme, secret, append([]byte(" "), body...), tt.header),
				"another secret": signature.HMAC(tt.scheme, []byte("other"), body, tt.header),
				"no header":      signature.HMAC(tt.scheme, secret, body, ""),
				"half a header":  signature.HMAC(tt.scheme, secret, body, tt.header[:len(tt.header)/2]),
				"no secret":      signature.HMAC(tt.scheme, nil, body, tt.header),
			} {
				if !errors.Is(err, hayate.ErrDenied) {
					t.Errorf("%s: got %v, want ErrDenied", what, err)
				}
			}
		})
	}
}

func TestHMACRefusesUnknownSchemes(t *testing.T) {
	t.Parallel()
	for _, s := range []signature.Scheme{{Algorithm: "md5"}, {Encoding: "base32"}} {
		if err := signature.HMAC(s, secret, body, "00"); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%+v: got %v, want ErrInvalid", s, err)
		}
	}
}

// The known answer that GitHub gives its users to try their own code with.
func TestGitHubKnownAnswer(t *testing.T) {
	t.Parallel()
	const header = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	if err := signature.GitHub([]byte("It's a Secret to Everybody"), []byte("Hello, World!"), header); err != nil {
		t.Error(err)
	}
	if err := signature.GitHub([]byte("It's a Secret to Everybody"), []byte("Hello, World?"), header); !errors.Is(err, hayate.ErrDenied) {
		t.Errorf("changed body: got %v, want ErrDenied", err)
	}
}

func TestOfSources(t *testing.T) {
	t.Parallel()
	sum := hex.EncodeToString(code(sha256.New, string(body)))
	stamp := strconv.FormatInt(now.Unix(), 10)
	slack := "v0=" + hex.EncodeToString(code(sha256.New, "v0:"+stamp+":"+string(body)))
	hook := "v1," + base64.StdEncoding.EncodeToString(code(sha256.New, "msg_1."+stamp+"."+string(body)))
	tests := []struct {
		name string
		err  error
		ok   bool
	}{
		{"gitea", signature.Gitea(secret, body, sum), true},
		{"gitea with github's prefix", signature.Gitea(secret, body, "sha256="+sum), false},
		{"bitbucket", signature.Bitbucket(secret, body, "sha256="+sum), true},
		{"token", signature.Token(secret, string(secret)), true},
		{"token that only begins right", signature.Token(secret, string(secret[:5])), false},
		{"no token", signature.Token(secret, ""), false},
		{"no secret for a token", signature.Token(nil, ""), false},
		{"pagerduty, second of two", signature.PagerDuty(secret, body, "v1=00ff, v1="+sum), true},
		{"pagerduty, unknown version", signature.PagerDuty(secret, body, "v2="+sum), false},
		{"circleci", signature.CircleCI(secret, body, "v1="+sum), true},
		{"slack", signature.Slack(secret, body, stamp, slack, now.Add(time.Minute), 0), true},
		{"slack, recorded", signature.Slack(secret, body, stamp, slack, now.Add(6*time.Minute), 0), false},
		{"slack, from the future", signature.Slack(secret, body, stamp, slack, now.Add(-6*time.Minute), 0), false},
		{"slack, other time", signature.Slack(secret, body, strconv.FormatInt(now.Unix()+1, 10), slack, now, 0), false},
		{"slack, no time", signature.Slack(secret, body, "", slack, now, 0), false},
		{"standard webhook", signature.Webhook(secret, body, "msg_1", stamp, "v1,AAAA "+hook, now, 0), true},
		{"standard webhook, other id", signature.Webhook(secret, body, "msg_2", stamp, hook, now, 0), false},
	}
	for _, tt := range tests {
		if got := tt.err == nil; got != tt.ok {
			t.Errorf("%s: %v, want genuine = %v", tt.name, tt.err, tt.ok)
		}
		if tt.err != nil && !errors.Is(tt.err, hayate.ErrDenied) {
			t.Errorf("%s: %v is not ErrDenied", tt.name, tt.err)
		}
	}
}

func ExampleGitHub() {
	err := signature.GitHub([]byte("secret"), []byte("{}"), "sha256=00")
	fmt.Println(err)
	// Output: signature: does not fit the body: denied
}

func TestCheckFindsEachSourcesHeader(t *testing.T) {
	t.Parallel()
	sum := hex.EncodeToString(code(sha256.New, string(body)))
	stamp := strconv.FormatInt(now.Unix(), 10)
	headers := map[string]map[string]string{
		"github":           {"X-Hub-Signature-256": "sha256=" + sum},
		"gitea":            {"X-Gitea-Signature": sum},
		"gogs":             {"X-Gogs-Signature": sum},
		"gitlab":           {"X-Gitlab-Token": string(secret)},
		"bitbucket":        {"X-Hub-Signature": "sha256=" + sum},
		"bitbucket-server": {"X-Hub-Signature": "sha256=" + sum},
		"jira":             {"X-Hub-Signature": "sha256=" + sum},
		"pagerduty":        {"X-PagerDuty-Signature": "v1=" + sum},
		"circleci":         {"Circleci-Signature": "v1=" + sum},
		"sentry":           {"Sentry-Hook-Signature": sum},
		"slack": {"X-Slack-Request-Timestamp": stamp,
			"X-Slack-Signature": "v0=" + hex.EncodeToString(code(sha256.New, "v0:"+stamp+":"+string(body)))},
	}
	for _, source := range signature.Sources() {
		sent, listed := headers[source]
		if !listed {
			t.Errorf("%s is not tested", source)
		}
		get := func(name string) string { return sent[name] }
		if err := signature.Check(source, secret, body, get, now); err != nil {
			t.Errorf("%s: genuine: %v", source, err)
		}
		if err := signature.Check(source, []byte("other"), body, get, now); !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("%s: another secret: got %v, want ErrDenied", source, err)
		}
		if err := signature.Check(source, secret, body, func(string) string { return "" }, now); !errors.Is(err, hayate.ErrDenied) {
			t.Errorf("%s: no header: got %v, want ErrDenied", source, err)
		}
	}
	if err := signature.Check("zabbix", secret, body, func(string) string { return "" }, now); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("a source that does not sign: got %v, want ErrInvalid", err)
	}
}
