// Package httpapi is hayate's HTTP face: events and webhooks come in, and what
// StackStorm's API shows of them is shown in StackStorm's own shapes below
// /api/v1. Handlers decode, call the router and encode; they decide nothing.
package httpapi

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/normalize/signature"
	"github.com/hayate-run/hayate/router/remote"
)

// Config is what a Server needs. Only Router is required.
type Config struct {
	Router  *router.Router
	Log     *slog.Logger // default: silence
	Version string
	// Open says that callers from this host need no token (see auth.go). Without
	// it every call but the health checks needs one.
	Open bool
	// MaxBody bounds a request's body. Default 1 MiB.
	MaxBody int64
	// MaxInFlight bounds the requests handled at once; beyond it the answer is 429.
	// Half as many are handled beside them of callers whom only the body makes known:
	// signed webhooks, callbacks, workers. Default 512.
	MaxInFlight int
	// AllowedOrigins are the origins that a CloudEvents webhook handshake is
	// granted to: exact DNS names, or "*".
	AllowedOrigins []string
	// Signatures are the checks of incoming webhooks, by the last part of their URL.
	Signatures map[string]Signature
	// SNSTopics are the topic ARNs whose subscription is confirmed.
	SNSTopics []string
	// SNSUnsigned takes SNS messages without checking their signature. It is for
	// tests with emulators, which cannot sign.
	SNSUnsigned bool
	// Client fetches SNS certificates and confirms subscriptions. Default: one
	// with a time-out of 5 s.
	Client *http.Client
	// Ready are the dependencies that /readyz asks, by name.
	Ready map[string]func(context.Context) error
	// Health are further parts that the status tells of, by name: what is wrong with
	// one does not keep this process from taking events.
	Health map[string]func(context.Context) error
	// Notes are what the status tells that is no failure; nil: nothing.
	Notes func() []string
	// Workers are what the status tells of workers elsewhere; nil: nothing.
	Workers func() any
	// Desk applies what workers say that reach no store; nil: none report here.
	Desk *remote.Desk
	// HealthOnly answers /livez, /readyz and /metrics and nothing else.
	HealthOnly bool
	// Reload reads the pack folders again and says what came of it; nil where
	// there are none.
	Reload func(context.Context) (any, error)
	// Problems are what was wrong with the packs when they were last read; nil
	// where nobody knows.
	Problems func() Problems
	// Draining says that the process is about to stop: /readyz refuses then.
	Draining func() bool
	Now      func() time.Time
}

// Problems are what is wrong with the packs.
type Problems struct {
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Findings []string `json:"findings"` // one a line, with their places
}

// Signature says how the requests to a webhook are authenticated.
type Signature = signature.Method

// Server answers HTTP requests. It starts nothing; an http.Server calls it.
type Server struct {
	Config
	mux       *http.ServeMux
	inFlight  chan struct{}
	diffs     chan struct{} // comparisons of rules under way
	strangers chan struct{} // requests whose body tells who sends them
	sns       certificates
}

// New returns a Server.
func New(c Config) (*Server, error) {
	if c.Router == nil {
		return nil, fmt.Errorf("httpapi: Router is missing: %w", hayate.ErrInvalid)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	if c.MaxInFlight == 0 {
		c.MaxInFlight = 512
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = &http.Client{Timeout: 5 * time.Second}
	}
	if c.Draining == nil {
		c.Draining = func() bool { return false }
	}
	s := &Server{Config: c, mux: http.NewServeMux(), inFlight: make(chan struct{}, c.MaxInFlight), strangers: make(chan struct{}, max(1, c.MaxInFlight/2)), diffs: make(chan struct{}, maxDiffs)}
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	h := func(pattern string, f func(http.ResponseWriter, *http.Request) error) {
		s.mux.Handle(pattern, s.guarded(s.MaxBody, f))
	}
	s.mux.HandleFunc("GET /livez", s.livez)
	s.mux.HandleFunc("GET /readyz", s.readyz)
	s.mux.HandleFunc("GET /metrics", s.metrics)
	if s.HealthOnly {
		s.mux.HandleFunc("/", s.elsewhere)
		return
	}
	s.mux.HandleFunc("GET /{$}", s.welcome)

	s.mux.HandleFunc("POST /v1/worker", s.postWorker)
	s.mux.HandleFunc("POST /v1/callbacks", s.postCallback)
	h("POST /v1/events", s.postEvents)
	h("GET /v1/events", s.listEvents)
	h("GET /v1/events/{id}", s.getEvent)
	h("GET /v1/events/{id}/explain", s.explainEvent)
	h("OPTIONS /v1/events", s.handshake)
	h("POST /v1/webhooks/{url...}", s.postWebhook)
	h("OPTIONS /v1/webhooks/{url...}", s.handshake)
	h("POST /v1/rules/{ref}/explain", s.explainRule)
	s.mux.Handle("POST /v1/rules/diff", s.guarded(max(maxDiff, s.MaxBody), s.diffRules))
	h("GET /v1/rules/{ref}/state", s.listRuleState)
	h("DELETE /v1/rules/{ref}/state", s.resetRuleState)
	h("GET /v1/executions/{id}/graph", s.executionGraph)
	h("GET /v1/status", s.status)
	h("GET /v1/timers", s.listSchedules)
	h("GET /v1/timers/{id}", s.getSchedule)
	h("GET /v1/tokens", s.listTokens)
	h("POST /v1/tokens", s.createToken)
	h("DELETE /v1/tokens/{id}", s.deleteToken)
	h("POST /v1/store/check", s.checkStore)
	h("GET /v1/store/stats", s.storeStats)
	h("POST /v1/store/backup", s.backupStore)
	h("POST /v1/packs/reload", s.reloadPacks)
	h("GET /v1/packs/problems", s.packProblems)

	h("GET /api/v1", s.apiRoot)
	h("GET /api/v1/executions", s.listExecutions)
	h("POST /api/v1/executions", s.startExecution)
	h("GET /api/v1/executions/{id}", s.getExecution)
	h("DELETE /api/v1/executions/{id}", s.cancelExecution)
	h("PUT /api/v1/executions/{id}", s.putExecution)
	h("POST /api/v1/executions/{id}/re_run", s.rerunExecution)
	h("GET /api/v1/executions/{id}/output", s.executionOutput)
	h("GET /api/v1/executions/{id}/children", s.executionChildren)
	h("GET /api/v1/executions/{id}/result", s.executionResult)
	h("GET /api/v1/executions/{id}/attribute/{name}", s.executionAttribute)
	h("GET /stream/v1/executions/{id}/output", s.streamOutput)
	h("GET /api/v1/rules", s.listRules)
	h("GET /api/v1/rules/views", s.listRules)
	h("GET /api/v1/rules/{ref}", s.getRule)
	h("GET /api/v1/rules/views/{ref}", s.getRule)
	h("PUT /api/v1/rules/{ref}", s.putRule)
	h("GET /api/v1/actions", s.listActions)
	h("GET /api/v1/actions/{ref}", s.getAction)
	h("GET /api/v1/actions/views/overview", s.listActionViews)
	h("GET /api/v1/actions/views/overview/{ref}", s.getActionView)
	h("GET /api/v1/actions/views/parameters/{ref}", s.getActionParameters)
	h("GET /api/v1/runnertypes", s.listRunners)
	h("GET /api/v1/triggertypes", s.listTriggerTypes)
	h("GET /api/v1/triggertypes/{ref}", s.getTriggerType)
	h("GET /api/v1/triggerinstances", s.listInstances)
	h("GET /api/v1/triggerinstances/{id}", s.getInstance)
	h("GET /api/v1/ruleenforcements", s.listEnforcements)
	h("GET /api/v1/ruleenforcements/{id}", s.getEnforcement)
	h("GET /api/v1/timers", s.listTimers)
	h("GET /api/v1/timers/{id}", s.getTimer)
	h("GET /api/v1/policies", s.listPolicies)
	h("POST /api/v1/policies", s.createPolicy)
	h("GET /api/v1/policies/{ref}", s.getPolicy)
	h("PUT /api/v1/policies/{ref}", s.putPolicy)
	h("DELETE /api/v1/policies/{ref}", s.deletePolicy)
	h("GET /api/v1/policytypes", s.listPolicyTypes)
	h("GET /api/v1/policytypes/{ref}", s.getPolicyType)
	h("GET /api/v1/inquiries", s.listInquiries)
	h("GET /api/v1/inquiries/{id}", s.getInquiry)
	h("PUT /api/v1/inquiries/{id}", s.respondInquiry)
	h("POST /api/v1/workflows/inspect", s.inspectWorkflow)
	h("GET /api/v1/packs", s.listPacks)
	h("GET /api/v1/packs/{ref}", s.getPack)
	h("GET /api/v1/keys", s.listKeys)
	h("GET /api/v1/keys/{name...}", s.getKey)
	h("PUT /api/v1/keys/{name...}", s.putKey)
	h("DELETE /api/v1/keys/{name...}", s.deleteKey)
	h("POST /api/v1/webhooks/{url...}", s.postStackStormWebhook)
	s.mux.HandleFunc("/", s.notFound)
}

// ServeHTTP answers a request. Every path works with and without a trailing
// slash, and StackStorm's with and without /v1.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := r.Header.Get("X-Request-ID")
	if id == "" || len(id) > 128 {
		id = requestID()
	}
	w.Header().Set("X-Request-ID", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p := canonicalPath(r.URL.Path); p != r.URL.Path {
		r = r.Clone(r.Context())
		r.URL.Path, r.URL.RawPath = p, ""
	}
	if slots := s.slots(r); slots != nil {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			w.Header().Set("Retry-After", "1")
			s.fail(w, r, fmt.Errorf("%d requests of this kind are being handled, and no more are at once; repeat in a second: %w", cap(slots), hayate.ErrBusy))
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// slots bound the requests of a kind that are handled at once; nil: nothing does.
// Who is not known before the body is read cannot take the places of those who are,
// and nobody those of health checks and of the operator.
func (s *Server) slots(r *http.Request) chan struct{} {
	switch {
	case r.URL.Path == "/livez" || r.URL.Path == "/readyz" || r.URL.Path == "/metrics" || r.Context().Value(operatorKey{}) != nil:
		return nil
	case r.URL.Path == "/v1/callbacks" || r.URL.Path == "/v1/worker" || s.signed(r) && token(r) == "":
		return s.strangers
	}
	return s.inFlight
}

func canonicalPath(p string) string {
	if len(p) > 1 {
		p = strings.TrimRight(p, "/")
	}
	for _, face := range []string{"/api", "/stream", "/auth"} {
		rest, ok := strings.CutPrefix(p, face)
		if !ok || (rest != "" && rest[0] != '/') {
			continue
		}
		if rest != "/v1" && !strings.HasPrefix(rest, "/v1/") {
			p = face + "/v1" + rest
		}
	}
	if p == "" {
		return "/"
	}
	return p
}

// guarded wraps a handler: who calls is checked, bodies have at most so many bytes,
// errors are answered in the form of the face.
func (s *Server) guarded(maxBody int64, f func(http.ResponseWriter, *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, err := s.authenticate(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), userKey{}, user))
		r.Body = bounded(w, r, maxBody)
		if err := f(w, r); err != nil {
			s.fail(w, r, err)
		}
	})
}

type userKey struct{}

// caller is who sent the request: "" for a local caller without a token.
func caller(r *http.Request) string {
	u, _ := r.Context().Value(userKey{}).(string)
	return u
}

// elsewhere answers for a process that is no api.
func (s *Server) elsewhere(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, fmt.Errorf("this process does not serve the API, it was started with another --role: %w", hayate.ErrNotFound))
}

func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, fmt.Errorf("%s %s does not exist; see the API reference: %w", r.Method, r.URL.Path, hayate.ErrNotFound))
}
