package ruletest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"

	"github.com/hayate-run/hayate"
)

// pair gives each slot a firing that satisfies it, as many as can be: the index
// of the firing, or -1. Each firing is given once.
func pair(slots []*Expectation, fs []fired) []int {
	of := make([]int, len(slots))
	slot := make([]int, len(fs)) // who has a firing
	for i := range of {
		of[i] = -1
	}
	for i := range slot {
		slot[i] = -1
	}
	var give func(k int, tried []bool) bool
	give = func(k int, tried []bool) bool {
		for i := range fs {
			if tried[i] || !slots[k].takes(&fs[i]) {
				continue
			}
			tried[i] = true
			if slot[i] < 0 || give(slot[i], tried) {
				slot[i], of[k] = k, i
				return true
			}
		}
		return false
	}
	for k := range slots {
		give(k, make([]bool, len(fs)))
	}
	return of
}

// takes says whether a firing is as expected.
func (x *Expectation) takes(f *fired) bool {
	if !x.alike(f) {
		return false
	}
	for i := range x.Actions {
		if len(x.Actions[i].differs(f, i)) > 0 {
			return false
		}
	}
	return true
}

// alike says whether a firing is of the event and of the status expected.
func (x *Expectation) alike(f *fired) bool {
	if x.Event != "" && x.Event != f.event {
		return false
	}
	if x.Status != "" {
		return x.Status == f.Status
	}
	return f.acts()
}

// nearest is the place in left of the firing with the fewest differences; -1
// where none is alike.
func nearest(x *Expectation, fs []fired, left []int) int {
	best, least := -1, 0
	for i, k := range left {
		if !x.alike(&fs[k]) {
			continue
		}
		if n := len(differences(x, &fs[k])); best < 0 || n < least {
			best, least = i, n
		}
	}
	return best
}

// differences show the parameters that a firing has otherwise: the expected ones
// after "-", its own after "+".
func differences(x *Expectation, f *fired) (out []string) {
	for i := range x.Actions {
		lines := x.Actions[i].differs(f, i)
		if len(lines) > 0 && len(x.Actions) > 1 {
			out = append(out, fmt.Sprintf("action %d:", i+1))
		}
		out = append(out, lines...)
	}
	return out
}

// differs compares the expected parameters with those of action i of a firing.
func (p *Parameters) differs(f *fired, i int) (out []string) {
	if i >= len(f.Parameters) {
		return []string{fmt.Sprintf("- action %d", i+1), "+ no such action was started"}
	}
	var has map[string]json.RawMessage
	if err := json.Unmarshal(f.Parameters[i], &has); err != nil {
		return []string{"+ " + string(f.Parameters[i])}
	}
	for _, name := range p.names {
		want, got := p.Values[name], has[name]
		if same(want, got) {
			continue
		}
		out = append(out, fmt.Sprintf("- %s: %s", name, want))
		if got == nil {
			out = append(out, fmt.Sprintf("+ %s: nothing", name))
		} else {
			out = append(out, fmt.Sprintf("+ %s: %s", name, got))
		}
	}
	return out
}

// shown are the parameters of a firing that should not be.
func (t *trial) shown(f *fired) (out []string) {
	for _, p := range t.h.Outer(&f.Firing) {
		if string(p) != "{}" {
			out = append(out, "+ "+string(p))
		}
	}
	return out
}

// same compares JSON values: numbers by value, members of objects in any order,
// and null with nothing.
func same(a, b json.RawMessage) bool {
	x, err1 := decode(a)
	y, err2 := decode(b)
	return err1 == nil && err2 == nil && equal(x, y)
}

func decode(raw json.RawMessage) (v any, err error) {
	if len(raw) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	err = d.Decode(&v)
	return v, err
}

func equal(a, b any) bool {
	switch x := a.(type) {
	case json.Number:
		y, ok := b.(json.Number)
		return ok && (x == y || sameNumber(string(x), string(y)))
	case []any:
		y, ok := b.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok || len(x) != len(y) {
			return false
		}
		for k, v := range x {
			w, has := y[k]
			if !has || !equal(v, w) {
				return false
			}
		}
		return true
	}
	return a == b
}

func sameNumber(a, b string) bool {
	x, _, err1 := big.ParseFloat(a, 10, 256, big.ToNearestEven)
	y, _, err2 := big.ParseFloat(b, 10, 256, big.ToNearestEven)
	return err1 == nil && err2 == nil && x.Cmp(y) == 0
}

// otherActions says which actions an expectation names that are not the rule's.
func (x *Expectation) otherActions(r *hayate.Rule) (wrong []string) {
	for i, a := range x.Actions {
		switch {
		case a.Action == "":
		case i >= len(r.Actions):
			wrong = append(wrong, fmt.Sprintf("- action %d: %s", i+1, a.Action), fmt.Sprintf("+ action %d: nothing", i+1))
		case r.Actions[i].Ref != a.Action:
			wrong = append(wrong, fmt.Sprintf("- action %d: %s", i+1, a.Action), fmt.Sprintf("+ action %d: %s", i+1, r.Actions[i].Ref))
		}
	}
	return wrong
}
