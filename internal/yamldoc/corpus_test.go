package yamldoc_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// TestCorpusYAML reads every file of the corpus and compares its value with the
// one that PyYAML's safe loader gives, by the hash of a canonical form.
func TestCorpusYAML(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Corpus(t)
	raw, err := os.ReadFile(filepath.Join(dir, "expected", "yaml.json"))
	if err != nil {
		t.Skipf("no recorded values: %v", err)
	}
	var want map[string]struct {
		Hash string   `json:"hash"`
		Isms []string `json:"isms"`
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	agree, warned := 0, 0
	for name, w := range want {
		src, err := os.ReadFile(filepath.Join(dir, "packs", filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n, found := yamldoc.Parse(src, yamldoc.Options{File: name})
		if w.Hash == "" {
			if yamldoc.HasErrors(found) {
				agree++
			} else {
				t.Errorf("%s: read, but PyYAML refuses it", name)
			}
			continue
		}
		if yamldoc.HasErrors(found) {
			t.Errorf("%s: %v", name, found)
			continue
		}
		if len(found) > 0 {
			warned++
		}
		sum := sha256.Sum256(canonical(nil, n))
		if got := hex.EncodeToString(sum[:8]); got != w.Hash {
			t.Errorf("%s: got hash %s, want %s", name, got, w.Hash)
			continue
		}
		agree++
	}
	t.Logf("%d files, %d agree, %d with warnings", len(want), agree, warned)
}

// canonical appends the form that the recorded hashes were made of.
func canonical(b []byte, n *yamldoc.Node) []byte {
	quote := func(s string) []byte {
		var out strings.Builder
		e := json.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			panic(err) // a string always encodes
		}
		return []byte(strings.TrimSuffix(out.String(), "\n"))
	}
	switch n.Kind() {
	case yamldoc.Float:
		f, _ := n.Float()
		return fmt.Appendf(b, `{"!float":"%.17g"}`, f)
	case yamldoc.Timestamp:
		return append(b, `{"!time":true}`...)
	case yamldoc.String:
		s, _ := n.Str()
		return append(b, quote(s)...)
	case yamldoc.Sequence:
		b = append(b, '[')
		for i, it := range n.Items() {
			if i > 0 {
				b = append(b, ',')
			}
			b = canonical(b, it)
		}
		return append(b, ']')
	case yamldoc.Mapping:
		type member struct {
			key   string
			value *yamldoc.Node
		}
		var ms []member
		for _, e := range n.Entries() {
			k := e.Name()
			switch e.Key.Kind() {
			case yamldoc.Null, yamldoc.Bool:
				k = "!" + k
			case yamldoc.Int:
				k = "!int " + k
			case yamldoc.Float:
				k = "!float " + k
			}
			ms = append(ms, member{k, e.Value})
		}
		slices.SortFunc(ms, func(a, b member) int { return strings.Compare(a.key, b.key) })
		b = append(b, '{')
		for i, m := range ms {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, quote(m.key)...), ':')
			b = canonical(b, m.value)
		}
		return append(b, '}')
	}
	return n.AppendJSON(b)
}
