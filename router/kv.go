package router

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
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

// answer fetches the datastore values that a step asks for.
func (r *Router) answer(ctx context.Context, f *workflows.Fact, need *workflows.Need, user string) (opened []string, err error) {
	if f.Values == nil {
		f.Values = map[workflows.Lookup]workflows.Value{}
	}
	for _, l := range need.Lookups {
		k := Key{Scope: "user", User: user, Name: l.Key}
		if name, ok := cutScope(l.Key, "system."); ok {
			k = Key{Scope: "system", Name: name}
		} else if name, ok := cutScope(l.Key, "user."); ok {
			k.Name = name
		}
		got, err := r.data.Get(ctx, f.At, k)
		if err != nil {
			return nil, fmt.Errorf("read datastore key %s: %w", l.Key, err)
		}
		it, found := got[k]
		if found && l.Decrypt && it.Secret {
			if it.Value, err = r.secrets.Open(it.Value); err != nil {
				return nil, fmt.Errorf("datastore key %s cannot be decrypted: %w", l.Key, err)
			}
			opened = append(opened, it.Value)
		}
		f.Values[l] = workflows.Value{Value: it.Value, Found: found}
	}
	return opened, nil
}

func cutScope(name, scope string) (string, bool) {
	if len(name) > len(scope) && name[:len(scope)] == scope {
		return name[len(scope):], true
	}
	return name, false
}
