package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"github.com/hayate-run/hayate"
)

// authenticate returns who calls. A token wins: the first present of the places
// where StackStorm looks for one, and Authorization: Bearer before them; if that
// one is invalid nothing else is tried. Without a token only a caller of this
// very host is let in, where Config.Open allows it: the connection comes from a
// loopback address, Host names a loopback address, no web page sends it and there is
// no forwarding header, since a local proxy or a page in the operator's browser is not
// the operator.
func (s *Server) authenticate(r *http.Request) (string, error) {
	if t := token(r); t != "" {
		user, err := s.Router.CheckToken(r.Context(), t)
		if errors.Is(err, hayate.ErrDenied) {
			return "", fmt.Errorf("%v: %w", err, errUnauthorized)
		}
		return user, err
	}
	if s.signed(r) {
		return "", nil // its signature is checked with its body
	}
	if r.Context().Value(operatorKey{}) != nil {
		return "", nil
	}
	if s.Open {
		why := notLocal(r)
		if why == "" {
			return "", nil
		}
		return "", fmt.Errorf("a token is needed (%s); create one with: hayate auth token create: %w", why, errUnauthorized)
	}
	return "", fmt.Errorf("a token is needed; create one on the server with: hayate auth token create: %w", errUnauthorized)
}

type operatorKey struct{}

// Operator marks the connections of a listener that only the operator can reach,
// such as a socket in the data directory: their requests need no token. It is
// meant for http.Server.ConnContext.
func Operator(ctx context.Context) context.Context {
	return context.WithValue(ctx, operatorKey{}, true)
}

// token finds the token of a request.
func token(r *http.Request) string {
	if scheme, t, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(t)
	}
	for _, h := range []string{"X-Auth-Token", "St2-Api-Key"} {
		if t := r.Header.Get(h); t != "" {
			return t
		}
	}
	q := r.URL.Query()
	for _, p := range []string{"x-auth-token", "st2-api-key", "access_token"} {
		if t := q.Get(p); t != "" {
			return t
		}
	}
	if c, err := r.Cookie("auth-token"); err == nil {
		return c.Value
	}
	return ""
}

// forwarding are the headers by which a proxy gives itself away.
var forwarding = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip", "Via"}

// notLocal says why a request does not count as the operator's on this host, ""
// where it does.
func notLocal(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "the caller's address is unknown"
	}
	if a, err := netip.ParseAddr(peer); err != nil || !a.Unmap().IsLoopback() {
		return "the caller is not on this host"
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	if a, err := netip.ParseAddr(host); (err != nil || !a.IsLoopback()) && !strings.EqualFold(host, "localhost") {
		return "Host does not name a loopback address"
	}
	if fromPage(r) {
		return "the request comes from a web page"
	}
	for _, h := range forwarding {
		if r.Header.Get(h) != "" {
			return "the request came through a proxy"
		}
	}
	return ""
}

// fromPage says whether a web page of another origin made a browser send the request.
// Browsers send no Origin with the GET of an image, a script or a form, but they say
// where it came from.
func fromPage(r *http.Request) bool {
	if r.Header.Get("Origin") != "" {
		return true
	}
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site != "none" && site != "same-origin"
	}
	referer := r.Header.Get("Referer")
	if referer == "" {
		return false
	}
	u, err := url.Parse(referer)
	return err != nil || u.Host != r.Host
}

// signed says whether the request goes to a webhook that is authenticated by a
// configured signature.
func (s *Server) signed(r *http.Request) bool {
	for _, face := range []string{"/v1/webhooks/", "/api/v1/webhooks/"} {
		if name, ok := strings.CutPrefix(r.URL.Path, face); ok && r.Method == http.MethodPost {
			_, configured := s.Signatures[strings.Trim(name, "/")]
			return configured
		}
	}
	return false
}
