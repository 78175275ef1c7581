package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

// databaseFile is the name of SQLite's file in the directory.
const databaseFile = "hayate.db"

// Config is what a Store needs. Only Dir is required.
type Config struct {
	// Dir is the directory of the store. It is made if it is not there.
	Dir string
	// Now tells the time for the queue; default time.Now.
	Now func() time.Time
	Log *slog.Logger // default: silence
	// QueueBound is the most items that wait in the queue; default 100 000.
	QueueBound int
}

// Store is a directory that is open. It is a router.Store; the other ports are
// reached through its methods, and share its commits. Its methods may be called
// from many goroutines.
type Store struct {
	dir  string
	log  *slog.Logger
	lock *os.File

	w     *writer
	read  *sql.DB // for listings
	quick *sql.DB // for single rows
	rd    readers

	live      live
	accepting inflight
	out       outputs
	filter    keyFilter
	notes     claimFile

	blobs    *Blobs
	queue    *memory.Queue
	changes  feed // of the registry
	closed   atomic.Bool
	closing  sync.Once
	closeErr error
}

var _ router.Store = (*Store)(nil)

// Open opens the directory, making it if it is not there. It returns ErrBusy
// while another process has it open or where it cannot be written, and
// ErrInvalid for a directory of a newer format.
func Open(c Config) (*Store, error) {
	if c.Dir == "" {
		return nil, fmt.Errorf("open the store: no directory is given: %w", hayate.ErrInvalid)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", fileError(err))
	}
	lk, err := lock(c.Dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: c.Dir, log: c.Log, lock: lk}
	if err := s.open(c); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *Store) open(c Config) error {
	path := filepath.Join(s.dir, databaseFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		if err := create(path); err != nil {
			return err
		}
		if err := syncDir(s.dir); err != nil {
			return fmt.Errorf("create the store: %w", fileError(err))
		}
	}
	db, err := sql.Open("sqlite", dsn(path, "wal_autocheckpoint(0)", "cache_size(-8192)"))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, sqlError(err))
	}
	db.SetMaxOpenConns(1)
	if s.w, err = newWriter(s, db, path); err != nil {
		return errors.Join(fmt.Errorf("open %s: %w", path, err), db.Close())
	}
	if s.read, err = sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-2048)")); err != nil {
		return fmt.Errorf("open %s for reading: %w", path, sqlError(err))
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(4)
	if s.quick, err = sql.Open("sqlite", dsn(path, "query_only(1)", "cache_size(-1024)")); err != nil {
		return fmt.Errorf("open %s for reading: %w", path, sqlError(err))
	}
	s.quick.SetMaxOpenConns(2)
	s.quick.SetMaxIdleConns(2)
	if err := s.rd.prepare(s.read, s.quick); err != nil {
		return fmt.Errorf("open %s for reading: %w", path, sqlError(err))
	}
	s.live.init()
	s.accepting.init()
	s.changes.init()
	if s.blobs, err = openBlobs(s.dir, c.Now); err != nil {
		return err
	}
	s.queue = newQueue(c)
	notes, err := s.notes.open(s.dir)
	if err != nil {
		return err
	}
	if err := errors.Join(s.w.replay(), s.w.seen.begin(db), s.recoverClaims(notes)); err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	s.w.start()
	s.filter.start(s)
	return nil
}

// dsn names the database with the pragmas that every handle needs.
func dsn(path string, pragmas ...string) string {
	v := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "temp_store(MEMORY)",
		fmt.Sprintf("journal_size_limit(%d)", walLimit)}}
	v["_pragma"] = append(v["_pragma"], pragmas...)
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + v.Encode()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Queue returns the queue of this process.
func (s *Store) Queue() *memory.Queue { return s.queue }

// Blobs returns the blobs of the directory.
func (s *Store) Blobs() *Blobs { return s.blobs }

// Registry returns the registered documents of the directory.
func (s *Store) Registry() *Registry { return &Registry{s} }

// Datastore returns the key-value pairs of the directory.
func (s *Store) Datastore() *Datastore { return &Datastore{s} }

// Leases returns the leases of the directory.
func (s *Store) Leases() *Leases { return &Leases{s} }

// Timers returns what the timers of the directory remember.
func (s *Store) Timers() *Timers { return &Timers{s} }

// Close writes what need not have been durable yet and frees the directory.
// Calls that wait end with ErrBusy. Twice is fine.
func (s *Store) Close() error {
	s.closing.Do(func() {
		s.closed.Store(true)
		_ = s.queue.Close() // it never fails
		s.blobs.closed.Store(true)
		s.changes.close()
		s.closeErr = s.release()
	})
	return s.closeErr
}

// release closes what is open, in reverse order.
func (s *Store) release() error {
	var errs []error
	s.filter.close()
	if s.w != nil {
		// The last transaction takes the output that waits.
		if err := s.w.put(&request{run: settle, done: make(chan struct{})}); err != nil {
			errs = append(errs, err)
		}
		s.w.stop()
	}
	errs = append(errs, s.rd.close())
	for _, db := range []*sql.DB{s.read, s.quick} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	if s.w != nil {
		errs = append(errs, s.w.close())
	}
	return errors.Join(append(errs, s.notes.close(), s.lock.Close())...)
}

// ready says whether a call may begin.
func (s *Store) ready(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	return ctx.Err()
}

var errClosed = fmt.Errorf("the store is closed: %w", hayate.ErrBusy)
