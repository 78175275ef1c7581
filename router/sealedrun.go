package router

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// What is stored of a run holds no secret in clear: an entry in which a secret text
// of the run stands is sealed whole, as are the run's secrets themselves. In memory
// it is open.

// sealedRun marks a sealed entry, or head, of a run: a JSON text that begins so.
const sealedRun = `"sealed:run:v1:`

// minSealed is the length in bytes from which a secret is looked for inside texts; a
// shorter one stands everywhere, and counts only where it is a text of its own.
const minSealed = 3

// secrets are the secret texts of the run: those of its workflow's parameters, and
// those of the datastore that it opened.
func (s *step) secrets(ctx context.Context) ([]string, error) {
	if s.lr.secrets != nil {
		return *s.lr.secrets, nil
	}
	found, err := s.r.openSecrets(s.own.Secrets)
	if err != nil {
		return nil, fmt.Errorf("secrets of run %s: %w", s.lr.id, err)
	}
	if b, ok := s.r.cat.Load().actions[s.x.Action]; ok && s.own.Secrets == "" && b.plan.Secret(s.x.Parameters) {
		final, err := s.r.final(ctx, &s.x, b)
		if err != nil {
			return nil, err
		}
		found = final.Secrets
	}
	s.lr.secrets = &found
	return found, nil
}

// learn adds secret values that the run was told to those that it keeps.
func (s *step) learn(ctx context.Context, opened []string) error {
	known, err := s.secrets(ctx)
	if err != nil {
		return err
	}
	all := slices.Clone(known)
	for _, x := range opened {
		if x != "" && !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	if len(all) > len(known) {
		s.lr.secrets, s.learned = &all, true
	}
	return nil
}

// keepSecrets notes the run's secrets in its own state, where they are not there yet.
// So they are known to whoever loads it, though its action has changed meanwhile.
func (s *step) keepSecrets(ctx context.Context) error {
	known, err := s.secrets(ctx)
	if err != nil || len(known) == 0 || s.own.Secrets != "" && !s.learned {
		return err
	}
	b, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if s.own.Secrets, err = s.r.secrets.Seal(string(b)); err != nil {
		return fmt.Errorf("seal secrets of run %s: %w", s.lr.id, err)
	}
	return nil
}

// openSecrets reads what keepSecrets sealed.
func (r *Router) openSecrets(sealed string) ([]string, error) {
	if sealed == "" {
		return nil, nil
	}
	plain, err := r.secrets.Open(sealed)
	if err != nil {
		return nil, fmt.Errorf("they cannot be opened, was the key file replaced? %w", err)
	}
	var out []string
	if err := json.Unmarshal([]byte(plain), &out); err != nil {
		return nil, fmt.Errorf("they cannot be read: %v: %w", err, hayate.ErrInvalid)
	}
	return out, nil
}

// stored is what the step writes of the run: head and entries, those with a secret in
// them sealed.
func (s *step) stored(ctx context.Context) (json.RawMessage, map[string]json.RawMessage, error) {
	known, err := s.secrets(ctx)
	if err != nil {
		return nil, nil, err
	}
	forms := secretForms(known)
	head, err := s.r.sealPart(s.head, forms)
	if err != nil {
		return nil, nil, fmt.Errorf("seal head of run %s: %w", s.lr.id, err)
	}
	for key, raw := range s.entries {
		if key == ownEntry {
			continue
		}
		if s.entries[key], err = s.r.sealPart(raw, forms); err != nil {
			return nil, nil, fmt.Errorf("seal entry %s of run %s: %w", key, s.lr.id, err)
		}
	}
	return head, s.entries, nil
}

// sealPart seals a part of a run where a secret stands in it. One that only looks
// sealed is sealed too, so that nobody can supply a sealed text to have it opened.
func (r *Router) sealPart(raw json.RawMessage, forms [][]byte) (json.RawMessage, error) {
	if !bytes.HasPrefix(raw, []byte(sealedRun)) && !slices.ContainsFunc(forms, func(f []byte) bool { return bytes.Contains(raw, f) }) {
		return raw, nil
	}
	text, err := r.secrets.Seal(string(raw))
	if err != nil {
		return nil, err
	}
	return json.Marshal(strings.TrimPrefix(sealedRun, `"`) + text)
}

// secretForms are the ways in which secrets stand in JSON: characters escaped as one
// encoder does and as the other, a short one with its quotes, and as a text inside a
// text that is JSON itself.
func secretForms(secrets []string) [][]byte {
	var out [][]byte
	add := func(f []byte) {
		if !slices.ContainsFunc(out, func(x []byte) bool { return bytes.Equal(x, f) }) {
			out = append(out, f)
		}
	}
	for _, s := range secrets {
		escaped, err := json.Marshal(s)
		if err != nil {
			continue // a text always is JSON
		}
		plain, err := value.AppendJSON(nil, s)
		if err != nil {
			plain = escaped
		}
		for _, quoted := range [][]byte{escaped, plain} {
			if len(s) < minSealed {
				add(quoted)
				continue
			}
			inner := quoted[1 : len(quoted)-1]
			add(inner)
			if bytes.ContainsRune(inner, '\\') {
				if twice, err := json.Marshal(string(inner)); err == nil {
					add(twice[1 : len(twice)-1])
				}
			}
		}
	}
	return out
}

// openRun opens what is sealed of a stored run, but for the router's own entry.
func (r *Router) openRun(st *Run) error {
	var err error
	if st.Head, err = r.openPart(st.Head); err != nil {
		return fmt.Errorf("head of run %s: %w", st.ID, err)
	}
	for key, raw := range st.Entries {
		if key == ownEntry || !bytes.HasPrefix(raw, []byte(sealedRun)) {
			continue
		}
		if st.Entries[key], err = r.openPart(raw); err != nil {
			return fmt.Errorf("entry %s of run %s: %w", key, st.ID, err)
		}
	}
	return nil
}

func (r *Router) openPart(raw json.RawMessage) (json.RawMessage, error) {
	if !bytes.HasPrefix(raw, []byte(sealedRun)) {
		return raw, nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return nil, fmt.Errorf("it cannot be read: %v: %w", err, hayate.ErrInvalid)
	}
	plain, err := r.secrets.Open(strings.TrimPrefix(text, strings.TrimPrefix(sealedRun, `"`)))
	if err != nil {
		return nil, fmt.Errorf("it cannot be opened, was the key file replaced? %w", err)
	}
	return json.RawMessage(plain), nil
}
