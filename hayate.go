// Package hayate holds the words that all parts of hayate share: events, rules,
// actions, executions, tasks and their results, identifiers and the kinds of
// error. It is made of values; it knows no clock, no network and no store.
//
// Free-form values (parameters, results, payloads) cross package borders as
// JSON, so that numbers keep their kind (1 is not 1.0), mappings keep their
// order, and nothing depends on a store's own types.
package hayate
