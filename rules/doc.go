// Package rules decides which rules an event satisfies, and why the others do
// not.
//
// A rule may state its conditions in three dialects, all of which must hold:
//
//   - criteria, StackStorm's mapping of JSONPath keys to operators, over
//     {"trigger": data};
//   - pattern, an EventBridge event pattern, over the event's data where that is
//     a JSON object (an EventBridge envelope is kept as data, so patterns written
//     for EventBridge work unmodified); data of any other form matches no pattern;
//   - filters, CloudEvents Subscriptions filters including CESQL, over the
//     event's attributes.
//
// All of them are lowered to predicates on places of the event (an attribute, a
// path in the data). Each rule is filed in one index under its single most
// selective predicate; an event looks up the values it has and the few rules
// found are verified. So the cost of an event grows neither with the number of
// rules nor with the number of rules that share a common value.
//
// The package is a function of its arguments: no clock but Event.AcceptedAt, no
// I/O, no goroutines. A criterion that needs a datastore value is not evaluated:
// the Match says what it needs, and the caller asks again with the values.
package rules
