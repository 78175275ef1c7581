package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/schema"
)

// registryPolicy is the kind under which policies are registered that were made
// or changed at run time.
const registryPolicy = "policy"

// policyChange is what an operator made of a policy: a new one, or one of a pack
// with something changed. Reloading the pack does not undo it.
type policyChange struct {
	Enabled    *bool           `json:"enabled,omitempty"`
	Parameters json.RawMessage `json:"parameters,omitempty"`
	Deleted    bool            `json:"deleted,omitempty"`
	Made       *hayate.Policy  `json:"made,omitempty"` // not of a pack
}

// governance is what the enabled policies say about one action.
type governance struct {
	gates   []gatePolicy // in the order in which they are entered
	retries []retryPolicy
}

// gatePolicy bounds how many executions run at once.
type gatePolicy struct {
	ref        hayate.Ref
	keyed      bool     // apart for each combination of the attributes' values
	attributes []string // sorted
	threshold  int
	cancel     bool // one too many is canceled; else it waits
}

// retryPolicy runs again what ended in a status.
type retryPolicy struct {
	ref   hayate.Ref
	on    hayate.Status
	most  int
	delay time.Duration
}

// withPolicies makes the catalog hold policies: those of the packs, and what was
// made of them at run time. What cannot be read is reported and left out.
func (c *catalog) withPolicies(packed []hayate.Policy, changes []Document) error {
	c.policies = make(map[hayate.Ref]*hayate.Policy, len(packed))
	for i := range packed {
		p := packed[i]
		c.policies[p.Ref()] = &p
	}
	var errs []error
	for _, d := range changes {
		if err := c.applyPolicy(d); err != nil {
			errs = append(errs, fmt.Errorf("registered change of policy %s: %w", d.Ref, err))
		}
	}
	c.governed = map[hayate.Ref]*governance{}
	c.gated = false
	for _, p := range sorted(c.policies, func(p *hayate.Policy) *hayate.Policy { return p }) {
		if !p.Enabled {
			continue
		}
		if err := c.govern(p); err != nil {
			errs = append(errs, fmt.Errorf("policy %s: %w", p.Ref(), err))
		}
	}
	for _, g := range c.governed {
		// Of several gates the narrower comes first; all enter them in one order, so
		// that none waits for another in a circle.
		slices.SortStableFunc(g.gates, func(a, b gatePolicy) int {
			return cmp.Or(-cmp.Compare(number(a.keyed), number(b.keyed)), cmp.Compare(a.ref, b.ref))
		})
	}
	return errors.Join(errs...)
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (c *catalog) applyPolicy(d Document) error {
	var ch policyChange
	if err := json.Unmarshal(d.Body, &ch); err != nil {
		return err
	}
	ref := hayate.Ref(d.Ref)
	if ch.Made != nil {
		p := *ch.Made
		c.policies[ref] = &p
	}
	p := c.policies[ref]
	switch {
	case p == nil:
		return nil // its pack is gone
	case ch.Deleted:
		delete(c.policies, ref)
		return nil
	}
	if ch.Enabled != nil {
		p.Enabled = *ch.Enabled
	}
	if len(ch.Parameters) > 0 {
		p.Parameters = ch.Parameters
	}
	return nil
}

// govern adds an enabled policy to what is said about its action.
func (c *catalog) govern(p *hayate.Policy) error {
	var v struct {
		Threshold  int      `json:"threshold"`
		Action     string   `json:"action"`
		Attributes []string `json:"attributes"`
		RetryOn    string   `json:"retry_on"`
		Most       int      `json:"max_retry_count"`
		Delay      float64  `json:"delay"`
	}
	if err := json.Unmarshal(p.Parameters, &v); err != nil {
		return fmt.Errorf("its parameters cannot be read: %v: %w", err, hayate.ErrInvalid)
	}
	g := c.governed[p.ResourceRef]
	if g == nil {
		g = &governance{}
		c.governed[p.ResourceRef] = g
	}
	switch p.Type {
	case hayate.PolicyConcurrency, hayate.PolicyConcurrencyAttr:
		slices.Sort(v.Attributes)
		g.gates = append(g.gates, gatePolicy{ref: p.Ref(), keyed: p.Type == hayate.PolicyConcurrencyAttr, attributes: v.Attributes,
			threshold: v.Threshold, cancel: v.Action == "cancel"})
		c.gated = true
	case hayate.PolicyRetry:
		on := hayate.StatusFailed
		if v.RetryOn == "timeout" {
			on = hayate.StatusTimeout
		}
		g.retries = append(g.retries, retryPolicy{p.Ref(), on, v.Most, time.Duration(v.Delay * float64(time.Second))})
	default:
		return unknownPolicyType(p.Type)
	}
	return nil
}

func unknownPolicyType(name string) error {
	var known []string
	for _, t := range hayate.PolicyTypes() {
		known = append(known, t.Name)
	}
	return fmt.Errorf("there is no policy type %q; known are %s: %w", name, strings.Join(known, ", "), hayate.ErrInvalid)
}

// Policies returns the registered policies, ordered by reference.
func (r *Router) Policies() []hayate.Policy {
	return sorted(r.cat.Load().policies, func(p *hayate.Policy) hayate.Policy { return *p })
}

// Policy returns a registered policy, or ErrNotFound.
func (r *Router) Policy(ref hayate.Ref) (hayate.Policy, error) {
	if p, ok := r.cat.Load().policies[ref]; ok {
		return *p, nil
	}
	return hayate.Policy{}, fmt.Errorf("policy %s: %w", ref, hayate.ErrNotFound)
}

// PolicyID is the identifier that the API shows for a policy, or a type of them.
func PolicyID(ref hayate.Ref) string { return hayate.NewID(time.Unix(0, 0), "policy", string(ref)) }

// CreatePolicy registers a policy. ErrConflict says that there is one by that
// name, ErrInvalid what is wrong with it. It is in effect when the call returns.
func (r *Router) CreatePolicy(ctx context.Context, p hayate.Policy) (hayate.Policy, error) {
	ref := p.Ref()
	if _, there := r.cat.Load().policies[ref]; there {
		return p, fmt.Errorf("policy %s exists already: %w", ref, hayate.ErrConflict)
	}
	switch {
	case p.Name == "" || p.Pack == "":
		return p, fmt.Errorf("a policy needs a name and a pack: %w", hayate.ErrInvalid)
	case strings.ContainsAny(p.Name, "./ ") || strings.ContainsAny(p.Pack, "./ "):
		return p, fmt.Errorf("policy %s: neither name nor pack may hold a dot, a slash or a space: %w", ref, hayate.ErrInvalid)
	}
	if _, ok := r.cat.Load().actions[p.ResourceRef]; !ok {
		return p, fmt.Errorf("policy %s: there is no action %q: %w", ref, p.ResourceRef, hayate.ErrInvalid)
	}
	var err error
	if p.Parameters, err = completePolicy(p.Type, p.Parameters); err != nil {
		return p, fmt.Errorf("policy %s: %w", ref, err)
	}
	return p, r.changePolicy(ctx, ref, policyChange{Made: &p})
}

// UpdatePolicy enables or disables a policy, or gives it other parameters; nil
// leaves what it is. The change outlives restarts and reloads of the pack, and is
// in effect when the call returns.
func (r *Router) UpdatePolicy(ctx context.Context, ref hayate.Ref, enabled *bool, parameters json.RawMessage) (hayate.Policy, error) {
	p, err := r.Policy(ref)
	if err != nil {
		return p, err
	}
	ch, err := r.policyChange(ctx, ref)
	if err != nil {
		return p, err
	}
	if enabled != nil {
		ch.Enabled = enabled
	}
	if len(parameters) > 0 {
		if ch.Parameters, err = completePolicy(p.Type, parameters); err != nil {
			return p, fmt.Errorf("policy %s: %w", ref, err)
		}
	}
	if err := r.changePolicy(ctx, ref, ch); err != nil {
		return p, err
	}
	return r.Policy(ref)
}

// DeletePolicy removes a policy. One of a pack stays away until one of that name
// is created. ErrNotFound says that there is none.
func (r *Router) DeletePolicy(ctx context.Context, ref hayate.Ref) error {
	if _, err := r.Policy(ref); err != nil {
		return err
	}
	return r.changePolicy(ctx, ref, policyChange{Deleted: true})
}

// policyChange reads what is registered about a policy.
func (r *Router) policyChange(ctx context.Context, ref hayate.Ref) (policyChange, error) {
	var ch policyChange
	docs, _, err := r.registry.List(ctx, registryPolicy, 0)
	if err != nil {
		return ch, fmt.Errorf("read policy %s: %w", ref, err)
	}
	for _, d := range docs {
		if d.Ref == string(ref) {
			if err := json.Unmarshal(d.Body, &ch); err != nil {
				return ch, fmt.Errorf("registered change of policy %s: %v: %w", ref, err, hayate.ErrInvalid)
			}
		}
	}
	return ch, nil
}

// changePolicy registers a change and puts it into effect.
func (r *Router) changePolicy(ctx context.Context, ref hayate.Ref, ch policyChange) error {
	body, err := json.Marshal(ch)
	if err != nil {
		return fmt.Errorf("change policy %s: %w", ref, err)
	}
	if _, err := r.registry.Put(ctx, Document{DocumentKey: DocumentKey{Kind: registryPolicy, Ref: string(ref)}, Body: body}); err != nil {
		return fmt.Errorf("change policy %s: %w", ref, err)
	}
	return r.reloadPolicies(ctx)
}

// reloadPolicies brings what is registered about policies into effect.
func (r *Router) reloadPolicies(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	docs, _, err := r.registry.List(ctx, registryPolicy, 0)
	if err != nil {
		return fmt.Errorf("read policies: %w", err)
	}
	next := *r.cat.Load()
	err = next.withPolicies(r.content.Policies, docs)
	r.cat.Store(&next)
	return err
}

// completePolicy checks the parameters of a type of policy and fills in defaults.
func completePolicy(typ string, parameters json.RawMessage) (json.RawMessage, error) {
	if len(parameters) == 0 {
		parameters = json.RawMessage("{}")
	}
	for _, t := range hayate.PolicyTypes() {
		if t.Name != typ {
			continue
		}
		var properties []schema.Property
		for _, p := range t.Parameters {
			properties = append(properties, schema.Property{Name: p.Name, Schema: p.Schema})
		}
		s, err := schema.Parameters(properties, false, schema.Options{})
		if err != nil {
			return nil, fmt.Errorf("parameters of %s: %v: %w", typ, err, hayate.ErrInvalid)
		}
		full, err := s.Complete(parameters)
		if err != nil {
			return nil, fmt.Errorf("parameters of %s: %v: %w", typ, err, hayate.ErrInvalid)
		}
		return full, nil
	}
	return nil, unknownPolicyType(typ)
}
