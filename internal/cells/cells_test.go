package cells_test

import (
	"testing"

	"github.com/hayate-run/hayate/internal/cells"
)

func TestWideCharactersTakeTwoColumns(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "abc": 3, "疾風": 4, "ｱ": 1, "Ａ": 2, "é": 1} {
		if got := cells.Width(text); got != want {
			t.Errorf("Width(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"疾風の", 6, "疾風の"}, {"疾風の如く", 6, "疾風…"}, {"疾風の如く", 5, "疾風…"}} {
		if got := cells.Cut(c.text, c.n); got != c.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", c.text, c.n, got, c.want)
		}
	}
}
