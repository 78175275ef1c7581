package router

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/rules"
)

// maxLineage is how often an event's ancestry may hold a rule before the rule is
// stopped: the depth at which a loop is taken for one.
const maxLineage = 16

// Accept makes an event durable, decides on it, and hands what it leads to on to
// the queue. When it returns without error the event is stored and will be
// acted on, whatever happens to this process. An event without an id gets a
// random one; an event that was accepted before gets the first receipt. AcceptedAt
// is now, unless a queue has had it acknowledged before and says when.
// ErrInvalid and ErrTooLarge name what is wrong; ErrBusy says to repeat later.
func (r *Router) Accept(ctx context.Context, e hayate.Event) (Receipt, error) {
	if e.ID == "" {
		e.ID = r.cfg.NewID()
	}
	if err := e.Validate(); err != nil {
		return Receipt{}, fmt.Errorf("accept event: %w", err)
	}
	if len(e.Data) > r.cfg.MaxEvent {
		return Receipt{}, fmt.Errorf("accept event %s: data has %d bytes, the limit is %d: %w", e.ID, len(e.Data), r.cfg.MaxEvent, hayate.ErrTooLarge)
	}
	if n := r.queue.Depth(); n >= r.cfg.MaxBacklog {
		r.metrics.rejected.Add(1)
		return Receipt{}, fmt.Errorf("accept event %s: %d executions wait, the limit is %d: %w", e.ID, n, r.cfg.MaxBacklog, hayate.ErrBusy)
	}
	e.AcceptedAt = r.acceptedAt(e.AcceptedAt)
	// A sender who goes away now must not leave an event that is stored and waits
	// for the sweeper: its way is gone to the end.
	ctx = context.WithoutCancel(ctx)
	var wake time.Time
	rc, err := r.store.Accept(ctx, e, func(ctx context.Context, e *hayate.Event) (Decision, error) { return r.decide(ctx, e, &wake) })
	if err != nil {
		return Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	if !wake.IsZero() {
		r.alarm.at(wake)
	}
	if rc.Duplicate {
		r.metrics.duplicates.Add(1)
		r.log.Debug("event known already", "event_id", rc.ID)
		return rc, nil
	}
	r.metrics.events.Add(1)
	if r.log.Enabled(ctx, slog.LevelInfo) {
		r.log.Info("event accepted", "event_id", rc.ID, "trace", rc.ID, "type", e.Type, "source", e.Source, "executions", len(rc.Executions))
	}
	r.dispatch(ctx, rc.Executions)
	return rc, nil
}

// acceptedAt is when an event counts as accepted: when a queue acknowledged it, if
// it did. A time that no queue can have is not believed.
func (r *Router) acceptedAt(queued time.Time) time.Time {
	now := r.now()
	if queued.IsZero() || queued.After(now) || now.Sub(queued) > tombstones {
		return now
	}
	return queued.UTC().Truncate(time.Microsecond)
}

// targetWorkflow is the target under which workflows are queued: they are not
// claimed by a worker but begun by a router.
const targetWorkflow = "workflow"

// dispatch offers stored executions to the queue. What the queue cannot take now
// stays marked in the store and is brought back by the sweeper: false.
func (r *Router) dispatch(ctx context.Context, xs []hayate.Execution) bool {
	if len(xs) == 0 {
		return true
	}
	items := make([]QueueItem, 0, len(xs))
	ids := make([]hayate.ExecutionID, 0, len(xs))
	for i := range xs {
		if !xs[i].Status.Claimable() {
			continue
		}
		target := xs[i].Target
		if isWorkflow(xs[i].Runner) {
			target = targetWorkflow
		}
		items = append(items, QueueItem{Execution: xs[i].ID, Target: target, NotBefore: xs[i].NotBefore})
		ids = append(ids, xs[i].ID)
	}
	if len(items) == 0 {
		return true
	}
	// What is stored is dispatched, whether or not the caller is still there.
	ctx = context.WithoutCancel(ctx)
	if err := r.queue.Put(ctx, items...); err != nil {
		r.log.Warn("task not queued, the sweeper will bring it back", "executions", len(items), "err", err)
		return false
	}
	if err := r.store.Dispatched(ctx, ids...); err != nil {
		r.log.Warn("dispatch not marked, tasks may be queued twice", "executions", len(items), "err", err)
	}
	return true
}

// decide applies the rules to an event. When the decision is stored, wake is when
// its states are next due, zero for never.
func (r *Router) decide(ctx context.Context, e *hayate.Event, wake *time.Time) (Decision, error) {
	cat := r.cat.Load()
	sc := r.scratches.Get().(*rules.Scratch)
	defer r.scratches.Put(sc)
	d := &decider{r: r, cat: cat, event: e, uid: e.UID(), lineage: lineage(e), wake: wake}
	matches, err := r.match(ctx, cat.set, sc, e, &d.kv)
	if err != nil {
		return Decision{}, err
	}
	waking, name, at, isWake := wakeOf(e)
	for i := 0; i < len(matches); {
		if !remembers(&matches[i]) {
			if err := d.fire(ctx, &matches[i]); err != nil {
				return Decision{}, err
			}
			i++
			continue
		}
		n := groupOf(matches[i:])
		if !isWake || ownRef(matches[i].Rule) != waking {
			if err := d.remember(ctx, matches[i:i+n]); err != nil {
				return Decision{}, err
			}
		}
		i += n
	}
	if isWake {
		if err := d.woken(ctx, waking, name, at); err != nil {
			return Decision{}, err
		}
	}
	return d.out, nil
}

// match asks the rules, fetching the datastore values they need.
func (r *Router) match(ctx context.Context, set *rules.Set, sc *rules.Scratch, e *hayate.Event, kv *kvReader) ([]rules.Match, error) {
	kv.r = r
	for range maxNeedRounds {
		matches := set.Match(sc, e, kv.values)
		var need []string
		for i := range matches {
			need = append(need, matches[i].Need...)
		}
		if len(need) == 0 {
			return matches, nil
		}
		if err := kv.fetch(ctx, e.AcceptedAt, "", need); err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("rules of event %s ask for ever more datastore keys: %w", e.ID, hayate.ErrInvalid)
}

// lineage reads the rules that led to an event.
func lineage(e *hayate.Event) []hayate.Ref {
	text := e.Extension(hayate.ExtLineage)
	if text == "" {
		return nil
	}
	parts := strings.Split(text, ",")
	refs := make([]hayate.Ref, len(parts))
	for i, p := range parts {
		refs[i] = hayate.Ref(p)
	}
	return refs
}

// decider collects the decision on one event.
type decider struct {
	r       *Router
	cat     *catalog
	event   *hayate.Event
	uid     string
	lineage []hayate.Ref
	kv      kvReader
	trigger *render.Trigger
	wake    *time.Time
	out     Decision
}

// firing begins the decision on a rule.
func (d *decider) firing(rule *hayate.Rule) *hayate.Firing {
	at := d.event.AcceptedAt
	return &hayate.Firing{
		ID: hayate.FiringIDOf(at, d.uid, rule.Ref()), Rule: rule.Ref(), RuleRevision: rule.Revision,
		Event: hayate.EventIDOf(at, d.uid), At: at, Status: hayate.FiringSucceeded,
	}
}

// fire decides what a matching rule leads to.
func (d *decider) fire(ctx context.Context, m *rules.Match) error {
	f := d.firing(m.Rule)
	switch {
	case m.Err != nil:
		d.unmatched(f, m.Err)
	case d.looped(m.Rule.Ref()):
		d.stop(f)
	default:
		if err := d.actions(ctx, m.Rule, f); err != nil {
			return err
		}
		d.out.Firings = append(d.out.Firings, *f)
	}
	return nil
}

// unmatched records that a rule could not be evaluated.
func (d *decider) unmatched(f *hayate.Firing, err error) {
	f.Status, f.Reason = hayate.FiringFailed, fmt.Sprintf("Failed to match rule %q against trigger instance %q: %v", f.Rule, f.Event, err)
	d.out.Firings = append(d.out.Firings, *f)
}

// stop records that an event has come back to a rule too often.
func (d *decider) stop(f *hayate.Firing) {
	f.Status = hayate.FiringLoop
	f.Reason = fmt.Sprintf("stopped: the event descends from %d firings of this rule", maxLineage)
	d.out.Firings = append(d.out.Firings, *f)
}

// actions decides on the actions of a rule.
func (d *decider) actions(ctx context.Context, rule *hayate.Rule, f *hayate.Firing) error {
	for i := range rule.Actions {
		if err := d.act(ctx, rule, i, f); err != nil {
			return err
		}
	}
	return nil
}

func (d *decider) looped(ref hayate.Ref) bool {
	n := 0
	for _, x := range d.lineage {
		if x == ref {
			n++
		}
	}
	return n >= maxLineage
}

// act decides on one action of a rule. The error is of the world outside (the
// datastore), never of the rule: a rule's mistakes are recorded in the firing.
func (d *decider) act(ctx context.Context, rule *hayate.Rule, i int, f *hayate.Firing) error {
	fail := func(format string, args ...any) {
		f.Status = hayate.FiringFailed
		if f.Reason != "" {
			f.Reason += "; "
		}
		f.Reason += fmt.Sprintf(format, args...)
	}
	ra := &rule.Actions[i]
	b, ok := d.cat.actions[ra.Ref]
	switch {
	case !ok:
		fail("Action %q doesn't exist", ra.Ref)
		return nil
	case !b.Enabled:
		fail("Action %q is disabled", ra.Ref)
		return nil
	}
	x := d.newExecution(rule, b, i)
	if d.trigger == nil {
		d.trigger = render.NewTrigger(d.event)
	}
	scope := &render.Scope{Trigger: d.trigger, ActionContext: x.Context, User: d.r.cfg.User}
	params, err := d.r.render(ctx, b, ra.Parameters, scope, &d.kv, d.event.AcceptedAt)
	if err != nil {
		re, isRender := render.AsError(err)
		if !isRender {
			return err
		}
		fail("%s", re.Error())
		if !re.Recorded() {
			return nil
		}
		// StackStorm keeps an execution of a rule whose templates fail.
		params = ra.Parameters
		x.Result, x.Follow = errorResult(re.Error()), false
		if err := x.To(hayate.StatusFailed, d.event.AcceptedAt); err != nil {
			return err
		}
	}
	f.Parameters = append(f.Parameters, b.plan.Mask(params, scope.Private))
	if rule.Mode == hayate.ModeShadow {
		if f.Status == hayate.FiringSucceeded {
			f.Status = hayate.FiringShadow
		}
		return nil
	}
	if x.Parameters, err = b.plan.Seal(params, scope.Private, d.r.secrets.Seal); err != nil {
		return fmt.Errorf("seal parameters of %s: %w", ra.Ref, err)
	}
	if f.Status == hayate.FiringSucceeded {
		f.Executions = append(f.Executions, x.ID)
	}
	d.out.Executions = append(d.out.Executions, x)
	return nil
}

func (d *decider) newExecution(rule *hayate.Rule, b *boundAction, i int) hayate.Execution {
	at := d.event.AcceptedAt
	id := hayate.RuleExecutionID(at, d.uid, rule.Ref(), i)
	ev := hayate.EventIDOf(at, d.uid)
	x := hayate.Execution{
		ID: id, Root: id, Action: b.Ref(), Runner: b.Runner, Event: ev, Rule: rule.Ref(), Trace: string(ev),
		Lineage: append(append([]hayate.Ref(nil), d.lineage...), rule.Ref()), Idempotent: b.Idempotent, Target: targetOf(b, rule.Actions[i].Target),
		Created: at, Context: ruleContext(d.r.cfg.User, d.event, ev, rule),
	}
	x.Status = hayate.StatusScheduled
	x.Log = []hayate.Transition{{Time: at, Status: hayate.StatusRequested}, {Time: at, Status: hayate.StatusScheduled}}
	d.cat.governNew(&x)
	return x
}

// ruleContext is the context that StackStorm gives to a rule's execution.
func ruleContext(user string, e *hayate.Event, ev hayate.EventID, rule *hayate.Rule) json.RawMessage {
	type named struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	}
	tag := e.Extension(hayate.ExtTraceTag)
	if tag == "" {
		tag = "trigger_instance-" + string(ev)
	}
	b, err := json.Marshal(struct {
		TriggerInstance named  `json:"trigger_instance"`
		Rule            named  `json:"rule"`
		User            string `json:"user"`
		Pack            string `json:"pack"`
		Trace           any    `json:"trace_context"`
	}{named{string(ev), ""}, named{RuleID(rule.Ref()), rule.Name}, user, rule.Pack, map[string]string{"trace_tag": tag, "id_": string(ev)}})
	if err != nil {
		panic(err) // strings only
	}
	return b
}

// RuleID is the identifier that the API shows for a rule. It depends on the
// reference alone, so that it survives every reload.
func RuleID(ref hayate.Ref) string { return hayate.NewID(time.Unix(0, 0), "rule", string(ref)) }

// ActionID is the identifier that the API shows for an action.
func ActionID(ref hayate.Ref) string { return hayate.NewID(time.Unix(0, 0), "action", string(ref)) }

// errorResult is the result of an execution that never ran.
func errorResult(message string) json.RawMessage {
	b, err := json.Marshal(struct {
		Error     string `json:"error"`
		Traceback string `json:"traceback"`
	}{message, ""})
	if err != nil {
		panic(err) // strings only
	}
	return b
}
