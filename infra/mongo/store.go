package mongo

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/readconcern"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// DefaultDatabase is used where neither Config nor the URI names a database.
const DefaultDatabase = "hayate"

// Config is what a Store needs. Only URI is required.
type Config struct {
	// URI is a connection string, mongodb:// or mongodb+srv://. What it says about
	// pools and time-outs wins over the settings that Serverless chooses.
	URI string
	// Database is the name of the database. Default: the one of the URI, else "hayate".
	Database string
	// Serverless keeps few connections, gives them up after a minute, and answers
	// within seconds where the server is away: for functions that live as many
	// short-lived processes beside each other.
	Serverless bool
	// Now tells the time for the queue, the age of blobs and nothing else;
	// default time.Now.
	Now func() time.Time
	Log *slog.Logger // default: silence
	// QueueBound is the most items that wait in the queue of this process; default 10 000.
	QueueBound int
	// HandOver names the targets that this process itself receives from the queue
	// for: what it puts for them need not be found in the store first. Default:
	// all; none where Serverless is set.
	HandOver []string
	// Poll is how often the queue looks for executions that other processes have
	// stored, and how often a waiting reader of the registry looks; default 1 s.
	Poll time.Duration
}

// Store is a database. It is a router.Store; the other ports are reached through
// its methods and share its connections. Its methods may be called from many
// goroutines.
type Store struct {
	log    *slog.Logger
	now    func() time.Time
	poll   time.Duration
	client *mongo.Client
	db     *mongo.Database
	me     string // tells this process's dispatches from those of others

	events, execs, runs, lines, blobs, chunks, docs, keys, leases, timers, states, gates, meta *mongo.Collection
	// relaxed is execs for marks that may be lost: acknowledged by the primary alone.
	relaxed *mongo.Collection

	preparing sync.Mutex
	prepared  atomic.Bool

	queue    *Queue
	changed  chan struct{} // a token in it: this process has changed the registry
	closed   atomic.Bool
	closing  chan struct{}
	once     sync.Once
	closeErr error

	commits, writes atomic.Int64
}

var _ router.Store = (*Store)(nil)

// New returns a store without connecting: the connection is made, the server
// looked at and the indexes created when it is first used. ErrInvalid says that
// the configuration cannot work.
func New(c Config) (*Store, error) {
	if c.URI == "" {
		return nil, fmt.Errorf("open MongoDB: no URI is given: %w", hayate.ErrInvalid)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.QueueBound == 0 {
		c.QueueBound = 10_000
	}
	if c.Poll == 0 {
		c.Poll = time.Second
	}
	if c.Database == "" {
		c.Database = databaseOf(c.URI)
	}
	client, err := mongo.Connect(clientOptions(c))
	if err != nil {
		return nil, fmt.Errorf("open MongoDB: %s: %w", redact(err.Error(), c.URI), hayate.ErrInvalid)
	}
	b := make([]byte, 8)
	rand.Read(b) // never fails
	db := client.Database(c.Database)
	s := &Store{log: c.Log, now: c.Now, poll: c.Poll, client: client, db: db, me: hex.EncodeToString(b),
		events: db.Collection("events"), execs: db.Collection("executions"), runs: db.Collection("runs"),
		lines: db.Collection("lines"), blobs: db.Collection("blobs"), chunks: db.Collection("chunks"),
		docs: db.Collection("registry"), keys: db.Collection("keys"), leases: db.Collection("leases"), timers: db.Collection("timers"),
		states: db.Collection("states"), gates: db.Collection("gates"), meta: db.Collection("meta"),
		relaxed: db.Collection("executions", options.Collection().SetWriteConcern(writeconcern.W1())),
		changed: make(chan struct{}, 1), closing: make(chan struct{}),
	}
	s.queue = newQueue(s, &c)
	return s, nil
}

// Open returns a store whose server has answered, is one that can be used, and
// has all indexes.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := New(c)
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.Close() // nothing was written; the error of opening is the one to tell
		return nil, fmt.Errorf("open MongoDB: %w", err)
	}
	return s, nil
}

// The settings of the driver for a server that lives long, and for functions.
const (
	daemonPool      = 100
	daemonTimeout   = 15 * time.Second
	daemonSelection = 10 * time.Second

	serverlessPool      = 2
	serverlessIdle      = time.Minute
	serverlessTimeout   = 5 * time.Second
	serverlessSelection = 3 * time.Second
)

func clientOptions(c Config) *options.ClientOptions {
	journaled := true
	o := options.Client().SetAppName("hayate").
		SetWriteConcern(&writeconcern.WriteConcern{W: writeconcern.WCMajority, Journal: &journaled}).
		SetReadConcern(readconcern.Majority()).
		SetRetryWrites(true).SetRetryReads(true)
	if c.Serverless {
		o.SetMaxPoolSize(serverlessPool).SetMinPoolSize(0).SetMaxConnIdleTime(serverlessIdle).
			SetTimeout(serverlessTimeout).SetServerSelectionTimeout(serverlessSelection).SetConnectTimeout(serverlessSelection)
	} else {
		o.SetMaxPoolSize(daemonPool).SetTimeout(daemonTimeout).SetServerSelectionTimeout(daemonSelection)
	}
	return o.ApplyURI(c.URI)
}

// databaseOf returns the database that a URI names.
func databaseOf(uri string) string {
	_, rest, _ := strings.Cut(uri, "://")
	_, path, _ := strings.Cut(rest, "/")
	name, _, _ := strings.Cut(path, "?")
	if name == "" {
		return DefaultDatabase
	}
	return name
}

// redact takes the URI, which holds a password, out of a message.
func redact(msg, uri string) string { return strings.ReplaceAll(msg, uri, "the URI") }

// enter says whether a call may begin, and prepares the database before the first.
func (s *Store) enter(ctx context.Context) error {
	if s.closed.Load() {
		return errClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if s.prepared.Load() {
		return nil
	}
	return s.prepare(ctx)
}

var errClosed = fmt.Errorf("the store is closed: %w", hayate.ErrBusy)

// prepare looks at the server and creates the indexes, once.
func (s *Store) prepare(ctx context.Context) error {
	s.preparing.Lock()
	defer s.preparing.Unlock()
	if s.prepared.Load() {
		return nil
	}
	if err := s.inspect(ctx); err != nil {
		return err
	}
	if err := s.createIndexes(ctx); err != nil {
		return err
	}
	s.prepared.Store(true)
	return nil
}

// Ready says whether the server answers: nil, or the reason.
func (s *Store) Ready(ctx context.Context) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	return s.kind(ctx, s.client.Ping(ctx, nil))
}

// Queue returns the queue of this process.
func (s *Store) Queue() *Queue { return s.queue }

// Blobs returns the blobs of the database.
func (s *Store) Blobs() *Blobs { return &Blobs{s} }

// Registry returns the registered documents of the database.
func (s *Store) Registry() *Registry { return &Registry{s} }

// Datastore returns the key-value pairs of the database.
func (s *Store) Datastore() *Datastore { return &Datastore{s} }

// Leases returns the leases of the database.
func (s *Store) Leases() *Leases { return &Leases{s} }

// Timers returns what the timers of the database remember.
func (s *Store) Timers() *Timers { return &Timers{s} }

// closeTimeout bounds how long Close waits for calls that are under way.
const closeTimeout = 5 * time.Second

// Close gives up the connections. Calls that wait end with ErrBusy. Twice is fine.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.closed.Store(true)
		close(s.closing)
		s.queue.q.Close()
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.client.Disconnect(ctx); err != nil {
			s.closeErr = fmt.Errorf("close MongoDB: %w", err)
		}
	})
	return s.closeErr
}

// wrote counts a durable write that carried n changes.
func (s *Store) wrote(n int) {
	s.commits.Add(1)
	s.writes.Add(int64(n))
}
