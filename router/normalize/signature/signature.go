// Package signature checks who sent a request, by the ways of the sources that
// package normalize knows. It is made of functions of their arguments: secrets,
// certificates and the time are handed in, nothing is fetched. Every
// comparison of secrets takes the same time whatever is compared.
//
// All functions return nil where the request is genuine and an error of kind
// hayate.ErrDenied where it is not; an error never contains the expected
// signature. A check with an empty secret is a mistake of the caller and is
// denied.
package signature

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // G505: sources that sign with HMAC-SHA1 exist; HMAC does not need collision resistance
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// Scheme says how a source puts an HMAC of the body into a header.
type Scheme struct {
	Algorithm string // sha1, sha256 (default) or sha512
	Encoding  string // hex (default) or base64
	Prefix    string // what stands before the code, such as "sha256="; it must be there
}

func denied(format string, args ...any) error {
	return fmt.Errorf("signature: %s: %w", fmt.Sprintf(format, args...), hayate.ErrDenied)
}

// HMAC checks a header against the body.
func HMAC(s Scheme, secret, body []byte, header string) error {
	if len(secret) == 0 {
		return denied("no secret to check with")
	}
	var newHash func() hash.Hash
	switch s.Algorithm {
	case "sha1":
		newHash = sha1.New
	case "", "sha256":
		newHash = sha256.New
	case "sha512":
		newHash = sha512.New
	default:
		return fmt.Errorf("signature: algorithm %q, want sha1, sha256 or sha512: %w", s.Algorithm, hayate.ErrInvalid)
	}
	header = strings.TrimSpace(header)
	if header == "" {
		return denied("the header is missing")
	}
	code, found := strings.CutPrefix(header, s.Prefix)
	if !found {
		return denied("the header does not begin with %q", s.Prefix)
	}
	got, err := decode(s.Encoding, code)
	if err != nil {
		return err
	}
	mac := hmac.New(newHash, secret)
	mac.Write(body)
	if !hmac.Equal(got, mac.Sum(nil)) {
		return denied("does not fit the body")
	}
	return nil
}

func decode(encoding, code string) ([]byte, error) {
	var got []byte
	var err error
	switch encoding {
	case "", "hex":
		got, err = hex.DecodeString(code)
	case "base64":
		if got, err = base64.StdEncoding.DecodeString(code); err != nil {
			got, err = base64.RawURLEncoding.DecodeString(strings.TrimRight(code, "="))
		}
	default:
		return nil, fmt.Errorf("signature: encoding %q, want hex or base64: %w", encoding, hayate.ErrInvalid)
	}
	if err != nil {
		return nil, denied("the header is not %s", firstOf(encoding, "hex"))
	}
	return got, nil
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// GitHub checks the header X-Hub-Signature-256.
func GitHub(secret, body []byte, header string) error {
	return HMAC(Scheme{Algorithm: "sha256", Prefix: "sha256="}, secret, body, header)
}

// Gitea checks the header X-Gitea-Signature (Forgejo: X-Forgejo-Signature,
// Gogs: X-Gogs-Signature): GitHub's code without its prefix.
func Gitea(secret, body []byte, header string) error {
	return HMAC(Scheme{Algorithm: "sha256"}, secret, body, header)
}

// Bitbucket checks the header X-Hub-Signature of Bitbucket Cloud and Server.
func Bitbucket(secret, body []byte, header string) error {
	return HMAC(Scheme{Algorithm: "sha256", Prefix: "sha256="}, secret, body, header)
}

// Token checks a header that is the secret itself, such as GitLab's
// X-Gitlab-Token or a header that was added to a webhook of Datadog.
func Token(secret []byte, header string) error {
	if len(secret) == 0 {
		return denied("no secret to check with")
	}
	if header == "" {
		return denied("the header is missing")
	}
	// Digests have one length, so not even the secret's length can be measured.
	want, got := sha256.Sum256(secret), sha256.Sum256([]byte(header))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return denied("the token is wrong")
	}
	return nil
}

// PagerDuty checks the header X-PagerDuty-Signature: several codes, each with
// its version, separated by commas, one of which must fit (the secret may be
// about to change).
func PagerDuty(secret, body []byte, header string) error {
	return anyOf(header, ",", func(code string) error {
		return HMAC(Scheme{Algorithm: "sha256", Prefix: "v1="}, secret, body, code)
	})
}

// CircleCI checks the header circleci-signature, a list like PagerDuty's.
func CircleCI(secret, body []byte, header string) error {
	return PagerDuty(secret, body, header)
}

// anyOf is nil if the check of any part of the header is.
func anyOf(header, separator string, check func(string) error) error {
	err := denied("the header is missing")
	for code := range strings.SplitSeq(header, separator) {
		if code = strings.TrimSpace(code); code == "" {
			continue
		}
		if err = check(code); err == nil {
			return nil
		}
	}
	return err
}

// DefaultTolerance is how far a signed time may be from the own one.
const DefaultTolerance = 5 * time.Minute

// Slack checks the headers X-Slack-Request-Timestamp and X-Slack-Signature
// (version 0). A request signed longer ago than tolerance, or that far in the
// future, is denied: somebody may have recorded it. 0 means DefaultTolerance.
func Slack(secret, body []byte, timestamp, header string, now time.Time, tolerance time.Duration) error {
	if err := recent(timestamp, now, tolerance); err != nil {
		return err
	}
	signed := append([]byte("v0:"+timestamp+":"), body...)
	return HMAC(Scheme{Algorithm: "sha256", Prefix: "v0="}, secret, signed, header)
}

// Webhook checks the headers of the Standard Webhooks convention: webhook-id,
// webhook-timestamp and webhook-signature (codes separated by spaces).
// The secret is the text behind "whsec_", decoded.
func Webhook(secret, body []byte, id, timestamp, header string, now time.Time, tolerance time.Duration) error {
	if err := recent(timestamp, now, tolerance); err != nil {
		return err
	}
	signed := append([]byte(id+"."+timestamp+"."), body...)
	return anyOf(header, " ", func(code string) error {
		return HMAC(Scheme{Algorithm: "sha256", Encoding: "base64", Prefix: "v1,"}, secret, signed, code)
	})
}

func recent(timestamp string, now time.Time, tolerance time.Duration) error {
	if tolerance <= 0 {
		tolerance = DefaultTolerance
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return denied("the time is missing or not a number of seconds")
	}
	if age := now.Sub(time.Unix(seconds, 0)).Abs(); age > tolerance {
		return denied("was made more than %s before or after now", tolerance)
	}
	return nil
}
