package schema

import "slices"

// fillObject adds the defaults of absent and null members, as StackStorm does:
// a default whose property depends on another that is absent, and has no default
// either, is left out. It says whether anything was added.
func (n *node) fillObject(v *val) bool {
	changed := false
	for i := range n.properties {
		p := &n.properties[i]
		at := v.member(p.name)
		if (at == nil || at.kind == kindNull) && p.node.deflt != nil && n.mayDefault(p.name, v) {
			if at == nil {
				v.members = append(v.members, member{p.name, *p.node.deflt})
				at = &v.members[len(v.members)-1].val
				changed = true
			} else if p.node.deflt.kind != kindNull {
				*at = *p.node.deflt
				changed = true
			}
			// What is filled in below must not reach the schema's own default.
			at.items, at.members = slices.Clone(at.items), slices.Clone(at.members)
		}
		if at != nil && p.node.fillBelow(at) {
			changed = true
		}
	}
	if changed {
		v.raw = nil
	}
	return changed
}

func (n *node) mayDefault(name string, v *val) bool {
	for i := range n.dependencies {
		if n.dependencies[i].name != name {
			continue
		}
		for _, other := range n.dependencies[i].names {
			if p := n.property(other); (p == nil || p.deflt == nil) && v.member(other) == nil {
				return false
			}
		}
	}
	return true
}

func (n *node) fillBelow(v *val) bool {
	switch {
	case v.kind == kindArray && n.types&typeArray != 0:
		return n.fillArray(v)
	case v.kind == kindObject && n.types&typeObject != 0:
		return n.fillObject(v)
	}
	return false
}

func (n *node) fillArray(v *val) bool {
	if n.items == nil && n.tuple == nil {
		return false
	}
	changed := false
	items := slices.Clone(v.items) // they may be shared with a schema's default
	for i := range items {
		item := n.items
		if n.tuple != nil {
			if i >= len(n.tuple) {
				break
			}
			item = n.tuple[i]
		}
		it := &items[i]
		if it.kind == kindNull && item.deflt != nil && item.deflt.kind != kindNull {
			*it = *item.deflt
			changed = true
		}
		it.members = slices.Clone(it.members)
		if item.fillBelow(it) {
			changed = true
		}
	}
	if changed {
		v.items, v.raw = items, nil
	}
	return changed
}
