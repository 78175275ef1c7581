package memory_test

import (
	"testing"

	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router/routertest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	routertest.TestStore(t, func(*testing.T) routertest.StoreUnderTest {
		return routertest.StoreUnderTest{Store: memory.New()}
	})
}
