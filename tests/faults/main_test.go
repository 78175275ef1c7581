// Package faults_test holds the real binary against a world that misbehaves:
// full and broken disks, senders of nonsense, rules and scripts that do not stop.
package faults_test

import (
	"os"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

func TestMain(m *testing.M) { os.Exit(hayatetest.Main(m)) }

// pack writes a pack of rules and actions and returns the folder to serve.
func pack(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	hayatetest.WritePack(t, dir, "faults", files)
	return dir
}

// noopRule is a rule that runs core.noop for events of the type test.noop.
var noopRule = map[string]string{"rules/noop.yaml": `
name: noop
enabled: true
trigger: {type: test.noop}
action: {ref: core.noop}
`}
