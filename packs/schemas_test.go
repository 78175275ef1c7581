package packs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/packs"
)

// merged are the schemas of an action's parameters over those of its runner.
func merged(t *testing.T, run hayate.Runner, a *hayate.Action) []schema.Property {
	t.Helper()
	var props []schema.Property
	for _, p := range run.Parameters {
		s := p.Schema
		if own := a.Parameters.Get(p.Name); own != nil {
			var err error
			if s, err = schema.Merge(p.Schema, own.Schema); err != nil {
				t.Fatal(err)
			}
		}
		props = append(props, schema.Property{Name: p.Name, Schema: s})
	}
	for _, p := range a.Parameters {
		if run.Parameters.Get(p.Name) == nil {
			props = append(props, schema.Property{Name: p.Name, Schema: p.Schema})
		}
	}
	return props
}

// TestCorpusSchemas compiles the schemas of every action and trigger type, and of
// every config, of the corpus.
func TestCorpusSchemas(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(sharedtest.Corpus(t), "packs")
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	runners := map[string]hayate.Runner{}
	for _, r := range packs.Runners() {
		runners[r.Name] = r
	}
	fsys := os.DirFS(dir)
	actions, triggers, configs := 0, 0, 0
	for _, e := range entries {
		p, _ := packs.Read(fsys, e.Name())
		if p == nil {
			continue
		}
		for i := range p.Actions {
			a := &p.Actions[i]
			actions++
			if _, err := schema.Parameters(merged(t, runners[a.Runner], a), false, schema.Options{}); err != nil {
				t.Errorf("%s: %v", a.Ref(), err)
			}
			if a.OutputSchema != nil {
				if _, err := schema.Compile(a.OutputSchema, schema.Options{}); err != nil {
					t.Errorf("%s: output: %v", a.Ref(), err)
				}
			}
		}
		for i := range p.TriggerTypes {
			for _, s := range []json.RawMessage{p.TriggerTypes[i].PayloadSchema, p.TriggerTypes[i].ParametersSchema} {
				if s == nil {
					continue
				}
				triggers++
				if _, err := schema.Compile(s, schema.Options{AllowNull: true}); err != nil {
					t.Logf("%s: %v", p.TriggerTypes[i].Ref(), err) // a warning to its author: StackStorm finds out when it is used
				}
			}
		}
		if p.ConfigSchema != nil {
			configs++
			_, found := packs.ReadConfig(p, nil, "configs/"+p.Ref+".yaml")
			for _, d := range found {
				if d.Code == "bad-schema" {
					t.Error(d)
				}
			}
		}
	}
	t.Logf("%d actions, %d schemas of trigger types, %d of configs", actions, triggers, configs)
}
