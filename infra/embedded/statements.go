package embedded

import (
	"database/sql"
	"errors"
	"strings"
)

// Columns that reads of executions and events return, in the order of their scans.
const (
	executionColumns = "seq, id, tree, body"
	eventColumns     = "seq, id, executions, body"
)

// executionsAtOnce are inserted by one statement where so many wait: half of what
// a single insertion costs is the call.
const executionsAtOnce = 16

func addExecutions(n int) string {
	return "INSERT INTO executions(seq, id, status, duty, due, action, rule, runner, tree, parent, at, body) VALUES" +
		strings.Repeat("(?,?,?,?,?,?,?,?,?,?,?,?),", n-1) + "(?,?,?,?,?,?,?,?,?,?,?,?)"
}

// writeStatements are what the writer runs, prepared on its one connection.
type writeStatements struct {
	all []*sql.Stmt

	begin, commit, rollback, counts *sql.Stmt

	addKey, getKey, addEvent, addExecution, setExecution, getExecution, getEvent *sql.Stmt
	hasExecution, addExecutions, addJournal, dropJournal, cutJournal             *sql.Stmt
	addRun, setRun, runVersion, addEntries, addLine                              *sql.Stmt
	putDocument, dropDocument, document, putPair, dropPair                       *sql.Stmt
	lease, putLease                                                              *sql.Stmt
	timer, putTimer, dropTimer                                                   *sql.Stmt
	gate, inGate, enterGate, leaveGate                                           *sql.Stmt
	addRef, dropRef, anyRef, loose, eventSeqs, rootSeqs, eventAt                 *sql.Stmt
	treeExecutions                                                               *sql.Stmt
	getState, putState, dropState, countStates                                   *sql.Stmt
	dropEvent, dropExecution, dropRun, dropEntries, dropLines                    *sql.Stmt
	addForgetting, forgetting, dropForgetting, dropKey, dropExpired              *sql.Stmt
}

func (w *writeStatements) prepare(db *sql.DB) error {
	return prepareAll(db, &w.all, map[string]**sql.Stmt{
		"BEGIN IMMEDIATE": &w.begin,
		"COMMIT":          &w.commit,
		"ROLLBACK":        &w.rollback,
		"UPDATE meta SET value=? WHERE name='counts'": &w.counts,

		"SELECT at FROM keys WHERE hash=?":       &w.getKey,
		"INSERT INTO keys(hash, at) VALUES(?,?)": &w.addKey,
		"INSERT INTO events(seq, id, type, source, firings, executions, at, body) VALUES(?,?,?,?,?,?,?,?)": &w.addEvent,
		addExecutions(1):                &w.addExecution,
		addExecutions(executionsAtOnce): &w.addExecutions,
		"UPDATE executions SET status=?, duty=?, due=?, body=? WHERE seq=?": &w.setExecution,
		"SELECT " + executionColumns + " FROM executions WHERE id=?":        &w.getExecution,
		"SELECT 1 FROM executions WHERE id=?":                               &w.hasExecution,
		"INSERT INTO journal(body) VALUES(?)":                               &w.addJournal,
		"DELETE FROM journal":                                               &w.dropJournal,
		"DELETE FROM journal WHERE seq<=?":                                  &w.cutJournal,
		"SELECT " + eventColumns + " FROM events WHERE id=?":                &w.getEvent,
		"SELECT " + executionColumns + " FROM executions WHERE seq>? AND seq<=? UNION ALL SELECT " + executionColumns + " FROM executions WHERE tree=?": &w.treeExecutions,

		"INSERT OR IGNORE INTO refs(hash, seq) VALUES(?,?)":                                          &w.addRef,
		"DELETE FROM refs WHERE hash=? AND seq=?":                                                    &w.dropRef,
		"SELECT 1 FROM refs WHERE hash=? AND seq>0 LIMIT 1":                                          &w.anyRef,
		"SELECT DISTINCT hash FROM refs WHERE seq=0 LIMIT ?":                                         &w.loose,
		"SELECT seq FROM events WHERE seq>? ORDER BY seq LIMIT ?":                                    &w.eventSeqs,
		"SELECT tree FROM executions WHERE tree>? AND tree=seq ORDER BY tree LIMIT ?":                &w.rootSeqs,
		"SELECT " + eventColumns + " FROM events WHERE seq=?":                                        &w.eventAt,
		"INSERT INTO runs(id, version, wake, done, head) VALUES(?,?,?,?,?)":                          &w.addRun,
		"UPDATE runs SET version=?, wake=?, done=?, head=? WHERE id=?":                               &w.setRun,
		"SELECT version FROM runs WHERE id=?":                                                        &w.runVersion,
		"INSERT OR REPLACE INTO entries(run, version, body) VALUES(?,?,?)":                           &w.addEntries,
		"INSERT OR IGNORE INTO lines(execution, seq, attempt, at, stream, text) VALUES(?,?,?,?,?,?)": &w.addLine,

		"INSERT OR REPLACE INTO documents(kind, ref, revision, deleted, body) VALUES(?,?,?,0,?)": &w.putDocument,
		"UPDATE documents SET revision=?, deleted=1, body=NULL WHERE kind=? AND ref=?":           &w.dropDocument,
		"SELECT revision FROM documents WHERE kind=? AND ref=? AND NOT deleted":                  &w.document,
		"INSERT OR REPLACE INTO pairs(scope, user, name, expires, body) VALUES(?,?,?,?,?)":       &w.putPair,
		"DELETE FROM pairs WHERE scope=? AND user=? AND name=?":                                  &w.dropPair,
		"SELECT owner, until, token FROM leases WHERE name=?":                                    &w.lease,
		"INSERT OR REPLACE INTO leases(name, owner, until, token) VALUES(?,?,?,?)":               &w.putLease,
		"SELECT token FROM timers WHERE id=?":                                                    &w.timer,
		"INSERT OR REPLACE INTO timers(id, token, body) VALUES(?,?,?)":                           &w.putTimer,
		"DELETE FROM timers WHERE id=? AND token<=?":                                             &w.dropTimer,

		"SELECT body FROM states WHERE rule=? AND name=?":                                  &w.getState,
		"INSERT OR REPLACE INTO states(rule, name, wake, expires, body) VALUES(?,?,?,?,?)": &w.putState,
		"DELETE FROM states WHERE rule=? AND name=?":                                       &w.dropState,
		"SELECT count(*) FROM (SELECT 1 FROM states WHERE rule=? LIMIT ?)":                 &w.countStates,

		"SELECT count(*), coalesce(max(seq), 0) FROM gates WHERE gate=?": &w.gate,
		"SELECT count(*) FROM gates WHERE gate=? AND execution=?":        &w.inGate,
		"INSERT INTO gates(gate, execution, seq) VALUES(?,?,?)":          &w.enterGate,
		"DELETE FROM gates WHERE gate=? AND execution=?":                 &w.leaveGate,

		"DELETE FROM events WHERE seq=?":                                   &w.dropEvent,
		"DELETE FROM executions WHERE seq=?":                               &w.dropExecution,
		"DELETE FROM runs WHERE id=?":                                      &w.dropRun,
		"DELETE FROM entries WHERE run=?":                                  &w.dropEntries,
		"DELETE FROM lines WHERE execution=?":                              &w.dropLines,
		"INSERT INTO forgetting(seq, hash, at) VALUES(?,?,?)":              &w.addForgetting,
		"SELECT seq, hash FROM forgetting WHERE at<? ORDER BY seq LIMIT ?": &w.forgetting,
		"DELETE FROM forgetting WHERE seq=?":                               &w.dropForgetting,
		"DELETE FROM keys WHERE hash=?":                                    &w.dropKey,
		"DELETE FROM pairs WHERE expires<?":                                &w.dropExpired,
	})
}

// readers are the statements of the reading handles.
type readers struct {
	all []*sql.Stmt

	key, run, entries, lines, execution, event *sql.Stmt
	duty, due                                  *sql.Stmt
	documents, revision, pair, timers, holders *sql.Stmt
}

// prepare prepares what is asked all the time on the quick handle, so that it
// never waits behind a long listing.
func (r *readers) prepare(db, quick *sql.DB) error {
	err := prepareAll(quick, &r.all, map[string]**sql.Stmt{
		"SELECT at FROM keys WHERE hash=?":                                                              &r.key,
		"SELECT " + executionColumns + " FROM executions WHERE id=?":                                    &r.execution,
		"SELECT " + eventColumns + " FROM events WHERE id=?":                                            &r.event,
		"SELECT body FROM pairs WHERE scope=? AND user=? AND name=? AND (expires IS NULL OR expires>?)": &r.pair,
	})
	if err != nil {
		return err
	}
	return prepareAll(db, &r.all, map[string]**sql.Stmt{
		"SELECT version, wake, head FROM runs WHERE id=?":                                                                             &r.run,
		"SELECT body FROM entries WHERE run=? ORDER BY version":                                                                       &r.entries,
		"SELECT seq, attempt, at, stream, text FROM lines WHERE execution=? AND seq>? ORDER BY seq, attempt LIMIT ?":                  &r.lines,
		"SELECT " + executionColumns + ", due FROM executions WHERE duty=? AND due<=? ORDER BY due":                                   &r.duty,
		"SELECT id FROM runs WHERE wake<=? ORDER BY wake LIMIT ?":                                                                     &r.due,
		"SELECT execution FROM gates WHERE gate=? ORDER BY seq":                                                                       &r.holders,
		"SELECT revision FROM documents ORDER BY revision DESC LIMIT 1":                                                               &r.revision,
		"SELECT kind, ref, revision, deleted, body FROM documents WHERE revision>? AND (?='' OR kind=?) ORDER BY revision, kind, ref": &r.documents,
		"SELECT body FROM timers ORDER BY id":                                                                                         &r.timers,
	})
}

func prepareAll(db *sql.DB, all *[]*sql.Stmt, want map[string]**sql.Stmt) error {
	for text, st := range want {
		p, err := db.Prepare(text)
		if err != nil {
			return err
		}
		*st = p
		*all = append(*all, p)
	}
	return nil
}

func closeAll(all []*sql.Stmt) error {
	var errs []error
	for _, st := range all {
		errs = append(errs, st.Close())
	}
	return errors.Join(errs...)
}

func (w *writeStatements) close() error { return closeAll(w.all) }
func (r *readers) close() error         { return closeAll(r.all) }
