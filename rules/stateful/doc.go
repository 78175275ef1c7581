// Package stateful decides what a rule's past says about its next firing: how
// often something was seen, what stays away, what belongs together, and what
// guards against acting too often.
//
// A Form is what a rule declares under when, guard and calendar. Decide is a
// function of the form, of what the rule remembers and of recorded values; it
// knows no clock and no store. Whoever calls it stores the new state together
// with the firing, so that neither is there without the other.
package stateful
