// Package draw draws workflows as text, for Graphviz, for Mermaid and as SVG: the
// definition alone, or with the path that a run took through it.
package draw

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cells"
	"github.com/hayate-run/hayate/workflows"
)

// Formats are the names that Draw knows.
var Formats = []string{"text", "dot", "mermaid", "svg"}

// Picture is what is drawn.
type Picture struct {
	Title string
	// Name is what the picture is called where it has no title: readers of an SVG hear it.
	Name  string
	Graph workflows.Graph
	// Run says that the tasks of a run are shown; without it the definition is.
	Run    bool
	Status hayate.Status
	Tasks  []workflows.Task
}

// Draw draws a picture in a format. An unknown format is ErrInvalid; so is a graph
// too large for a picture (see MaxDrawn), which text and dot still take.
func Draw(format string, p Picture) (string, error) {
	switch format {
	case "text":
		return Text(p), nil
	case "dot":
		return DOT(p), nil
	case "mermaid":
		return Mermaid(p), nil
	case "svg":
		return SVG(p)
	}
	return "", fmt.Errorf("unknown format %q; known are %s: %w", format, strings.Join(Formats, ", "), hayate.ErrInvalid)
}

// mark is what a run did with a node: how often it came there, and the state of the
// last time.
type mark struct {
	runs        int
	status      hayate.Status
	items, done int
	attempts    int // tries of the last time beyond the first
}

// path is what a run did with a graph.
type path struct {
	nodes map[string]mark
	edges []int // how often each was taken
}

// nodeName is the node of a task, "" where the graph shows none.
func nodeName(x *workflows.Task, shown map[string]bool) string {
	name := x.Name
	if x.Workflow != "" {
		name = x.Workflow + "/" + x.Name
	}
	if shown[name] {
		return name
	}
	return ""
}

// trace finds the path of a run. Tasks that the graph does not show, such as those of
// a workflow that runs itself, are not on it.
func trace(p *Picture) path {
	t := path{nodes: map[string]mark{}, edges: make([]int, len(p.Graph.Edges))}
	told := make([]bool, len(p.Tasks)) // its transitions say where it led
	commands, asTask, shown := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, n := range p.Graph.Nodes {
		commands[n.Name], shown[n.Name] = n.Command, true
	}
	names := make([]string, len(p.Tasks))
	for i := range p.Tasks {
		names[i] = nodeName(&p.Tasks[i], shown)
		asTask[names[i]] = true
	}
	for i := range p.Tasks {
		x := &p.Tasks[i]
		if names[i] == "" {
			continue
		}
		m := t.nodes[names[i]]
		m.runs++
		m.status, m.items, m.done, m.attempts = x.Status, x.Items, x.Done, x.Attempt
		t.nodes[names[i]] = m
		told[i] = len(x.Transitions) > 0
		for _, w := range x.Transitions {
			if w.Verdict == workflows.Taken && w.Edge >= 0 && w.Edge < len(t.edges) {
				t.edges[w.Edge]++
				if to := p.Graph.Edges[w.Edge].To; commands[to] && !asTask[to] { // Mistral's commands are no tasks
					c := t.nodes[to]
					c.runs++
					t.nodes[to] = c
				}
			}
		}
	}
	// What no transition tells: the requirements of a reverse workflow, and that a task
	// runs a workflow of the workbook.
	first := map[[2]string]int{}
	for k, e := range p.Graph.Edges {
		if _, ok := first[[2]string{e.From, e.To}]; !ok {
			first[[2]string{e.From, e.To}] = k
		}
	}
	for i := range p.Tasks {
		for _, f := range p.Tasks[i].From {
			if names[i] == "" || f < 0 || f >= len(p.Tasks) {
				continue
			}
			if k, ok := first[[2]string{names[f], names[i]}]; ok && (!told[f] || p.Graph.Edges[k].Call) {
				t.edges[k]++
			}
		}
	}
	return t
}

// traits are the words for what is special about a task.
func traits(n *workflows.Node) string {
	var words []string
	if n.Start {
		words = append(words, "start")
	}
	if n.Join > 0 {
		words = append(words, fmt.Sprintf("join of %d", n.Join))
	}
	if n.Items {
		words = append(words, "with items")
	}
	if n.Retry {
		words = append(words, "retry")
	}
	if n.Split {
		words = append(words, "split")
	}
	return strings.Join(words, ", ")
}

// words say what an edge is: when it is gone, or that it leads into what a task runs.
func words(e workflows.Edge) string {
	if e.Call {
		return "runs"
	}
	return e.When
}

// sign is a status as a character, so that colours are not needed to tell.
func sign(s hayate.Status) string {
	switch s {
	case "":
		return ""
	case hayate.StatusSucceeded:
		return "✓"
	case hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned:
		return "✗"
	case hayate.StatusCanceled, hayate.StatusCanceling:
		return "⊘"
	case hayate.StatusPaused, hayate.StatusPausing, hayate.StatusPending:
		return "‖"
	case hayate.StatusDelayed, hayate.StatusScheduled, hayate.StatusRequested:
		return "…"
	}
	return "▸"
}

// words say what a run did with a node: "✓ succeeded ×3, 37 of 40 items".
func (m mark) words() string {
	if m.runs == 0 {
		return ""
	}
	text := strings.TrimSpace(sign(m.status) + " " + string(m.status))
	if m.runs > 1 {
		text = strings.TrimSpace(text + fmt.Sprintf(" ×%d", m.runs))
	}
	if m.attempts > 0 {
		text += fmt.Sprintf(", try %d", m.attempts+1)
	}
	if m.items > 0 {
		text += fmt.Sprintf(", %d of %d items", m.done, m.items)
	}
	return text
}

// inOrder are the nodes as one reads a workflow: from its start along its edges.
func inOrder(g *workflows.Graph) []*workflows.Node {
	next := map[string][]string{}
	for _, e := range g.Edges {
		next[e.From] = append(next[e.From], e.To)
	}
	byName := map[string]*workflows.Node{}
	inbound := map[string]int{} // edges from nodes that are not listed yet
	for _, e := range g.Edges {
		if e.From != e.To {
			inbound[e.To]++
		}
	}
	var stack []*workflows.Node
	for i := len(g.Nodes) - 1; i >= 0; i-- { // what no start leads to comes last
		byName[g.Nodes[i].Name] = &g.Nodes[i]
		stack = append(stack, &g.Nodes[i])
	}
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		if g.Nodes[i].Start {
			stack = append(stack, &g.Nodes[i])
		}
	}
	var out []*workflows.Node
	seen := map[*workflows.Node]bool{}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		out = append(out, n)
		for _, name := range next[n.Name] {
			inbound[name]--
		}
		for i := len(next[n.Name]) - 1; i >= 0; i-- {
			to := byName[next[n.Name][i]]
			if to != nil && !seen[to] && (to.Join == 0 || inbound[to.Name] <= 0) { // a join comes after its branches
				stack = append(stack, to)
			}
		}
	}
	return out
}

// Text draws a picture as lines: each task, and below it where it leads.
func Text(p Picture) string {
	t := trace(&p)
	g := &p.Graph
	var b strings.Builder
	if p.Run {
		fmt.Fprintf(&b, "%s  %s %s\n\n", p.Title, sign(p.Status), p.Status)
	}
	ways := map[string][]int{}
	for i, e := range g.Edges {
		ways[e.From] = append(ways[e.From], i)
	}
	for _, n := range inOrder(g) {
		if n.Command {
			continue
		}
		line := oneLine(n.Name)
		if n.Action != "" {
			line += "  " + oneLine(n.Action)
		}
		if w := traits(n); w != "" {
			line += "  (" + w + ")"
		}
		if p.Run {
			line += "  " + cmp.Or(t.nodes[n.Name].words(), "not reached")
		}
		fmt.Fprintln(&b, line)
		for _, i := range ways[n.Name] {
			e := g.Edges[i]
			arrow, note := "→", ""
			switch {
			case !p.Run:
			case t.edges[i] == 0:
				arrow = "·"
			case t.edges[i] > 1:
				note = fmt.Sprintf("  ×%d", t.edges[i])
			}
			switch {
			case e.Call:
				note = "  which it runs" + note
			case e.When != "":
				note = "  when " + oneLine(e.When) + note
			}
			fmt.Fprintf(&b, "  %s %s%s\n", arrow, e.To, note)
		}
	}
	return b.String()
}

// oneLine is a text on one line, cut where it is long.
func oneLine(s string) string { return cells.Cut(strings.Join(strings.Fields(s), " "), 100) }

// class is a status as a class of nodes.
func class(m mark) string {
	switch m.status {
	case "":
		if m.runs > 0 {
			return "done"
		}
		return "dim"
	case hayate.StatusSucceeded:
		return "ok"
	case hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned:
		return "bad"
	case hayate.StatusCanceled, hayate.StatusCanceling:
		return "off"
	case hayate.StatusPaused, hayate.StatusPausing, hayate.StatusPending, hayate.StatusDelayed, hayate.StatusScheduled, hayate.StatusRequested:
		return "wait"
	}
	return "busy"
}

// colors of the classes for formats without a theme: fill and line.
var colors = map[string][2]string{"ok": {"#dcf3e3", "#1a7f37"}, "bad": {"#fde0dd", "#c62828"}, "off": {"#eeeeee", "#777777"},
	"wait": {"#fff3cd", "#9a6700"}, "busy": {"#dbeafe", "#0969da"}, "done": {"#ffffff", "#444444"}, "dim": {"#ffffff", "#bbbbbb"}}

// DOT draws a picture for Graphviz.
func DOT(p Picture) string {
	t := trace(&p)
	var b strings.Builder
	fmt.Fprintln(&b, "digraph workflow {\n  node [shape=box, style=\"rounded,filled\", fillcolor=white];")
	if p.Run {
		fmt.Fprintf(&b, "  label=%s; labelloc=t;\n", quoted(p.Title+"  "+string(p.Status)))
	}
	for _, n := range inOrder(&p.Graph) {
		label, more := n.Name, ""
		if n.Action != "" {
			label += "\n" + n.Action
		}
		if w := traits(n); w != "" {
			label += "\n(" + w + ")"
		}
		if n.Command {
			more += ", shape=plaintext"
		}
		if p.Run {
			m := t.nodes[n.Name]
			if w := m.words(); w != "" {
				label += "\n" + w
			}
			c := colors[class(m)]
			more += fmt.Sprintf(", fillcolor=%q, color=%q", c[0], c[1])
			if m.runs == 0 {
				more += `, fontcolor="#999999"`
			}
		}
		fmt.Fprintf(&b, "  %s [label=%s%s];\n", quoted(n.Name), quoted(label), more)
	}
	for i, e := range p.Graph.Edges {
		label, more := words(e), ""
		switch {
		case !p.Run:
		case t.edges[i] == 0:
			more = `, style=dashed, color="#bbbbbb", fontcolor="#999999"`
		default:
			more = ", penwidth=2"
			if t.edges[i] > 1 {
				label = strings.TrimSpace(label + fmt.Sprintf(" ×%d", t.edges[i]))
			}
		}
		fmt.Fprintf(&b, "  %s -> %s [label=%s%s];\n", quoted(e.From), quoted(e.To), quoted(label), more)
	}
	fmt.Fprintln(&b, "}")
	return b.String()
}

// quoted is a text as Graphviz reads it: in quotes, a new line as \n, any character
// as itself.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", `\n`).Replace(s) + `"`
}

// Mermaid draws a picture as a Mermaid flow chart.
func Mermaid(p Picture) string {
	t := trace(&p)
	var b strings.Builder
	fmt.Fprintln(&b, "flowchart TD")
	quote := strings.NewReplacer("&", "&amp;", `"`, "#quot;", "<", "&lt;", ">", "&gt;", "\\", "&#92;", "`", "&#96;")
	ids := map[string]string{}
	var used []string
	for i, n := range inOrder(&p.Graph) {
		id := fmt.Sprintf("n%d", i)
		ids[n.Name] = id
		label := quote.Replace(oneLine(n.Name))
		if n.Action != "" {
			label += "<br/>" + quote.Replace(oneLine(n.Action))
		}
		m := t.nodes[n.Name]
		if w := m.words(); w != "" && p.Run {
			label += "<br/>" + quote.Replace(w)
		}
		left, right := "[", "]"
		if n.Command {
			left, right = "([", "])"
		}
		fmt.Fprintf(&b, "  %s%s\"%s\"%s", id, left, label, right)
		if p.Run {
			fmt.Fprintf(&b, ":::%s", class(m))
			if !slices.Contains(used, class(m)) {
				used = append(used, class(m))
			}
		}
		fmt.Fprintln(&b)
	}
	for i, e := range p.Graph.Edges {
		arrow, label := "-->", words(e)
		if p.Run && t.edges[i] == 0 {
			arrow = "-.->"
		}
		if p.Run && t.edges[i] > 0 {
			arrow = "==>"
			if t.edges[i] > 1 {
				label = strings.TrimSpace(label + fmt.Sprintf(" ×%d", t.edges[i]))
			}
		}
		if label != "" {
			label = `|"` + quote.Replace(oneLine(label)) + `"|`
		}
		fmt.Fprintf(&b, "  %s %s%s %s\n", ids[e.From], arrow, label, ids[e.To])
	}
	slices.Sort(used)
	for _, c := range used {
		fmt.Fprintf(&b, "  classDef %s fill:%s,stroke:%s\n", c, colors[c][0], colors[c][1])
	}
	return b.String()
}
