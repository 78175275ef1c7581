package yaql_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/internal/sharedtest"
)

// TestCorpus parses every YAQL expression of the packs and wants those to parse
// that Python's yaql parses, and no others.
func TestCorpus(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Corpus(t)
	raw, err := os.ReadFile(filepath.Join(dir, "expected", "expressions.json"))
	if err != nil {
		t.Skipf("no recorded expressions: %v", err)
	}
	var expected struct {
		YAQL []struct {
			Text  string `json:"text"`
			Parse string `json:"parse"`
		} `json:"yaql"`
	}
	if err := json.Unmarshal(raw, &expected); err != nil {
		t.Fatal(err)
	}
	agree := 0
	for _, e := range expected.YAQL {
		_, err := yaql.Compile(e.Text)
		if (err == nil) != (e.Parse == "ok") {
			t.Errorf("%q: got error %v, want %s", e.Text, err, e.Parse)
			continue
		}
		agree++
	}
	t.Logf("%d expressions, %d agree", len(expected.YAQL), agree)
}
