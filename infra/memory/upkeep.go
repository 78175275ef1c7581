package memory

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// tree is an event with all executions that came of it, or an execution that a
// person started with its children: what is purged together.
type tree struct {
	event    *router.EventRecord
	execs    []*execution
	last     time.Time // when its last part was accepted or ended
	finished bool
}

func (t *tree) size() int {
	n := len(t.execs)
	if t.event != nil {
		n++
	}
	return n
}

// trees returns all trees, oldest first.
func (s *Store) trees() []*tree {
	byRoot := map[string]*tree{}
	var list []*tree
	grow := func(root string) *tree {
		t := byRoot[root]
		if t == nil {
			t = &tree{finished: true}
			byRoot[root] = t
			list = append(list, t)
		}
		return t
	}
	for _, id := range s.eventList {
		t := grow(string(id))
		t.event = s.events[id]
		t.last = t.event.At
	}
	for _, id := range s.execList {
		x := s.execs[id]
		root := string(x.Event)
		if root == "" {
			root = string(x.Root)
		}
		if root == "" {
			root = string(x.ID)
		}
		t := grow(root)
		t.execs = append(t.execs, x)
		t.finished = t.finished && x.Status.Completed()
		if x.Ended.After(t.last) {
			t.last = x.Ended
		}
	}
	slices.SortStableFunc(list, func(a, b *tree) int { return a.last.Compare(b.last) })
	return list
}

// Purge implements router.Upkeep. A tree that is larger than the limit is
// removed alone.
func (s *Store) Purge(ctx context.Context, q router.PurgeQuery) (int, error) {
	if err := s.enter(ctx, "purge"); err != nil {
		return 0, err
	}
	defer s.mu.Unlock()
	list := slices.DeleteFunc(s.trees(), func(t *tree) bool { return !t.finished })
	total := 0
	for _, t := range list {
		total += t.size()
	}
	n := 0
	for _, t := range list {
		old := t.last.Before(q.Before)
		over := q.Keep > 0 && total > q.Keep
		if !old && !over || n > 0 && n+t.size() > q.Limit {
			break
		}
		s.remove(t)
		n += t.size()
		total -= t.size()
		if n >= q.Limit {
			break
		}
	}
	for uid, k := range s.keys {
		if n >= q.Limit {
			break
		}
		if _, kept := s.events[k.id]; !kept && k.at.Before(q.ForgetKeys) {
			delete(s.keys, uid)
			n++
		}
	}
	return n, nil
}

func (s *Store) remove(t *tree) {
	if t.event != nil {
		delete(s.events, t.event.ID)
	}
	for _, x := range t.execs {
		delete(s.execs, x.ID)
		delete(s.runs, x.ID)
		delete(s.lines, x.ID)
	}
	s.eventList = slices.DeleteFunc(s.eventList, func(id hayate.EventID) bool { return s.events[id] == nil })
	s.execList = slices.DeleteFunc(s.execList, func(id hayate.ExecutionID) bool { return s.execs[id] == nil })
}

// Stats implements router.Upkeep.
func (s *Store) Stats(ctx context.Context) (router.Stats, error) {
	if err := s.enter(ctx, "count"); err != nil {
		return router.Stats{}, err
	}
	defer s.mu.Unlock()
	st := router.Stats{Engine: "memory", Events: int64(len(s.events)), Keys: int64(len(s.keys)), Executions: map[string]int64{}, Writes: s.writes}
	oldest := func(t time.Time) {
		if st.Oldest.IsZero() || t.Before(st.Oldest) {
			st.Oldest = t
		}
	}
	for _, r := range s.events {
		st.Firings += int64(len(r.Firings))
		oldest(r.At)
	}
	for _, x := range s.execs {
		st.Executions[string(x.Status)]++
		oldest(x.Created)
	}
	return st, nil
}

// Check implements router.Upkeep: it reports what contradicts itself.
func (s *Store) Check(ctx context.Context) ([]string, error) {
	if err := s.enter(ctx, "check"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var found []string
	for _, id := range s.eventList {
		for _, f := range s.events[id].Firings {
			for _, x := range f.Executions {
				if _, ok := s.execs[x]; !ok {
					found = append(found, fmt.Sprintf("firing %s of event %s names execution %s, which does not exist", f.ID, id, x))
				}
			}
		}
	}
	return found, nil
}

// Backup implements router.Upkeep: there is nothing to copy, ErrInvalid.
func (s *Store) Backup(context.Context, string) error {
	return fmt.Errorf("back up the memory store: it keeps nothing on disk: %w", hayate.ErrInvalid)
}
