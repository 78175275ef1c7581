package stateful

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxKey is the longest key that is kept as it is, in bytes; of a longer one the
// beginning is kept, and a digest of all of it.
const maxKey = 200

// keyExpression gives the key of an event: templates whose values stand side by
// side.
type keyExpression struct {
	text  string
	parts []*jinja.Template
}

// environment is that of criteria: sandboxed, and undefined values are errors.
var environment = jinja.New(jinja.StackStormOptions(jinja.Hooks{}, true))

func newKeyExpression(texts []string) (*keyExpression, error) {
	k := &keyExpression{text: strings.Join(texts, "\x00")}
	for _, t := range texts {
		if !strings.Contains(t, "{{") {
			return nil, fmt.Errorf("%q names no value of the event; write {{ trigger.%s }}", t, strings.TrimPrefix(t, "trigger."))
		}
		c, err := environment.Compile(t)
		if err != nil {
			return nil, err
		}
		k.parts = append(k.parts, c)
	}
	return k, nil
}

// of evaluates the expression for an event.
func (k *keyExpression) of(e *hayate.Event) (string, error) {
	if k == nil {
		return "", nil
	}
	vars := &eventVars{e: e}
	parts := make([]string, len(k.parts))
	for i, t := range k.parts {
		s, err := t.Render(vars)
		if err != nil {
			return "", err
		}
		parts[i] = s
	}
	key := strings.Join(parts, "/")
	if len(key) > maxKey {
		sum := sha256.Sum256([]byte(key))
		cut := maxKey - 33
		for !utf8.RuneStart(key[cut]) {
			cut--
		}
		key = key[:cut] + "~" + hex.EncodeToString(sum[:16])
	}
	return key, nil
}

// eventVars are what a key may look at: trigger, the event's data, and event, its
// attributes.
type eventVars struct {
	e    *hayate.Event
	data any
	read bool
}

// Lookup implements jinja.Vars.
func (v *eventVars) Lookup(name string) (any, bool, error) {
	switch name {
	case "trigger":
		if !v.read {
			v.read, v.data = true, payload(v.e)
		}
		return v.data, true, nil
	case "event":
		m := value.MapOf("id", v.e.ID, "source", v.e.Source, "type", v.e.Type, "subject", v.e.Subject)
		for n := range v.e.Extensions {
			m.Set(n, v.e.Extension(n))
		}
		return m, true, nil
	}
	return nil, false, nil
}

// payload is an event's data as criteria see it.
func payload(e *hayate.Event) any {
	if len(e.Data) == 0 {
		return new(value.Map)
	}
	if e.IsJSON() {
		if v, err := value.Decode(e.Data); err == nil {
			return v
		}
	}
	return string(e.Data)
}

// Key gives the key of an event that satisfies a part of the rule: "" the rule's
// own conditions, else PartOther or PartCleared.
func (f *Form) Key(part string, e *hayate.Event) (string, error) {
	x := f.per
	if part == PartOther && f.both != nil && f.both.per != nil {
		x = f.both.per
	}
	key, err := x.of(e)
	if err != nil {
		return "", fmt.Errorf("when.per: %w", err)
	}
	return key, nil
}

// Target gives what the guards of an event's firing count by: guard.per, or else
// the key.
func (f *Form) Target(e *hayate.Event, key string) (string, error) {
	if f.target == nil {
		return key, nil
	}
	t, err := f.target.of(e)
	if err != nil {
		return "", fmt.Errorf("guard.per: %w", err)
	}
	return t, nil
}
