package mistral_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/workflows/flow"
	"github.com/hayate-run/hayate/workflows/mistral"
)

var isMistral = regexp.MustCompile(`(?m)^version: *['"]?2\.0['"]? *$`)

// TestCorpusMistral reads the Mistral workflows of real packs.
func TestCorpusMistral(t *testing.T) {
	dir := sharedtest.Corpus(t)
	n, ok := 0, 0
	err := filepath.WalkDir(filepath.Join(dir, "packs"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".yaml" || filepath.Base(p) == "pack.yaml" {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil || !isMistral.Match(text) {
			return err
		}
		n++
		def, problems := mistral.Parse(text, "", flow.Options{})
		if len(problems) > 0 {
			t.Logf("%s: %+v", p, problems)
			return nil
		}
		ok++
		def.Graph()
		return nil
	})
	if err != nil || n == 0 {
		t.Skipf("no Mistral workflows in %s: %v", dir, err)
	}
	t.Logf("%d workflows, %d read without problems", n, ok)
	if ok < n {
		t.Errorf("%d workflows cannot be read", n-ok)
	}
}
