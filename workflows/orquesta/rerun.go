package orquesta

import (
	"slices"
	"sort"
	"strconv"
	"strings"
)

// rerunRequest names a task to run again.
type rerunRequest struct {
	task  string
	route int
	reset bool
}

// rerun readies an ended run to go on from some of its tasks; without requests,
// from all that failed and were not handled.
func (r *Run) rerun(reqs []rerunRequest) error {
	if !r.status.Completed() {
		return raise("WorkflowIsActiveAndNotRerunableError", "Unable to rerun workflow because it is not in a completed state.")
	}
	candidates, reset, err := r.candidates(reqs)
	if err != nil {
		return err
	}
	indexes := make([]int, len(candidates))
	for i, e := range candidates {
		indexes[i] = e.index
	}
	r.reruns = append(r.reruns[:len(r.reruns):len(r.reruns)], indexes)
	for _, e := range candidates {
		r.runAgain(e, reset[e])
	}
	for _, e := range r.seq {
		if e.term && slices.Contains(e.next, taken) {
			r.setTerm(e, false)
		}
	}
	r.output, r.rendered, r.finished = nil, false, false
	r.wroteReruns = true
	r.status = resuming
	return nil
}

// candidates are the entries to run again, by name and route.
func (r *Run) candidates(reqs []rerunRequest) ([]*entry, map[*entry]bool, error) {
	reset := map[*entry]bool{}
	var out []*entry
	if len(reqs) == 0 {
		out = r.abended()
		if len(out) == 0 && r.ready == 0 {
			return nil, nil, raise("InvalidTaskRerunRequest", "Unable to rerun workflow because no task of it failed.")
		}
	} else {
		var missing []string
		for _, q := range reqs {
			n := r.def.graph.names[q.task]
			var e *entry
			if n != nil {
				e = r.latest(spot{n, q.route})
			}
			if e == nil {
				missing = append(missing, q.task+"|"+strconv.Itoa(q.route))
				continue
			}
			out = append(out, e)
			reset[e] = reset[e] || q.reset
		}
		if missing != nil {
			return nil, nil, raise("InvalidTaskRerunRequest", "Unable to rerun task|route(s) because it doesn't exist or isn't rerunnable: %s",
				strings.Join(missing, ", "))
		}
		out = r.dropCovered(out)
	}
	sort.SliceStable(out, func(i, j int) bool {
		if out[i].node != out[j].node {
			return out[i].node.index < out[j].node.index
		}
		return out[i].route < out[j].route
	})
	return out, reset, nil
}

// abended are the entries that failed without being handled. For an engine command
// the tasks stand in that led to it.
func (r *Run) abended() []*entry {
	var out []*entry
	add := func(e *entry) {
		if r.newest[spot{e.node, e.route}] == e.index && !slices.Contains(out, e) {
			out = append(out, e)
		}
	}
	for _, e := range r.seq {
		if !e.term || !isAbended(e.status) {
			continue
		}
		if e.node.command == "" {
			add(e)
			continue
		}
		for l := e.in; l != nil; l = l.left {
			if l.edge != nil {
				add(r.seq[l.from])
			}
		}
	}
	return out
}

// dropCovered drops the candidates that run again anyhow, because all the others
// lead to them.
func (r *Run) dropCovered(list []*entry) []*entry {
	seen := map[*entry]bool{}
	var unique []*entry
	for _, e := range list {
		if !seen[e] {
			seen[e] = true
			unique = append(unique, e)
		}
	}
	if len(unique) < 2 {
		return unique
	}
	sets := map[*entry]map[int]bool{}
	for _, e := range unique {
		sets[e] = map[int]bool{e.index: true}
	}
	for _, x := range r.seq {
		for l := x.in; l != nil; l = l.left {
			if l.edge == nil {
				continue
			}
			src := r.seq[l.from]
			if e := r.latest(spot{src.node, src.route}); seen[e] {
				sets[e][x.index] = true
			}
		}
	}
	var out []*entry
	for _, e := range unique {
		covered := true
		for _, o := range unique {
			for i := range sets[e] {
				covered = covered && sets[o][i]
			}
		}
		if !covered {
			out = append(out, e)
		}
	}
	return out
}

// runAgain readies one entry to run again.
func (r *Run) runAgain(e *entry, reset bool) {
	r.setTerm(e, false)
	r.dropFailures(e.node.name)
	r.reopen(e)
	s := r.staged[spot{e.node, e.route}]
	if e.node.task != nil && e.node.task.with != nil && s != nil && s.set != nil {
		s = r.own(s)
		for i, st := range s.set.status {
			if reset || isAbended(itemStatuses[st]) || itemStatuses[st] == canceled {
				r.changeItem(s.set, i, 0, nil)
			}
		}
		s.entry = e.index
		r.setCompleted(s, false)
		return
	}
	fresh := &entry{node: e.node, route: e.route, slot: e.slot, in: e.in}
	if e.retry != nil {
		re := *e.retry
		re.tally = 0
		fresh.retry = &re
	}
	r.addEntry(fresh)
	r.put(&staged{spot: spot{e.node, e.route}, slot: r.newSlot(), in: e.in, ready: true, entry: fresh.index})
}

// reopen marks what e led to as superseded, since it runs again: the output does
// not see it any more. What followed directly also ceases to end its branch.
func (r *Run) reopen(e *entry) {
	after := map[int]bool{}
	for _, x := range r.seq {
		for l := x.in; l != nil; l = l.left {
			if l.edge == nil {
				continue
			}
			src := r.seq[l.from]
			direct := src.node == e.node && src.route == e.route
			if !direct && !after[l.from] {
				continue
			}
			after[x.index] = true
			if !x.stale {
				r.touch(x)
				x.stale = true
			}
			if direct {
				r.setTerm(x, false)
				break
			}
		}
	}
}

// dropFailures removes a task's errors, of all routes.
func (r *Run) dropFailures(task string) {
	for i, f := range r.errors {
		if f.gone || f.task != task {
			continue
		}
		key := string(f.appendJSON(nil))
		f.gone = true
		r.removed = append(r.removed, i)
		delete(r.known, key)
		r.undo = append(r.undo, func() { f.gone = false; r.known[key] = true })
	}
}
