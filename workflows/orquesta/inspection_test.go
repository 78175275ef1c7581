package orquesta

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/workflows/flow"
)

// problemKeys shows problems as lines, for comparison as multisets.
func problemKeys(ps []flow.Problem) []string {
	var out []string
	for _, p := range ps {
		out = append(out, strings.Join([]string{p.Category, p.Language, p.Expression, p.Message, p.SpecPath}, " | "))
	}
	sort.Strings(out)
	return out
}

// recordedKeys shows recorded inspection errors likewise.
func recordedKeys(errs any) []string {
	var out []string
	m, _ := errs.(*value.Map)
	for category, list := range m.All() {
		for _, e := range listOf(list) {
			out = append(out, strings.Join([]string{text(category), text(get(e, "type")), text(get(e, "expression")),
				text(get(e, "message")), text(get(e, "spec_path"))}, " | "))
		}
	}
	sort.Strings(out)
	return out
}

func compareProblems(c *tally, name string, got []flow.Problem, want any) {
	g, w := problemKeys(got), recordedKeys(want)
	c.add(strings.Join(g, "\n") == strings.Join(w, "\n"), "%s:\n     got  %s\n     want %s", name, strings.Join(g, "\n          "), strings.Join(w, "\n          "))
}

// raisedOnly says that the reference threw instead of reporting.
func raisedOnly(inspection any) bool {
	return get(inspection, "instantiation") != nil || get(inspection, "inspect_raised") != nil
}

func TestConformanceInspection(t *testing.T) {
	dir := filepath.Join(sharedtest.Conformance(t), "orquesta")
	files, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	if len(files) == 0 {
		t.Skipf("no recorded workflows in %s", dir)
	}
	var c, refused, graphs tally
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := value.Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		for _, k := range listOf(get(doc, "cases")) {
			var known []string
			if m, ok := get(k, "app_ctx").(*value.Map); ok {
				for key := range m.All() {
					known = append(known, text(key))
				}
			}
			_, problems := Parse([]byte(text(get(k, "workflow"))), "", flow.Options{Known: known})
			compareProblems(&c, text(get(k, "test")), problems, get(k, "errors"))
		}
		w, ok := get(doc, "workflow").(string)
		if !ok {
			continue
		}
		inspection := get(doc, "inspection")
		def, problems := Parse([]byte(w), "", flow.Options{Known: []string{"st2", "parent"}})
		if raisedOnly(inspection) {
			refused.add(len(problems) > 0, "%s: found nothing wrong, want %s", name, show(inspection))
			continue
		}
		if m, ok := inspection.(*value.Map); ok && m.Has("compose_raised") {
			m = m.Clone()
			m.Delete("compose_raised")
			inspection = m
		}
		compareProblems(&c, name, problems, inspection)
		if want := get(doc, "graph"); want != nil && def != nil {
			compareGraph(&graphs, name, def.graph, want)
		}
	}
	c.report(t, "inspection", 100)
	refused.report(t, "refused where the reference threw", 100)
	graphs.report(t, "graphs", 99)
}

func compareGraph(c *tally, name string, g *graph, want any) {
	var nodes, edges, roots, cyclic value.List
	for _, n := range g.nodes {
		m := value.MapOf("id", n.name)
		if n.barrier && n.all {
			m.Set("barrier", "*")
		} else if n.barrier {
			m.Set("barrier", int64(n.task.join.count))
		}
		if n.splits != nil {
			m.Set("splits", value.List(anyList(n.splits)))
		}
		if n.retry != nil {
			r := value.MapOf("when", nil, "count", n.retry.count, "delay", n.retry.delay)
			if n.retry.when != "" {
				r.Set("when", n.retry.when)
			}
			if n.retry.commanded {
				r.Delete("delay")
			}
			m.Set("retry", r)
		}
		nodes = append(nodes, m)
		for _, e := range n.out {
			criteria := value.List{}
			if e.hasWhen {
				criteria = append(criteria, e.when)
			}
			edges = append(edges, value.MapOf("from", n.name, "to", e.to.name, "key", int64(e.key), "ref", int64(e.ref), "criteria", criteria))
		}
		if n.cycle {
			cyclic = append(cyclic, n.name)
		}
	}
	for _, n := range g.roots {
		roots = append(roots, n.name)
	}
	in := &value.Set{}
	for _, cycle := range listOf(get(want, "cycles")) {
		for _, n := range listOf(cycle) {
			in.Add(n)
		}
	}
	ok := sameBag(listOf(get(want, "nodes")), nodes) && sameBag(listOf(get(want, "edges")), edges) &&
		sameBag(listOf(get(want, "roots")), roots) && sameBag(in.Items(), cyclic)
	c.add(ok, "%s: nodes %s edges %s cyclic %s,\n     want %s", name, show(nodes), show(edges), show(cyclic), show(want))
}

// TestCorpusInspection inspects the workflows of real packs.
func TestCorpusInspection(t *testing.T) {
	dir := sharedtest.Corpus(t)
	data, err := os.ReadFile(filepath.Join(dir, "expected", "orquesta-inspection.json"))
	if err != nil {
		t.Skipf("no recorded inspection: %v", err)
	}
	doc, err := value.Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	var c tally
	m, _ := doc.(*value.Map)
	for k, want := range m.All() {
		w, err := os.ReadFile(filepath.Join(dir, "packs", text(k)))
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		_, problems := Parse(w, "", flow.Options{Known: []string{"st2", "parent"}})
		compareProblems(&c, text(k), problems, get(want, "errors"))
	}
	c.report(t, "corpus", 100)
}
