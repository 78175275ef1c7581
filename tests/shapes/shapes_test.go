package shapes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// envTable is the environment variable that names the file to write the table to;
// docs/reference/shapes.md is written so.
const envTable = "HAYATE_SHAPES_TABLE"

// The servers that the shapes share; each has a database and a virtual host of its own.
var (
	database mongotest.Server
	rabbit   rabbittest.Node
)

func TestMain(m *testing.M) {
	code := hayatetest.Main(m)
	database.Stop()
	rabbit.Stop()
	emulator.Stop()
	os.Exit(code)
}

// shapes start what serves the suite.
var shapes = []struct {
	name  string
	start func(t *testing.T) *place
}{
	{"embedded", embedded},
	{"cluster", cluster},
	{"serverless", serverless},
}

// TestShapes tells each story in each shape.
func TestShapes(t *testing.T) {
	told := map[string]string{}
	for _, s := range shapes {
		t.Run(s.name, func(t *testing.T) {
			p := s.start(t)
			for _, story := range stories {
				ok := t.Run(story.name, func(t *testing.T) { story.tell(t, p) })
				told[story.name+s.name] = map[bool]string{true: "holds", false: "**fails**"}[ok]
			}
		})
	}
	table := tableOf(told)
	if name := os.Getenv(envTable); name != "" {
		if err := os.WriteFile(name, []byte(table), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) < len(stories)*len(shapes) {
		t.Log("not every story was told in every shape; docs/reference/shapes.md is not compared")
		return
	}
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "shapes.md"))
	if err != nil || string(page) != table {
		t.Errorf("docs/reference/shapes.md (error %v) does not say what was found:\n%s\nwrite it with %s", err, table, envTable)
	}
}

// tableOf is the page of the documentation.
func tableOf(told map[string]string) string {
	var b strings.Builder
	b.WriteString("# What holds in which shape\n\n" +
		"One suite, `tests/shapes`, is run unchanged in every shape of hayate; this table is written by its run\n" +
		"(`HAYATE_SHAPES_TABLE=FILE go test ./tests/shapes`), and CI fails where it is not true.\n\n" +
		"- *embedded*: one process, everything in one directory.\n" +
		"- *cluster*: a process that answers and steps and two that perform, on MongoDB and RabbitMQ.\n" +
		"- *serverless*: the functions of `template.yaml` behind Lambda's Runtime API and queues of SQS, on MongoDB; shell actions are performed\n" +
		"  by a worker that receives its tasks from RabbitMQ and reports by HTTPS.\n\n| |")
	for _, s := range shapes {
		fmt.Fprintf(&b, " %s |", s.name)
	}
	b.WriteString("\n| --- |" + strings.Repeat(" --- |", len(shapes)) + "\n")
	for _, story := range stories {
		fmt.Fprintf(&b, "| %s |", story.name)
		for _, s := range shapes {
			fmt.Fprintf(&b, " %s |", told[story.name+s.name])
		}
		b.WriteString("\n")
	}
	return b.String()
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
