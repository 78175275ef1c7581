// Package crash_test kills the real process at bad moments and holds what the
// next one finds against what the first had promised.
package crash_test

import (
	"os"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

func TestMain(m *testing.M) { os.Exit(hayatetest.Main(m)) }

// noopRule is a pack with one rule: events of the type test.noop run core.noop.
func noopRule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	hayatetest.WritePack(t, dir, "load", map[string]string{"rules/noop.yaml": `
name: noop
enabled: true
trigger: {type: test.noop}
criteria:
  trigger.kind: {type: equals, pattern: wanted}
action: {ref: core.noop}
`})
	return dir
}
