package embedded_test

import (
	"context"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
)

// open opens a store that is closed when the test ends.
func open(t testing.TB, dir string) *embedded.Store {
	t.Helper()
	s, err := embedded.Open(embedded.Config{Dir: dir})
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
		dir := t.TempDir()
		s := open(t, dir)
		return routertest.StoreUnderTest{Store: s, Reopen: func(t *testing.T) router.Store {
			if err := s.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			s = open(t, dir)
			return s
		}}
	})
}

// decided is a router that has made up its mind.
func decided(d router.Decision) router.Decide {
	return func(context.Context, *hayate.Event) (router.Decision, error) { return d, nil }
}

func TestQueue(t *testing.T) {
	t.Parallel()
	routertest.TestQueue(t, func(t *testing.T) routertest.QueueUnderTest {
		s, err := embedded.Open(embedded.Config{Dir: t.TempDir(), QueueBound: 60})
		if err != nil {
			t.Fatalf("Open: %v", err)
		}
		t.Cleanup(func() { s.Close() }) // whose error the close tests see
		return routertest.QueueUnderTest{Queue: s.Queue(), Bound: 60, Close: s.Close}
	})
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	routertest.TestRegistry(t, func(t *testing.T) routertest.RegistryUnderTest {
		dir := t.TempDir()
		s := open(t, dir)
		return routertest.RegistryUnderTest{Registry: s.Registry(), Close: s.Close, Reopen: func(t *testing.T) router.Registry {
			return reopen(t, s, dir).Registry()
		}}
	})
}

func TestDatastore(t *testing.T) {
	t.Parallel()
	routertest.TestDatastore(t, func(t *testing.T) routertest.DatastoreUnderTest {
		dir := t.TempDir()
		s := open(t, dir)
		return routertest.DatastoreUnderTest{Datastore: s.Datastore(), Close: s.Close, Reopen: func(t *testing.T) router.Datastore {
			return reopen(t, s, dir).Datastore()
		}}
	})
}

func TestTimers(t *testing.T) {
	t.Parallel()
	routertest.TestTimers(t, func(t *testing.T) routertest.TimersUnderTest {
		dir := t.TempDir()
		s := open(t, dir)
		return routertest.TimersUnderTest{Timers: s.Timers(), Close: s.Close, Reopen: func(t *testing.T) router.Timers {
			return reopen(t, s, dir).Timers()
		}}
	})
}

func TestLeases(t *testing.T) {
	t.Parallel()
	routertest.TestLeases(t, func(t *testing.T) router.Leases { return open(t, t.TempDir()).Leases() })
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	routertest.TestBlobs(t, func(t *testing.T) router.Blobs { return open(t, t.TempDir()).Blobs() })
}

// reopen closes a store and opens what it left.
func reopen(t *testing.T, s *embedded.Store, dir string) *embedded.Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	return open(t, dir)
}
