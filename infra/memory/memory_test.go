package memory_test

import (
	"testing"

	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/routertest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	routertest.TestStore(t, func(*testing.T) routertest.StoreUnderTest {
		return routertest.StoreUnderTest{Store: memory.New()}
	})
}

func TestQueue(t *testing.T) {
	t.Parallel()
	routertest.TestQueue(t, func(*testing.T) routertest.QueueUnderTest {
		q := memory.NewQueue(memory.QueueConfig{Bound: 60})
		return routertest.QueueUnderTest{Queue: q, Bound: 60, Close: q.Close}
	})
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	routertest.TestRegistry(t, func(*testing.T) routertest.RegistryUnderTest {
		r := memory.NewRegistry()
		return routertest.RegistryUnderTest{Registry: r, Close: r.Close}
	})
}

func TestDatastore(t *testing.T) {
	t.Parallel()
	routertest.TestDatastore(t, func(*testing.T) routertest.DatastoreUnderTest {
		d := memory.NewDatastore()
		return routertest.DatastoreUnderTest{Datastore: d, Close: d.Close}
	})
}

func TestTimers(t *testing.T) {
	t.Parallel()
	routertest.TestTimers(t, func(*testing.T) routertest.TimersUnderTest {
		k := memory.NewTimers()
		return routertest.TimersUnderTest{Timers: k, Close: k.Close}
	})
}

func TestLeases(t *testing.T) {
	t.Parallel()
	routertest.TestLeases(t, func(*testing.T) router.Leases { return memory.NewLeases() })
}

func TestBlobs(t *testing.T) {
	t.Parallel()
	routertest.TestBlobs(t, func(*testing.T) router.Blobs { return memory.NewBlobs() })
}
