package orquesta

import (
	"sort"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// handout is a task that may be started now.
type handout struct {
	spot
	staged      *staged
	actions     []action
	delay       any // integer, where there is one
	itemized    bool
	items       int
	concurrency any
}

// action is one action to start, with its rendered input.
type action struct {
	ref   any
	input any
	item  int // -1 for none
}

// next returns the tasks that may be started, by name and route. Where one of
// them cannot be rendered the workflow fails, and nothing is returned.
func (r *Run) next() []handout {
	onlyFlagged := false
	if !isRunning(r.status) {
		if r.status != failed || r.ready == 0 {
			return nil
		}
		onlyFlagged = true
	}
	if r.ready == 0 {
		return nil
	}
	var out []handout
	bad := false
	for _, s := range r.stagedInOrder() {
		if !s.waiting() || (onlyFlagged && !s.runOnFail) {
			continue
		}
		h, err := r.render(s)
		if err != nil {
			r.logFailure(failure{message: describe(err), task: s.node.name, route: s.route})
			r.fail()
			bad = true
			continue
		}
		if !h.itemized || h.items == 0 || len(h.actions) > 0 {
			out = append(out, h)
		}
	}
	if bad {
		return nil
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].node != out[j].node {
			return out[i].node.index < out[j].node.index
		}
		return out[i].route < out[j].route
	})
	return out
}

// taskEnv is what the expressions of a task see before it has a result.
func (r *Run) taskEnv(n *node, route int, in *list) *env {
	at := -1
	if e := r.latest(spot{n, route}); e != nil {
		at = e.index
	}
	return &env{run: r, vars: in.vars(), node: n, route: route, at: at}
}

func (r *Run) render(s *staged) (handout, error) {
	h := handout{spot: s.spot, staged: s}
	env := r.taskEnv(s.node, s.route, s.in)
	t := s.node.task
	if t == nil {
		h.actions = []action{{item: -1}}
		return h, nil
	}
	p := r.def.programs[t]
	if t.with == nil {
		a, err := r.renderAction(p, env, -1)
		if err != nil {
			return h, err
		}
		h.actions = []action{a}
	} else if err := r.renderItems(&h, p, env); err != nil {
		return h, err
	}
	if p.delay != nil {
		d, err := r.eval(p.delay, env)
		if err == nil && !isInteger(d) {
			err = raise("TypeError", "The value of task delay is not type of integer.")
		}
		if err != nil {
			return h, err
		}
		h.delay = d
	}
	if s.retry != nil {
		h.delay = int64(0)
		if s.retry.delay != nil {
			h.delay = s.retry.delay
		}
	}
	return h, nil
}

func (r *Run) renderAction(p *taskProgram, env *env, item int) (action, error) {
	a := action{item: item}
	var err error
	if a.ref, err = r.eval(p.action, env); err != nil {
		return a, err
	}
	a.input, err = r.eval(p.input, env)
	return a, err
}

// renderItems renders the items that may be started now. All of them are rendered
// once, when the task is handed out first, so that an item that cannot be does
// not stop a task half done.
func (r *Run) renderItems(h *handout, p *taskProgram, env *env) error {
	set := h.staged.set
	first := set == nil
	if first {
		v, err := r.eval(p.items, env)
		if err != nil {
			return err
		}
		l, ok := v.(value.List)
		if !ok {
			return raise("TypeError", `The value of "%s" is not type of list.`, p.task.with.list)
		}
		if len(l) > r.def.maxItems {
			return raise("ValueError", "The task has %d items, more than the %d allowed.", len(l), r.def.maxItems)
		}
		set = newItemSet(h.staged.slot, l)
	}
	concurrency, err := r.eval(p.concurrency, env)
	if err != nil {
		return err
	}
	limit := -1
	switch c := concurrency.(type) {
	case nil:
	case int64:
		limit = int(max(c, 1))
		concurrency = int64(limit)
	case bool:
		limit, concurrency = 1, int64(1)
	default:
		return raise("TypeError", "'<' not supported between instances of '%s' and 'int'", value.Type(concurrency))
	}
	if r.def.rehearse {
		limit = 1
	}
	h.itemized, h.items, h.concurrency = true, set.len(), concurrency
	if limit >= 0 {
		limit = max(limit-set.active(), 0)
	}
	batch := set.nextUnset(limit)
	from := 0
	render := func(i int) (action, error) {
		env.item, env.shown = itemValue(p.task.with.names, set.list[i]), nil
		return r.renderAction(p, env, i)
	}
	for _, i := range batch {
		a, err := render(i)
		if err != nil {
			return err
		}
		h.actions = append(h.actions, a)
		from = i + 1
	}
	for i := from; first && i < set.len(); i++ {
		if _, err := render(i); err != nil {
			return err
		}
	}
	if first {
		h.staged = r.own(h.staged)
		h.staged.set = set
		r.listed = append(r.listed, set)
	}
	return nil
}

// itemValue is an item as item() shows it: its parts under the names given.
func itemValue(names []string, item any) any {
	if names == nil {
		return item
	}
	if parts, ok := value.Items(item); ok {
		m := value.NewMap(len(names))
		for i, name := range names {
			if i < len(parts) {
				m.Set(name, parts[i])
			}
		}
		return m
	}
	if len(names) == 1 {
		return value.MapOf(names[0], item)
	}
	return item
}
