package embedded

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/hayate-run/hayate"
)

// format is the version of the layout on disk. migrations[i] leads from format
// i+1 to i+2; a directory of a newer format is refused.
const format = 6

// migration changes the layout by one version, in one transaction with the
// number that says so.
type migration func(*sql.Tx) error

var migrations = []migration{
	adding(journalTable), // 2: commits of events, executions and runs write the journal first
	adding(timersTable),  // 3: timers remember their last ticks
	adding(statesTable),  // 4: rules remember
	adding(gatesTable),   // 5: gates bound how many executions run at once
	sameLayout,           // 6: the journal may hold steps of runs that the tables have (slide.go)
}

// adding is a migration that only adds to the layout.
func adding(sqlText string) migration {
	return func(t *sql.Tx) error {
		_, err := t.Exec(sqlText)
		return err
	}
}

// sameLayout keeps earlier programs from reading what they would misunderstand.
func sameLayout(*sql.Tx) error { return nil }

// journalTable holds what is committed and not yet in the other tables (pending.go).
const journalTable = "CREATE TABLE journal(seq INTEGER PRIMARY KEY, body BLOB NOT NULL);"

// timersTable holds what timers remember (timers.go).
const timersTable = "CREATE TABLE timers(id TEXT PRIMARY KEY, token INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;"

// statesTable holds what rules remember (states.go); wake and expires are microseconds.
const statesTable = `
CREATE TABLE states(rule TEXT NOT NULL, name TEXT NOT NULL, wake INTEGER, expires INTEGER, body BLOB NOT NULL,
  PRIMARY KEY(rule, name)) WITHOUT ROWID;
CREATE INDEX states_wake ON states(wake) WHERE wake IS NOT NULL;
CREATE INDEX states_expires ON states(expires) WHERE expires IS NOT NULL;
`

// gatesTable holds the places in gates; seq is the order in which they were taken.
const gatesTable = `
CREATE TABLE gates(gate TEXT NOT NULL, execution BLOB NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(gate, execution)) WITHOUT ROWID;
`

// Numbers of rows (seq) are microseconds since 1970, increased where the clock
// stands still or goes back: rows are in the order in which they were written,
// and nearly in the order of time. Events and executions share the numbering;
// the executions that an event started follow it without a gap.
//
//   - executions.tree is NULL for those; else the number of the event, or of the
//     topmost execution, that they belong to.
//   - refs are the executions whose results are blobs; a number 0 marks a blob that
//     nothing refers to any more and that is still to be removed.
//   - executions.duty and due are what a sweeper has to do (record.Duty) and when.
//   - executions_ends finds what did not succeed (the numbers are of counts.go).
//   - gates are the places that executions hold in gates, numbered as they came.
//   - type, source, action, rule, runner are 48 bits of a hash of the text.
const schema = journalTable + `
CREATE TABLE meta(name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE keys(hash BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE forgetting(seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, at INTEGER NOT NULL);
CREATE TABLE events(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, type INTEGER NOT NULL, source INTEGER NOT NULL,
  firings INTEGER NOT NULL, executions INTEGER NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX events_id ON events(id);
CREATE TABLE executions(seq INTEGER PRIMARY KEY, id BLOB NOT NULL, status INTEGER NOT NULL, duty INTEGER, due INTEGER,
  action INTEGER NOT NULL, rule INTEGER, runner INTEGER NOT NULL, tree INTEGER, parent BLOB, at INTEGER NOT NULL, body BLOB NOT NULL);
CREATE UNIQUE INDEX executions_id ON executions(id);
CREATE INDEX executions_duty ON executions(duty, due) WHERE duty IS NOT NULL;
CREATE INDEX executions_tree ON executions(tree) WHERE tree IS NOT NULL;
CREATE INDEX executions_ends ON executions(status) WHERE status IN (5,6,7,9);
CREATE TABLE refs(hash TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(hash, seq)) WITHOUT ROWID;
CREATE TABLE runs(id BLOB PRIMARY KEY, version INTEGER NOT NULL, wake INTEGER, done INTEGER NOT NULL, head BLOB) WITHOUT ROWID;
CREATE INDEX runs_wake ON runs(wake) WHERE wake IS NOT NULL;
CREATE TABLE entries(run BLOB NOT NULL, version INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY(run, version)) WITHOUT ROWID;
CREATE TABLE lines(execution BLOB NOT NULL, seq INTEGER NOT NULL, attempt INTEGER NOT NULL, at INTEGER NOT NULL,
  stream TEXT NOT NULL, text TEXT NOT NULL, PRIMARY KEY(execution, seq, attempt)) WITHOUT ROWID;
CREATE TABLE documents(kind TEXT NOT NULL, ref TEXT NOT NULL, revision INTEGER NOT NULL, deleted INTEGER NOT NULL, body BLOB,
  PRIMARY KEY(kind, ref)) WITHOUT ROWID;
CREATE INDEX documents_revision ON documents(revision);
CREATE TABLE pairs(scope TEXT NOT NULL, user TEXT NOT NULL, name TEXT NOT NULL, expires INTEGER, body BLOB NOT NULL,
  PRIMARY KEY(scope, user, name)) WITHOUT ROWID;
CREATE INDEX pairs_expires ON pairs(expires) WHERE expires IS NOT NULL;
CREATE TABLE leases(name TEXT PRIMARY KEY, owner TEXT NOT NULL, until INTEGER NOT NULL, token INTEGER NOT NULL) WITHOUT ROWID;
` + timersTable + statesTable + gatesTable

// create lays out a fresh database file. The page size and incremental vacuum
// can only be set while it is empty and not yet in WAL mode. It is made under
// another name, so that a half-made one is never taken for a store.
func create(path string) error {
	making := path + ".new"
	if err := errors.Join(removeIfThere(making), removeIfThere(making+"-journal")); err != nil {
		return fmt.Errorf("create the store: %w", fileError(err))
	}
	// SQLite gives its other files the mode of this one.
	f, err := os.OpenFile(making, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("create the store: %w", fileError(err))
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("create the store: %w", fileError(err))
	}
	db, err := sql.Open("sqlite", "file:"+making)
	if err != nil {
		return fmt.Errorf("create the store: %w", sqlError(err))
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec("PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA synchronous=FULL; BEGIN;" + schema +
		"INSERT INTO meta VALUES('format', " + strconv.Itoa(format) + "), ('counts', x''); COMMIT;")
	if err := errors.Join(err, db.Close()); err != nil {
		return fmt.Errorf("create the store: %w", sqlError(err))
	}
	if err := os.Rename(making, path); err != nil {
		return fmt.Errorf("create the store: %w", fileError(err))
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// migrate brings the layout to this program's format, or refuses a newer one.
func migrate(db *sql.DB, path string) error {
	var have int
	if err := db.QueryRow("SELECT value FROM meta WHERE name='format'").Scan(&have); err != nil {
		return fmt.Errorf("read the format of %s: %w", path, sqlError(err))
	}
	if have > format {
		return fmt.Errorf("%s has format %d, this program knows formats up to %d; use the version of hayate that wrote it, or a newer one: %w",
			path, have, format, hayate.ErrInvalid)
	}
	for ; have < format; have++ {
		tx, err := db.Begin()
		if err != nil {
			return fmt.Errorf("migrate %s: %w", path, sqlError(err))
		}
		err = migrations[have-1](tx)
		if err == nil {
			_, err = tx.Exec("UPDATE meta SET value=? WHERE name='format'", have+1)
		}
		if err != nil {
			return fmt.Errorf("migrate %s from format %d: %w", path, have, errors.Join(sqlError(err), tx.Rollback()))
		}
		if err := tx.Commit(); err != nil {
			return fmt.Errorf("migrate %s from format %d: %w", path, have, sqlError(err))
		}
	}
	return nil
}
