package packs_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
)

// reasons are the kinds of finding that stand for StackStorm's reasons to refuse
// a file. Old and dropped runners load here, with a warning.
var reasons = []struct {
	text  string
	codes []string
}{
	{"unknown runner", []string{"unknown-runner", "old-runner", "removed-runner"}},
	{"version is not three-part", []string{"bad-value"}},
	{"duplicated key", []string{"duplicate-key"}},
	{"pack", []string{"other-pack"}},
	{"position", []string{"bad-position"}},
	{"immutable", []string{"no-default", "bad-override"}},
	{"overrid", []string{"bad-override"}},
	{"required", []string{"missing-key"}},
	{"missing", []string{"missing-key"}},
	{"unknown", []string{"unknown-key"}},
}

// TestCorpusRegistration reads every pack of the corpus and compares with what
// StackStorm's registration says about each file.
func TestCorpusRegistration(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Corpus(t)
	raw, err := os.ReadFile(filepath.Join(dir, "expected", "registration.json"))
	if err != nil {
		t.Skipf("no recorded registration: %v", err)
	}
	var want map[string]string
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	fsys := os.DirFS(filepath.Join(dir, "packs"))
	read := map[string]map[string][]packs.Diagnostic{}
	loaded := map[string]map[string]bool{}
	for name := range want {
		pack, _, _ := strings.Cut(name, "/")
		if read[pack] != nil {
			continue
		}
		p, found := packs.Read(fsys, pack)
		if p == nil {
			t.Errorf("%s: not read: %v", pack, found)
			p = &packs.Pack{}
		}
		read[pack] = byFile(found)
		loaded[pack] = sources(p)
	}
	loads, refused, old := 0, 0, 0
	for name, verdict := range want {
		pack, file, _ := strings.Cut(name, "/")
		found := read[pack][name]
		fails := yamldoc.HasErrors(found)
		if strings.HasPrefix(verdict, "ok") {
			if fails || !loaded[pack][file] && !isReplaced(read[pack], file) {
				t.Errorf("%s: StackStorm says %s; got loaded %v, %v", name, verdict, loaded[pack][file], found)
				continue
			}
			loads++
			if _, why, two := strings.Cut(verdict, ": "); two && !hasReason(found, why) {
				t.Errorf("%s: StackStorm says %s; got %v", name, verdict, found)
			}
			continue
		}
		_, why, _ := strings.Cut(verdict, ": ")
		switch {
		case !hasReason(found, why):
			t.Errorf("%s: StackStorm says %s; got %v", name, verdict, found)
		case fails:
			refused++
		default:
			old++
		}
	}
	t.Logf("%d files of %d packs: %d load, %d are refused, %d load with a warning that StackStorm refuses their runner",
		len(want), len(read), loads, refused, old)
}

// isReplaced says whether a later file of the same name took a file's place.
func isReplaced(found map[string][]packs.Diagnostic, file string) bool {
	for _, ds := range found {
		for _, d := range ds {
			if d.Code == "duplicate-name" && strings.Contains(d.Message, "is in "+file+" already") {
				return true
			}
		}
	}
	return false
}

func hasReason(found []packs.Diagnostic, why string) bool {
	for _, r := range reasons {
		if strings.Contains(why, r.text) {
			return slices.ContainsFunc(found, func(d packs.Diagnostic) bool { return slices.Contains(r.codes, d.Code) })
		}
	}
	return yamldoc.HasErrors(found)
}

func byFile(found []packs.Diagnostic) map[string][]packs.Diagnostic {
	m := map[string][]packs.Diagnostic{}
	for _, d := range found {
		m[d.File] = append(m[d.File], d)
	}
	return m
}

// sources are the files that became something.
func sources(p *packs.Pack) map[string]bool {
	m := map[string]bool{"pack.yaml": true, "config.schema.yaml": p.ConfigSchema != nil}
	for _, a := range p.Actions {
		m[a.Source] = true
	}
	for _, r := range p.Rules {
		m[r.Source] = true
	}
	for _, s := range p.Sensors {
		m[s.Source] = true
	}
	for _, t := range p.TriggerTypes {
		m[t.Source] = true
	}
	for _, a := range p.Aliases {
		m[a.Source] = true
	}
	for _, po := range p.Policies {
		m[po.Source] = true
	}
	return m
}
