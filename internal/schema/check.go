package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// checker walks a value along a schema. A quiet one only finds out whether the
// value fits, and stops at the first that does not.
type checker struct {
	quiet  bool
	failed bool
	path   []string
	issues []Issue
	secret int // how many of the schemas above are secret
	steps  *int
}

// maxSteps bounds the work of one check: a schema that refers to itself from
// several places would take forever.
const maxSteps = 1_000_000

// fits says whether the value satisfies the schema.
func (n *node) fits(v *val) bool {
	steps := 0
	c := checker{quiet: true, steps: &steps}
	c.check(n, v, 0)
	return !c.failed
}

// fits says whether the value satisfies one of several schemas.
func (c *checker) fits(n *node, v *val, depth int) bool {
	part := checker{quiet: true, steps: c.steps}
	part.check(n, v, depth)
	return !part.failed
}

// masked is what stands for a secret value in a message.
const masked = "'********'"

func (c *checker) shown(v *val) string {
	if c.secret > 0 {
		return masked
	}
	return v.repr()
}

// maxIssues bounds how many issues are collected.
const maxIssues = 50

// report notes an issue; what gives its message, and is only called for one
// that is kept.
func (c *checker) report(keyword string, what func() string) {
	c.failed = true
	if c.quiet || len(c.issues) >= maxIssues {
		return
	}
	c.issues = append(c.issues, Issue{Path: slices.Clone(c.path), Keyword: keyword, Message: what()})
}

func (c *checker) done() bool { return c.quiet && c.failed }

// below checks a part of the value.
func (c *checker) below(n *node, name string, v *val, depth int) {
	if c.quiet {
		c.check(n, v, depth+1)
		return
	}
	c.path = append(c.path, name)
	c.check(n, v, depth+1)
	c.path = c.path[:len(c.path)-1]
}

func (c *checker) check(n *node, v *val, depth int) {
	if *c.steps++; depth > maxDepth || *c.steps > maxSteps {
		c.report("$ref", func() string { return "nested too deeply, or the schema refers to itself" })
		return
	}
	if n.secret {
		c.secret++
		defer func() { c.secret-- }()
	}
	if n.types != 0 && !n.hasType(v) {
		c.report("type", func() string {
			return c.shown(v) + " is not of type " + quoteAll(n.typeNames)
		})
		if c.quiet {
			return
		}
	}
	if n.hasEnum && !slices.ContainsFunc(n.enum, func(e val) bool { return equal(&e, v) }) {
		c.report("enum", func() string { return c.shown(v) + " is not one of " + list(n.enum) })
	}
	switch v.kind {
	case kindNumber:
		c.number(n, v)
	case kindString:
		c.text(n, v)
	case kindArray:
		c.array(n, v, depth)
	case kindObject:
		c.object(n, v, depth)
	}
	if !c.done() {
		c.combinations(n, v, depth)
	}
}

func (n *node) hasType(v *val) bool {
	var t typeSet
	switch v.kind {
	case kindNull:
		t = typeNull
	case kindBool:
		t = typeBoolean
	case kindNumber:
		t = typeNumber
		if v.integer {
			t |= typeInteger
		}
	case kindString:
		t = typeString
	case kindArray:
		t = typeArray
	case kindObject:
		t = typeObject
	}
	return n.types&t != 0
}

func (c *checker) number(n *node, v *val) {
	if m := n.minimum; m != nil {
		if n.exclusiveMin && v.num <= m.num {
			c.report("minimum", func() string { return c.shown(v) + " is less than or equal to the minimum of " + m.repr() })
		} else if v.num < m.num {
			c.report("minimum", func() string { return c.shown(v) + " is less than the minimum of " + m.repr() })
		}
	}
	if m := n.maximum; m != nil {
		if n.exclusiveMax && v.num >= m.num {
			c.report("maximum", func() string { return c.shown(v) + " is greater than or equal to the maximum of " + m.repr() })
		} else if v.num > m.num {
			c.report("maximum", func() string { return c.shown(v) + " is greater than the maximum of " + m.repr() })
		}
	}
	if m := n.multipleOf; m != nil {
		if q := v.num / m.num; q != math.Trunc(q) {
			c.report("multipleOf", func() string { return c.shown(v) + " is not a multiple of " + m.repr() })
		}
	}
}

func (c *checker) text(n *node, v *val) {
	if n.minLength >= 0 || n.maxLength >= 0 {
		c.size(v, "Length", utf8.RuneCountInString(v.str), n.minLength, n.maxLength)
	}
	if p := n.pattern; p != nil && !p.match(v.str) {
		c.report("pattern", func() string { return c.shown(v) + " does not match " + quote(p.text) })
	}
}

func (c *checker) size(v *val, of string, size, least, most int) {
	if least >= 0 && size < least {
		c.report("min"+of, func() string {
			if least == 1 && of != "Length" || size == 0 && least == 1 {
				return c.shown(v) + " should be non-empty"
			}
			if of == "Properties" {
				return c.shown(v) + " does not have enough properties"
			}
			return c.shown(v) + " is too short"
		})
	}
	if most >= 0 && size > most {
		c.report("max"+of, func() string {
			switch {
			case of == "Properties":
				return c.shown(v) + " has too many properties"
			case most == 0:
				return c.shown(v) + " is expected to be empty"
			}
			return c.shown(v) + " is too long"
		})
	}
}

func (c *checker) array(n *node, v *val, depth int) {
	c.size(v, "Items", len(v.items), n.minItems, n.maxItems)
	if n.uniqueItems && !unique(v.items) {
		c.report("uniqueItems", func() string { return c.shown(v) + " has non-unique elements" })
	}
	for i := range v.items {
		if c.done() {
			return
		}
		item := n.items
		if n.tuple != nil {
			if i < len(n.tuple) {
				item = n.tuple[i]
			} else {
				item = n.additionalItems
			}
		}
		if item != nil {
			name := ""
			if !c.quiet {
				name = strconv.Itoa(i)
			}
			c.below(item, name, &v.items[i], depth)
		}
	}
	if extra := len(v.items) - len(n.tuple); n.tuple != nil && n.closedTuple && extra > 0 {
		c.report("additionalItems", func() string {
			return "Additional items are not allowed (" + c.unexpected(v.items[len(n.tuple):]) + ")"
		})
	}
}

// unexpected lists values as python-jsonschema does: 'a' was unexpected.
func (c *checker) unexpected(vs []val) string {
	if c.secret > 0 {
		return masked + " was unexpected"
	}
	if len(vs) == 1 {
		return vs[0].repr() + " was unexpected"
	}
	l := list(vs)
	return l[1:len(l)-1] + " were unexpected"
}

// uniqueFrom is the length from which lists are searched by hash.
const uniqueFrom = 16

func unique(items []val) bool {
	if len(items) < uniqueFrom {
		for i := range items {
			for j := range i {
				if equal(&items[i], &items[j]) {
					return false
				}
			}
		}
		return true
	}
	seen := make(map[string][]int, len(items))
	for i := range items {
		key := items[i].rough()
		for _, j := range seen[key] {
			if equal(&items[i], &items[j]) {
				return false
			}
		}
		seen[key] = append(seen[key], i)
	}
	return true
}

// rough gives equal values equal texts.
func (v *val) rough() string {
	switch v.kind {
	case kindNumber:
		return strconv.FormatFloat(v.num, 'g', -1, 64)
	case kindString:
		return "s" + v.str
	case kindArray:
		b := strings.Builder{}
		b.WriteByte('[')
		for i := range min(4, len(v.items)) {
			b.WriteString(v.items[i].rough())
			b.WriteByte(',')
		}
		return b.String() + strconv.Itoa(len(v.items))
	case kindObject:
		names := make([]string, len(v.members))
		for i := range v.members {
			names[i] = v.members[i].name
		}
		slices.Sort(names)
		b := strings.Builder{}
		b.WriteByte('{')
		for _, n := range names {
			b.WriteString(n + ":" + v.member(n).rough() + ",")
		}
		return b.String()
	}
	return string(v.raw)
}

func (n *node) property(name string) *node {
	if n.index != nil {
		if i, ok := n.index[name]; ok {
			return n.properties[i].node
		}
		return nil
	}
	for i := range n.properties {
		if n.properties[i].name == name {
			return n.properties[i].node
		}
	}
	return nil
}

func (c *checker) object(n *node, v *val, depth int) {
	c.size(v, "Properties", len(v.members), n.minProperties, n.maxProperties)
	var extra []val
	for i := range v.members {
		m := &v.members[i]
		p := n.property(m.name)
		known := p != nil
		if known {
			c.below(p, m.name, &m.val, depth)
		}
		for j := range n.patternProperties {
			if pp := &n.patternProperties[j]; pp.match(m.name) {
				known = true
				c.below(pp.node, m.name, &m.val, depth)
			}
		}
		if c.done() {
			return
		}
		if !known && n.additional != nil {
			c.below(n.additional, m.name, &m.val, depth)
		} else if !known && n.closed {
			extra = append(extra, val{kind: kindString, str: m.name})
		}
	}
	for i := range n.properties {
		if p := &n.properties[i]; p.node.mustExist && v.member(p.name) == nil {
			c.report("required", func() string { return quote(p.name) + " is a required property" })
		}
	}
	for _, name := range n.required {
		if v.member(name) == nil {
			c.report("required", func() string { return quote(name) + " is a required property" })
		}
	}
	if len(extra) > 0 {
		c.report("additionalProperties", func() string { return n.refuseExtra(extra) })
	}
	c.dependencies(n, v, depth)
}

func (n *node) refuseExtra(extra []val) string {
	if len(n.patternProperties) > 0 {
		texts := make([]string, len(n.patternProperties))
		for i := range n.patternProperties {
			texts[i] = n.patternProperties[i].text
		}
		slices.Sort(texts)
		verb := "does"
		if len(extra) > 1 {
			verb = "do"
		}
		l := list(extra)
		return l[1:len(l)-1] + " " + verb + " not match any of the regexes: " + quoteAll(texts)
	}
	l := list(extra)
	verb := "was"
	if len(extra) > 1 {
		verb = "were"
	}
	return "Additional properties are not allowed (" + l[1:len(l)-1] + " " + verb + " unexpected)"
}

func (c *checker) dependencies(n *node, v *val, depth int) {
	for i := range n.dependencies {
		d := &n.dependencies[i]
		if v.member(d.name) == nil {
			continue
		}
		if d.node != nil {
			c.check(d.node, v, depth+1)
		}
		for _, name := range d.names {
			if v.member(name) == nil {
				c.report("dependencies", func() string { return quote(name) + " is a dependency of " + quote(d.name) })
			}
		}
	}
}

func (c *checker) combinations(n *node, v *val, depth int) {
	if n.ref != nil {
		c.check(n.ref, v, depth+1)
	}
	for _, a := range n.allOf {
		c.check(a, v, depth+1)
	}
	if n.anyOf != nil && !slices.ContainsFunc(n.anyOf, func(a *node) bool { return c.fits(a, v, depth+1) }) {
		c.report("anyOf", func() string { return c.shown(v) + " is not valid under any of the given schemas" })
	}
	if n.oneOf != nil {
		var fit []string
		for _, a := range n.oneOf {
			if c.fits(a, v, depth+1) {
				fit = append(fit, a.shown)
			}
		}
		switch {
		case len(fit) == 0:
			c.report("oneOf", func() string { return c.shown(v) + " is not valid under any of the given schemas" })
		case len(fit) > 1:
			c.report("oneOf", func() string { return c.shown(v) + " is valid under each of " + strings.Join(fit, ", ") })
		}
	}
	if n.not != nil && c.fits(n.not, v, depth+1) {
		c.report("not", func() string { return c.shown(v) + " should not be valid under " + n.not.shown })
	}
}

// list shows values as Python shows a list.
func list(vs []val) string {
	v := val{kind: kindArray, items: vs}
	return v.repr()
}

func quoteAll(texts []string) string {
	quoted := make([]string, len(texts))
	for i, t := range texts {
		quoted[i] = quote(t)
	}
	return strings.Join(quoted, ", ")
}
