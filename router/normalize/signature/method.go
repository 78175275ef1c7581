package signature

import (
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// Method is how the requests to one webhook are authenticated.
type Method struct {
	// Kind is github, gitea, gitlab, bitbucket, circleci, pagerduty, slack,
	// standard (standardwebhooks.com), token or hmac.
	Kind     string
	Secret   []byte
	Header   string // for token and hmac: the header that carries it
	Hash     string // for hmac: sha1, sha256 (default) or sha512
	Prefix   string // for hmac: what stands before the digest
	Encoding string // for hmac: hex (default) or base64
}

// Check checks a request: h returns a header's first value, now is the time.
func (m *Method) Check(h func(name string) string, body []byte, now time.Time) error {
	switch m.Kind {
	case "github":
		return GitHub(m.Secret, body, h("X-Hub-Signature-256"))
	case "gitea":
		return Gitea(m.Secret, body, h("X-Gitea-Signature"))
	case "gitlab":
		return Token(m.Secret, h("X-Gitlab-Token"))
	case "bitbucket":
		return Bitbucket(m.Secret, body, h("X-Hub-Signature"))
	case "circleci":
		return CircleCI(m.Secret, body, h("Circleci-Signature"))
	case "pagerduty":
		return PagerDuty(m.Secret, body, h("X-PagerDuty-Signature"))
	case "slack":
		return Slack(m.Secret, body, h("X-Slack-Request-Timestamp"), h("X-Slack-Signature"), now, DefaultTolerance)
	case "standard":
		return Webhook(m.Secret, body, h("webhook-id"), h("webhook-timestamp"), h("webhook-signature"), now, DefaultTolerance)
	case "token":
		return Token(m.Secret, h(m.Header))
	case "hmac":
		return HMAC(Scheme{Algorithm: m.Hash, Prefix: m.Prefix, Encoding: m.Encoding}, m.Secret, body, h(m.Header))
	}
	return fmt.Errorf("unknown kind of signature %q: %w", m.Kind, hayate.ErrDenied)
}
