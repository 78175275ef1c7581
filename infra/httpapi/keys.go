package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// key is a datastore entry in StackStorm's shape.
type key struct {
	ID        string `json:"id"`
	UID       string `json:"uid"`
	Name      string `json:"name"`
	Value     string `json:"value"`
	Secret    bool   `json:"secret"`
	Encrypted bool   `json:"encrypted"`
	Scope     string `json:"scope"`
	User      string `json:"user,omitempty"`
	Expires   string `json:"expire_timestamp,omitempty"`
}

func viewKey(p router.Pair, decrypted bool) key {
	scope := "st2kv." + p.Scope
	id := hayate.NewID(p.Created, "key", p.Scope, p.User, p.Name)
	return key{ID: id, UID: "key_value_pair:" + scope + ":" + p.Name, Name: p.Name, Value: p.Value, Secret: p.Secret,
		Encrypted: p.Secret && !decrypted, Scope: scope, User: p.User, Expires: stamp(p.Expires)}
}

// keyScope reads a scope: system, user, or either with StackStorm's prefix.
func keyScope(t string) string { return strings.TrimPrefix(t, "st2kv.") }

func (s *Server) keyOf(r *http.Request, scope, user string) router.Key {
	k := router.Key{Scope: keyScope(first(scope, "system")), Name: r.PathValue("name")}
	if k.Scope == "user" {
		k.User = first(user, caller(r), "stanley")
	}
	return k
}

func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	lq, err := listQuery(r, 100)
	if err != nil {
		return err
	}
	q := router.KeyQuery{Scope: keyScope(first(v.Get("scope"), "system")), User: v.Get("user"), Prefix: v.Get("prefix"), Offset: lq.Offset, Limit: lq.Limit}
	switch q.Scope {
	case "all":
		q.Scope = ""
	case "system", "user":
	default:
		return wrong("scope", "found %q, want system, user or all", v.Get("scope"))
	}
	decrypt := truth(v.Get("decrypt"))
	ps, err := s.Router.Keys(r.Context(), q, decrypt)
	if err != nil {
		return err
	}
	out := make([]key, len(ps))
	for i, p := range ps {
		out[i] = viewKey(p, decrypt)
	}
	s.answer(w, http.StatusOK, out)
	return nil
}

func (s *Server) getKey(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	decrypt := truth(v.Get("decrypt"))
	p, err := s.Router.Key(r.Context(), s.keyOf(r, v.Get("scope"), v.Get("user")), decrypt)
	if err != nil {
		return err
	}
	s.answer(w, http.StatusOK, viewKey(p, decrypt))
	return nil
}

func (s *Server) putKey(w http.ResponseWriter, r *http.Request) error {
	var b struct {
		Name      string  `json:"name"`
		Value     *string `json:"value"`
		Secret    bool    `json:"secret"`
		Encrypted bool    `json:"encrypted"`
		Scope     *string `json:"scope"`
		User      *string `json:"user"`
		TTL       *int64  `json:"ttl"`
	}
	if err := decode(r, &b); err != nil {
		return err
	}
	if b.Value == nil {
		return wrong("value", "is missing")
	}
	v := r.URL.Query()
	scope, user := v.Get("scope"), v.Get("user")
	if b.Scope != nil {
		scope = *b.Scope
	}
	if b.User != nil {
		user = *b.User
	}
	k := s.keyOf(r, scope, user)
	if b.Name != "" && b.Name != k.Name {
		return wrong("name", "found %q, the address says %q", b.Name, k.Name)
	}
	set := router.SetKey{Key: k, Value: *b.Value, Secret: b.Secret, Encrypted: b.Encrypted}
	if b.TTL != nil {
		if *b.TTL < 0 || *b.TTL > int64(100*365*24*time.Hour/time.Second) {
			return wrong("ttl", "found %d, want seconds from 0 to a hundred years", *b.TTL)
		}
		set.TTL = time.Duration(*b.TTL) * time.Second
	}
	p, err := s.Router.SetKey(r.Context(), set)
	if err != nil {
		return err
	}
	s.Log.Info("key set", "scope", k.Scope, "name", k.Name, "user", caller(r))
	s.answer(w, http.StatusOK, viewKey(p, false))
	return nil
}

func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request) error {
	v := r.URL.Query()
	k := s.keyOf(r, v.Get("scope"), v.Get("user"))
	if err := s.Router.DeleteKey(r.Context(), k); err != nil {
		return fmt.Errorf("%w", err)
	}
	s.Log.Info("key deleted", "scope", k.Scope, "name", k.Name, "user", caller(r))
	w.WriteHeader(http.StatusNoContent)
	return nil
}
