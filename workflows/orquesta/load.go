package orquesta

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// loader rebuilds a run from what is stored of it.
type loader struct {
	run     *Run
	entries map[string]json.RawMessage
	sets    map[int]*itemSet
}

// Load rebuilds a run of the definition from its head and entries. It fails with
// ErrInvalid where they do not belong together, and with ErrConflict where the
// run was started with another definition. Entries that the head does not count
// are ignored: they were written by a step that was not committed.
func Load(def *Definition, headJSON json.RawMessage, entries map[string]json.RawMessage) (*Run, error) {
	var h headRecord
	if err := json.Unmarshal(headJSON, &h); err != nil {
		return nil, fmt.Errorf("load run: head: %v: %w", err, hayate.ErrInvalid)
	}
	if h.Digest != def.digest {
		return nil, fmt.Errorf("load run: it was started with definition %s, not %s: %w", h.Digest, def.digest, hayate.ErrConflict)
	}
	l := &loader{run: newRun(def), entries: entries, sets: map[int]*itemSet{}}
	if err := l.load(&h); err != nil {
		return nil, fmt.Errorf("load run: %w", err)
	}
	return l.run, nil
}

func (l *loader) load(h *headRecord) error {
	r := l.run
	r.status, r.started, r.finished = h.Status, h.Started != 0, h.Finished != 0
	r.pauseAsked, r.rendered = h.PauseAsked != 0, h.Rendered != 0
	r.contexts, r.slots = h.Counts[4], h.Counts[5]
	for _, n := range h.Counts[:4] {
		if n < 0 || n > len(l.entries) {
			return fmt.Errorf("the head counts %d entries of a kind, there are %d in all: %w", n, len(l.entries), hayate.ErrInvalid)
		}
	}
	for i := range h.Counts[2] {
		var rec struct {
			Parent int    `json:"p"`
			Via    string `json:"v"`
		}
		if err := l.read(numbered(keyRoute, i), &rec); err != nil {
			return err
		}
		if i > 0 && (rec.Parent < 0 || rec.Parent >= i || rec.Via == "") || i == 0 && rec.Via != "" {
			return fmt.Errorf("route %d leads nowhere: %w", i, hayate.ErrInvalid)
		}
		r.routes = append(r.routes, route{rec.Parent, rec.Via})
	}
	if err := l.readSequence(h.Counts[0], h.Counts[1]); err != nil {
		return err
	}
	if err := l.readErrors(h.Counts[3]); err != nil {
		return err
	}
	for i := range h.Staged {
		if err := l.stage(&h.Staged[i]); err != nil {
			return err
		}
	}
	if r.rendered {
		v, err := readStored(l.entries[keyOutput])
		if err != nil {
			return fmt.Errorf("entry %s: %v: %w", keyOutput, err, hayate.ErrInvalid)
		}
		r.output = v
	}
	if raw, ok := l.entries[keyReruns]; ok {
		if err := json.Unmarshal(raw, &r.reruns); err != nil {
			return fmt.Errorf("entry %s: %v: %w", keyReruns, err, hayate.ErrInvalid)
		}
	}
	l.count()
	return nil
}

// read reads one entry.
func (l *loader) read(key string, into any) error {
	raw, ok := l.entries[key]
	if !ok {
		return fmt.Errorf("entry %s is missing: %w", key, hayate.ErrInvalid)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("entry %s: %v: %w", key, err, hayate.ErrInvalid)
	}
	return nil
}

// readSequence reads lists and task entries. A list names the entry that led to
// it, an entry its list, and each comes before what names it.
func (l *loader) readSequence(lists, seq int) error {
	r := l.run
	tasks := make([]entryRecord, seq)
	for i := range tasks {
		if err := l.read(numbered(keyEntry, i), &tasks[i]); err != nil {
			return err
		}
		n := r.def.graph.names[tasks[i].Task]
		if n == nil {
			return fmt.Errorf("entry t%d: there is no task %q: %w", i, tasks[i].Task, hayate.ErrInvalid)
		}
		r.seq = append(r.seq, &entry{index: i, node: n})
	}
	for i := range lists {
		var rec listRecord
		if err := l.read(numbered(keyList, i), &rec); err != nil {
			return err
		}
		x := &list{id: i, index: rec.Index}
		if rec.Base > 0 {
			if rec.Base > i || rec.Left > i || rec.From < 1 || rec.From > seq {
				return fmt.Errorf("entry n%d refers to what comes later: %w", i, hayate.ErrInvalid)
			}
			x.base, x.from = r.lists[rec.Base-1], rec.From-1
			if rec.Left > 0 {
				x.left = r.lists[rec.Left-1]
			}
			out := r.seq[x.from].node.out
			if rec.Edge < 0 || rec.Edge >= len(out) {
				return fmt.Errorf("entry n%d: there is no transition %d: %w", i, rec.Edge, hayate.ErrInvalid)
			}
			x.edge = out[rec.Edge]
		}
		if rec.Vars != nil {
			v, err := readStored(rec.Vars)
			m, ok := v.(*value.Map)
			if err != nil || !ok {
				return fmt.Errorf("entry n%d: no variables: %w", i, hayate.ErrInvalid)
			}
			x.delta = m
		}
		r.lists = append(r.lists, x)
	}
	for i := range tasks {
		if err := l.fill(r.seq[i], &tasks[i]); err != nil {
			return fmt.Errorf("entry t%d: %w", i, err)
		}
	}
	return nil
}

func (l *loader) fill(e *entry, rec *entryRecord) error {
	r := l.run
	if rec.List < 0 || rec.List >= len(r.lists) || rec.Route < 0 || rec.Route >= len(r.routes) || len(rec.Next) > len(e.node.out) || rec.OutEdge > len(e.node.out) {
		return fmt.Errorf("refers to what is not there: %w", hayate.ErrInvalid)
	}
	e.route, e.status, e.in, e.slot = rec.Route, rec.Status, r.lists[rec.List], rec.Slot
	e.term, e.stale, e.onFail, e.attempt, e.retry, e.report = rec.Term != 0, rec.Stale != 0, rec.OnFail != 0, rec.Attempt, rec.Retry.state(), rec.Report
	if rec.Next != "" {
		e.next = make([]verdict, len(e.node.out))
		for i := range rec.Next {
			switch rec.Next[i] {
			case 'n':
				e.next[i] = refused
			case 'y':
				e.next[i] = taken
			}
		}
	}
	if rec.OutEdge > 0 {
		e.out, e.outEdge = rec.Out, e.node.out[rec.OutEdge-1]
	}
	if rec.Result != nil {
		v, err := readStored(rec.Result)
		if err != nil {
			return fmt.Errorf("result: %v: %w", err, hayate.ErrInvalid)
		}
		e.result = v
	}
	if rec.Started != 0 {
		e.started = time.UnixMicro(rec.Started).UTC()
	}
	if rec.Ended != 0 {
		e.ended = time.UnixMicro(rec.Ended).UTC()
	}
	if rec.Items > 0 && r.def.keepResults {
		set, err := l.set(rec.Items-1, -1)
		if err != nil {
			return err
		}
		e.set = set
	}
	return nil
}

func (rec *retryRecord) state() *retryState {
	if rec == nil {
		return nil
	}
	re := &retryState{when: rec.When, count: rec.Count, tally: rec.Tally, commanded: rec.Commanded != 0}
	if rec.Delay != nil {
		re.delay = *rec.Delay
	}
	return re
}

func (l *loader) readErrors(n int) error {
	r := l.run
	for i := range n {
		var rec *struct {
			Message    string          `json:"message"`
			Task       string          `json:"task_id"`
			Transition string          `json:"task_transition_id"`
			Route      *int            `json:"route"`
			Result     json.RawMessage `json:"result"`
		}
		if err := l.read(numbered(keyError, i), &rec); err != nil {
			return err
		}
		if rec == nil {
			r.errors = append(r.errors, &failure{gone: true, route: -1})
			continue
		}
		f := &failure{message: rec.Message, task: rec.Task, transition: rec.Transition, route: -1}
		if rec.Route != nil {
			f.route = *rec.Route
		}
		if rec.Result != nil {
			v, err := readStored(rec.Result)
			if err != nil {
				return fmt.Errorf("entry e%d: %v: %w", i, err, hayate.ErrInvalid)
			}
			f.result, f.hasResult = v, true
		}
		r.errors = append(r.errors, f)
		r.known[string(f.appendJSON(nil))] = true
	}
	return nil
}

func (l *loader) stage(rec *stagedRecord) error {
	r := l.run
	n := r.def.graph.names[rec.Task]
	if n == nil || rec.List < 0 || rec.List >= len(r.lists) || rec.Route < 0 || rec.Route >= len(r.routes) || rec.Entry > len(r.seq) {
		return fmt.Errorf("staged task %q is not of this run: %w", rec.Task, hayate.ErrInvalid)
	}
	s := &staged{spot: spot{n, rec.Route}, slot: rec.Slot, in: r.lists[rec.List], ready: rec.Ready != 0,
		completed: rec.Completed != 0, runOnFail: rec.RunOnFail != 0, entry: rec.Entry - 1, retry: rec.Retry.state()}
	if rec.Set > 0 && rec.Items != nil {
		set, err := l.set(rec.Set-1, *rec.Items)
		if err != nil {
			return err
		}
		s.set = set
		if e := r.latestOf(s.spot); e != nil && e.slot == s.slot {
			e.set = set
		}
	}
	r.staged[s.spot] = s
	return nil
}

// set reads the items of a slot; n < 0 counts them by what is stored.
func (l *loader) set(slot, n int) (*itemSet, error) {
	if s := l.sets[slot]; s != nil {
		return s, nil
	}
	var items value.List
	for k := 0; n < 0 || len(items) < n; k++ {
		raw, ok := l.entries[chunked(keyValues, slot, k)]
		if !ok {
			break
		}
		v, err := readStored(raw)
		if err != nil {
			return nil, fmt.Errorf("items of slot %d: %v: %w", slot, err, hayate.ErrInvalid)
		}
		part, _ := value.Items(v)
		items = append(items, part...)
	}
	if n >= 0 && len(items) != n {
		return nil, fmt.Errorf("slot %d has %d items, want %d: %w", slot, len(items), n, hayate.ErrInvalid)
	}
	s := newItemSet(slot, items)
	l.sets[slot] = s
	for k := range s.chunks {
		if err := l.chunk(s, k); err != nil {
			return nil, fmt.Errorf("items of slot %d: %v: %w", slot, err, hayate.ErrInvalid)
		}
	}
	return s, nil
}

// chunk reads the status and the results of a chunk of items.
func (l *loader) chunk(s *itemSet, k int) error {
	raw, ok := l.entries[chunked(keyItems, s.slot, k)]
	if !ok {
		return nil
	}
	var rec struct {
		Status  string          `json:"s"`
		Results json.RawMessage `json:"r"`
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		return err
	}
	if rec.Results != nil {
		v, err := readStored(rec.Results)
		if err != nil {
			return err
		}
		results, _ := value.Items(v)
		copy(s.result[k*chunkSize:], results)
	}
	for j := 0; j < len(rec.Status) && k*chunkSize+j < s.len(); j++ {
		i := k*chunkSize + j
		letter := rec.Status[j]
		if letter < 'a' {
			v, err := readStored(l.entries[chunked(keyResult, s.slot, i)])
			if err != nil {
				return err
			}
			s.result[i], s.large[i] = v, true
			letter += 'a' - 'A'
		}
		st := itemStatus(letter - 'a')
		if int(st) >= len(itemStatuses) {
			return fmt.Errorf("status %q", rec.Status[j])
		}
		s.counts[0]--
		s.counts[st]++
		s.status[i] = st
	}
	return nil
}

// latestOf is latest while the index of newest entries is not there yet.
func (r *Run) latestOf(at spot) *entry {
	for i := len(r.seq) - 1; i >= 0; i-- {
		if e := r.seq[i]; e.node == at.node && e.route == at.route {
			return e
		}
	}
	return nil
}

// count rebuilds what a run keeps to answer without searching.
func (l *loader) count() {
	r := l.run
	for _, e := range r.seq {
		r.newest[spot{e.node, e.route}] = e.index
	}
	for at, i := range r.newest {
		e := r.seq[i]
		r.count(e.status, 1)
		for k, edge := range at.node.out {
			if edge.key != 0 || !edge.to.barrier {
				continue
			}
			satisfied := 0
			if r.leads(e, edge.to, k) {
				satisfied = 1
			}
			r.arrived(edge.to, at.route, satisfied, 1)
		}
	}
	for _, s := range r.staged {
		if s.waiting() {
			r.ready++
		}
	}
	r.undo = r.undo[:0]
}
