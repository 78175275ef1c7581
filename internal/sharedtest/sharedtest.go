// Package sharedtest finds the data that tests share with other repositories:
// recorded answers of reference implementations, packs and payloads. None of it is
// part of this repository, so a test is skipped, with a message, where it is absent.
package sharedtest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Root is the folder of the repository: the nearest one with a go.mod, from the
// working directory upwards. The test fails where there is none.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod in the working directory or above")
		}
		dir = up
	}
}

// Conformance is the folder of recorded answers: HAYATE_CONFORMANCE, by default
// ../shared/conformance.
func Conformance(t testing.TB) string {
	t.Helper()
	return folder(t, "HAYATE_CONFORMANCE", "../shared/conformance")
}

// Corpus is the folder of packs: HAYATE_CORPUS, by default ../shared/corpus.
func Corpus(t testing.TB) string {
	t.Helper()
	return folder(t, "HAYATE_CORPUS", "../shared/corpus")
}

// Samples is the folder of payloads, one folder a source: HAYATE_SAMPLES, by default
// ../shared/samples/events.
func Samples(t testing.TB) string {
	t.Helper()
	return folder(t, "HAYATE_SAMPLES", "../shared/samples/events")
}

// folder is the folder that a variable names; a relative one begins at the
// repository's root.
func folder(t testing.TB, variable, standard string) string {
	t.Helper()
	dir := os.Getenv(variable)
	if dir == "" {
		dir = standard
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(Root(t), dir)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no shared data: set %s to its folder (%v)", variable, err)
	}
	return dir
}

// Answers reads a file of recorded answers, or skips the test.
func Answers(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Conformance(t), filepath.FromSlash(name)))
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no recorded answers: set HAYATE_CONFORMANCE to their folder (%v)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}
