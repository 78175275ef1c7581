package rules

import (
	"cmp"
	"hash/maphash"
	"maps"
	"slices"
)

// pathID names a place of an event that some rule reads: a member of the data
// (even numbers: twice the index of its node) or an attribute (odd numbers).
type pathID uint32

// noPath is the place of nothing: no event has a value there.
const noPath = ^pathID(0)

func nodePath(n uint32) pathID { return pathID(n << 1) }
func attrPath(i int) pathID    { return pathID(i<<1 | 1) }
func (p pathID) isAttr() bool  { return p&1 == 1 }
func (p pathID) index() int    { return int(p >> 1) }

// paths is a tree of the member names that some rule reads, and the attributes.
// It is immutable once an event is read with it; ids stay valid in every paths
// that was grown from it.
type paths struct {
	seed  maphash.Seed
	salt  uint64 // random, like seed
	nodes []node // 0 is the data itself
	attrs []string
}

// node is one member name below another.
type node struct {
	leaf bool // some rule reads values here
	raw  bool // some rule reads objects and arrays here as they stand
	// kids are in the order of their names' lengths; from[n] is the first one
	// whose name has n bytes, so that few names need comparing.
	kids []kid
	from []uint32
	// index finds a kid by name; nil while there are few.
	index map[string]uint32
	name  string
	up    uint32
}

type kid struct {
	name string
	node uint32
}

// manyKids is the number of kids from which on a node has an index.
const manyKids = 128

// maxName is the length from which on a name goes to the index.
const maxName = 256

func newPaths() *paths {
	seed := maphash.MakeSeed()
	return &paths{seed: seed, salt: maphash.String(seed, ""), nodes: make([]node, 1)}
}

// size is an upper bound of the ids in use.
func (w *paths) size() int { return 2 * max(len(w.nodes), len(w.attrs)+1) }

// names spells a data path out.
func (w *paths) names(p pathID) []string {
	var out []string
	for n := uint32(p.index()); n != 0; n = w.nodes[n].up {
		out = append(out, w.nodes[n].name)
	}
	slices.Reverse(out)
	return out
}

// find returns the kid of n with that name.
func (w *paths) find(n *node, name []byte) (uint32, bool) {
	if n.index != nil {
		k, ok := n.index[string(name)]
		return k, ok
	}
	if len(name)+1 >= len(n.from) {
		return 0, false
	}
	for _, k := range n.kids[n.from[len(name)]:n.from[len(name)+1]] {
		if k.name == string(name) {
			return k.node, true
		}
	}
	return 0, false
}

// childless says that no rule reads below the node.
func (n *node) childless() bool { return len(n.kids) == 0 && n.index == nil }

// insert adds a kid in new memory: the old is read by others.
func (n *node) insert(k kid) {
	at, _ := slices.BinarySearchFunc(n.kids, len(k.name)+1, func(x kid, size int) int { return cmp.Compare(len(x.name), size) })
	n.kids = slices.Insert(slices.Clone(n.kids), at, k)
	longest := len(n.kids[len(n.kids)-1].name)
	n.from = make([]uint32, longest+2)
	i := 0
	for size := range n.from {
		for i < len(n.kids) && len(n.kids[i].name) < size {
			i++
		}
		n.from[size] = uint32(i)
	}
}

// grower adds places to paths that others may be reading: it copies before the
// first change.
type grower struct {
	w     *paths
	owned bool
	keep  bool            // criteria keep their patterns as written, for people
	maps  map[uint32]bool // nodes whose index is ours
}

func (g *grower) own() {
	if g.owned {
		return
	}
	c := &paths{seed: g.w.seed, salt: g.w.salt, nodes: make([]node, len(g.w.nodes), len(g.w.nodes)+8), attrs: slices.Clone(g.w.attrs)}
	copy(c.nodes, g.w.nodes)
	g.w, g.owned, g.maps = c, true, map[uint32]bool{}
}

// data returns the id of a path in the data. raw asks for objects and arrays
// at its end as well.
func (g *grower) data(names []string, raw bool) pathID {
	at := uint32(0)
	for _, name := range names {
		k, ok := g.w.find(&g.w.nodes[at], []byte(name))
		if !ok {
			k = g.add(at, name)
		}
		at = k
	}
	if n := &g.w.nodes[at]; !n.leaf || raw && !n.raw {
		g.own()
		n = &g.w.nodes[at]
		n.leaf = true
		n.raw = n.raw || raw
	}
	return nodePath(at)
}

func (g *grower) add(up uint32, name string) uint32 {
	g.own()
	k := uint32(len(g.w.nodes))
	g.w.nodes = append(g.w.nodes, node{name: name, up: up})
	n := &g.w.nodes[up]
	switch {
	case n.index == nil && len(n.kids) < manyKids && len(name) < maxName:
		n.insert(kid{name, k})
	case n.index == nil:
		n.index = make(map[string]uint32, 2*len(n.kids))
		for _, x := range n.kids {
			n.index[x.name] = x.node
		}
		n.index[name] = k
		g.maps[up] = true
	default:
		if !g.maps[up] {
			n.index = maps.Clone(n.index)
			g.maps[up] = true
		}
		n.index[name] = k
	}
	return k
}

// attr returns the id of an attribute.
func (g *grower) attr(name string) pathID {
	if i := slices.Index(g.w.attrs, name); i >= 0 {
		return attrPath(i)
	}
	g.own()
	g.w.attrs = append(g.w.attrs, name)
	return attrPath(len(g.w.attrs) - 1)
}
