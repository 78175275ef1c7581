package cesql

import (
	"slices"
	"strings"
)

// Need is a condition on attributes without which an expression is not true. It
// may hold although the expression does not, never the other way round: an
// index may look at it first.
type Need struct {
	Kind      NeedKind
	Of        []Need // of NeedAll and NeedAny
	Attribute string
	Test      Test
	Text      string
}

// NeedKind says how a Need is made up.
type NeedKind uint8

// The kinds of Need.
const (
	NeedNothing   NeedKind = iota // nothing is known
	NeedAll                       // all of Of
	NeedAny                       // at least one of Of
	NeedAttribute                 // a test of an attribute's canonical text
)

// Test is what an attribute's text must be like.
type Test uint8

// The tests.
const (
	IsPresent Test = iota
	IsEqual
	HasPrefix
	HasSuffix
)

// Needs derives what the expression needs in order to be true.
func (x *Expression) Needs() Need { return x.root.needs() }

func (n *node) needs() Need {
	switch n.op {
	case "AND":
		return Need{Kind: NeedAll, Of: []Need{n.args[0].needs(), n.args[1].needs()}}
	case "OR":
		return Need{Kind: NeedAny, Of: []Need{n.args[0].needs(), n.args[1].needs()}}
	case "EXISTS":
		return Need{Kind: NeedAttribute, Attribute: n.name}
	case "attribute":
		return n.test(IsPresent, "")
	case "=":
		// The left side is cast to the type of the right one, so the text counts
		// only where that is a string.
		if s, ok := n.args[1].val.Text(); ok && n.args[1].op == "literal" && n.args[0].op == "attribute" {
			return n.args[0].test(IsEqual, s)
		}
		return n.operands()
	case "!=", "<>", "<", "<=", ">", ">=":
		return n.operands()
	case "LIKE":
		return n.likeNeeds()
	case "IN":
		return n.inNeeds()
	}
	return Need{}
}

func (n *node) test(t Test, text string) Need {
	return Need{Kind: NeedAttribute, Attribute: n.name, Test: t, Text: text}
}

// operands needs the attributes that are compared: a missing one is an error.
func (n *node) operands() Need {
	all := Need{Kind: NeedAll}
	for _, x := range n.args {
		if x.op == "attribute" {
			all.Of = append(all.Of, x.test(IsPresent, ""))
		}
	}
	if len(all.Of) == 0 {
		return Need{}
	}
	return all
}

func (n *node) likeNeeds() Need {
	x := n.args[0]
	if x.op != "attribute" {
		return Need{}
	}
	all := Need{Kind: NeedAll, Of: []Need{x.test(IsPresent, "")}}
	if n.not || len(n.like) == 0 {
		return all
	}
	first, last := n.like[0], n.like[len(n.like)-1]
	switch {
	case len(n.like) == 1 && first.text != "":
		all.Of = append(all.Of, x.test(IsEqual, first.text))
	default:
		if first.text != "" {
			all.Of = append(all.Of, x.test(HasPrefix, first.text))
		}
		if last.text != "" {
			all.Of = append(all.Of, x.test(HasSuffix, last.text))
		}
	}
	return all
}

// inNeeds needs one of the listed texts. The members are cast to the type of
// the attribute, so a text counts only where that does not change it.
func (n *node) inNeeds() Need {
	x := n.args[0]
	if x.op != "attribute" {
		return Need{}
	}
	if n.not {
		return x.test(IsPresent, "")
	}
	some := Need{Kind: NeedAny}
	for _, e := range n.args[1:] {
		s, ok := e.val.Text()
		if e.op != "literal" || !ok || !castsToItself(s, x.name) {
			return x.test(IsPresent, "")
		}
		some.Of = append(some.Of, x.test(IsEqual, s))
	}
	return some
}

// castsToItself says whether a text equals the canonical text of what it is cast
// to, whatever the type of the attribute.
func castsToItself(s, attribute string) bool {
	if slices.Contains([]string{"id", "source", "type", "subject", "specversion", "time", "datacontenttype", "dataschema"}, attribute) {
		return true
	}
	if i, ok := parseInt(s); ok && integer(i).String() != s {
		return false
	}
	return !strings.EqualFold(s, "true") && !strings.EqualFold(s, "false") || s == strings.ToLower(s)
}
