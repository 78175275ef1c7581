package orquesta

import "github.com/hayate-run/hayate/internal/expr/value"

// transit asks each transition of a completed task, stages what follows, and
// returns the engine commands among it.
func (r *Run) transit(e *entry, env *env) (commands []spot) {
	n := e.node
	r.touch(e)
	if len(n.out) == 0 {
		e.term = true
		return nil
	}
	if e.next == nil {
		e.next = make([]verdict, len(n.out))
	}
	var follow []*staged
	fail := false
	for _, edge := range n.out {
		ok, err := r.criteria(edge, env)
		if err != nil {
			r.transitionFailed(e, edge, err)
			continue
		}
		if !ok {
			r.judge(e, edge, refused)
			continue
		}
		r.judge(e, edge, taken)
		delta, errs := r.published(edge, env)
		for _, err := range errs {
			r.transitionFailed(e, edge, err)
		}
		if len(errs) > 0 {
			continue
		}
		s := r.stage(e, edge, delta)
		if edge.to.command != "" {
			commands = append(commands, s.spot)
			fail = fail || edge.to.command == "fail"
		} else if s.ready {
			follow = append(follow, s)
		}
	}
	if fail || e.onFail {
		for _, s := range follow {
			if r.staged[s.spot] == s {
				s.runOnFail = true
			}
		}
	}
	return commands
}

func (r *Run) criteria(edge *edge, env *env) (bool, error) {
	if edge.criteria == nil {
		return true, nil
	}
	v, err := r.eval(edge.criteria, env)
	return err == nil && value.Truth(v), err
}

func (r *Run) transitionFailed(e *entry, edge *edge, err error) {
	r.logFailure(failure{message: describe(err), task: e.node.name, route: e.route, transition: edge.id})
	r.fail()
}

// fail makes the workflow fail.
func (r *Run) fail() {
	if to, ok := workflowMoves["workflow_failed"][r.status]; ok {
		r.status = to
	}
}

// published evaluates what a transition publishes, in order, each seeing those
// before it.
func (r *Run) published(edge *edge, base *env) (*value.Map, []error) {
	if len(edge.publish) == 0 {
		return nil, nil
	}
	var errs []error
	cur := *base
	out := value.NewMap(len(edge.publish))
	for i := range edge.publish {
		v, err := r.eval(edge.publish[i].val, &cur)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		out.Set(edge.publish[i].name, v)
		cur.vars, cur.shown = cur.vars.set(edge.publish[i].name, v), nil
	}
	return out, errs
}

// stage puts the destination of a transition on the list of what is to be done,
// or adds the arrival to what is there.
func (r *Run) stage(e *entry, edge *edge, delta *value.Map) *staged {
	l := &list{base: e.in, edge: edge, from: e.index}
	if delta.Len() > 0 {
		l.delta, l.index = delta, r.contexts
		r.contexts++
		e.out, e.outEdge = l.index, edge
	}
	at := spot{edge.to, r.routeTo(edge, e.route)}
	s := r.staged[at]
	if s == nil {
		r.addList(l)
		s = &staged{spot: at, slot: r.newSlot(), in: l, entry: -1}
		r.put(s)
	} else {
		l.left = s.in
		r.addList(l)
		s = r.own(s)
		s.in = l
		s.set, s.entry = nil, -1
		r.setCompleted(s, false)
	}
	r.setReady(s, r.inbound(edge.to, e.route) == satisfied)
	return s
}

// routeTo is the route on which a transition goes on: a new one where it leads to
// a task that several transitions lead to and that does not join them.
func (r *Run) routeTo(edge *edge, from int) int {
	if !edge.to.split {
		return from
	}
	for i := from; r.routes[i].via != ""; i = r.routes[i].parent {
		if r.routes[i].via == edge.back {
			return from
		}
	}
	r.routes = append(r.routes, route{from, edge.back})
	return len(r.routes) - 1
}

type inboundState uint8

const (
	unsatisfied inboundState = iota
	inProgress
	satisfied
)

// inbound says whether what a task waits for has come on a route.
func (r *Run) inbound(n *node, route int) inboundState {
	if !n.barrier {
		return satisfied // whoever asks has just come here
	}
	if n.cycle {
		return r.turn(n, route)
	}
	var a arrivals
	if c := r.counts[spot{n, route}]; c != nil {
		a = *c
	}
	switch {
	case a.satisfied >= n.need:
		return satisfied
	case a.begun < len(n.inbound) && (r.active > 0 || r.ready > 0):
		return inProgress
	}
	return unsatisfied
}

// turn is inbound for a join in a loop: an arrival counts for one run of the join,
// so that every turn waits for its own branches.
func (r *Run) turn(n *node, route int) inboundState {
	arrived := map[*node]bool{}
	if s := r.staged[spot{n, route}]; s != nil {
		for l := s.in; l != nil; l = l.left {
			if l.edge != nil {
				arrived[l.edge.from] = true
			}
		}
	}
	for _, src := range n.inbound {
		if e := r.latest(spot{src, route}); !src.cycle && e != nil && r.leads(e, n, 0) {
			arrived[src] = true // it comes once, before the first turn
		}
	}
	switch {
	case len(arrived) >= n.need:
		return satisfied
	case r.active > 0 || r.ready > 0:
		return inProgress
	}
	return unsatisfied
}
