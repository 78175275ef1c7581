package embedded

import (
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// SQLite's write-ahead log is copied into the database beside the writer once
// walStep pages wait in it; the writer then copies the little that came
// meanwhile, so that the log begins anew at its start. A log that grew longer,
// because something was being read for long, is cut to walLimit bytes.
const (
	walStep  = 2000
	walLimit = 64 << 20
	walLook  = 8 // commits between two looks at its length
)

// walGuard keeps the log short without making commits wait for it. Only the
// writer calls after.
type walGuard struct {
	s  *Store
	db *sql.DB // one connection, for copying only
	// index is SQLite's index of the log, whose head tells the log's length. It
	// stays open as long as any handle: to close it would drop SQLite's locks.
	index *os.File

	commits int // since the last look
	wg      sync.WaitGroup
	busy    atomic.Bool // the copier is at work
	copied  atomic.Bool // it is done; the writer does the rest
}

func (g *walGuard) open(s *Store, path string) (err error) {
	g.s = s
	if g.db, err = sql.Open("sqlite", dsn(path, "wal_autocheckpoint(0)", "cache_size(-256)")); err != nil {
		return sqlError(err)
	}
	g.db.SetMaxOpenConns(1)
	if _, err := checkpoint(g.db); err != nil {
		return err
	}
	if g.index, err = os.Open(path + "-shm"); err != nil {
		return fileError(err)
	}
	return nil
}

// after is called between two commits.
func (g *walGuard) after(writing *sql.DB) {
	if g.copied.Swap(false) {
		if _, err := checkpoint(writing); err != nil {
			g.complain(err)
		}
		return
	}
	if g.commits++; g.commits < walLook || g.busy.Load() {
		return
	}
	g.commits = 0
	if g.length() < walStep {
		return
	}
	g.busy.Store(true)
	g.wg.Go(func() {
		defer g.busy.Store(false)
		if _, err := checkpoint(g.db); err != nil {
			g.complain(err)
			return
		}
		g.copied.Store(true)
	})
}

// length is the number of pages in the log (mxFrame, see "WAL-Index Header" in
// SQLite's description of its file format).
func (g *walGuard) length() int {
	var b [4]byte
	if _, err := g.index.ReadAt(b[:], 16); err != nil {
		return walStep // not to be known: look the long way
	}
	return int(binary.NativeEndian.Uint32(b[:]))
}

func (g *walGuard) complain(err error) {
	g.s.log.Warn("log not copied into the database, will be tried again", "err", err)
}

// checkpoint copies what it can of the log without waiting for anybody, and says
// whether that was all.
func checkpoint(db *sql.DB) (all bool, err error) {
	var blocked, length, done int
	if err := db.QueryRow("PRAGMA wal_checkpoint(PASSIVE)").Scan(&blocked, &length, &done); err != nil {
		return false, fmt.Errorf("checkpoint: %w", sqlError(err))
	}
	return length == done, nil
}

// close ends copying. The index is left to closeIndex.
func (g *walGuard) close() error {
	g.wg.Wait()
	if g.db == nil {
		return nil
	}
	return g.db.Close()
}

func (g *walGuard) closeIndex() error {
	if g.index == nil {
		return nil
	}
	return g.index.Close()
}
