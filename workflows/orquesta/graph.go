package orquesta

import (
	"sort"
	"strconv"
)

// graph is what a run walks: the tasks that can be reached from the start, and
// the engine's commands, joined by transitions. It is immutable.
type graph struct {
	nodes []*node // by name
	names map[string]*node
	roots []*node
}

// node is a task or an engine command.
type node struct {
	index   int // in graph.nodes
	name    string
	task    *taskSpec // nil for a command
	out     []*edge   // by destination's name, then as written
	inbound []*node   // distinct sources, in order of discovery
	barrier bool
	all     bool // barrier for all of inbound
	need    int  // arrivals that a barrier for a number waits for
	split   bool // forks the route of who comes here
	cycle   bool
	splits  []string // splits on the way here, this one included; for show
	retry   *retryRule
	command string // continue, noop, fail; "" for a task
}

// edge is a transition to one destination.
type edge struct {
	from, to *node
	key      int // among the edges from and to the same nodes
	ref      int // which item of next
	index    int // in from.out
	id       string
	back     string // id as the destination sees it
	when     string
	hasWhen  bool
	criteria *template
	publish  []binding
}

// retryRule is how a task is retried. count and delay may be expressions.
type retryRule struct {
	when         string
	count, delay any
	whenT        *template
	countT       *template
	delayT       *template
	commanded    bool // by do: retry
}

func isCommand(name string) bool { return name == "continue" || name == "noop" || name == "fail" }

// isReserved says whether a task must not be called so.
func isReserved(name string) bool { return isCommand(name) || name == "retry" }

// links are the transitions between the names of a spec, whether or not they can
// be reached.
type links struct {
	spec    *spec
	inTasks map[string][]string // distinct sources of a destination, sorted
	inCount map[string]int      // transition entries to a destination
	cyclic  map[string]bool
	start   []string
}

func newLinks(s *spec) *links {
	l := &links{spec: s, inTasks: map[string][]string{}, inCount: map[string]int{}}
	for _, t := range s.tasks {
		seen := map[string]bool{}
		for _, tr := range t.next {
			for _, to := range tr.do {
				l.inCount[to]++
				if !seen[to] {
					seen[to] = true
					l.inTasks[to] = append(l.inTasks[to], t.name)
				}
			}
		}
	}
	for _, t := range s.tasks {
		if l.inCount[t.name] == 0 {
			l.start = append(l.start, t.name)
		}
	}
	sort.Strings(l.start)
	l.cyclic = cyclicNames(s)
	return l
}

// isSplit says whether several transitions lead to a task that does not join
// them.
func (l *links) isSplit(name string) bool {
	if t := l.spec.byName[name]; t != nil && t.join != nil {
		return false
	}
	return l.inCount[name] > 1
}

// hop is one way to one destination.
type hop struct {
	to  string
	ref int
}

// next returns the ways on from a task, ordered by destination.
func (l *links) next(t *taskSpec) []hop {
	var hops []hop
	for i, tr := range t.next {
		for _, to := range tr.do {
			hops = append(hops, hop{to, i})
		}
	}
	sort.SliceStable(hops, func(i, j int) bool { return hops[i].to < hops[j].to })
	return hops
}

// cyclicNames finds the tasks that lie on a cycle: the strongly connected
// components of more than one task, and those that lead to themselves.
func cyclicNames(s *spec) map[string]bool {
	out := map[string]bool{}
	index := make(map[string]int, len(s.tasks))
	low := make(map[string]int, len(s.tasks))
	onStack := map[string]bool{}
	var stack []string
	type frame struct {
		name string
		to   []string
		i    int
	}
	successors := func(name string) []string {
		var to []string
		for _, tr := range s.byName[name].next {
			for _, d := range tr.do {
				if s.byName[d] != nil {
					to = append(to, d)
				}
				if d == name {
					out[name] = true
				}
			}
		}
		return to
	}
	n := 0
	open := func(name string) frame {
		n++
		index[name], low[name] = n, n
		stack = append(stack, name)
		onStack[name] = true
		return frame{name: name, to: successors(name)}
	}
	for _, t := range s.tasks {
		if index[t.name] != 0 {
			continue
		}
		work := []frame{open(t.name)}
		for len(work) > 0 {
			f := &work[len(work)-1]
			if f.i < len(f.to) {
				d := f.to[f.i]
				f.i++
				if index[d] == 0 {
					work = append(work, open(d))
				} else if onStack[d] {
					low[f.name] = min(low[f.name], index[d])
				}
				continue
			}
			name := f.name
			work = work[:len(work)-1]
			if len(work) > 0 {
				up := work[len(work)-1].name
				low[up] = min(low[up], low[name])
			}
			if low[name] == index[name] {
				closeComponent(name, &stack, onStack, out)
			}
		}
	}
	return out
}

func closeComponent(name string, stack *[]string, onStack, out map[string]bool) {
	s := *stack
	i := len(s) - 1
	for s[i] != name {
		i--
	}
	for _, d := range s[i:] {
		onStack[d] = false
		if len(s)-i > 1 {
			out[d] = true
		}
	}
	*stack = s[:i]
}

// compose builds the graph of what can be reached from the start tasks. Every
// destination must be defined.
func (l *links) compose() *graph {
	g := &graph{names: map[string]*node{}}
	get := func(name string) *node {
		n := g.names[name]
		if n == nil {
			n = &node{name: name, task: l.spec.byName[name]}
			if n.task == nil {
				n.command = name
			}
			n.split = l.isSplit(name) && !l.cyclic[name]
			n.cycle = l.cyclic[name]
			g.names[name] = n
			g.nodes = append(g.nodes, n)
		}
		return n
	}
	var queue []*node
	for _, name := range l.start {
		n := get(name)
		g.roots = append(g.roots, n)
		queue = append(queue, n)
	}
	done := map[*node]bool{}
	for len(queue) > 0 {
		n := queue[0]
		queue = queue[1:]
		if done[n] || n.task == nil {
			continue
		}
		done[n] = true
		if r := n.task.retry; r != nil {
			n.retry = &retryRule{when: r.when, count: r.count, delay: r.delay}
		}
		keys := map[*node]int{}
		for _, h := range l.next(n.task) {
			tr := &n.task.next[h.ref]
			if h.to == "retry" {
				n.retry = &retryRule{when: tr.when, count: int64(3), commanded: true}
				if tr.when == "" {
					n.retry.when = "<% completed() %>"
				}
				continue
			}
			to := get(h.to)
			e := &edge{from: n, to: to, key: keys[to], ref: h.ref, index: len(n.out), when: tr.when, hasWhen: tr.hasWhen, publish: tr.publish}
			e.id = to.name + "__t" + strconv.Itoa(e.key)
			e.back = n.name + "__t" + strconv.Itoa(e.key)
			keys[to]++
			n.out = append(n.out, e)
			if e.key == 0 {
				to.inbound = append(to.inbound, n)
			}
			queue = append(queue, to)
		}
	}
	sort.Slice(g.nodes, func(i, j int) bool { return g.nodes[i].name < g.nodes[j].name })
	for i, n := range g.nodes {
		n.index = i
		if n.task != nil && n.task.join != nil {
			n.barrier, n.all, n.need = true, n.task.join.all, max(n.task.join.count, 1)
			if n.all {
				n.need = max(len(n.inbound), 1)
			}
		}
	}
	l.markSplits(g)
	return g
}

// maxSplitVisits bounds the walk that collects the splits above each node.
const maxSplitVisits = 20_000

// markSplits notes for each node the splits on the way to it, in the order in
// which StackStorm finds them: the last way that leads there counts.
func (l *links) markSplits(g *graph) {
	type visit struct {
		n      *node
		splits []string
	}
	var queue []visit
	for _, n := range g.roots {
		queue = append(queue, visit{n, nil})
	}
	known := map[*node]bool{}
	for i := 0; i < len(queue) && i < maxSplitVisits; i++ {
		n, splits := queue[i].n, queue[i].splits
		if n.split && !contains(splits, n.name) {
			splits = append(splits[:len(splits):len(splits)], n.name)
		}
		if len(splits) > 0 {
			n.splits = splits
		}
		known[n] = true
		for _, e := range n.out {
			if !known[e.to] || !e.to.cycle {
				queue = append(queue, visit{e.to, splits})
			}
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
