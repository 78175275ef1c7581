package draw

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/cells"
	"github.com/hayate-run/hayate/workflows"
)

// look is how a picture looks. Words that begin with a dollar sign are colours of a
// scheme. States are told by signs and words as well as by colours.
const look = `text{font-family:ui-sans-serif,system-ui,"Hiragino Sans","Noto Sans CJK JP","Yu Gothic",sans-serif;font-size:12px;fill:$soft;text-anchor:middle}
.paper{fill:$paper}
.name{font-size:14px;font-weight:600;fill:$ink}
.title{font-size:15px;font-weight:600;fill:$ink;text-anchor:start}
.node rect{fill:$box;stroke:$line;stroke-width:1.2}
.start rect{stroke-width:2.4}
.ok rect{fill:$okPaper;stroke:$okInk;stroke-width:2}
.ok .state{fill:$okInk}
.bad rect{fill:$badPaper;stroke:$badInk;stroke-width:2}
.bad .state{fill:$badInk}
.busy rect{fill:$busyPaper;stroke:$busyInk;stroke-width:2}
.busy .state{fill:$busyInk}
.wait rect{fill:$waitPaper;stroke:$waitInk;stroke-width:2}
.wait .state{fill:$waitInk}
.off rect{stroke:$soft;stroke-width:2;stroke-dasharray:2 3}
.done rect{stroke:$ink;stroke-width:1.6}
.dim{opacity:.5}
.state{font-weight:600}
path{fill:none;stroke:$line;stroke-width:1.4}
path.on{stroke:$ink;stroke-width:2.2}
path.no{stroke-dasharray:4 4;opacity:.55}
.halo{fill:$paper;opacity:.85}
text.no{opacity:.7}
polygon{fill:$line}
polygon.on{fill:$ink}
polygon.no{opacity:.55}
`

// The two schemes: names of colours and their values, in turn.
var (
	light = []string{"$paper", "#ffffff", "$ink", "#1f2328", "$soft", "#656d76", "$line", "#8c959f", "$box", "#f6f8fa", "$okInk", "#1a7f37", "$okPaper", "#dafbe1",
		"$badInk", "#cf222e", "$badPaper", "#ffebe9", "$busyInk", "#0969da", "$busyPaper", "#ddf4ff", "$waitInk", "#9a6700", "$waitPaper", "#fff8c5"}
	dark = []string{"$paper", "#0d1117", "$ink", "#e6edf3", "$soft", "#9198a1", "$line", "#656c76", "$box", "#161b22", "$okInk", "#3fb950", "$okPaper", "#12261e",
		"$badInk", "#f85149", "$badPaper", "#2d1618", "$busyInk", "#4493f8", "$busyPaper", "#121d2f", "$waitInk", "#d29922", "$waitPaper", "#272115"}
)

// style is the look in the light scheme, and in the dark one where the reader wants
// that; written out, since not every viewer knows variables.
func style() string {
	return "\n" + strings.NewReplacer(light...).Replace(look) + "@media (prefers-color-scheme:dark){\n" + strings.NewReplacer(dark...).Replace(look) + "}\n"
}

// The measures of letters and boxes, in pixels. A column is half a wide character.
const (
	nameColumn = 7.8
	textColumn = 6.5
	rowHeight  = 17.0
	padX       = 14.0
	padY       = 8.0
	maxAction  = 44 // columns
	maxLabel   = 34
	loopRoom   = 48.0 // at both sides of a box with a loop
)

// box is what is written in a node.
type box struct {
	name, action, traits, state string
	class                       string
	loops                       bool // an edge leads from it to itself
}

func (b *box) size() (w, h float64) {
	w, h = float64(cells.Width(b.name))*nameColumn, rowHeight
	for _, s := range []string{b.action, b.traits, b.state} {
		if s != "" {
			w, h = max(w, float64(cells.Width(s))*textColumn), h+rowHeight
		}
	}
	return max(w+2*padX, 60), h + 2*padY
}

// SVG draws a picture by a layout of its own. The document stands alone: no script,
// no font, nothing to load.
func SVG(p Picture) (string, error) {
	if err := drawable(&p.Graph); err != nil {
		return "", err
	}
	t := trace(&p)
	g := p.Graph
	order := inOrder(&g)
	nodes := make([]workflows.Node, len(order)) // the reading order is a good first order of the layers
	for i, n := range order {
		nodes[i] = *n
	}
	g.Nodes = nodes
	boxes := make([]box, len(nodes))
	for i := range nodes {
		n := &nodes[i]
		b := box{name: cells.Cut(oneLine(n.Name), maxAction), action: cells.Cut(strings.Join(strings.Fields(n.Action), " "), maxAction)}
		b.traits = strings.TrimPrefix(strings.TrimPrefix(traits(n), "start"), ", ")
		if n.Start {
			b.class = "start"
		}
		if p.Run {
			m := t.nodes[n.Name]
			b.state = m.words()
			b.class = strings.TrimSpace(b.class + " " + class(m))
		}
		boxes[i] = b
	}
	labels := make([]string, len(g.Edges))
	for i, e := range g.Edges {
		labels[i] = cells.Cut(shortWhen(words(e)), maxLabel)
		if p.Run && t.edges[i] > 1 {
			labels[i] = strings.TrimSpace(labels[i] + fmt.Sprintf(" ×%d", t.edges[i]))
		}
	}
	for i := range nodes {
		boxes[i].loops = slices.ContainsFunc(g.Edges, func(e workflows.Edge) bool { return e.From == nodes[i].Name && e.To == e.From })
	}
	l, err := arrange(&g, func(i int) (float64, float64) {
		w, h := boxes[i].size()
		if boxes[i].loops {
			w += 2 * loopRoom
		}
		return w, h
	}, func(i int) (float64, float64) {
		if labels[i] == "" {
			return 0, 0
		}
		return float64(cells.Width(labels[i]))*textColumn + 8, rowHeight
	})
	if err != nil {
		return "", err
	}
	w := &svgWriter{p: &p, t: &t, g: &g, l: l, boxes: boxes, labels: labels}
	return w.document(), nil
}

// shortWhen is a condition without its delimiters, and without what every reader
// knows to be there.
func shortWhen(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	for _, d := range [][2]string{{"<%", "%>"}, {"{{", "}}"}} {
		if strings.HasPrefix(s, d[0]) && strings.HasSuffix(s, d[1]) && strings.Count(s, d[0]) == 1 {
			s = strings.TrimSpace(s[2 : len(s)-2])
		}
	}
	return strings.NewReplacer("succeeded()", "succeeded", "failed()", "failed", "completed()", "completed").Replace(s)
}

// svgWriter writes one picture.
type svgWriter struct {
	strings.Builder
	p      *Picture
	t      *path
	g      *workflows.Graph
	l      *layout
	boxes  []box
	labels []string
}

func escaped(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}

func (w *svgWriter) document() string {
	top := 0.0
	title := strings.TrimSpace(w.p.Title)
	if w.p.Run {
		title = strings.TrimSpace(title + "  " + sign(w.p.Status) + " " + string(w.p.Status))
	}
	width := w.l.width
	if title != "" {
		top = 34
		width = max(width, float64(cells.Width(title))*8.4+2*margin)
	}
	shift := (width - w.l.width) / 2
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" width="%.0f" height="%.0f" role="img">`+"\n", width, w.l.height+top, width, w.l.height+top)
	fmt.Fprintf(w, "<title>%s</title>\n<style>%s</style>\n", escaped(cmp.Or(title, w.p.Name, "workflow")), style())
	fmt.Fprintf(w, `<rect class="paper" width="100%%" height="100%%"/>`+"\n")
	if title != "" {
		fmt.Fprintf(w, `<text class="title" x="%.0f" y="26">%s</text>`+"\n", margin, escaped(title))
	}
	fmt.Fprintf(w, `<g transform="translate(%.1f %.1f)">`+"\n", shift, top)
	for _, ln := range w.l.lines {
		w.line(ln)
	}
	for _, e := range w.l.loops {
		w.loop(e)
	}
	for _, ln := range w.l.lines {
		w.label(ln)
	}
	for i, v := range w.l.nodes {
		w.node(i, v)
	}
	w.WriteString("</g>\n</svg>\n")
	return w.String()
}

// taken is the class of an edge: on the path, off it, or of no run.
func (w *svgWriter) taken(edge int) string {
	switch {
	case !w.p.Run:
		return ""
	case w.t.edges[edge] > 0:
		return "on"
	}
	return "no"
}

// line draws an edge as a smooth curve through its points; it leaves and reaches
// nodes at their lower and upper side.
func (w *svgWriter) line(ln *line) {
	first, last := ln.points[0], ln.points[len(ln.points)-1]
	type spot struct{ x, y float64 }
	spots := []spot{{w.port(first, ln.points[1], false), first.y + first.h/2}}
	for _, p := range ln.points[1 : len(ln.points)-1] {
		spots = append(spots, spot{p.x, p.y})
	}
	end := spot{w.port(last, ln.points[len(ln.points)-2], true), last.y - last.h/2}
	class := w.taken(ln.edge)
	start := spots[0]
	if ln.up { // the arrow is at the upper end
		spots[0].y += 7
	} else {
		end.y -= 7
	}
	spots = append(spots, end)
	// A curve whose direction at each point is that from the point before to the one
	// after, and straight down at its ends.
	lean := func(i int) float64 {
		if i == 0 || i == len(spots)-1 {
			return 0
		}
		return (spots[i+1].x - spots[i-1].x) / (spots[i+1].y - spots[i-1].y)
	}
	var d strings.Builder
	fmt.Fprintf(&d, "M%.1f %.1f", spots[0].x, spots[0].y)
	for i := 1; i < len(spots); i++ {
		a, b := spots[i-1], spots[i]
		h := (b.y - a.y) / 3
		fmt.Fprintf(&d, "C%.1f %.1f %.1f %.1f %.1f %.1f", a.x+lean(i-1)*h, a.y+h, b.x-lean(i)*h, b.y-h, b.x, b.y)
	}
	e := w.g.Edges[ln.edge]
	fmt.Fprintf(w, `<path class="%s" d="%s"><title>%s</title></path>`, class, d.String(), escaped(tip(e)))
	if ln.up {
		fmt.Fprintf(w, `<polygon class="%s" points="%.1f,%.1f %.1f,%.1f %.1f,%.1f"/>`+"\n", class, start.x, start.y, start.x-4, start.y+8, start.x+4, start.y+8)
		return
	}
	fmt.Fprintf(w, `<polygon class="%s" points="%.1f,%.1f %.1f,%.1f %.1f,%.1f"/>`+"\n", class, end.x, end.y+7, end.x-4, end.y-1, end.x+4, end.y-1)
}

// port is where on a node's side an edge begins or ends: towards the point it comes
// from, so that edges do not hide each other.
func (w *svgWriter) port(v, towards *vertex, above bool) float64 {
	near := v.out
	if above {
		near = v.in
	}
	if len(near) < 2 {
		return v.x
	}
	before := 0
	at := 0
	for i, n := range near {
		if n == towards {
			at = i
		}
	}
	for i, n := range near {
		if n.x < towards.x || n.x == towards.x && i < at {
			before++
		}
	}
	width := v.w
	if v.node >= 0 {
		width, _ = w.boxes[v.node].size()
	}
	room := min(width-24, float64(len(near)-1)*22)
	return v.x - room/2 + room*float64(before)/float64(len(near)-1)
}

// tip is what a pointer over an edge shows: the whole condition.
func tip(e workflows.Edge) string {
	if e.Call {
		return e.From + " runs " + e.To
	}
	if e.When == "" {
		return e.From + " → " + e.To
	}
	return e.From + " → " + e.To + " when " + e.When
}

// loop draws an edge from a node to itself, at its right side.
func (w *svgWriter) loop(edge int) {
	for i, n := range w.g.Nodes {
		if n.Name != w.g.Edges[edge].From {
			continue
		}
		v := w.l.nodes[i]
		x, y := v.x+v.w/2-loopRoom, v.y
		class := w.taken(edge)
		fmt.Fprintf(w, `<path class="%s" d="M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f"><title>%s</title></path>`, class, x, y-8, x+26, y-14, x+26, y+14, x+8, y+8,
			escaped(tip(w.g.Edges[edge])))
		fmt.Fprintf(w, `<polygon class="%s" points="%.1f,%.1f %.1f,%.1f %.1f,%.1f"/>`+"\n", class, x, y+7, x+9, y+3, x+9, y+12)
		if w.p.Run && w.t.edges[edge] > 0 {
			fmt.Fprintf(w, `<text class="%s" x="%.1f" y="%.1f">×%d</text>`+"\n", class, x+34, y+4, w.t.edges[edge])
		}
	}
}

func (w *svgWriter) label(ln *line) {
	v := ln.label
	if v == nil {
		return
	}
	fmt.Fprintf(w, `<rect class="halo" x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="3"/><text class="%s" x="%.1f" y="%.1f">%s<title>%s</title></text>`+"\n",
		v.x-v.w/2, v.y-v.h/2, v.w, v.h, w.taken(ln.edge), v.x, v.y+4, escaped(w.labels[ln.edge]), escaped(tip(w.g.Edges[ln.edge])))
}

func (w *svgWriter) node(i int, v *vertex) {
	b := &w.boxes[i]
	width, _ := b.size()
	radius := 8.0
	if w.g.Nodes[i].Command {
		radius = v.h / 2
	}
	fmt.Fprintf(w, `<g class="node %s"><title>%s</title><rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" rx="%.0f"/>`, b.class,
		escaped(strings.TrimSpace(w.g.Nodes[i].Name+" "+w.g.Nodes[i].Action)), v.x-width/2, v.y-v.h/2, width, v.h, radius)
	y := v.y - v.h/2 + padY + 13
	for k, s := range []string{b.name, b.action, b.traits, b.state} {
		if s == "" {
			continue
		}
		class := []string{"name", "action", "traits", "state"}[k]
		fmt.Fprintf(w, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, v.x, y, escaped(s))
		y += rowHeight
	}
	w.WriteString("</g>\n")
}
