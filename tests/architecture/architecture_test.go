// Package architecture_test holds the tree against rules.txt: who may import
// whom, and what the packages that are made of values may not do.
package architecture_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

func readRules(t *testing.T) *ruleBook {
	t.Helper()
	text, err := os.ReadFile("rules.txt")
	if err != nil {
		t.Fatal(err)
	}
	b, err := parseRules(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestTheTreeKeepsItsRules(t *testing.T) {
	tree, err := readTree(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	folders := map[string]bool{}
	for _, s := range tree {
		folders[s.pkg] = true
	}
	if len(tree) < 50 || !folders[""] || !folders["router"] {
		t.Fatalf("read %d files in %d folders: this is not the tree", len(tree), len(folders))
	}
	for _, broken := range check(readRules(t), tree) {
		t.Error(broken)
	}
	t.Logf("%d files in %d folders", len(tree), len(folders))
}

// readArchive reads a text archive: files after lines "-- name --".
func readArchive(t *testing.T, name string) fstest.MapFS {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	files := fstest.MapFS{}
	current := ""
	for line := range strings.Lines(string(text)) {
		if head, ok := strings.CutPrefix(line, "-- "); ok {
			current = strings.TrimSuffix(strings.TrimSpace(head), " --")
			files[current] = &fstest.MapFile{}
		} else if current != "" {
			files[current].Data = append(files[current].Data, line...)
		}
	}
	return files
}

// The archive is a small tree and, in its file want, what must be said of it.
func TestABrokenRuleIsSeen(t *testing.T) {
	tree := readArchive(t, "testdata/broken.txtar")
	want := strings.Split(strings.TrimSpace(string(tree["want"].Data)), "\n")
	read, err := readTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	got := check(readRules(t), read)
	for i := range got {
		// The numbers of rules.txt's lines, and what they say, are free to change.
		got[i], _, _ = strings.Cut(got[i], " (rules.txt")
		if strings.HasPrefix(got[i], "rules.txt:") {
			_, got[i], _ = strings.Cut(got[i], ": ")
		}
	}
	got = slices.Compact(got) // what is said of each exception is said once
	if !slices.Equal(got, want) {
		t.Errorf("said of testdata/broken.txtar:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAnExceptionNeedsAReason(t *testing.T) {
	for text, want := range map[string]string{
		"except infra/cli infra/settings":  "rules.txt:1: an exception without a reason",
		"# nothing\npermit rules root":     `rules.txt:2: unknown word "permit"`,
		"allow":                            "rules.txt:1: allow says nothing",
		"except infra/cli rules  # I must": "",
	} {
		_, err := parseRules(text)
		if got := ""; err != nil {
			got = err.Error()
			if got != want {
				t.Errorf("parseRules(%q): got %q, want %q", text, got, want)
			}
		} else if want != "" {
			t.Errorf("parseRules(%q): no error, want %q", text, want)
		}
	}
}
