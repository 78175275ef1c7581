package packdir_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hayate-run/hayate/infra/packdir"
)

// A pipe in a pack must not keep the server from starting.
func TestAPipeIsToldAndNotWaitedFor(t *testing.T) {
	dir := write(t, map[string]string{
		"good/pack.yaml":       "name: good\n" + about,
		"good/actions/ok.yaml": "name: ok\nrunner_type: noop\n",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "good", "actions", "pipe.yaml"), 0o644); err != nil {
		t.Skipf("no pipes here: %v", err)
	}
	content, found, err := packdir.Load(packdir.Config{Dirs: []string{dir}, Unpack: t.TempDir(), Lint: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(content.Actions) != 1 || content.Actions[0].Ref() != "good.ok" {
		t.Errorf("actions %v, want good.ok", content.Actions)
	}
	told := false
	for _, d := range found {
		told = told || strings.Contains(d.String(), "pipe.yaml") && strings.Contains(d.String(), "neither a file nor a folder")
	}
	if !told {
		t.Errorf("nobody is told of the pipe: %v", found)
	}
}
