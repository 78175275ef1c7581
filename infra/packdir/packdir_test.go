package packdir_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/infra/packdir"
)

// write makes files below a folder of its own.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const about = "description: d\nversion: 1.0.0\nauthor: a\nemail: e@example.com\n"

func TestWhatIsWrongIsLeftOutAndTheRestIsThere(t *testing.T) {
	dir := write(t, map[string]string{
		"bad/pack.yaml":     "name: bad\nversion: one\ndescription: d\nauthor: a\nemail: e@example.com\n",
		"bad/rules/r.yaml":  "name: r\nenabled: true\ntrigger: {type: x.y}\naction: {ref: core.noop}\n",
		"good/pack.yaml":    "name: good\n" + about,
		"good/rules/a.yaml": "name: a\nenabled: true\ntrigger: {type: x.y}\naction: {ref: core.noop}\n",
		"good/rules/b.yaml": "name: b\nenabled: true\ntrigger: {type: x.y}\npattern: {host: web}\naction: {ref: core.noop}\n",
		"good/rules/c.yaml": "name: c\nenabled: true\ntrigger: {type: x.y}\ncriteria: {trigger.a: {type: equal, pattern: 1}}\naction: {ref: core.noop}\n",
		"good/rules/d.yaml": "name: d\nenabled: true\ntrigger: {type: x.y}\naction: {ref: core.nop}\n",
	})
	content, found, err := packdir.Load(packdir.Config{Dirs: []string{dir}, Shipped: []string{"core"}, Unpack: t.TempDir(), Lint: true})
	if err != nil {
		t.Fatal(err)
	}
	var packs, rules, lines []string
	for _, p := range content.Packs {
		packs = append(packs, p.Ref)
	}
	for _, r := range content.Rules {
		rules = append(rules, string(r.Ref()))
	}
	for _, d := range found {
		lines = append(lines, strings.TrimPrefix(d.String(), dir+"/"))
	}
	if want := []string{"core", "good"}; !slices.Equal(packs, want) {
		t.Errorf("packs %v, want %v", packs, want)
	}
	if want := []string{"good.a", "good.d"}; !slices.Equal(rules, want) {
		t.Errorf("rules %v, want %v", rules, want)
	}
	want := []string{
		"bad/pack.yaml: the pack is not registered, since its pack.yaml has an error",
		`bad/pack.yaml:2:10: "version" "one" is not a semantic version of three parts, such as 0.1.0`,
		`good/rules/b.yaml:4:17: host: must be a list of allowed values, found the string "web"; write ["web"]`,
		`good/rules/c.yaml:4:30: unknown operator "equal", did you mean "equals"?`,
		`good/rules/d.yaml:3:1: warning: rule good.a has the same trigger and conditions: both fire for the same events`,
		`good/rules/d.yaml:4:15: warning: there is no action "core.nop", did you mean "core.noop"?`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if _, found, _ := packdir.Load(packdir.Config{Dirs: []string{dir}}); len(found) != 4 {
		t.Errorf("without lint: got %v, want the 4 errors", found)
	}
}
