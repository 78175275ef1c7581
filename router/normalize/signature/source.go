package signature

import (
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// Sources lists the sources that Check knows, by the names of package
// normalize.
func Sources() []string {
	return []string{"bitbucket", "bitbucket-server", "circleci", "gitea", "github", "gitlab", "gogs", "jira", "pagerduty", "sentry", "slack"}
}

// Check checks a request in the way that its source signs: the name is that of
// package normalize, header returns a header's first value. A source that does
// not sign, or not in a way known here, is ErrInvalid: use HMAC or Token with the
// header that was agreed on.
func Check(source string, secret, body []byte, header func(name string) string, now time.Time) error {
	switch source {
	case "github":
		return GitHub(secret, body, header("X-Hub-Signature-256"))
	case "gitea":
		return Gitea(secret, body, firstOf(header("X-Gitea-Signature"), header("X-Forgejo-Signature")))
	case "gogs":
		return Gitea(secret, body, header("X-Gogs-Signature"))
	case "gitlab":
		return Token(secret, header("X-Gitlab-Token"))
	case "bitbucket", "bitbucket-server", "jira":
		return Bitbucket(secret, body, header("X-Hub-Signature"))
	case "pagerduty":
		return PagerDuty(secret, body, header("X-PagerDuty-Signature"))
	case "circleci":
		return CircleCI(secret, body, header("Circleci-Signature"))
	case "sentry":
		return HMAC(Scheme{}, secret, body, header("Sentry-Hook-Signature"))
	case "slack":
		return Slack(secret, body, header("X-Slack-Request-Timestamp"), header("X-Slack-Signature"), now, 0)
	}
	return fmt.Errorf("signature: source %q signs in no known way: %w", source, hayate.ErrInvalid)
}
