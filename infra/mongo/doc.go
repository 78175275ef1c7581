// Package mongo implements the ports of router on MongoDB 4.4 or later, on
// services that speak its wire protocol and keep its promise of atomic updates
// of one document, and on nothing more of it: every write touches one document,
// is conditional on what was read, and may be repeated, because identifiers
// follow from what they name. There are no transactions, no change streams, no
// TTL indexes, no pipeline updates and no joins.
//
// What belongs to several documents is first written into one of them, as its
// outbox; then the others follow, then the outbox is cleared. Whoever comes
// across an outbox finishes it. DESIGN.md in this folder has the order of the
// writes and what a process leaves that dies between two of them.
//
// Writes return once a majority of the replica set has them in its journal.
package mongo
