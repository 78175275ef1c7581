package mistral

import "github.com/hayate-run/hayate/internal/expr/value"

// chunkSize is how many items are written together.
const chunkSize = 32

// evaluateItems evaluates the lists of a task with items. It is false where that
// ended the task.
func (s *stepper) evaluateItems(e *entry) bool {
	it := &items{}
	env := s.envOf(e)
	for i, spec := range e.task.items {
		v, err := spec.list.eval(env)
		if err == nil {
			l, ok := v.(value.List)
			switch {
			case !ok:
				err = value.Raise("InvalidModelException", "Wrong input format for: %s. Iterable type is expected for each value.", spec.name)
			case len(l) > s.def.maxItems:
				err = value.Raise("LimitExceeded", "%d items, more than the %d allowed", len(l), s.def.maxItems)
			case i > 0 && len(l) != len(it.lists[0]):
				err = value.Raise("InvalidModelException", "All arrays must have the same length.")
			}
			it.names, it.lists = append(it.names, spec.name), append(it.lists, l)
		}
		if err != nil {
			if foreign(err) == err { //nolint:errorlint // identity is the question: foreign returns what it was given unless it is a need
				s.fail(e, err)
			}
			return false
		}
	}
	n := len(it.lists[0])
	it.states, it.results = make([]state, n), make([]any, n)
	s.touch(e).items = it
	s.lists = append(s.lists, e)
	return true
}

// refill hands out items, as many as may run at once.
func (s *stepper) refill(e *entry) {
	it := e.items
	limit := it.len()
	if c, err := e.task.concurrent.eval(s.envOf(e)); err == nil && c != nil {
		if n, err := value.ToFloat(c); err == nil && n > 0 {
			limit = int(min(n, float64(it.len())))
		}
	}
	if it.ended == it.len() {
		s.allEnded(e)
		return
	}
	for it.open < limit && it.next < it.len() {
		i := it.next
		if it.states[i] != "" {
			it.next++
			continue
		}
		s.change(e, i, running, nil)
		env := s.envOf(e)
		env.item = value.NewMap(len(it.names))
		for k, name := range it.names {
			env.item.Set(name, it.lists[k][i])
		}
		s.launch(e, i, env)
	}
}

// change changes an item. What it was can be undone.
func (s *stepper) change(e *entry, i int, st state, result any) {
	it := e.items
	was, old, open, next, ended, bad := it.states[i], it.results[i], it.open, it.next, it.ended, it.bad
	s.undo = append(s.undo, func() {
		it.states[i], it.results[i], it.open, it.next, it.ended, it.bad = was, old, open, next, ended, bad
	})
	s.touch(e)
	s.mark(e.index, i/chunkSize)
	it.count(was, -1)
	it.count(st, 1)
	it.states[i], it.results[i] = st, result
	if st == "" && i < it.next {
		it.next = i
	}
}

func (it *items) count(st state, by int) {
	switch {
	case st == running:
		it.open += by
	case st.final():
		it.ended += by
		if st != success {
			it.bad += by
		}
	}
}

// itemEnded takes in the outcome of an item.
func (s *stepper) itemEnded(e *entry, i int, st state, result any) {
	if i >= e.items.len() || e.items.states[i] != running {
		return
	}
	s.change(e, i, st, result)
	if s.canceling && e.items.open == 0 {
		s.finish(e, cancelled)
		return
	}
	if !s.canceling {
		s.refill(e)
	}
}

// allEnded ends the task: its result are those of the items that succeeded.
func (s *stepper) allEnded(e *entry) {
	out := value.List{}
	st := success
	for i, x := range e.items.states {
		switch x {
		case success:
			out = append(out, e.items.results[i])
		case cancelled:
			st = cancelled
		default:
			out = append(out, e.items.results[i])
			if st == success {
				st = failure
			}
		}
	}
	s.touch(e).result = out
	s.finish(e, st)
}

// reopen readies the items that failed to run again.
func (s *stepper) reopen(e *entry) {
	for i, st := range e.items.states {
		if st != success && st != "" {
			s.change(e, i, "", nil)
		}
	}
}
