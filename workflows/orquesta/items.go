package orquesta

import (
	"strconv"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// itemSet is the progress of a task's items. What a step changes of it is
// written by chunk; asking for the next item to hand out, or what the others are
// like, takes the same time however many there are.
type itemSet struct {
	slot   int
	status []itemStatus
	result []any  // by item; nil until there is one
	large  []bool // by item: the result is written beside the chunk, not in it
	// list are the evaluated items. They are written once.
	list   value.List
	counts [len(itemStatuses)]int
	unset  int // no item before this one is to be handed out
	chunks []*chunk
}

// chunkSize is how many items are written together.
const chunkSize = 32

// chunk is a part of the items of a set.
type chunk struct {
	set   *itemSet
	index int
	step  int
}

// itemStatus is a status in one byte.
type itemStatus uint8

// itemStatuses are the statuses an item can have; the first is none.
var itemStatuses = [...]hayate.Status{"", requested, scheduled, delayed, running, pending, pausing, paused, resuming,
	succeeded, failed, timeout, abandoned, canceling, canceled, retrying}

func itemStatusOf(s hayate.Status) itemStatus {
	for i, x := range itemStatuses {
		if x == s {
			return itemStatus(i)
		}
	}
	return 0
}

func newItemSet(slot int, l value.List) *itemSet {
	s := &itemSet{slot: slot, status: make([]itemStatus, len(l)), result: make([]any, len(l)), large: make([]bool, len(l)), list: l}
	s.counts[0] = len(l)
	for i := 0; i < len(l); i += chunkSize {
		s.chunks = append(s.chunks, &chunk{set: s, index: i / chunkSize})
	}
	return s
}

func (s *itemSet) len() int { return len(s.status) }

func (s *itemSet) any(is func(hayate.Status) bool, but itemStatus) bool {
	for i, n := range s.counts {
		if itemStatus(i) == but {
			n--
		}
		if n > 0 && is(itemStatuses[i]) {
			return true
		}
	}
	return false
}

// noItem leaves no item out of any.
const noItem itemStatus = 255

func (s *itemSet) active() int {
	n := 0
	for i, c := range s.counts {
		if isActive(itemStatuses[i]) {
			n += c
		}
	}
	return n
}

// suffix says for an item's event what the other items are like, "" for events
// that do not depend on them.
func (s *itemSet) suffix(status hayate.Status, item int) string {
	switch status {
	case resuming, pending, paused, succeeded, failed, timeout, abandoned, canceled:
	default:
		return ""
	}
	own := s.status[item]
	if s.any(isActive, own) {
		return "_act" + s.completeness(own)
	}
	switch {
	case s.any(func(x hayate.Status) bool { return x == pending || x == paused }, own):
		return "_dor_paused"
	case s.any(func(x hayate.Status) bool { return x == canceled }, own):
		return "_dor_canceled"
	case s.any(isAbended, own):
		return "_dor_failed"
	}
	return "_dor" + s.completeness(own)
}

func (s *itemSet) completeness(but itemStatus) string {
	if s.any(func(x hayate.Status) bool { return !x.Completed() }, but) {
		return "_incomplete"
	}
	return "_completed"
}

// whole says what all items are like, for a request to the workflow.
func (s *itemSet) whole() string {
	if s.any(isActive, noItem) {
		return "_act" + s.completeness(noItem)
	}
	return "_dor" + s.completeness(noItem)
}

// setItem changes the status of an item, and its result once it has one.
func (r *Run) setItem(s *itemSet, i int, ev *event) {
	result := s.result[i]
	if ev.status.Completed() {
		result = ev.result
	}
	r.changeItem(s, i, itemStatusOf(ev.status), result)
}

func (r *Run) changeItem(s *itemSet, i int, status itemStatus, result any) {
	old, was, large, unset := s.status[i], s.result[i], s.large[i], s.unset
	r.undo = append(r.undo, func() {
		s.counts[s.status[i]]--
		s.counts[old]++
		s.status[i], s.result[i], s.large[i], s.unset = old, was, large, unset
	})
	if result == nil {
		s.large[i] = false
	} else if old != status && itemStatuses[status].Completed() && isLarge(result) {
		s.large[i] = true
		r.results = append(r.results, itemResult{s, i})
	}
	s.counts[old]--
	s.counts[status]++
	s.status[i], s.result[i] = status, result
	if status == 0 && i < s.unset {
		s.unset = i
	}
	if c := s.chunks[i/chunkSize]; c.step != r.step {
		c.step = r.step
		r.items = append(r.items, c)
	}
}

// maxInline is how long the JSON of a result may be to be written in the chunk,
// which is written again for every item of it.
const maxInline = 256

// itemResult is the result of an item that is written by itself.
type itemResult struct {
	set  *itemSet
	item int
}

func isLarge(v any) bool {
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return false
	case string:
		return len(v) > maxInline
	}
	return len(appendValue(nil, v)) > maxInline
}

// nextUnset returns up to limit items that were not handed out; limit < 0 means
// all.
func (s *itemSet) nextUnset(limit int) []int {
	if limit < 0 {
		limit = s.counts[0]
	}
	limit = min(limit, s.counts[0])
	if limit <= 0 {
		return nil
	}
	out := make([]int, 0, limit)
	for i := s.unset; i < len(s.status) && len(out) < limit; i++ {
		if s.status[i] == 0 {
			if len(out) == 0 {
				s.unset = i
			}
			out = append(out, i)
		}
	}
	return out
}

// record shows the items as StackStorm's task record does, and the status of the
// whole: it is open until every item has completed.
func (s *itemSet) record() (hayate.Status, any) {
	l := make(value.List, s.len())
	status := succeeded
	for i, st := range s.status {
		if st != 0 {
			l[i] = value.MapOf("status", string(itemStatuses[st]), "result", s.result[i])
		}
		switch x := itemStatuses[st]; {
		case !x.Completed():
			status = running
		case x != succeeded && status == succeeded:
			status = failed
		}
	}
	return status, value.MapOf("items", l)
}

// entryID is the id of an entry as StackStorm's task execution id.
func (r *Run) entryID(x *entry) string {
	return r.id + "." + strconv.Itoa(x.index)
}
