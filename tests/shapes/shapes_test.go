package shapes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// The servers that the shapes share; each has a database and a virtual host of its own.
var (
	database mongotest.Server
	rabbit   rabbittest.Node
)

func TestMain(m *testing.M) {
	code := hayatetest.Main(m)
	database.Stop()
	rabbit.Stop()
	os.Exit(code)
}

// shapes start what serves the suite.
var shapes = []struct {
	name  string
	start func(t *testing.T) *place
}{
	{"embedded", embedded},
	{"cluster", cluster},
}

// TestShapes tells each story in each shape.
func TestShapes(t *testing.T) {
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			p := s.start(t)
			for _, story := range stories {
				t.Run(story.name, func(t *testing.T) { story.tell(t, p) })
			}
		})
	}
}

// embedded is one process with everything in one directory.
func embedded(t *testing.T) *place {
	e := newEffects(t)
	return &place{hayatetest.Start(t, hayatetest.Options{Packs: packs(t, e, "")}), e}
}

// cluster is a process that answers and steps, and two that perform, on MongoDB and
// RabbitMQ. The packs are with the first alone.
func cluster(t *testing.T) *place {
	e := newEffects(t)
	shared := []string{"--store", database.Database(t), "--queue", rabbit.VirtualHost(t), "--keys", filepath.Join(t.TempDir(), "keys"), "--role"}
	api := hayatetest.Start(t, hayatetest.Options{Packs: packs(t, e, ""), Args: append(shared[:len(shared):len(shared)], "api,router")})
	for range 2 {
		hayatetest.Start(t, hayatetest.Options{Args: append(shared[:len(shared):len(shared)], "worker")})
	}
	return &place{api, e}
}
