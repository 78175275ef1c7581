package draw

import (
	"fmt"
	"math"
	"slices"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
)

// MaxDrawn bounds the nodes and the edges of a picture that has to be laid out.
const MaxDrawn = 1500

// maxPoints bounds the points that edges over many layers go through.
const maxPoints = 40_000

// vertex is a place of the layout: a node, or a point of an edge. Layers alternate:
// nodes lie on even ones, on odd ones only points of edges, of which one carries
// the edge's label.
type vertex struct {
	node    int // index of the node, -1 for a point
	label   bool
	w, h    float64
	layer   int
	x, y    float64 // of the middle
	in, out []*vertex
	pos     int // in its layer
	bary    float64
}

// line is an edge with the vertexes it goes through, from its upper end to its
// lower one. up says that it really leads upwards.
type line struct {
	edge   int
	up     bool
	points []*vertex
	label  *vertex
}

// layout is a graph on paper.
type layout struct {
	nodes         []*vertex
	lines         []*line
	loops         []int // edges from a node to itself
	layers        [][]*vertex
	width, height float64
}

// The distances of the layout, in pixels.
const (
	gapX   = 28.0
	gapY   = 22.0
	margin = 20.0
)

// drawable refuses a graph that is too large for a picture.
func drawable(g *workflows.Graph) error {
	if len(g.Nodes) <= MaxDrawn && len(g.Edges) <= 3*MaxDrawn {
		return nil
	}
	return fmt.Errorf("a graph of %d tasks and %d transitions is too large for a picture (at most %d tasks); draw it as text or dot: %w",
		len(g.Nodes), len(g.Edges), MaxDrawn, hayate.ErrInvalid)
}

// arrange lays a graph out in layers: edges lead down where that is possible, each
// node lies below all that lead to it (longest path), the order within a layer is
// that with few crossings (barycentres), and places are as straight below each other
// as the order allows.
func arrange(g *workflows.Graph, size func(node int) (w, h float64), label func(edge int) (w, h float64)) (*layout, error) {
	l := &layout{}
	index := map[string]int{}
	for i, n := range g.Nodes {
		index[n.Name] = i
		w, h := size(i)
		l.nodes = append(l.nodes, &vertex{node: i, w: w, h: h})
	}
	type arc struct {
		edge, from, to int
		up             bool
	}
	back := backward(g, index)
	var arcs []arc
	for i, e := range g.Edges {
		from, ok := index[e.From]
		to, ok2 := index[e.To]
		switch {
		case !ok || !ok2:
			continue
		case from == to:
			l.loops = append(l.loops, i)
			continue
		case back[i]:
			from, to = to, from
		}
		arcs = append(arcs, arc{i, from, to, back[i]})
	}
	below := make([][]int, len(g.Nodes))
	for _, a := range arcs {
		below[a.from] = append(below[a.from], a.to)
	}
	rank := ranks(below)
	for i, v := range l.nodes {
		v.layer = 2 * rank[i]
	}
	points := 0
	for _, a := range arcs {
		ln := &line{edge: a.edge, up: a.up, points: []*vertex{l.nodes[a.from]}}
		for y := l.nodes[a.from].layer + 1; y < l.nodes[a.to].layer; y++ {
			p := &vertex{node: -1, layer: y, w: 2}
			// The label lies near where the edge begins.
			if w, h := label(a.edge); w > 0 && (!a.up && y == l.nodes[a.from].layer+1 || a.up && y == l.nodes[a.to].layer-1) {
				p.label, p.w, p.h = true, w, h
				ln.label = p
			}
			ln.points = append(ln.points, p)
			if points++; points > maxPoints {
				return nil, fmt.Errorf("a graph whose transitions skip so many tasks is too large for a picture; draw it as text or dot: %w", hayate.ErrInvalid)
			}
		}
		ln.points = append(ln.points, l.nodes[a.to])
		l.lines = append(l.lines, ln)
	}
	l.fill()
	l.reorder()
	l.place()
	return l, nil
}

// backward finds the edges that lead back in a walk from the start: turned round, no
// circle is left.
func backward(g *workflows.Graph, index map[string]int) []bool {
	out := make([][]int, len(g.Nodes))
	for i, e := range g.Edges {
		if from, ok := index[e.From]; ok {
			out[from] = append(out[from], i)
		}
	}
	back := make([]bool, len(g.Edges))
	state := make([]int, len(g.Nodes)) // 0 unseen, 1 on the way, 2 done
	type step struct{ node, next int }
	walk := func(root int) {
		stack := []step{{root, 0}}
		state[root] = 1
		for len(stack) > 0 {
			s := &stack[len(stack)-1]
			if s.next == len(out[s.node]) {
				state[s.node] = 2
				stack = stack[:len(stack)-1]
				continue
			}
			e := out[s.node][s.next]
			s.next++
			to, ok := index[g.Edges[e].To]
			switch {
			case !ok || to == s.node:
			case state[to] == 1:
				back[e] = true
			case state[to] == 0:
				state[to] = 1
				stack = append(stack, step{to, 0})
			}
		}
	}
	for i, n := range g.Nodes {
		if n.Start && state[i] == 0 {
			walk(i)
		}
	}
	for i := range g.Nodes {
		if state[i] == 0 {
			walk(i)
		}
	}
	return back
}

// ranks are the lengths of the longest ways to each node.
func ranks(below [][]int) []int {
	rank, waits := make([]int, len(below)), make([]int, len(below))
	for _, to := range below {
		for _, t := range to {
			waits[t]++
		}
	}
	var queue []int
	for i, n := range waits {
		if n == 0 {
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		for _, t := range below[queue[0]] {
			rank[t] = max(rank[t], rank[queue[0]]+1)
			if waits[t]--; waits[t] == 0 {
				queue = append(queue, t)
			}
		}
	}
	return rank
}

// fill sorts the vertexes into layers and links neighbours.
func (l *layout) fill() {
	add := func(v *vertex) {
		for len(l.layers) <= v.layer {
			l.layers = append(l.layers, nil)
		}
		v.pos = len(l.layers[v.layer])
		l.layers[v.layer] = append(l.layers[v.layer], v)
	}
	for _, v := range l.nodes {
		add(v)
	}
	for _, ln := range l.lines {
		for i, p := range ln.points {
			if i == 0 {
				continue
			}
			if p.node < 0 {
				add(p)
			}
			p.in = append(p.in, ln.points[i-1])
			ln.points[i-1].out = append(ln.points[i-1].out, p)
		}
	}
}

// sweeps is how often the layers are gone through for fewer crossings.
const sweeps = 12

// reorder orders each layer by the mean place of its vertexes' neighbours, down and
// up in turn, and keeps the order with the fewest crossings.
func (l *layout) reorder() {
	best, fewest := l.order(), l.crossings()
	for i := range sweeps {
		if fewest == 0 {
			break
		}
		for k := range l.layers {
			layer, down := k, i%2 == 0
			if !down {
				layer = len(l.layers) - 1 - k
			}
			l.sortLayer(l.layers[layer], down)
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.order(), n
		}
	}
	for i, layer := range best {
		l.layers[i] = layer
		for k, v := range layer {
			v.pos = k
		}
	}
}

func (l *layout) sortLayer(layer []*vertex, down bool) {
	for _, v := range layer {
		near := v.out
		if down {
			near = v.in
		}
		v.bary = float64(v.pos)
		if len(near) > 0 {
			sum := 0.0
			for _, n := range near {
				sum += (float64(n.pos) + 0.5) / float64(len(l.layers[n.layer]))
			}
			v.bary = sum / float64(len(near)) * float64(len(layer))
		}
	}
	slices.SortStableFunc(layer, func(a, b *vertex) int {
		switch {
		case a.bary < b.bary:
			return -1
		case a.bary > b.bary:
			return 1
		}
		return 0
	})
	for i, v := range layer {
		v.pos = i
	}
}

func (l *layout) order() [][]*vertex {
	out := make([][]*vertex, len(l.layers))
	for i, layer := range l.layers {
		out[i] = slices.Clone(layer)
	}
	return out
}

// crossings counts the pairs of segments that cross, layer by layer.
func (l *layout) crossings() int {
	total := 0
	for _, layer := range l.layers {
		var ends []int // lower ends of segments, by their upper ends
		for _, v := range layer {
			from := len(ends)
			for _, w := range v.out {
				ends = append(ends, w.pos)
			}
			slices.Sort(ends[from:])
		}
		total += inversions(ends)
	}
	return total
}

// inversions counts pairs out of order, by merging.
func inversions(a []int) int {
	if len(a) < 2 {
		return 0
	}
	m := len(a) / 2
	left, right := slices.Clone(a[:m]), slices.Clone(a[m:])
	n := inversions(left) + inversions(right)
	i, j := 0, 0
	for k := range a {
		if j == len(right) || i < len(left) && left[i] <= right[j] {
			a[k] = left[i]
			i++
		} else {
			a[k] = right[j]
			n += len(left) - i
			j++
		}
	}
	return n
}

// rounds is how often places are drawn towards those of their neighbours.
const rounds = 24

// place gives every vertex its place: side by side in the order of its layer, and as
// close below the mean of its neighbours as that order allows.
func (l *layout) place() {
	for _, layer := range l.layers {
		x := 0.0
		for _, v := range layer {
			v.x = x + v.w/2
			x += v.w + gapX
		}
		for _, v := range layer {
			v.x -= x / 2
		}
	}
	for i := range rounds {
		for k := range l.layers {
			layer, down := k, i%2 == 0
			if !down {
				layer = len(l.layers) - 1 - k
			}
			pull(l.layers[layer], i, down)
		}
	}
	left, right, y := math.Inf(1), math.Inf(-1), margin
	for _, layer := range l.layers {
		h := 0.0
		for _, v := range layer {
			left, right, h = min(left, v.x-v.w/2), max(right, v.x+v.w/2), max(h, v.h)
		}
		for _, v := range layer {
			v.y = y + h/2
		}
		y += h + gapY
	}
	if math.IsInf(left, 0) {
		left, right = 0, 0
	}
	for _, layer := range l.layers {
		for _, v := range layer {
			v.x += margin - left
		}
	}
	l.width, l.height = right-left+2*margin, y-gapY+margin
}

// pull moves the vertexes of a layer to the mean of their neighbours, least squares
// under the condition that they keep their order and distance: neighbours that would
// overlap form a block that is placed as a whole.
func pull(layer []*vertex, round int, down bool) {
	type block struct {
		sum, weight float64
		from        int
	}
	var blocks []block
	offset := make([]float64, len(layer))
	for i, v := range layer {
		if i > 0 {
			offset[i] = offset[i-1] + layer[i-1].w/2 + gapX + v.w/2
		}
		near := slices.Concat(v.in, v.out)
		if round < rounds/2 {
			if near = v.out; down {
				near = v.in
			}
		}
		want, weight := v.x, 0.2
		if len(near) > 0 {
			want, weight = 0, 1
			for _, n := range near {
				want += n.x / float64(len(near))
			}
			if v.node < 0 {
				weight = 3 // long edges are to be straight
			}
		}
		b := block{(want - offset[i]) * weight, weight, i}
		for len(blocks) > 0 && blocks[len(blocks)-1].sum/blocks[len(blocks)-1].weight >= b.sum/b.weight {
			p := blocks[len(blocks)-1]
			b = block{b.sum + p.sum, b.weight + p.weight, p.from}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	for i, b := range blocks {
		to := len(layer)
		if i+1 < len(blocks) {
			to = blocks[i+1].from
		}
		for k := b.from; k < to; k++ {
			layer[k].x = b.sum/b.weight + offset[k]
		}
	}
}
