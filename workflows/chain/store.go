package chain

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// keyStart is the entry with inputs, context and variables; task entries are "t"
// and a number.
const keyStart = "s"

type headRecord struct {
	Digest string        `json:"d"`
	Status hayate.Status `json:"s"`
	Asked  hayate.Status `json:"a,omitempty"`
	Next   string        `json:"x,omitempty"`
	Tasks  int           `json:"n"`
	Failed string        `json:"f,omitempty"`
}

type startRecord struct {
	Inputs  json.RawMessage `json:"i"`
	Context json.RawMessage `json:"c"`
	Vars    json.RawMessage `json:"v"`
}

type entryRecord struct {
	Task      string          `json:"t"`
	Child     string          `json:"c,omitempty"`
	Status    hayate.Status   `json:"s"`
	Result    json.RawMessage `json:"r,omitempty"`
	Created   time.Time       `json:"b,omitzero"`
	Ended     time.Time       `json:"e,omitzero"`
	Published json.RawMessage `json:"p,omitempty"`
}

func encoded(v any) json.RawMessage {
	b, err := value.AppendJSON(nil, v)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func marshaled(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers, times and raw messages that were made here
	}
	return b
}

func entryKey(i int) string { return "t" + strconv.Itoa(i) }

// delta writes what the step changed.
func (s *stepper) delta() flow.Delta {
	r := s.Run
	d := flow.Delta{Entries: map[string]json.RawMessage{}, Done: r.status.Completed()}
	if s.started {
		vars := value.NewMap(len(r.order))
		for _, name := range r.order {
			vars.Set(name, r.vars[name])
		}
		d.Entries[keyStart] = marshaled(startRecord{encoded(r.inputs), encoded(r.context), encoded(vars)})
	}
	for i := range s.dirty {
		e := r.entries[i]
		rec := entryRecord{Task: e.task.name, Child: e.child, Status: e.status, Created: e.created.UTC(), Ended: e.ended}
		if e.result != nil {
			rec.Result = encoded(e.result)
		}
		if e.published != nil {
			rec.Published = encoded(e.published)
		}
		d.Entries[entryKey(i)] = marshaled(rec)
	}
	h := headRecord{Digest: r.def.digest, Status: r.status, Asked: r.asked, Tasks: len(r.entries), Failed: r.failed}
	if r.next != nil {
		h.Next = r.next.name
	}
	d.Head = marshaled(h)
	return d
}

// Load rebuilds a run from its head and entries: see Load of package workflows.
func Load(d *Definition, id string, head json.RawMessage, entries map[string]json.RawMessage) (*Run, error) {
	r := New(d, id)
	if err := r.load(head, entries); err != nil {
		return nil, fmt.Errorf("load chain run: %w", err)
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

func (r *Run) load(head json.RawMessage, entries map[string]json.RawMessage) error {
	var h headRecord
	if err := json.Unmarshal(head, &h); err != nil {
		return fmt.Errorf("head: %v: %w", err, hayate.ErrInvalid)
	}
	if h.Digest != r.def.digest {
		return fmt.Errorf("it was started with definition %s, not %s: %w", h.Digest, r.def.digest, hayate.ErrConflict)
	}
	var st startRecord
	if err := json.Unmarshal(entries[keyStart], &st); err != nil {
		return fmt.Errorf("entry %s: %v: %w", keyStart, err, hayate.ErrInvalid)
	}
	var err error
	if r.inputs, err = object(st.Inputs, "inputs"); err != nil {
		return err
	}
	if r.context, err = object(st.Context, "context"); err != nil {
		return err
	}
	vars, err := object(st.Vars, "vars")
	if err != nil {
		return err
	}
	r.adopt(vars)
	for i := range h.Tasks {
		if err := r.loadEntry(i, entries[entryKey(i)]); err != nil {
			return fmt.Errorf("entry %s: %v: %w", entryKey(i), err, hayate.ErrInvalid)
		}
	}
	r.status, r.asked, r.failed = h.Status, h.Asked, h.Failed
	r.next = r.def.byName[h.Next]
	return nil
}

func (r *Run) adopt(vars *value.Map) {
	for k, v := range vars.All() {
		name, _ := k.(string)
		if _, ok := r.vars[name]; !ok {
			r.order = append(r.order, name)
		}
		r.vars[name] = v
	}
}

func (r *Run) loadEntry(i int, raw json.RawMessage) error {
	var rec entryRecord
	if err := json.Unmarshal(raw, &rec); err != nil {
		return err
	}
	t := r.def.byName[rec.Task]
	if t == nil {
		return fmt.Errorf("there is no task %q", rec.Task)
	}
	e := &entry{task: t, child: rec.Child, status: rec.Status, created: rec.Created, ended: rec.Ended}
	var err error
	if e.result, err = decode(rec.Result); err != nil {
		return err
	}
	if rec.Published != nil {
		if e.published, err = object(rec.Published, "published"); err != nil {
			return err
		}
		r.adopt(e.published)
		for k, v := range e.published.All() {
			r.shown.Set(k, v)
		}
	}
	if e.status.Completed() {
		r.results[t.name] = e.result
	}
	r.entries = append(r.entries, e)
	return nil
}
