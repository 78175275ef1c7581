package mistral

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// The keys of a run's entries: "s" the context it was started in, "f" and "t" with a
// number a workflow and a task, "w" and "i" with the task's number and that of the
// chunk its items and what became of them.
const keyStart = "s"

func frameKey(i int) string { return "f" + strconv.Itoa(i) }

func entryKey(i int) string { return "t" + strconv.Itoa(i) }

func chunked(kind string, entry, chunk int) string {
	return kind + strconv.Itoa(entry) + "." + strconv.Itoa(chunk)
}

type headRecord struct {
	Digest    string `json:"d"`
	Frames    int    `json:"f"`
	Entries   int    `json:"n"`
	Backlog   []int  `json:"b,omitempty"`
	Paused    bool   `json:"p,omitempty"`
	Canceling bool   `json:"c,omitempty"`
	Finished  bool   `json:"e,omitempty"`
}

type frameRecord struct {
	Workflow string          `json:"w"`
	Parent   int             `json:"p"`
	Item     int             `json:"i"`
	Input    json.RawMessage `json:"in,omitempty"`
	Vars     json.RawMessage `json:"v,omitempty"`
	State    state           `json:"s"`
	Info     string          `json:"x,omitempty"`
	Output   json.RawMessage `json:"o,omitempty"`
}

type entryRecord struct {
	Frame   int             `json:"f,omitempty"`
	Task    string          `json:"t"`
	State   state           `json:"s"`
	Info    string          `json:"x,omitempty"`
	From    []int           `json:"l,omitempty"`
	Result  json.RawMessage `json:"r,omitempty"`
	Shown   json.RawMessage `json:"p,omitempty"`
	Attempt int             `json:"a,omitempty"`
	Tries   int             `json:"y,omitempty"`
	Waited  state           `json:"w,omitempty"`
	Checked bool            `json:"c,omitempty"`
	Done    bool            `json:"d,omitempty"`
	Handled bool            `json:"h,omitempty"`
	Led     bool            `json:"n,omitempty"`
	Took    string          `json:"g,omitempty"`
	Input   json.RawMessage `json:"j,omitempty"`
	Items   *int            `json:"i,omitempty"`
	Child   string          `json:"k,omitempty"`
	Adhoc   string          `json:"q,omitempty"`
	Created time.Time       `json:"b,omitzero"`
	Ended   time.Time       `json:"e,omitzero"`
}

type chunkRecord struct {
	States  []state         `json:"s"`
	Results json.RawMessage `json:"r"`
}

// encoded is a value as JSON; nil where there is none.
func encoded(v any) json.RawMessage {
	if m, ok := v.(*value.Map); v == nil || ok && m == nil {
		return nil
	}
	b, err := value.AppendJSON(nil, v)
	if err != nil {
		b = value.AppendString(nil, value.Str(v), false)
	}
	return b
}

func marshaled(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers, times and JSON that was made here
	}
	return b
}

// delta writes what the step changed.
func (s *stepper) delta() flow.Delta {
	r := s.Run
	d := flow.Delta{Entries: map[string]json.RawMessage{}, Done: r.frames[0].state.final() && r.working == 0}
	if s.baseF == 0 {
		d.Entries[keyStart] = encoded(r.context)
	}
	for _, f := range append(s.frameSet, r.frames[s.baseF:]...) {
		d.Entries[frameKey(f.index)] = marshaled(frameRecord{f.wf.name, f.parent, f.item, encoded(f.input), encoded(f.vars), f.state, f.info, encoded(f.output)})
	}
	for _, e := range append(s.dirty, r.entries[s.base:]...) {
		rec := entryRecord{Frame: e.frame, Task: e.task.name, State: e.state, Info: e.info, From: e.from, Shown: encoded(e.shown),
			Attempt: e.attempt, Tries: e.tries, Waited: e.waited, Checked: e.checked, Done: e.done, Handled: e.handled, Led: e.led, Took: e.took, Input: e.input,
			Child: e.child, Adhoc: r.def.adhocName(e.adhoc), Created: e.created.UTC(), Ended: e.ended, Result: encoded(e.result)}
		if e.items != nil {
			n := e.items.len()
			rec.Items = &n
		}
		d.Entries[entryKey(e.index)] = marshaled(rec)
	}
	for _, e := range s.lists {
		if e.items == nil {
			continue
		}
		for i := 0; i < e.items.len(); i += chunkSize {
			part := value.List{}
			for _, l := range e.items.lists {
				part = append(part, l[i:min(i+chunkSize, len(l))])
			}
			d.Entries[chunked("w", e.index, i/chunkSize)] = encoded(part)
			s.mark(e.index, i/chunkSize)
		}
	}
	for k := range s.chunks {
		e := r.entries[k.entry]
		if e.items == nil {
			continue
		}
		from, to := k.chunk*chunkSize, min((k.chunk+1)*chunkSize, e.items.len())
		d.Entries[chunked("i", k.entry, k.chunk)] = marshaled(chunkRecord{e.items.states[from:to], encoded(value.List(e.items.results[from:to]))})
	}
	d.Head = marshaled(headRecord{r.def.digest, len(r.frames), len(r.entries), r.backlog, r.paused, r.canceling, r.finished})
	return d
}

// mark notes that a chunk of items is to be written.
func (s *stepper) mark(entry, chunk int) {
	if s.chunks == nil {
		s.chunks = map[chunkKey]bool{}
	}
	s.chunks[chunkKey{entry, chunk}] = true
}

func (d *Definition) adhocName(a *adhoc) string {
	for name, x := range d.actions {
		if x == a {
			return name
		}
	}
	return ""
}

// Load rebuilds a run from its head and entries: see Load of package workflows.
func Load(d *Definition, id string, head json.RawMessage, entries map[string]json.RawMessage) (*Run, error) {
	r := New(d, id)
	var h headRecord
	if err := json.Unmarshal(head, &h); err != nil {
		return nil, fmt.Errorf("load mistral run: head: %v: %w", err, hayate.ErrInvalid)
	}
	if h.Digest != d.digest {
		return nil, fmt.Errorf("load mistral run: it was started with definition %s, not %s: %w", h.Digest, d.digest, hayate.ErrConflict)
	}
	if err := r.load(&h, entries); err != nil {
		return nil, fmt.Errorf("load mistral run: %w", err)
	}
	return r, nil
}

// Load rebuilds a run.
func (d *Definition) Load(id string, head json.RawMessage, entries map[string]json.RawMessage) (flow.Run, error) {
	r, err := Load(d, id, head, entries)
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (r *Run) load(h *headRecord, entries map[string]json.RawMessage) (err error) {
	if h.Frames < 1 || h.Entries < 0 || h.Frames > len(entries) || h.Entries > len(entries) {
		return fmt.Errorf("the head does not fit the entries: %w", hayate.ErrInvalid)
	}
	r.started, r.paused, r.canceling, r.finished, r.backlog = true, h.Paused, h.Canceling, h.Finished, h.Backlog
	if r.context, err = object(entries[keyStart], "context"); err != nil {
		return err
	}
	for i := range h.Frames {
		if err := r.loadFrame(i, h.Entries, entries[frameKey(i)]); err != nil {
			return fmt.Errorf("entry %s: %w", frameKey(i), err)
		}
	}
	for i := range h.Entries {
		if err := r.loadEntry(i, entries); err != nil {
			return fmt.Errorf("entry %s: %w", entryKey(i), err)
		}
	}
	for _, i := range r.backlog {
		if i < 0 || i >= len(r.entries) {
			return fmt.Errorf("the backlog names entry %d: %w", i, hayate.ErrInvalid)
		}
	}
	return nil
}

func (r *Run) loadFrame(i, entries int, raw json.RawMessage) (err error) {
	var rec frameRecord
	if err := json.Unmarshal(raw, &rec); err != nil {
		return fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
	}
	f := &frame{index: i, wf: r.def.workflows[rec.Workflow], parent: rec.Parent, item: rec.Item, state: rec.State, info: rec.Info, newest: map[string]int{}}
	if f.wf == nil || f.parent >= entries {
		return fmt.Errorf("workflow %q is not there: %w", rec.Workflow, hayate.ErrInvalid)
	}
	if f.input, err = object(rec.Input, "input"); err != nil {
		return err
	}
	if f.vars, err = object(rec.Vars, "vars"); err != nil {
		return err
	}
	if rec.Output != nil {
		if f.output, err = value.Decode(rec.Output); err != nil {
			return fmt.Errorf("output: %v: %w", err, hayate.ErrInvalid)
		}
	}
	r.frames = append(r.frames, f)
	return nil
}

func (r *Run) loadEntry(i int, entries map[string]json.RawMessage) (err error) {
	var rec entryRecord
	if err := json.Unmarshal(entries[entryKey(i)], &rec); err != nil {
		return fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
	}
	if rec.Frame < 0 || rec.Frame >= len(r.frames) {
		return fmt.Errorf("frame %d is not there: %w", rec.Frame, hayate.ErrInvalid)
	}
	f := r.frames[rec.Frame]
	e := &entry{index: i, frame: rec.Frame, task: f.wf.byName[rec.Task], state: rec.State, info: rec.Info, from: rec.From, attempt: rec.Attempt,
		tries: rec.Tries, waited: rec.Waited, checked: rec.Checked, done: rec.Done, handled: rec.Handled, led: rec.Led, took: rec.Took, input: rec.Input, child: rec.Child,
		adhoc: r.def.actions[rec.Adhoc], created: rec.Created, ended: rec.Ended}
	if e.task == nil {
		return fmt.Errorf("task %q is not there: %w", rec.Task, hayate.ErrInvalid)
	}
	for _, x := range e.from {
		if x < 0 || x >= i {
			return fmt.Errorf("it comes from entry %d: %w", x, hayate.ErrInvalid)
		}
	}
	if len(e.from) == 0 {
		e.in = &value.Map{}
	}
	if rec.Result != nil {
		if e.result, err = value.Decode(rec.Result); err != nil {
			return fmt.Errorf("result: %v: %w", err, hayate.ErrInvalid)
		}
	}
	if rec.Shown != nil {
		if e.shown, err = object(rec.Shown, "published"); err != nil {
			return err
		}
	}
	if rec.Items != nil {
		if err := e.loadItems(*rec.Items, entries); err != nil {
			return fmt.Errorf("items: %v: %w", err, hayate.ErrInvalid)
		}
	}
	r.entries = append(r.entries, e)
	f.entries = append(f.entries, i)
	f.newest[e.task.name] = i
	if !e.state.final() {
		f.open++
	}
	switch {
	case e.state == waiting:
		f.joins = append(f.joins, i)
	case e.state == running && e.task.workflow == "":
		r.working++
	case e.state == held:
		r.holding++
	}
	return nil
}

func (e *entry) loadItems(n int, entries map[string]json.RawMessage) error {
	it := &items{lists: make([]value.List, len(e.task.items))}
	for _, spec := range e.task.items {
		it.names = append(it.names, spec.name)
	}
	if n < 0 || n/chunkSize > len(entries) || len(it.lists) == 0 {
		return fmt.Errorf("%d of them", n)
	}
	it.states, it.results = make([]state, n), make([]any, n)
	for k := 0; k*chunkSize < n; k++ {
		v, err := value.Decode(entries[chunked("w", e.index, k)])
		if err != nil {
			return err
		}
		part, _ := value.Items(v)
		if len(part) != len(it.lists) {
			return fmt.Errorf("chunk %d has %d lists", k, len(part))
		}
		for i := range part {
			l, _ := value.Items(part[i])
			it.lists[i] = append(it.lists[i], l...)
		}
		var rec chunkRecord
		if err := json.Unmarshal(entries[chunked("i", e.index, k)], &rec); err != nil {
			return err
		}
		if v, err = value.Decode(rec.Results); err != nil {
			return err
		}
		results, _ := value.Items(v)
		copy(it.results[k*chunkSize:], results)
		copy(it.states[k*chunkSize:], rec.States)
	}
	for i, st := range it.states {
		it.count(st, 1)
		if st == "" && i < it.next {
			it.next = i
		}
	}
	for _, l := range it.lists {
		if len(l) != n {
			return fmt.Errorf("a list is %d long, want %d", len(l), n)
		}
	}
	e.items = it
	return nil
}
