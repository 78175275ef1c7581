package schema

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// typeSet is a set of JSON types.
type typeSet uint8

const (
	typeNull typeSet = 1 << iota
	typeBoolean
	typeInteger
	typeNumber
	typeString
	typeArray
	typeObject
)

var typeByName = map[string]typeSet{"null": typeNull, "boolean": typeBoolean, "integer": typeInteger,
	"number": typeNumber, "string": typeString, "array": typeArray, "object": typeObject}

// node is a compiled schema. A number of -1 is no bound.
type node struct {
	types     typeSet
	typeNames []string // as messages list them
	enum      []val
	hasEnum   bool

	minimum, maximum             *val
	exclusiveMin, exclusiveMax   bool
	multipleOf                   *val
	minLength, maxLength         int
	minItems, maxItems           int
	minProperties, maxProperties int
	pattern                      *pattern
	uniqueItems                  bool

	properties        []property
	index             map[string]int // of properties, where there are many
	patternProperties []patternProperty
	additional        *node
	closed            bool     // additionalProperties: false
	required          []string // draft 4's list
	dependencies      []dependency

	items           *node
	tuple           []*node
	additionalItems *node
	closedTuple     bool

	allOf, anyOf, oneOf []*node
	not                 *node
	ref                 *node

	secret    bool
	deflt     *val
	mustExist bool   // draft 3's required
	shown     string // for messages
}

type property struct {
	name string
	node *node
}

type pattern struct {
	text  string
	match func(string) bool
}

type patternProperty struct {
	pattern
	node *node
}

type dependency struct {
	name  string
	names []string
	node  *node
}

// compiler turns the text of a schema into nodes.
type compiler struct {
	Options
	root val
	refs map[string]*node
	errs []error
	path []string
}

func compile(root val, o Options) (*Schema, error) {
	if o.Pattern == nil {
		o.Pattern = defaultPattern
	}
	c := &compiler{Options: o, root: root, refs: map[string]*node{}}
	n := &node{}
	c.refs["#"] = n
	c.fill(n, &c.root, o.AllowNull)
	if len(c.errs) > 0 {
		return nil, errors.Join(c.errs...)
	}
	return &Schema{root: n}, nil
}

func (c *compiler) bad(format string, args ...any) {
	where := "/" + strings.Join(c.path, "/")
	c.errs = append(c.errs, fmt.Errorf("schema at %s: %s", where, fmt.Sprintf(format, args...)))
}

func (c *compiler) in(name string, f func()) {
	c.path = append(c.path, name)
	f()
	c.path = c.path[:len(c.path)-1]
}

func (c *compiler) node(v *val, allowNull bool) *node {
	n := &node{}
	c.fill(n, v, allowNull)
	return n
}

// fill compiles a schema into n. allowNull says whether its properties may be
// null where they are optional.
func (c *compiler) fill(n *node, v *val, allowNull bool) {
	n.minLength, n.maxLength, n.minItems, n.maxItems, n.minProperties, n.maxProperties = -1, -1, -1, -1, -1, -1
	n.shown = v.repr()
	if v.kind != kindObject {
		c.bad("expected an object, found %s", v.repr())
		return
	}
	if len(c.path) > maxDepth {
		c.bad("nested too deeply")
		return
	}
	for i := range v.members {
		m := &v.members[i]
		c.in(m.name, func() {
			if !c.value(n, m.name, &m.val) && !c.collection(n, m.name, &m.val, v, allowNull) {
				c.combination(n, m.name, &m.val)
			}
		})
	}
	if len(n.properties) > 8 {
		n.index = make(map[string]int, len(n.properties))
		for i, p := range n.properties {
			n.index[p.name] = i
		}
	}
}

// value compiles the keywords about the value itself; it returns false for others.
func (c *compiler) value(n *node, name string, v *val) bool {
	switch name {
	case "type":
		c.types(n, v)
	case "enum":
		if v.kind != kindArray {
			c.bad("expected a list")
		}
		n.enum, n.hasEnum = v.items, true
	case "minimum":
		n.minimum = c.number(v)
	case "maximum":
		n.maximum = c.number(v)
	case "exclusiveMinimum":
		n.exclusiveMin = v.truth
	case "exclusiveMaximum":
		n.exclusiveMax = v.truth
	case "multipleOf":
		if n.multipleOf = c.number(v); n.multipleOf != nil && n.multipleOf.num <= 0 {
			c.bad("expected a number above 0")
			n.multipleOf = nil
		}
	case "minLength":
		n.minLength = c.count(v)
	case "maxLength":
		n.maxLength = c.count(v)
	case "minItems":
		n.minItems = c.count(v)
	case "maxItems":
		n.maxItems = c.count(v)
	case "minProperties":
		n.minProperties = c.count(v)
	case "maxProperties":
		n.maxProperties = c.count(v)
	case "uniqueItems":
		n.uniqueItems = v.truth
	case "pattern":
		n.pattern = c.pattern(v)
	case "secret":
		n.secret = v.truth
	case "default":
		n.deflt = v
	case "required":
		c.required(n, v)
	default:
		return false
	}
	return true
}

// collection compiles the keywords about members and items.
func (c *compiler) collection(n *node, name string, v, whole *val, allowNull bool) bool {
	switch name {
	case "properties":
		c.each(v, func(m *member) {
			n.properties = append(n.properties, property{m.name, c.property(&m.val, allowNull)})
		})
	case "patternProperties":
		c.each(v, func(m *member) {
			if p := c.pattern(&val{kind: kindString, str: m.name}); p != nil {
				n.patternProperties = append(n.patternProperties, patternProperty{*p, c.node(&m.val, false)})
			}
		})
	case "additionalProperties":
		n.additional, n.closed = c.orFalse(v)
	case "additionalItems":
		n.additionalItems, n.closedTuple = c.orFalse(v)
	case "items":
		if v.kind == kindArray {
			for i := range v.items {
				c.in(strconv.Itoa(i), func() { n.tuple = append(n.tuple, c.node(&v.items[i], false)) })
			}
			break
		}
		// StackStorm looks for optional members of items only below a list that
		// is declared as one.
		n.items = c.node(v, allowNull && declares(whole, "array"))
	case "dependencies":
		c.each(v, func(m *member) {
			d := dependency{name: m.name}
			if m.val.kind == kindArray {
				for i := range m.val.items {
					d.names = append(d.names, m.val.items[i].str)
				}
			} else {
				d.node = c.node(&m.val, false)
			}
			n.dependencies = append(n.dependencies, d)
		})
	default:
		return false
	}
	return true
}

// property compiles a property, which null may stand for where it is optional.
func (c *compiler) property(v *val, allowNull bool) *node {
	n := c.node(v, allowNull && declares(v, "object", "array"))
	if !allowNull || v.kind != kindObject {
		return n
	}
	if n.mustExist && n.deflt == nil || n.deflt != nil && n.deflt.kind != kindNull {
		return n
	}
	switch null := (&compiler{Options: c.Options}).node(&val{kind: kindObject, members: []member{
		{"type", val{kind: kindString, str: "null"}}}}, false); {
	case n.anyOf != nil:
		n.anyOf = append(n.anyOf, null)
	case n.oneOf != nil:
		n.oneOf = append(n.oneOf, null)
	default:
		if n.types == 0 {
			n.types, n.typeNames = typeString, []string{"string"}
		}
		if n.types&typeNull == 0 {
			n.types |= typeNull
			n.typeNames = append(n.typeNames, "null")
		}
	}
	return n
}

// declares says whether a schema's type is, or lists, one of the names.
func declares(v *val, names ...string) bool {
	t := v.member("type")
	if t == nil {
		return false
	}
	if t.kind == kindString {
		return slices.Contains(names, t.str)
	}
	return slices.ContainsFunc(t.items, func(it val) bool { return slices.Contains(names, it.str) })
}

func (c *compiler) combination(n *node, name string, v *val) {
	list := func() (nodes []*node) {
		if v.kind != kindArray || len(v.items) == 0 {
			c.bad("expected a list of schemas")
		}
		for i := range v.items {
			c.in(strconv.Itoa(i), func() { nodes = append(nodes, c.node(&v.items[i], false)) })
		}
		return nodes
	}
	switch name {
	case "allOf":
		n.allOf = list()
	case "anyOf":
		n.anyOf = list()
	case "oneOf":
		n.oneOf = list()
	case "not":
		n.not = c.node(v, false)
	case "$ref":
		n.ref = c.resolve(v)
	}
}

// resolve follows a reference inside the same document.
func (c *compiler) resolve(v *val) *node {
	ref := v.str
	if n, ok := c.refs[ref]; ok {
		return n
	}
	if v.kind != kindString || !strings.HasPrefix(ref, "#") {
		c.bad("cannot follow the reference %s: only references into the same document (#/…) are", v.repr())
		return nil
	}
	at := &c.root
	for token := range strings.SplitSeq(strings.TrimPrefix(ref[1:], "/"), "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		var next *val
		if at.kind == kindObject {
			next = at.member(token)
		} else if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(at.items) {
			next = &at.items[i]
		}
		if next == nil {
			c.bad("nothing is at %s", ref)
			return nil
		}
		at = next
	}
	n := &node{}
	c.refs[ref] = n // before its contents, which may refer to it
	c.fill(n, at, false)
	return n
}

func (c *compiler) each(v *val, f func(*member)) {
	if v.kind != kindObject {
		c.bad("expected an object, found %s", v.repr())
		return
	}
	for i := range v.members {
		c.in(v.members[i].name, func() { f(&v.members[i]) })
	}
}

func (c *compiler) orFalse(v *val) (n *node, closed bool) {
	if v.kind == kindBool {
		return nil, !v.truth
	}
	return c.node(v, false), false
}

func (c *compiler) types(n *node, v *val) {
	list := v.items
	if v.kind != kindArray {
		list = []val{*v}
	}
	for i := range list {
		t, ok := typeByName[list[i].str]
		if !ok || list[i].kind != kindString {
			c.bad("unknown type %s", list[i].repr())
			continue
		}
		n.types |= t
		n.typeNames = append(n.typeNames, list[i].str)
	}
}

func (c *compiler) required(n *node, v *val) {
	if v.kind == kindArray {
		for i := 0; i < len(v.items) && !c.AllowNull; i++ {
			n.required = append(n.required, v.items[i].str)
		}
		return
	}
	n.mustExist = v.truth
}

func (c *compiler) number(v *val) *val {
	if v.kind != kindNumber {
		c.bad("expected a number, found %s", v.repr())
		return nil
	}
	return v
}

func (c *compiler) count(v *val) int {
	if v.kind != kindNumber || !v.integer || v.num < 0 || v.num > 1<<31 {
		c.bad("expected a count, found %s", v.repr())
		return -1
	}
	return int(v.num)
}

func (c *compiler) pattern(v *val) *pattern {
	if v.kind != kindString {
		c.bad("expected a regular expression, found %s", v.repr())
		return nil
	}
	match, err := c.Pattern(v.str)
	if err != nil {
		c.bad("%v", err)
		return nil
	}
	return &pattern{v.str, match}
}
