package normalize

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEverySourceIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "sources.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sources {
		if !strings.Contains(string(page), "| `"+s.name+"`") {
			t.Errorf("docs/reference/sources.md has no line for %s", s.name)
		}
	}
}

func TestHintsNameOneSourceEach(t *testing.T) {
	t.Parallel()
	owner := map[string]string{}
	for _, s := range sources {
		for _, hint := range append([]string{s.name}, s.aliases...) {
			if hint != strings.ToLower(hint) || strings.Contains(hint, "/") {
				t.Errorf("%s: hint %q cannot be found", s.name, hint)
			}
			if other, taken := owner[hint]; taken {
				t.Errorf("hint %q names %s and %s", hint, other, s.name)
			}
			owner[hint] = s.name
		}
		if s.is == nil || s.events == nil {
			t.Errorf("%s: the line is incomplete", s.name)
		}
	}
}
