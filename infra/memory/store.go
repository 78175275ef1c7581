package memory

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// Store keeps events, executions and runs. Its methods may be called from many
// goroutines; each takes effect at one moment.
type Store struct {
	mu        sync.Mutex
	closed    bool
	keys      map[string]key // by the event's uid
	accepting map[string]chan struct{}
	events    map[hayate.EventID]*router.EventRecord
	eventList []hayate.EventID // as accepted
	execs     map[hayate.ExecutionID]*execution
	execList  []hayate.ExecutionID // as inserted
	runs      map[hayate.ExecutionID]*run
	lines     map[hayate.ExecutionID][]hayate.OutputLine
	states    map[stateKey]*router.StateRecord
	gates     map[string][]hayate.ExecutionID // who holds a place, in order
	writes    int64
}

var _ router.Store = (*Store)(nil)

// key is what is left of an event when it is purged.
type key struct {
	id hayate.EventID
	at time.Time
}

type execution struct {
	hayate.Execution
	told       bool // its end has been heard of
	dispatched bool
}

type run struct {
	router.Run
	done bool
}

// New returns an empty store.
func New() *Store {
	return &Store{
		keys:      map[string]key{},
		accepting: map[string]chan struct{}{},
		events:    map[hayate.EventID]*router.EventRecord{},
		execs:     map[hayate.ExecutionID]*execution{},
		runs:      map[hayate.ExecutionID]*run{},
		lines:     map[hayate.ExecutionID][]hayate.OutputLine{},
		states:    map[stateKey]*router.StateRecord{},
		gates:     map[string][]hayate.ExecutionID{},
	}
}

// enter locks the store for one call, unless it is closed or ctx has ended.
func (s *Store) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return fmt.Errorf("%s: the store is closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

// Close ends the store; later calls return ErrBusy. Twice is fine.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// clone keeps what is stored apart from what callers append to.
func clone(x hayate.Execution) hayate.Execution {
	x.Log = slices.Clone(x.Log)
	x.Lineage = slices.Clone(x.Lineage)
	if x.ResultRef != nil {
		ref := *x.ResultRef
		x.ResultRef = &ref
	}
	return x
}

func cloneRecord(r *router.EventRecord) router.EventRecord {
	c := *r
	c.Event.Extensions = maps.Clone(r.Event.Extensions)
	c.Firings = slices.Clone(r.Firings)
	return c
}

// Accept implements router.Journal.
func (s *Store) Accept(ctx context.Context, e hayate.Event, decide router.Decide) (router.Receipt, error) {
	uid := e.UID()
	rc, known, err := s.begin(ctx, uid)
	if err != nil || known {
		return rc, err
	}
	defer s.leave(uid)
	var d router.Decision
	for range router.MaxAgain {
		if d, err = decide(ctx, &e); err != nil {
			return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
		}
		if err := s.enter(ctx, "accept event "+e.ID); err != nil {
			return router.Receipt{}, err
		}
		if s.settle(&d) {
			defer s.mu.Unlock()
			return s.store(uid, e, &d), nil
		}
		s.mu.Unlock()
	}
	return router.Receipt{}, fmt.Errorf("accept event %s: others were first %d times: %w", e.ID, router.MaxAgain, hayate.ErrBusy)
}

// store keeps an event with its decision; the store is locked.
func (s *Store) store(uid string, e hayate.Event, d *router.Decision) router.Receipt {
	id := hayate.EventIDOf(e.AcceptedAt, uid)
	s.keys[uid] = key{id, e.AcceptedAt}
	r := router.EventRecord{ID: id, Event: e, At: e.AcceptedAt, Firings: d.Firings, Failed: d.Failed}
	r = cloneRecord(&r)
	s.events[id] = &r
	s.eventList = append(s.eventList, id)
	rc := router.Receipt{ID: id, AcceptedAt: e.AcceptedAt}
	for _, x := range d.Executions {
		if s.insert(x) {
			rc.Executions = append(rc.Executions, clone(x))
		}
	}
	s.writes++
	return rc
}

// begin waits until nobody else accepts the event, and answers for a known one.
func (s *Store) begin(ctx context.Context, uid string) (router.Receipt, bool, error) {
	for {
		if err := s.enter(ctx, "accept event"); err != nil {
			return router.Receipt{}, false, err
		}
		if k, ok := s.keys[uid]; ok {
			s.mu.Unlock()
			return router.Receipt{ID: k.id, AcceptedAt: k.at, Duplicate: true}, true, nil
		}
		other, ok := s.accepting[uid]
		if !ok {
			s.accepting[uid] = make(chan struct{})
			s.mu.Unlock()
			return router.Receipt{}, false, nil
		}
		s.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return router.Receipt{}, false, fmt.Errorf("accept event: %w", ctx.Err())
		}
	}
}

func (s *Store) leave(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.accepting[uid])
	delete(s.accepting, uid)
}

// insert adds an execution unless it exists.
func (s *Store) insert(x hayate.Execution) bool {
	if _, ok := s.execs[x.ID]; ok {
		return false
	}
	s.execs[x.ID] = &execution{Execution: clone(x)}
	s.execList = append(s.execList, x.ID)
	return true
}

// Commit implements router.Journal.
func (s *Store) Commit(ctx context.Context, c router.Change) error {
	if err := s.enter(ctx, "commit change"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if err := s.check(&c); err != nil {
		return err
	}
	s.apply(&c)
	s.writes++
	return nil
}

// check returns ErrConflict where the change was not computed from what is stored.
func (s *Store) check(c *router.Change) error {
	for i := range c.Update {
		x, ok := s.execs[c.Update[i].ID]
		if !ok {
			return fmt.Errorf("update execution %s: it does not exist: %w", c.Update[i].ID, hayate.ErrConflict)
		}
		if _, err := record.Update(&x.Execution, c.Update[i]); err != nil {
			return err
		}
	}
	for i := range c.Complete {
		if err := s.checkEnd(&c.Complete[i]); err != nil {
			return err
		}
	}
	if d := c.Run; d != nil {
		var version int64
		if r, ok := s.runs[d.ID]; ok {
			version = r.Version
		}
		if version != d.From {
			return fmt.Errorf("step run %s: its version is %d, not %d: %w", d.ID, version, d.From, hayate.ErrConflict)
		}
	}
	return nil
}

// apply writes a change that was checked.
func (s *Store) apply(c *router.Change) {
	for _, x := range c.Insert {
		s.insert(x)
	}
	for i := range c.Complete {
		s.end(&c.Complete[i])
	}
	for _, x := range c.Update {
		old := s.execs[x.ID]
		x.Version++
		old.Execution = clone(x)
		if !x.Status.Claimable() {
			old.dispatched = false
		}
	}
	if d := c.Run; d != nil {
		r, ok := s.runs[d.ID]
		if !ok {
			r = &run{Run: router.Run{ID: d.ID, Entries: map[string]json.RawMessage{}}}
			s.runs[d.ID] = r
		}
		r.Version++
		r.Head, r.Wake, r.done = d.Head, d.Wake, d.Done
		maps.Copy(r.Entries, d.Entries)
	}
	for _, id := range c.Told {
		if x, ok := s.execs[id]; ok && x.Status.Completed() {
			x.told = true
		}
	}
}

// Run implements router.Journal.
func (s *Store) Run(ctx context.Context, id hayate.ExecutionID) (router.Run, error) {
	if err := s.enter(ctx, "read run"); err != nil {
		return router.Run{}, err
	}
	defer s.mu.Unlock()
	r, ok := s.runs[id]
	if !ok {
		return router.Run{}, fmt.Errorf("run %s: %w", id, hayate.ErrNotFound)
	}
	c := r.Run
	c.Entries = maps.Clone(r.Entries)
	return c, nil
}

// Sweep implements router.Journal.
func (s *Store) Sweep(ctx context.Context, q router.SweepQuery) (router.Swept, error) {
	if err := s.enter(ctx, "sweep"); err != nil {
		return router.Swept{}, err
	}
	defer s.mu.Unlock()
	var out router.Swept
	add := func(list *[]hayate.Execution, x *execution) {
		if len(*list) < q.Limit {
			*list = append(*list, clone(x.Execution))
		}
	}
	for _, id := range s.execList {
		x := s.execs[id]
		duty, at := record.DutyOf(&x.Execution, x.told)
		switch {
		case at.After(q.Now):
		case duty == record.Dispatch && !x.dispatched && !at.After(q.Now.Add(-q.StaleAfter)):
			add(&out.Dispatch, x)
		case duty == record.Lease:
			add(&out.Lost, x)
		case duty == record.Tell:
			add(&out.Untold, x)
		}
	}
	for id, r := range s.runs {
		if !r.done && !r.Wake.IsZero() && !r.Wake.After(q.Now) {
			out.Due = append(out.Due, id)
		}
	}
	slices.SortFunc(out.Due, func(a, b hayate.ExecutionID) int { return s.runs[a].Wake.Compare(s.runs[b].Wake) })
	out.Due = out.Due[:min(len(out.Due), q.Limit)]
	return out, nil
}

// Dispatched implements router.Store.
func (s *Store) Dispatched(ctx context.Context, ids ...hayate.ExecutionID) error {
	if err := s.enter(ctx, "mark dispatched"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, id := range ids {
		if x, ok := s.execs[id]; ok && x.Status.Claimable() {
			x.dispatched = true
		}
	}
	return nil
}
