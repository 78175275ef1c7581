package stateful

import (
	"encoding/json"
	"time"

	"github.com/hayate-run/hayate"
)

// The bounds of a form: what a rule remembers is never larger than they allow.
const (
	MaxCount  = 1000                // events that count, firings that a budget allows
	MaxWindow = 31 * 24 * time.Hour // the longest window
	MinWindow = time.Second
	MaxKeys   = 100_000 // of one rule

	defaultKeys = 10_000
)

// Form is what a rule says about the past, read and checked. It is immutable.
type Form struct {
	rule hayate.Ref

	per       *keyExpression // nil: one key for all
	count     *count
	expected  *expected
	both      *both
	once      time.Duration
	prolonged bool // repeated events prolong once
	cleared   *hayate.Rule
	maxKeys   int

	target   *keyExpression // nil: as per
	cooldown time.Duration
	budget   *count
	most     int // at once; 0: no bound
	breaker  *breaker

	calendar *Calendar
}

// count is a number of things within a window.
type count struct {
	n      int
	within time.Duration
	again  bool // go on firing while the count holds
}

type expected struct {
	every time.Duration
	keys  []string
}

type both struct {
	within time.Duration
	other  *hayate.Rule
	per    *keyExpression
}

type breaker struct {
	failures int
	within   time.Duration
	open     time.Duration
}

// Declared says whether a rule has anything for this package.
func Declared(r *hayate.Rule) bool {
	return given(r.When) || given(r.Guard) || given(r.Calendar)
}

func given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// The parts of a rule beside its own conditions.
const (
	PartOther   = "both"
	PartCleared = "cleared"
)

// PartName is the name under which a part of a rule is matched.
func PartName(rule, part string) string { return rule + "\x00" + part }

// Parts returns the further conditions of a rule as rules of their own, to be
// matched beside it; Part tells what each is. Its name begins with the rule's,
// and sorts right behind it.
func (f *Form) Parts() []hayate.Rule {
	var out []hayate.Rule
	if f.both != nil {
		out = append(out, *f.both.other)
	}
	if f.cleared != nil {
		out = append(out, *f.cleared)
	}
	return out
}

// MaxKeys is how many keys the rule may remember.
func (f *Form) MaxKeys() int { return f.maxKeys }

// Watches says whether the decision looks at what became of executions that the
// rule started.
func (f *Form) Watches() bool { return f.most > 0 || f.breaker != nil }

// Awaits says whether the rule fires for what does not come, and so not for the
// events that satisfy its conditions.
func (f *Form) Awaits() bool { return f.expected != nil }

// Initial are the keys that are expected from the moment that the rule is in
// force, before anything came for them.
func (f *Form) Initial() []string {
	switch {
	case f.expected == nil:
		return nil
	case f.per == nil:
		return []string{""}
	}
	return f.expected.keys
}

// Keys names the states that a decision about a key and a target needs. The
// first carries the others: whoever changes one of them changes the first.
func (f *Form) Keys(key, target string) []string {
	k := "k:" + key
	switch {
	case f.target != nil:
		return []string{ruleState, k, "t:" + target}
	case f.per != nil && (f.budget != nil || f.breaker != nil):
		return []string{ruleState, k}
	}
	return []string{k}
}

// ruleState is the name of the state that all keys of a rule share.
const ruleState = "*"

// KeyOf is the key that the name of a state stands for; shared says that it
// belongs to the rule as a whole.
func KeyOf(name string) (key string, shared bool) {
	if name == ruleState || len(name) < 2 {
		return "", true
	}
	return name[2:], false
}

// Of says what the name of a state stands for: a key, a target of the guards, or
// the rule as a whole.
func Of(name string) string {
	switch {
	case name == ruleState:
		return "rule"
	case len(name) > 1 && name[0] == 't':
		return "target"
	}
	return "key"
}

// Names are the names of the states of a key, be it one of the rule or of its guards.
func Names(key string) []string { return []string{"k:" + key, "t:" + key} }
