package router

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hayate-run/hayate/router/render"
)

// maxNeedRounds bounds how often an evaluation may ask for further datastore
// values: templates of templates end long before.
const maxNeedRounds = 8

// kvReader collects the datastore values that one decision has read, so that
// evaluation itself reads nothing and can be repeated.
type kvReader struct {
	r      *Router
	values map[string]string // "system.a.b" or "user.a": value; absent keys are ""
}

// fetch reads the named keys ("system.x", "user.x"), as they are at the time at.
// Secret values stay sealed.
func (k *kvReader) fetch(ctx context.Context, at time.Time, user string, names []string) error {
	if k.values == nil {
		k.values = map[string]string{}
	}
	keys := make([]Key, 0, len(names))
	for _, n := range names {
		scope, name, _ := strings.Cut(n, ".")
		key := Key{Scope: scope, Name: name}
		if scope == "user" {
			key.User = user
		}
		keys = append(keys, key)
	}
	got, err := k.r.data.Get(ctx, at, keys...)
	if err != nil {
		return fmt.Errorf("read datastore keys %s: %w", strings.Join(names, ", "), err)
	}
	for i, n := range names {
		k.values[n] = got[keys[i]].Value
	}
	return nil
}

// render renders supplied parameters into the ones that are stored with an
// execution, fetching the datastore values their templates need.
func (r *Router) render(ctx context.Context, b *boundAction, supplied []byte, s *render.Scope, kv *kvReader, at time.Time) ([]byte, error) {
	kv.r = r
	for range maxNeedRounds {
		s.KV, s.Config = kv.values, b.config
		out, need, err := b.plan.Live(s, supplied)
		if err != nil || len(need) == 0 {
			return out, err
		}
		if err := kv.fetch(ctx, at, s.User, need); err != nil {
			return nil, err
		}
	}
	return nil, render.Errorf(render.Template, "parameters of %s ask for ever more datastore keys", b.Ref())
}
