package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/rules"
	"github.com/hayate-run/hayate/rules/stateful"
)

// Content is what is registered: everything that packs bring along.
type Content struct {
	Packs    []Pack
	Rules    []hayate.Rule
	Actions  []hayate.Action
	Triggers []hayate.TriggerType
	Policies []hayate.Policy
	// Workflows are the texts of the definitions that workflow actions name as
	// their entry point.
	Workflows map[hayate.Ref][]byte
}

// Pack is a registered pack, as the router needs to know it.
type Pack struct {
	Ref         string `json:"ref"`
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	Version     string `json:"version"`
	Author      string `json:"author,omitempty"`
	Digest      string `json:"digest"`
	// Dir is the pack's folder on this host, "" where it has none.
	Dir string `json:"path,omitempty"`
	// Pipefail is the default for the pack's shell commands.
	Pipefail bool `json:"-"`
	// Config is the pack's configuration, a JSON object with templates unrendered.
	Config json.RawMessage `json:"-"`
	// ConfigSchema says which members of it are secret: attribute to property.
	ConfigSchema json.RawMessage `json:"-"`
}

// catalog is an immutable snapshot of what is registered. Readers take it
// through one atomic pointer.
type catalog struct {
	packs          map[string]*Pack
	actions        map[hayate.Ref]*boundAction
	rules          map[hayate.Ref]*hayate.Rule // all, enabled or not
	triggers       map[hayate.Ref]*hayate.TriggerType
	forms          map[hayate.Ref]*stateful.Form // of enabled rules that have a past
	policies       map[hayate.Ref]*hayate.Policy // all, enabled or not
	governed       map[hayate.Ref]*governance    // actions that enabled policies are about
	gated          bool                          // some enabled policy bounds how many run at once
	set            *rules.Set                    // the enabled ones
	webhooks       map[string]bool               // urls that enabled rules wait for
	inquiryTrigger bool                          // some enabled rule waits for core.st2.generic.inquiry
	actionTrigger  bool                          // some enabled rule waits for core.st2.generic.actiontrigger
	timers         map[string]*timer             // those that enabled rules wait for, by id
	loaded         bool                          // by Load: what is not here is registered nowhere
}

// boundAction is an action with its runner and the plan for its parameters.
type boundAction struct {
	hayate.Action
	runner   *hayate.Runner
	impl     Runner
	plan     *render.Plan
	dir      string
	pipefail bool
	config   *render.Config
	workflow []byte // the definition's text, for workflow runners
}

// registryRule is the kind under which rules' run-time changes are registered.
const registryRule = "rule"

// override is what an operator changed of a resource at run time.
type override struct {
	Enabled *bool `json:"enabled,omitempty"`
}

// Load makes content the registered content, with the operator's run-time
// changes on top. It reports every resource it refuses; the others are in
// effect when it returns. Calls are serialised.
func (r *Router) Load(ctx context.Context, c Content) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	over, _, err := r.registry.List(ctx, registryRule, 0)
	if err != nil {
		return fmt.Errorf("load content: %w", err)
	}
	changes, _, err := r.registry.List(ctx, registryPolicy, 0)
	if err != nil {
		return fmt.Errorf("load content: %w", err)
	}
	cat, err := r.build(c, over)
	if cat != nil {
		err = errors.Join(err, cat.withPolicies(c.Policies, changes))
		cat.loaded = true
		r.cat.Store(cat)
		r.content = c
		r.rebuild.loads++
		r.pokeTimers()
	}
	return err
}

func (r *Router) build(c Content, over []Document) (*catalog, error) {
	cat := &catalog{
		packs:    make(map[string]*Pack, len(c.Packs)),
		actions:  make(map[hayate.Ref]*boundAction, len(c.Actions)),
		rules:    make(map[hayate.Ref]*hayate.Rule, len(c.Rules)),
		triggers: make(map[hayate.Ref]*hayate.TriggerType, len(c.Triggers)),
	}
	var errs []error
	for i := range c.Packs {
		cat.packs[c.Packs[i].Ref] = &c.Packs[i]
	}
	for i := range c.Triggers {
		cat.triggers[c.Triggers[i].Ref()] = &c.Triggers[i]
	}
	for i := range c.Actions {
		b, err := r.bind(c.Actions[i], cat.packs[c.Actions[i].Pack])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.workflow = c.Workflows[b.Ref()]
		cat.actions[b.Ref()] = b
	}
	changed := map[hayate.Ref]override{}
	for _, d := range over {
		var o override
		if err := json.Unmarshal(d.Body, &o); err != nil {
			errs = append(errs, fmt.Errorf("registered change of rule %s: %w", d.Ref, err))
			continue
		}
		changed[hayate.Ref(d.Ref)] = o
	}
	enabled := make([]hayate.Rule, 0, len(c.Rules))
	for i := range c.Rules {
		rule := c.Rules[i]
		if o := changed[rule.Ref()]; o.Enabled != nil {
			rule.Enabled = *o.Enabled
		}
		cat.rules[rule.Ref()] = &rule
		if rule.Enabled {
			enabled = append(enabled, rule)
		}
	}
	set, err := rules.Compile(enabled)
	if err != nil {
		errs = append(errs, err)
	}
	if set == nil {
		return nil, errors.Join(errs...)
	}
	cat.set = set
	if err := cat.index(enabled, r.cfg.Zone); err != nil {
		errs = append(errs, err)
	}
	return cat, errors.Join(errs...)
}

// index notes what the enabled rules wait for beyond events as such. The error
// tells which of them wait for a timer that is wrong; the others are noted.
func (c *catalog) index(enabled []hayate.Rule, zone *time.Location) error {
	c.webhooks, c.actionTrigger, c.inquiryTrigger = map[string]bool{}, false, false
	c.forms = map[hayate.Ref]*stateful.Form{}
	for i := range enabled {
		if form, _ := stateful.Parse(&enabled[i]); form != nil { // what is wrong in it is said where rules are compiled
			c.forms[enabled[i].Ref()] = form
		}
		t := enabled[i].Trigger
		switch t.Type {
		case TriggerAction:
			c.actionTrigger = true
		case TriggerInquiry:
			c.inquiryTrigger = true
		case TriggerWebhook:
			var p struct{ URL string }
			if json.Unmarshal(t.Parameters, &p) == nil {
				c.webhooks[strings.Trim(p.URL, "/")] = true
			}
		}
	}
	var err error
	c.timers, err = timersOf(enabled, zone)
	return err
}

// bind joins an action with its runner.
func (r *Router) bind(a hayate.Action, p *Pack) (*boundAction, error) {
	rt, ok := r.runners[a.Runner]
	b := &boundAction{Action: a}
	if p != nil {
		b.dir, b.pipefail = p.Dir, p.Pipefail
		if len(p.Config) > 0 {
			c, err := r.renderer.NewConfig(p.Config, p.ConfigSchema)
			if err != nil {
				return nil, fmt.Errorf("configuration of pack %s: %w", p.Ref, err)
			}
			b.config = c
		}
	}
	if a.Pipefail != nil {
		b.pipefail = *a.Pipefail
	}
	var runnerParams hayate.Parameters
	if ok {
		b.runner, b.impl = &rt.Runner, rt.impl
		b.Idempotent = a.Idempotent || rt.NoEffect
		runnerParams = rt.Parameters
	}
	plan, err := r.renderer.NewPlan(a.Ref(), a.Parameters, runnerParams)
	if err != nil {
		return nil, fmt.Errorf("action %s: %w", a.Ref(), err)
	}
	b.plan = plan
	return b, nil
}

// Rules returns the registered rules, ordered by reference.
func (r *Router) Rules() []hayate.Rule {
	return sorted(r.cat.Load().rules, func(x *hayate.Rule) hayate.Rule { return *x })
}

// Rule returns a registered rule, or ErrNotFound.
func (r *Router) Rule(ref hayate.Ref) (hayate.Rule, error) {
	if x, ok := r.cat.Load().rules[ref]; ok {
		return *x, nil
	}
	return hayate.Rule{}, fmt.Errorf("rule %s: %w", ref, hayate.ErrNotFound)
}

// Actions returns the registered actions, ordered by reference.
func (r *Router) Actions() []hayate.Action {
	return sorted(r.cat.Load().actions, func(b *boundAction) hayate.Action { return b.Action })
}

// Action returns a registered action, or ErrNotFound.
func (r *Router) Action(ref hayate.Ref) (hayate.Action, error) {
	if b, ok := r.cat.Load().actions[ref]; ok {
		return b.Action, nil
	}
	return hayate.Action{}, fmt.Errorf("action %s: %w", ref, hayate.ErrNotFound)
}

// Runners returns the runner types of this process, ordered by name.
func (r *Router) Runners() []hayate.Runner {
	return sorted(r.runners, func(x boundRunner) hayate.Runner { return x.Runner })
}

// HasWebhook says whether an enabled rule waits for StackStorm's webhook of that url.
func (r *Router) HasWebhook(url string) bool { return r.cat.Load().webhooks[strings.Trim(url, "/")] }

// Parameters returns the parameters that an action takes, its runner's included.
func (r *Router) Parameters(ref hayate.Ref) (hayate.Parameters, error) {
	b, ok := r.cat.Load().actions[ref]
	if !ok {
		return nil, fmt.Errorf("action %s: %w", ref, hayate.ErrNotFound)
	}
	return b.plan.Parameters(), nil
}

// Packs returns the registered packs, ordered by reference.
func (r *Router) Packs() []Pack {
	return sorted(r.cat.Load().packs, func(p *Pack) Pack { return *p })
}

// Triggers returns the registered trigger types, ordered by reference.
func (r *Router) Triggers() []hayate.TriggerType {
	return sorted(r.cat.Load().triggers, func(t *hayate.TriggerType) hayate.TriggerType { return *t })
}

func sorted[K ~string, V, T any](m map[K]V, get func(V) T) []T {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	out := make([]T, len(keys))
	for i, k := range keys {
		out[i] = get(m[k])
	}
	return out
}

// SetRuleEnabled enables or disables a rule. The change outlives a restart and
// a reload of the pack. It is in effect when the call returns.
func (r *Router) SetRuleEnabled(ctx context.Context, ref hayate.Ref, on bool) (hayate.Rule, error) {
	if _, err := r.Rule(ref); err != nil {
		return hayate.Rule{}, err
	}
	body, err := json.Marshal(override{Enabled: &on})
	if err != nil {
		return hayate.Rule{}, fmt.Errorf("set rule %s: %w", ref, err)
	}
	if _, err := r.registry.Put(ctx, Document{DocumentKey: DocumentKey{Kind: registryRule, Ref: string(ref)}, Body: body}); err != nil {
		return hayate.Rule{}, fmt.Errorf("set rule %s: %w", ref, err)
	}
	return r.switchRule(ref, on)
}

// switchRule puts a rule's switch into effect in this process.
func (r *Router) switchRule(ref hayate.Ref, on bool) (hayate.Rule, error) {
	r.loading.Lock()
	defer r.loading.Unlock()
	old := r.cat.Load()
	if old.rules[ref] == nil {
		return hayate.Rule{}, fmt.Errorf("set rule %s: %w", ref, hayate.ErrNotFound)
	}
	rule := *old.rules[ref]
	if rule.Enabled == on {
		return rule, nil
	}
	rule.Enabled = on
	next := *old
	next.rules = make(map[hayate.Ref]*hayate.Rule, len(old.rules))
	enabled := make([]hayate.Rule, 0, len(old.rules))
	for k, v := range old.rules {
		if k == ref {
			v = &rule
		}
		next.rules[k] = v
		if v.Enabled {
			enabled = append(enabled, *v)
		}
	}
	set, err := r.changeSet(old.set, &rule, on)
	if err != nil {
		return hayate.Rule{}, fmt.Errorf("set rule %s: %w", ref, err)
	}
	next.set = set
	if err := next.index(enabled, r.cfg.Zone); err != nil {
		r.log.Warn("timers that do not tick", "err", err)
	}
	r.cat.Store(&next)
	r.pokeTimers()
	return rule, nil
}

// followRegistry puts into effect what other processes make of rules and policies,
// until ctx ends.
func (r *Router) followRegistry(ctx context.Context) error {
	var since int64
	for {
		docs, newest, err := r.registry.List(ctx, "", since)
		if err == nil {
			err = r.heed(ctx, docs)
		}
		if err == nil {
			since = max(since, newest)
			err = r.registry.Wait(ctx, since)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.log.Warn("changes by other processes not read, will repeat", "err", err)
			if !pause(ctx, time.Second) {
				return ctx.Err()
			}
		}
	}
}

func (r *Router) heed(ctx context.Context, docs []Document) error {
	policies := false
	for i := range docs {
		switch docs[i].Kind {
		case registryRule:
			r.heedRule(&docs[i])
		case registryPolicy:
			policies = true
		}
	}
	if policies {
		return r.reloadPolicies(ctx)
	}
	return nil
}

func (r *Router) heedRule(d *Document) {
	var o override
	if d.Deleted || json.Unmarshal(d.Body, &o) != nil || o.Enabled == nil {
		return
	}
	if _, err := r.switchRule(hayate.Ref(d.Ref), *o.Enabled); err != nil && !errors.Is(err, hayate.ErrNotFound) {
		r.log.Error("change of a rule by another process", "rule", d.Ref, "err", err)
	}
}

// boundRunner is a runner type with what serves it.
type boundRunner struct {
	hayate.Runner
	impl Runner
}
