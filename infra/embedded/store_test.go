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
