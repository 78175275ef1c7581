package mongo_test

import (
	"context"
	"errors"
	"os"
	"testing"

	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// server is the one that all tests share; each has a database of its own.
var server mongotest.Server

func TestMain(m *testing.M) {
	code := m.Run()
	server.Stop()
	os.Exit(code)
}

// database returns the URI of an empty database, which is dropped at the end.
func database(t testing.TB) string {
	t.Helper()
	uri := server.Database(t)
	t.Cleanup(func() {
		c, err := driver.Connect(options.Client().ApplyURI(uri))
		if err != nil {
			t.Errorf("drop the database: %v", err)
			return
		}
		ctx := context.Background()
		if err := c.Database(mongo.DatabaseOf(uri)).Drop(ctx); err != nil {
			t.Errorf("drop the database: %v", err)
		}
		if err := c.Disconnect(ctx); err != nil {
			t.Errorf("drop the database: %v", err)
		}
	})
	return uri
}

// open opens a store on a database; it is closed when the test ends.
func open(t testing.TB, uri string) *mongo.Store {
	t.Helper()
	return openWith(t, mongo.Config{URI: uri})
}

func openWith(t testing.TB, c mongo.Config) *mongo.Store {
	t.Helper()
	s, err := mongo.Open(t.Context(), c)
	for tries := 0; errors.Is(err, hayate.ErrBusy) && tries < 20; tries++ {
		s, err = mongo.Open(t.Context(), c) // a busy machine answers late, and some URIs have little patience
	}
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	routertest.TestStore(t, func(t *testing.T) routertest.StoreUnderTest {
		uri := database(t)
		s := open(t, uri)
		return routertest.StoreUnderTest{Store: s, Reopen: func(t *testing.T) router.Store {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			s = open(t, uri)
			return s
		}, Another: func(t *testing.T) router.Store { return open(t, uri) }}
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	routertest.TestQueue(t, func(t *testing.T) routertest.QueueUnderTest {
		s := openWith(t, mongo.Config{URI: database(t), QueueBound: 60})
		return routertest.QueueUnderTest{Queue: s.Queue(), Bound: 60, Close: s.Close}
	})
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	routertest.TestRegistry(t, func(t *testing.T) routertest.RegistryUnderTest {
		uri := database(t)
		s := open(t, uri)
		return routertest.RegistryUnderTest{Registry: s.Registry(), Close: s.Close, Reopen: func(t *testing.T) router.Registry {
			return open(t, uri).Registry()
		}}
	})
}

func TestDatastore(t *testing.T) {
	t.Parallel()
	routertest.TestDatastore(t, func(t *testing.T) routertest.DatastoreUnderTest {
		uri := database(t)
		s := open(t, uri)
		return routertest.DatastoreUnderTest{Datastore: s.Datastore(), Close: s.Close, Reopen: func(t *testing.T) router.Datastore {
			return open(t, uri).Datastore()
		}}
	})
}

func TestTimers(t *testing.T) {
	t.Parallel()
	routertest.TestTimers(t, func(t *testing.T) routertest.TimersUnderTest {
		uri := database(t)
		s := open(t, uri)
		return routertest.TimersUnderTest{Timers: s.Timers(), Close: s.Close, Reopen: func(t *testing.T) router.Timers {
			return open(t, uri).Timers()
		}}
	})
}

func TestLeases(t *testing.T) {
	t.Parallel()
	routertest.TestLeases(t, func(t *testing.T) router.Leases { return open(t, database(t)).Leases() })
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	routertest.TestBlobs(t, func(t *testing.T) router.Blobs { return open(t, database(t)).Blobs() })
}
