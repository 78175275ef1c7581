package orquesta

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// The keys of a run's entries, each followed by a number:
//
//	n  a list of contexts with the variables that were published on the way
//	t  a run of a task
//	r  a route
//	e  an error, null once a rerun removed it
//	w  items of a task as they were evaluated, by slot and chunk
//	i  status and results of items, by slot and chunk
//	v  a large result of an item, by slot and item
//	o  the output, a the reruns; both without a number
const (
	keyList   = 'n'
	keyEntry  = 't'
	keyRoute  = 'r'
	keyError  = 'e'
	keyValues = 'w'
	keyItems  = 'i'
	keyResult = 'v'
	keyOutput = "o"
	keyReruns = "a"
)

// delta writes what the step changed.
func (r *Run) delta() flow.Delta {
	d := flow.Delta{Entries: make(map[string]json.RawMessage, 8)}
	b := make([]byte, 0, 384) // what a step of one task writes
	put := func(key string, write func([]byte) []byte) {
		start := len(b)
		b = write(b)
		d.Entries[key] = json.RawMessage(b[start:len(b):len(b)])
	}
	for _, l := range r.lists[r.base.lists:] {
		put(numbered(keyList, l.id), l.append)
	}
	for _, e := range r.dirty {
		put(numbered(keyEntry, e.index), e.append)
	}
	for _, e := range r.seq[r.base.seq:] {
		put(numbered(keyEntry, e.index), e.append)
	}
	for i := r.base.routes; i < len(r.routes); i++ {
		put(numbered(keyRoute, i), r.routes[i].append)
	}
	for i := r.base.errors; i < len(r.errors); i++ {
		put(numbered(keyError, i), r.errors[i].appendJSON)
	}
	for _, i := range r.removed {
		d.Entries[numbered(keyError, i)] = json.RawMessage("null")
	}
	for _, s := range r.listed {
		for i := 0; i < s.len(); i += chunkSize {
			put(chunked(keyValues, s.slot, i/chunkSize), func(b []byte) []byte {
				return appendStored(b, s.list[i:min(i+chunkSize, s.len())])
			})
		}
	}
	for _, x := range r.results {
		put(chunked(keyResult, x.set.slot, x.item), func(b []byte) []byte { return appendStored(b, x.set.result[x.item]) })
	}
	for _, c := range r.items {
		put(chunked(keyItems, c.set.slot, c.index), c.append)
	}
	if r.wroteOutput {
		put(keyOutput, func(b []byte) []byte { return appendStored(b, r.output) })
	}
	if r.wroteReruns {
		put(keyReruns, r.appendReruns)
	}
	start := len(b)
	b = r.appendHead(b)
	d.Head = json.RawMessage(b[start:])
	d.Done = r.status.Completed() && r.active == 0
	return d
}

func numbered(kind byte, i int) string {
	var b [12]byte
	b[0] = kind
	return string(strconv.AppendInt(b[:1], int64(i), 10))
}

func chunked(kind byte, slot, i int) string {
	var b [24]byte
	b[0] = kind
	c := strconv.AppendInt(b[:1], int64(slot), 10)
	c = append(c, '.')
	return string(strconv.AppendInt(c, int64(i), 10))
}

// record builds a JSON object whose empty members are left out.
type record struct {
	b     []byte
	first bool
}

func open(b []byte) record { return record{append(b, '{'), true} }

func (w *record) key(k string) {
	if !w.first {
		w.b = append(w.b, ',')
	}
	w.first = false
	w.b = append(w.b, '"')
	w.b = append(w.b, k...)
	w.b = append(w.b, '"', ':')
}

func (w *record) int(k string, i int) {
	if i != 0 {
		w.key(k)
		w.b = appendInt(w.b, i)
	}
}

func (w *record) text(k, s string) {
	if s != "" {
		w.key(k)
		w.b = value.AppendString(w.b, s, false)
	}
}

func (w *record) flag(k string, f bool) {
	if f {
		w.key(k)
		w.b = append(w.b, '1')
	}
}

func (w *record) value(k string, v any) {
	if v != nil {
		w.key(k)
		w.b = appendStored(w.b, v)
	}
}

func (w *record) time(k string, t time.Time) {
	if !t.IsZero() {
		w.key(k)
		w.b = strconv.AppendInt(w.b, t.UnixMicro(), 10)
	}
}

func (w *record) close() []byte { return append(w.b, '}') }

// append writes a list. Numbers are one higher than they are, so that 0 means
// none.
func (l *list) append(b []byte) []byte {
	w := open(b)
	if l.left != nil {
		w.int("l", l.left.id+1)
	}
	if l.base != nil {
		w.int("b", l.base.id+1)
		w.int("f", l.from+1)
		w.int("g", l.edge.index)
	}
	if l.delta != nil {
		w.int("i", l.index)
		w.value("v", l.delta)
	}
	return w.close()
}

type listRecord struct {
	Left  int             `json:"l"`
	Base  int             `json:"b"`
	From  int             `json:"f"`
	Edge  int             `json:"g"`
	Index int             `json:"i"`
	Vars  json.RawMessage `json:"v"`
}

func (e *entry) append(b []byte) []byte {
	w := open(b)
	w.text("t", e.node.name)
	w.int("r", e.route)
	w.text("s", string(e.status))
	w.int("n", e.in.id)
	w.int("k", e.slot)
	if e.next != nil {
		w.key("x")
		w.b = append(w.b, '"')
		for _, v := range e.next {
			w.b = append(w.b, "-ny"[v])
		}
		w.b = append(w.b, '"')
	}
	if e.outEdge != nil {
		w.int("o", e.out)
		w.int("q", e.outEdge.index+1)
	}
	w.flag("m", e.term)
	w.flag("z", e.stale)
	w.flag("f", e.onFail)
	if e.retry != nil {
		w.key("y")
		w.b = e.retry.append(w.b)
	}
	w.int("a", e.attempt)
	if e.set != nil {
		w.int("w", e.set.slot+1)
	}
	w.text("p", string(e.report))
	w.value("v", e.result)
	w.time("b", e.started)
	w.time("e", e.ended)
	return w.close()
}

type entryRecord struct {
	Task    string          `json:"t"`
	Route   int             `json:"r"`
	Status  hayate.Status   `json:"s"`
	List    int             `json:"n"`
	Slot    int             `json:"k"`
	Next    string          `json:"x"`
	Out     int             `json:"o"`
	OutEdge int             `json:"q"`
	Term    int             `json:"m"`
	Stale   int             `json:"z"`
	OnFail  int             `json:"f"`
	Retry   *retryRecord    `json:"y"`
	Attempt int             `json:"a"`
	Items   int             `json:"w"`
	Report  hayate.Status   `json:"p"`
	Result  json.RawMessage `json:"v"`
	Started int64           `json:"b"`
	Ended   int64           `json:"e"`
}

func (re *retryState) append(b []byte) []byte {
	w := open(b)
	w.text("w", re.when)
	w.int("c", re.count)
	w.value("d", re.delay)
	w.int("t", re.tally)
	w.flag("m", re.commanded)
	return w.close()
}

type retryRecord struct {
	When      string `json:"w"`
	Count     int    `json:"c"`
	Delay     *int64 `json:"d"`
	Tally     int    `json:"t"`
	Commanded int    `json:"m"`
}

func (rt route) append(b []byte) []byte {
	w := open(b)
	w.int("p", rt.parent)
	w.text("v", rt.via)
	return w.close()
}

// append writes the items of a chunk: a letter for each status, a capital one where
// the result is written by itself, and the other results.
func (c *chunk) append(b []byte) []byte {
	from := c.index * chunkSize
	to := min(from+chunkSize, c.set.len())
	b = append(b, `{"s":"`...)
	results := 0
	for i := from; i < to; i++ {
		letter := byte('a')
		if c.set.large[i] {
			letter = 'A'
		} else if c.set.result[i] != nil {
			results = i - from + 1
		}
		b = append(b, letter+byte(c.set.status[i]))
	}
	b = append(b, '"')
	for i := range results {
		if i == 0 {
			b = append(b, `,"r":[`...)
		} else {
			b = append(b, ',')
		}
		if c.set.large[from+i] {
			b = append(b, "null"...)
		} else {
			b = appendStored(b, c.set.result[from+i])
		}
	}
	if results > 0 {
		b = append(b, ']')
	}
	return append(b, '}')
}

func (r *Run) appendReruns(b []byte) []byte {
	out, err := json.Marshal(r.reruns)
	if err != nil { // integers always can
		return append(b, "null"...)
	}
	return append(b, out...)
}

// appendHead writes the head. The staged tasks in it are those that wait at a
// join, for a retry, or for items: not more than the workflow is wide.
func (r *Run) appendHead(b []byte) []byte {
	w := open(b)
	w.text("d", r.def.digest)
	w.text("s", string(r.status))
	w.flag("u", r.started)
	w.flag("f", r.finished)
	w.flag("h", r.pauseAsked)
	w.flag("z", r.rendered)
	w.key("n")
	w.b = append(w.b, '[')
	for i, n := range []int{len(r.lists), len(r.seq), len(r.routes), len(r.errors), r.contexts, r.slots} {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = appendInt(w.b, n)
	}
	w.b = append(w.b, ']')
	if len(r.staged) > 0 {
		w.key("g")
		w.b = append(w.b, '[')
		for i, s := range r.stagedInOrder() {
			if i > 0 {
				w.b = append(w.b, ',')
			}
			w.b = s.append(w.b)
		}
		w.b = append(w.b, ']')
	}
	return w.close()
}

type headRecord struct {
	Digest     string         `json:"d"`
	Status     hayate.Status  `json:"s"`
	Started    int            `json:"u"`
	Finished   int            `json:"f"`
	PauseAsked int            `json:"h"`
	Rendered   int            `json:"z"`
	Counts     [6]int         `json:"n"`
	Staged     []stagedRecord `json:"g"`
}

func (s *staged) append(b []byte) []byte {
	w := open(b)
	w.text("t", s.node.name)
	w.int("r", s.route)
	w.int("k", s.slot)
	w.int("n", s.in.id)
	w.flag("y", s.ready)
	w.flag("c", s.completed)
	w.flag("f", s.runOnFail)
	w.int("e", s.entry+1)
	if s.retry != nil {
		w.key("re")
		w.b = s.retry.append(w.b)
	}
	if s.set != nil {
		w.int("w", s.set.slot+1)
		w.key("i")
		w.b = appendInt(w.b, s.set.len())
	}
	return w.close()
}

type stagedRecord struct {
	Task      string       `json:"t"`
	Route     int          `json:"r"`
	Slot      int          `json:"k"`
	List      int          `json:"n"`
	Ready     int          `json:"y"`
	Completed int          `json:"c"`
	RunOnFail int          `json:"f"`
	Entry     int          `json:"e"`
	Retry     *retryRecord `json:"re"`
	Set       int          `json:"w"`
	Items     *int         `json:"i"`
}
