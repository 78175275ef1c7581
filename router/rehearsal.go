package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/rules"
)

// RehearsalConfig is what a Rehearsal needs. Only Content is required.
type RehearsalConfig struct {
	Content Content
	// RunnerTypes say which parameters an action's runner takes.
	RunnerTypes []hayate.Runner
	// User is who executions of rules run as. Default "stanley".
	User string
}

// Rehearsal decides on events just as a Router does, and does nothing: nothing is
// stored, queued or run. The time is that of the events. It is for one goroutine.
type Rehearsal struct {
	r    *Router
	past *rehearsedPast
}

// Rehearse returns a Rehearsal. Actions of packs that are not in the content are
// taken for granted, whatever they are given; an action that a pack of the
// content lacks is missing, as in earnest. The error lists what was refused.
func Rehearse(c RehearsalConfig) (*Rehearsal, error) {
	r := &Router{data: fixedKeys(nil), secrets: plainSecrets{}, log: slog.New(slog.DiscardHandler), runners: map[string]boundRunner{},
		renderer: render.New(plainSecrets{}.Open), cfg: Config{User: c.User}}
	setDefault(&r.cfg.User, "stanley")
	h := newRehearsal(r)
	for _, d := range c.RunnerTypes {
		for _, name := range append([]string{d.Name}, d.Aliases...) {
			r.runners[name] = boundRunner{d, nil}
		}
	}
	c.Content.Actions = append(slices.Clip(c.Content.Actions), granted(&c.Content)...)
	cat, err := r.build(c.Content, nil)
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	r.cat.Store(cat)
	return h, nil
}

// Anew returns a Rehearsal of the same content that remembers nothing, on a
// datastore of these values by full name, such as "system.a". It costs little.
func (h *Rehearsal) Anew(keys map[string]string) *Rehearsal {
	n := h.r.rehearse(h.r.cat.Load())
	n.r.data = fixedKeys(keys)
	return n
}

// newRehearsal gives a Router that has no store what decisions need beside it.
func newRehearsal(r *Router) *Rehearsal {
	p := &rehearsedPast{states: map[[2]string]StateRecord{}, events: map[string]EventRecord{}}
	r.past = p
	r.scratches.New = func() any { return rules.NewScratch() }
	return &Rehearsal{r, p}
}

// granted makes actions of those that rules name in packs that are not there.
// They take what the rules give them.
func granted(c *Content) []hayate.Action {
	here, has := map[string]bool{}, map[hayate.Ref]bool{}
	for i := range c.Packs {
		here[c.Packs[i].Ref] = true
	}
	for i := range c.Actions {
		has[c.Actions[i].Ref()] = true
	}
	at := map[hayate.Ref]int{}
	var out []hayate.Action
	for i := range c.Rules {
		for _, ra := range c.Rules[i].Actions {
			if has[ra.Ref] || here[ra.Ref.Pack()] {
				continue
			}
			k, known := at[ra.Ref]
			if !known {
				k = len(out)
				at[ra.Ref] = k
				out = append(out, hayate.Action{Pack: ra.Ref.Pack(), Name: ra.Ref.Name(), Enabled: true})
			}
			var given map[string]json.RawMessage
			if json.Unmarshal(ra.Parameters, &given) != nil {
				continue // no object: rendering says so
			}
			for name := range given {
				if out[k].Parameters.Get(name) == nil {
					out[k].Parameters = append(out[k].Parameters, hayate.Parameter{Name: name, Schema: json.RawMessage("{}")})
				}
			}
		}
	}
	return out
}

// Decide says which rules fire for an event, in the order of their references,
// and what they would start. AcceptedAt must be set. What rules remember of the
// events before counts; see Advance for what comes of time alone.
func (h *Rehearsal) Decide(ctx context.Context, e *hayate.Event) ([]hayate.Firing, error) {
	return h.decide(ctx, e)
}

// Explain says what one rule makes of an event.
func (h *Rehearsal) Explain(ctx context.Context, e *hayate.Event, ref hayate.Ref) (rules.Explanation, error) {
	xs, err := h.r.Explain(ctx, e, ref)
	if err != nil {
		return rules.Explanation{}, err
	}
	return xs[0], nil
}

// fixedKeys is a datastore that nobody changes.
type fixedKeys map[string]string

var errFixed = errors.New("a rehearsal changes no keys")

// Get returns those of the keys that are there.
func (f fixedKeys) Get(_ context.Context, _ time.Time, keys ...Key) (map[Key]Item, error) {
	out := map[Key]Item{}
	for _, k := range keys {
		if v, ok := f[k.Scope+"."+k.Name]; ok {
			out[k] = Item{Value: v}
		}
	}
	return out, nil
}

// Set refuses.
func (f fixedKeys) Set(context.Context, Key, Item) error { return errFixed }

// Delete refuses.
func (f fixedKeys) Delete(context.Context, Key) error { return errFixed }

// Keys lists nothing: decisions name the keys that they want.
func (f fixedKeys) Keys(context.Context, time.Time, KeyQuery) ([]Pair, error) { return nil, nil }

// plainSecrets are those of a rehearsal, whose values are not sealed.
type plainSecrets struct{}

// Seal returns the text.
func (plainSecrets) Seal(plain string) (string, error) { return plain, nil }

// Open returns the text.
func (plainSecrets) Open(sealed string) (string, error) { return sealed, nil }

// Outer are a firing's parameters without those that its actions fix: these belong
// to how a runner does the action, and say nothing that the others do not. Of a
// rule that is not there they come as they are.
func (h *Rehearsal) Outer(f *hayate.Firing) []json.RawMessage {
	cat := h.r.cat.Load()
	rule := cat.rules[f.Rule]
	if rule == nil {
		return f.Parameters
	}
	out := slices.Clone(f.Parameters)
	for i := range out {
		if i >= len(rule.Actions) {
			break
		}
		a := cat.actions[rule.Actions[i].Ref]
		m, err := value.Decode(out[i])
		o, ok := m.(*value.Map)
		if a == nil || err != nil || !ok {
			continue
		}
		for _, p := range a.Parameters {
			if p.Immutable {
				o.Delete(p.Name)
			}
		}
		if b, err := value.Encode(o); err == nil {
			out[i] = b
		}
	}
	return out
}
