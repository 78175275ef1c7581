package draw_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/draw"
)

const loop = `
version: 1.0
vars: [{i: 0}]
tasks:
  準備: {action: x.prepare, next: [{do: turn}]}
  turn:
    action: x.turn
    next:
      - {when: "<% succeeded() and ctx(i) < 2 %>", publish: [{i: <% ctx(i) + 1 %>}], do: turn}
      - {when: <% succeeded() and ctx(i) >= 2 %>, do: done}
      - {when: <% failed() %>, do: [report, fail]}
  report: {action: x.report}
  done: {action: x.done}
`

// walked is the picture of a run of loop: three turns, then done.
func walked(t testing.TB) draw.Picture {
	t.Helper()
	def, problems := workflows.Parse(workflows.Orquesta, "loop", []byte(loop), workflows.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	run := workflows.New(def, "r")
	f := workflows.Fact{Kind: workflows.Started}
	for range 10 {
		_, commands, err := workflows.Step(def, run, f)
		if err != nil {
			t.Fatal(err)
		}
		if run.Status().Completed() {
			break
		}
		for _, c := range commands {
			if c.Kind == workflows.StartChild {
				f = workflows.Fact{Kind: workflows.ChildChanged, Child: workflows.Child{Task: c.Start.Task, Entry: c.Start.Entry, Item: -1, Status: hayate.StatusSucceeded}}
			}
		}
	}
	return draw.Picture{Title: "p.loop", Graph: def.Graph(), Run: true, Status: run.Status(), Tasks: run.Tasks()}
}

func TestTextShowsThePath(t *testing.T) {
	t.Parallel()
	want := `p.loop  ✓ succeeded

準備  x.prepare  (start)  ✓ succeeded
  → turn
turn  x.turn  ✓ succeeded ×3
  → done  when <% succeeded() and ctx(i) >= 2 %>
  · fail  when <% failed() %>
  · report  when <% failed() %>
  → turn  when <% succeeded() and ctx(i) < 2 %>  ×2
done  x.done  ✓ succeeded
report  x.report  not reached
`
	if got := draw.Text(walked(t)); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEveryFormatMarksThePath(t *testing.T) {
	t.Parallel()
	for format, marks := range map[string][]string{
		"dot":     {`"turn" -> "turn" [label="<% succeeded() and ctx(i) < 2 %> ×2", penwidth=2]`, `"turn" -> "report" [label="<% failed() %>", style=dashed`, `fillcolor="#dcf3e3"`},
		"mermaid": {`n1["turn<br/>x.turn<br/>✓ succeeded ×3"]:::ok`, `n1 -.->|"&lt;% failed() %&gt;"|`, `n1 ==>|`, `classDef dim`},
		"svg":     {`<g class="node start ok"><title>準備 x.prepare</title>`, `✓ succeeded ×3`, `>×2</text>`, `<g class="node dim">`, `<path class="no"`, `<path class="on"`, `prefers-color-scheme:dark`},
	} {
		got, err := draw.Draw(format, walked(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range marks {
			if !strings.Contains(got, m) {
				t.Errorf("%s lacks %s in\n%s", format, m, got)
			}
		}
	}
	if _, err := draw.Draw("png", walked(t)); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("png: %v, want ErrInvalid", err)
	}
}

func TestWhatAuthorsWriteIsEscaped(t *testing.T) {
	t.Parallel()
	nasty := `a"b<c>&'\` + "`]\n|--%%"
	p := draw.Picture{Title: nasty, Graph: workflows.Graph{Nodes: []workflows.Node{{Name: nasty, Action: nasty, Start: true}, {Name: "b"}},
		Edges: []workflows.Edge{{From: nasty, To: "b", When: nasty}, {From: nasty, To: nasty, When: nasty}}}}
	svg, err := draw.SVG(p)
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, svg)
	if m := draw.Mermaid(p); strings.Contains(m, "b<c") || strings.Count(m, "\n") != 5 {
		t.Errorf("mermaid\n%s", m)
	}
	if d := draw.DOT(p); !strings.Contains(d, `"a\"b<c>&'\\`) {
		t.Errorf("dot\n%s", d)
	}
}

func wellFormed(t testing.TB, svg string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("the SVG is not well formed: %v\n%s", err, svg)
		}
	}
}

var boxes = regexp.MustCompile(`<g class="node[^>]*><title>n(\d+) ?</title><rect x="([-0-9.]+)" y="([-0-9.]+)" width="([-0-9.]+)" height="([-0-9.]+)"`)

// random is a graph of n nodes that all can be reached, some of it in circles.
func random(seed uint64, n int) workflows.Graph {
	r := rand.New(rand.NewPCG(seed, 1))
	var g workflows.Graph
	for i := range n {
		g.Nodes = append(g.Nodes, workflows.Node{Name: "n" + strconv.Itoa(i), Start: i == 0})
		if i > 0 {
			g.Edges = append(g.Edges, workflows.Edge{From: "n" + strconv.Itoa(r.IntN(i)), To: "n" + strconv.Itoa(i), When: strings.Repeat("x", r.IntN(20))})
		}
		g.Edges = append(g.Edges, workflows.Edge{From: "n" + strconv.Itoa(r.IntN(n)), To: "n" + strconv.Itoa(r.IntN(n))})
	}
	return g
}

func TestNoBoxHidesAnother(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		g := random(seed, 2+int(seed)/2)
		svg, err := draw.SVG(draw.Picture{Graph: g})
		if err != nil {
			t.Fatal(err)
		}
		again, err := draw.SVG(draw.Picture{Graph: g})
		if err != nil || again != svg {
			t.Fatalf("seed %d: the same graph is drawn in two ways", seed)
		}
		wellFormed(t, svg)
		var rects [][4]float64
		for _, m := range boxes.FindAllStringSubmatch(svg, -1) {
			var r [4]float64
			for i := range r {
				if r[i], err = strconv.ParseFloat(m[2+i], 64); err != nil {
					t.Fatal(err)
				}
			}
			rects = append(rects, r)
		}
		if len(rects) != len(g.Nodes) {
			t.Fatalf("seed %d: %d boxes for %d nodes", seed, len(rects), len(g.Nodes))
		}
		for i, a := range rects {
			if a[0] < 0 || a[1] < 0 {
				t.Errorf("seed %d: box %d lies outside", seed, i)
			}
			for _, b := range rects[:i] {
				if a[0] < b[0]+b[2] && b[0] < a[0]+a[2] && a[1] < b[1]+b[3] && b[1] < a[1]+a[3] {
					t.Errorf("seed %d: boxes overlap: %v %v", seed, a, b)
				}
			}
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	_, err := draw.SVG(draw.Picture{Graph: random(1, draw.MaxDrawn+1)})
	if !errors.Is(err, hayate.ErrInvalid) || !strings.Contains(err.Error(), "text or dot") {
		t.Errorf("error %v", err)
	}
	if _, err := draw.SVG(draw.Picture{}); err != nil {
		t.Errorf("nothing: %v", err)
	}
}

func ExampleText() {
	def, _ := workflows.Parse(workflows.Orquesta, "loop", []byte(loop), workflows.Options{})
	fmt.Print(draw.Text(draw.Picture{Graph: def.Graph()}))
	// Output:
	// 準備  x.prepare  (start)
	//   → turn
	// turn  x.turn
	//   → done  when <% succeeded() and ctx(i) >= 2 %>
	//   → fail  when <% failed() %>
	//   → report  when <% failed() %>
	//   → turn  when <% succeeded() and ctx(i) < 2 %>
	// done  x.done
	// report  x.report
}

func BenchmarkSVG(b *testing.B) {
	g := random(7, 200)
	for b.Loop() {
		if _, err := draw.SVG(draw.Picture{Graph: g}); err != nil {
			b.Fatal(err)
		}
	}
}

const workbook = `version: '2.0'
name: shop
workflows:
  main:
    tasks:
      first: {action: x.first, on-success: each}
      each: {with-items: "h in [1, 2]", workflow: one, on-success: last}
      last: {action: x.last}
  one:
    tasks:
      ping: {action: x.ping, on-success: done, on-error: fail}
      done: {workflow: shop.two}
  two:
    tasks:
      deep: {action: x.deep}
  unused:
    tasks:
      lost: {action: x.lost}
`

func TestAWorkbookIsDrawnWithTheWorkflowsThatItRuns(t *testing.T) {
	def, problems := workflows.Parse(workflows.Mistral, "shop", []byte(workbook), workflows.Options{})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	run := workflows.New(def, "r")
	for facts := []workflows.Fact{{Kind: workflows.Started}}; len(facts) > 0; facts = facts[1:] {
		_, commands, err := workflows.Step(def, run, facts[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commands {
			if c.Kind == workflows.StartChild {
				facts = append(facts, workflows.Fact{Kind: workflows.ChildChanged, Child: workflows.Child{Task: c.Start.Task, Entry: c.Start.Entry, Item: c.Start.Item, Status: hayate.StatusSucceeded}})
			}
		}
	}
	p := draw.Picture{Title: "shop.main", Graph: def.Graph(), Run: true, Status: run.Status(), Tasks: run.Tasks()}
	text := draw.Text(p)
	for _, want := range []string{"  → one/ping  which it runs  ×2\n", "one/ping  x.ping  ✓ succeeded ×2\n", "  → one/done  when succeeded  ×2\n", "  · one/fail  when failed\n",
		"  → two/deep  which it runs  ×2\n", "two/deep  x.deep  ✓ succeeded ×2\n", "last  x.last  ✓ succeeded\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "lost") {
		t.Errorf("a workflow that nothing runs is in\n%s", text)
	}
	for _, format := range draw.Formats {
		if out, err := draw.Draw(format, p); err != nil || !strings.Contains(out, "two/deep") {
			t.Errorf("as %s: %v\n%s", format, err, out)
		}
	}
}
