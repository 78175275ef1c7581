package orquesta

import (
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// foreignState is the state of a workflow as StackStorm stores it: the member "state"
// of its serialized conductor.
type foreignState struct {
	Contexts []json.RawMessage `json:"contexts"`
	Routes   [][]string        `json:"routes"`
	Sequence []foreignEntry    `json:"sequence"`
	Staged   []foreignStaged   `json:"staged"`
	Status   hayate.Status     `json:"status"`
	Reruns   [][]int           `json:"reruns"`
}

type foreignEntry struct {
	ID    string `json:"id"`
	Route int    `json:"route"`
	Ctxs  struct {
		Out map[string]int `json:"out"`
	} `json:"ctxs"`
	Prev   json.RawMessage `json:"prev"` // in the order of arrival
	Next   map[string]bool `json:"next"`
	Status hayate.Status   `json:"status"`
	Term   bool            `json:"term"`
	Retry  *struct {
		When  string `json:"when"`
		Count int    `json:"count"`
		Delay int64  `json:"delay"`
		Tally int    `json:"tally"`
	} `json:"retry"`
}

type foreignStaged struct {
	ID        string            `json:"id"`
	Route     int               `json:"route"`
	Prev      json.RawMessage   `json:"prev"`
	Ready     bool              `json:"ready"`
	Completed bool              `json:"completed"`
	RunOnFail bool              `json:"run_on_fail"`
	Retry     json.RawMessage   `json:"retry"`
	Items     []json.RawMessage `json:"items"`
}

// Continue rebuilds a run from the state that StackStorm stored of it: the JSON of its
// serialized conductor. ErrInvalid says that it does not belong to the definition, or
// holds what StackStorm keeps elsewhere: the results of items.
func (d *Definition) Continue(_ string, conductor json.RawMessage) (flow.Run, error) {
	var c struct {
		State  foreignState      `json:"state"`
		Errors []json.RawMessage `json:"errors"`
		Output json.RawMessage   `json:"output"`
	}
	if err := json.Unmarshal(conductor, &c); err != nil {
		return nil, fmt.Errorf("read the stored state of a workflow: %v: %w", err, hayate.ErrInvalid)
	}
	f := &foreign{def: d, st: &c.State, entries: map[string]json.RawMessage{}}
	if err := f.read(); err != nil {
		return nil, fmt.Errorf("read the stored state of a workflow: %w", err)
	}
	for i, e := range c.Errors {
		f.entries[numbered(keyError, i)] = e
	}
	h := headRecord{Digest: d.digest, Status: c.State.Status, Started: 1, Staged: f.staged,
		Counts: [6]int{f.lists, len(c.State.Sequence), len(c.State.Routes), len(c.Errors), len(c.State.Contexts), len(c.State.Sequence) + len(f.staged)}}
	if c.State.Status.Completed() {
		h.Finished = 1
	}
	if len(c.Output) > 0 && string(c.Output) != "null" {
		h.Rendered, f.entries[keyOutput] = 1, c.Output
	}
	head, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("read the stored state of a workflow: %w", err)
	}
	return Load(d, head, f.entries)
}

// foreign writes StackStorm's state as head and entries of a run.
type foreign struct {
	def     *Definition
	st      *foreignState
	entries map[string]json.RawMessage
	lists   int
	seen    []int // of each entry, the list of contexts that it saw
	staged  []stagedRecord
}

func (f *foreign) read() error {
	st := f.st
	if len(st.Contexts) == 0 || len(st.Routes) == 0 {
		return fmt.Errorf("it has no contexts or no routes: %w", hayate.ErrInvalid)
	}
	if err := f.putList(0, listRecord{Vars: st.Contexts[0]}); err != nil {
		return err
	}
	f.lists = 1
	for i, r := range st.Routes {
		if err := f.route(i, r); err != nil {
			return err
		}
	}
	for i := range st.Sequence {
		if err := f.entry(i, &st.Sequence[i]); err != nil {
			return fmt.Errorf("entry %d of the sequence: %w", i, err)
		}
	}
	for i := range st.Staged {
		if err := f.stage(i, &st.Staged[i]); err != nil {
			return fmt.Errorf("staged task %q: %w", st.Staged[i].ID, err)
		}
	}
	if len(st.Reruns) > 0 {
		return f.put(keyReruns, st.Reruns)
	}
	return nil
}

func (f *foreign) put(key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("entry %s: %v: %w", key, err, hayate.ErrInvalid)
	}
	f.entries[key] = raw
	return nil
}

// putList writes a list; one without variables of its own has no member for them.
func (f *foreign) putList(i int, rec listRecord) error {
	return f.put(numbered(keyList, i), struct {
		listRecord
		Vars json.RawMessage `json:"v,omitempty"`
	}{rec, rec.Vars})
}

// route writes a route: StackStorm names all its splits, a run the last and the route
// before it.
func (f *foreign) route(i int, path []string) error {
	rec := struct {
		Parent int    `json:"p,omitempty"`
		Via    string `json:"v,omitempty"`
	}{}
	if len(path) > 0 {
		rec.Via = path[len(path)-1]
		rec.Parent = -1
		for k := range i {
			if equalPath(f.st.Routes[k], path[:len(path)-1]) {
				rec.Parent = k
				break
			}
		}
		if rec.Parent < 0 {
			return fmt.Errorf("route %d follows no other: %w", i, hayate.ErrInvalid)
		}
	}
	return f.put(numbered(keyRoute, i), rec)
}

func equalPath(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// list writes the contexts that a task sees, by those who led to it.
func (f *foreign) list(n *node, prev json.RawMessage) (int, error) {
	if len(prev) == 0 {
		return 0, nil
	}
	v, err := value.Decode(prev)
	from, ok := v.(*value.Map)
	if err != nil || !ok {
		return 0, fmt.Errorf("prev is no mapping: %w", hayate.ErrInvalid)
	}
	at := -1
	for k, x := range from.All() {
		i, isInt := x.(int64)
		if !isInt || i < 0 || int(i) >= len(f.seen) {
			return 0, fmt.Errorf("it comes from entry %v, which is not before it: %w", x, hayate.ErrInvalid)
		}
		e := &f.st.Sequence[i]
		var way *edge
		for _, out := range f.def.graph.names[e.ID].out {
			if out.to == n && out.back == value.Str(k) {
				way = out
			}
		}
		if way == nil {
			return 0, fmt.Errorf("no transition %v leads to it: %w", value.Str(k), hayate.ErrInvalid)
		}
		rec := listRecord{Left: at + 1, Base: f.seen[i] + 1, From: int(i) + 1, Edge: way.index}
		if c, ok := e.Ctxs.Out[way.id]; ok {
			if c < 0 || c >= len(f.st.Contexts) {
				return 0, fmt.Errorf("there is no context %d: %w", c, hayate.ErrInvalid)
			}
			rec.Index, rec.Vars = c, f.st.Contexts[c]
		}
		at = f.lists
		f.lists++
		if err := f.putList(at, rec); err != nil {
			return 0, err
		}
	}
	return max(at, 0), nil
}

func (f *foreign) entry(i int, e *foreignEntry) error {
	n := f.def.graph.names[e.ID]
	if n == nil {
		return fmt.Errorf("the workflow has no task %q: %w", e.ID, hayate.ErrInvalid)
	}
	at, err := f.list(n, e.Prev)
	if err != nil {
		return err
	}
	f.seen = append(f.seen, at)
	rec := entryRecord{Task: e.ID, Route: e.Route, Status: e.Status, Report: e.Status, List: at, Slot: i}
	if e.Term {
		rec.Term = 1
	}
	if e.Status.Completed() {
		verdicts := make([]byte, len(n.out))
		for k, out := range n.out {
			verdicts[k] = '-'
			if yes, asked := e.Next[out.id]; asked && yes {
				verdicts[k] = 'y'
			} else if asked {
				verdicts[k] = 'n'
			}
			if c, ok := e.Ctxs.Out[out.id]; ok {
				rec.Out, rec.OutEdge = c, out.index+1
			}
		}
		rec.Next = string(verdicts)
	}
	if e.Retry != nil {
		rec.Retry = &retryRecord{When: e.Retry.When, Count: e.Retry.Count, Delay: &e.Retry.Delay, Tally: e.Retry.Tally}
	}
	return f.put(numbered(keyEntry, i), rec)
}

func (f *foreign) stage(i int, s *foreignStaged) error {
	n := f.def.graph.names[s.ID]
	switch {
	case n == nil:
		return fmt.Errorf("the workflow has no such task: %w", hayate.ErrInvalid)
	case len(s.Items) > 0:
		return fmt.Errorf("some of its items ran, and StackStorm keeps their results elsewhere: %w", hayate.ErrInvalid)
	case len(s.Retry) > 0 && string(s.Retry) != "null":
		return fmt.Errorf("it waits to be tried again: %w", hayate.ErrInvalid)
	}
	at, err := f.list(n, s.Prev)
	if err != nil {
		return err
	}
	rec := stagedRecord{Task: s.ID, Route: s.Route, Slot: len(f.st.Sequence) + i, List: at}
	for _, b := range []struct {
		is bool
		to *int
	}{{s.Ready, &rec.Ready}, {s.Completed, &rec.Completed}, {s.RunOnFail, &rec.RunOnFail}} {
		if b.is {
			*b.to = 1
		}
	}
	f.staged = append(f.staged, rec)
	return nil
}
