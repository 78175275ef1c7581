package simulate_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/simulate"
)

// TestRehearsalsThatContinueAStoredState runs tasks of ended workflows again, from the
// states that StackStorm's conductor made of them; what is expected is what it made of
// the rerun.
func TestRehearsalsThatContinueAStoredState(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/rerun-*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rehearsals: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s, diags := simulate.ReadSuite(text, os.ReadFile)
		if len(diags) > 0 || s.Definition == nil || !simulate.IsSuite(text) {
			t.Fatalf("%s: %+v %v", file, s, diags)
		}
		def := parse(t, string(s.Definition), workflows.Options{Rehearse: true})
		c := &s.Cases[0]
		r, err := simulate.Run(def, c.Plan)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if ds := c.Expect.Check(&r); len(ds) > 0 {
			t.Errorf("%s: differences: %s", file, strings.Join(ds, "; "))
		}
	}
}

func TestAStoredStateThatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	const text = "version: 1.0\ntasks: {a: {action: x.a, next: [{do: b}]}, b: {with: '<% [1] %>', action: x.b}}\n"
	def := parse(t, text, workflows.Options{})
	for name, state := range map[string]string{
		"no state":              `{}`,
		"no JSON":               `{"state": 7}`,
		"an unknown task":       `{"state":{"contexts":[{}],"routes":[[]],"sequence":[{"id":"z","status":"failed"}],"status":"failed"}}`,
		"an entry from nowhere": `{"state":{"contexts":[{}],"routes":[[]],"sequence":[{"id":"b","prev":{"a__t0":4},"status":"failed"}],"status":"failed"}}`,
		"an unknown transition": `{"state":{"contexts":[{}],"routes":[[]],"sequence":[{"id":"a","status":"succeeded"},{"id":"b","prev":{"q__t0":0},"status":"failed"}],"status":"failed"}}`,
		"a context too many":    `{"state":{"contexts":[{}],"routes":[[]],"sequence":[{"id":"a","ctxs":{"out":{"b__t0":3}},"status":"succeeded"},{"id":"b","prev":{"a__t0":0},"status":"failed"}],"status":"failed"}}`,
		"a route of nothing":    `{"state":{"contexts":[{}],"routes":[[],["a__t0","b__t0"]],"sequence":[],"status":"failed"}}`,
		"items that ran":        `{"state":{"contexts":[{}],"routes":[[]],"sequence":[{"id":"a","status":"succeeded"}],"staged":[{"id":"b","prev":{"a__t0":0},"items":[{"status":"failed"}]}],"status":"failed"}}`,
	} {
		if _, err := simulate.Run(def, simulate.Plan{State: json.RawMessage(state)}); !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}

func FuzzStoredState(f *testing.F) {
	files, err := filepath.Glob("testdata/rerun-*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, diags := simulate.ReadSuite(text, func(string) ([]byte, error) { return nil, os.ErrNotExist })
		if len(diags) > 0 || s.Definition == nil {
			return
		}
		def, problems := workflows.Parse(workflows.Orquesta, "fuzzed", s.Definition, workflows.Options{MaxEntries: 100, MaxItems: 100})
		if len(problems) > 0 || def == nil {
			return
		}
		if _, err := simulate.Run(def, s.Cases[0].Plan); err != nil && !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("a stored state gives %v, want ErrInvalid", err)
		}
	})
}
