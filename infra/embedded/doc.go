// Package embedded implements the ports of router in one directory on the local
// disk: SQLite for records, files for blobs, the memory of the process for the
// queue. A call that changes something returns once the change is on disk
// (fsynced), unless its port says otherwise; all callers that wait at the same
// time share one commit. One process at a time may open a directory.
//
// DESIGN.md in this folder says what is durable when, and why it is built so.
package embedded
