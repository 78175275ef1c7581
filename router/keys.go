package router

import (
	"context"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// The bounds of a datastore entry.
const (
	maxKeyName  = 256
	maxKeyValue = 1 << 20
)

// SetKey is a request to store a datastore value.
type SetKey struct {
	Key
	Value  string
	Secret bool
	TTL    time.Duration // 0: never expires
	// Encrypted says that Value is sealed already, as GET without decrypt shows it.
	Encrypted bool
}

// SetKey stores a value. Secret values are sealed before they are written.
func (r *Router) SetKey(ctx context.Context, s SetKey) (Pair, error) {
	if err := s.Key.check(); err != nil {
		return Pair{}, err
	}
	if len(s.Value) > maxKeyValue {
		return Pair{}, fmt.Errorf("key %s: the value has %d bytes, the limit is %d: %w", s.Name, len(s.Value), maxKeyValue, hayate.ErrTooLarge)
	}
	if s.TTL < 0 {
		return Pair{}, fmt.Errorf("key %s: ttl is negative: %w", s.Name, hayate.ErrInvalid)
	}
	at := r.now()
	it := Item{Value: s.Value, Secret: s.Secret || s.Encrypted, Created: at, Updated: at}
	if s.TTL > 0 {
		it.Expires = at.Add(s.TTL)
	}
	switch {
	case s.Encrypted:
		if _, err := r.secrets.Open(s.Value); err != nil {
			return Pair{}, fmt.Errorf("key %s: the value is not encrypted by this server: %w", s.Name, err)
		}
	case s.Secret:
		sealed, err := r.secrets.Seal(s.Value)
		if err != nil {
			return Pair{}, fmt.Errorf("key %s: %w", s.Name, err)
		}
		it.Value = sealed
	}
	old, err := r.data.Get(ctx, at, s.Key)
	if err != nil {
		return Pair{}, fmt.Errorf("set key %s: %w", s.Name, err)
	}
	if o, ok := old[s.Key]; ok {
		it.Created = o.Created
	}
	if err := r.data.Set(ctx, s.Key, it); err != nil {
		return Pair{}, fmt.Errorf("set key %s: %w", s.Name, err)
	}
	return Pair{s.Key, it}, nil
}

func (k Key) check() error {
	switch {
	case k.Name == "":
		return fmt.Errorf("key: the name is empty: %w", hayate.ErrInvalid)
	case len(k.Name) > maxKeyName:
		return fmt.Errorf("key %.40s…: the name has %d bytes, the limit is %d: %w", k.Name, len(k.Name), maxKeyName, hayate.ErrInvalid)
	case k.Scope != "system" && k.Scope != "user":
		return fmt.Errorf("key %s: unknown scope %q, want system or user: %w", k.Name, k.Scope, hayate.ErrInvalid)
	case k.Scope == "user" && k.User == "":
		return fmt.Errorf("key %s: scope user needs a user: %w", k.Name, hayate.ErrInvalid)
	}
	return nil
}

// Key returns a value; with decrypt a secret one is opened. ErrNotFound where
// there is none, or it has expired.
func (r *Router) Key(ctx context.Context, k Key, decrypt bool) (Pair, error) {
	if err := k.check(); err != nil {
		return Pair{}, err
	}
	got, err := r.data.Get(ctx, r.now(), k)
	if err != nil {
		return Pair{}, fmt.Errorf("get key %s: %w", k.Name, err)
	}
	it, ok := got[k]
	if !ok {
		return Pair{}, fmt.Errorf("key %s in scope %s: %w", k.Name, k.Scope, hayate.ErrNotFound)
	}
	p := Pair{k, it}
	if decrypt {
		return r.decrypted(p)
	}
	return p, nil
}

func (r *Router) decrypted(p Pair) (Pair, error) {
	if !p.Secret {
		return p, nil
	}
	plain, err := r.secrets.Open(p.Value)
	if err != nil {
		return Pair{}, fmt.Errorf("key %s cannot be decrypted, was the key file replaced? %w", p.Name, err)
	}
	p.Value = plain
	return p, nil
}

// Keys lists values; with decrypt secret ones are opened.
func (r *Router) Keys(ctx context.Context, q KeyQuery, decrypt bool) ([]Pair, error) {
	ps, err := r.data.Keys(ctx, r.now(), q)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	if decrypt {
		for i := range ps {
			if ps[i], err = r.decrypted(ps[i]); err != nil {
				return nil, err
			}
		}
	}
	return ps, nil
}

// DeleteKey removes a value: ErrNotFound where there is none.
func (r *Router) DeleteKey(ctx context.Context, k Key) error {
	if err := k.check(); err != nil {
		return err
	}
	if err := r.data.Delete(ctx, k); err != nil {
		return fmt.Errorf("delete key %s in scope %s: %w", k.Name, k.Scope, err)
	}
	return nil
}
