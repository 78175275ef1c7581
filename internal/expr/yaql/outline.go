package yaql

import "slices"

// Mention is a place in an expression where it names its context, or calls a
// function by name.
type Mention struct {
	At   int    // byte at which it begins
	Name string // of the function; "" for the context itself, $
	// Inner says that it stands in a predicate or selector of a function such as where,
	// in which $ is not the context but the value at hand.
	Inner bool
}

// predicates are the functions whose arguments, beside the first of a call that is no
// method, have a $ of their own.
var predicates = []string{"accumulate", "aggregate", "all", "any", "assert", "call", "def", "distinct", "filter", "generate", "generateMany", "groupBy",
	"indexWhere", "join", "lambda", "lastIndexWhere", "map", "mergeWith", "orderBy", "orderByDescending", "reduce", "replaceBy", "search", "select",
	"selectMany", "skipWhile", "sliceWhere", "splitWhere", "takeWhile", "thenBy", "thenByDescending", "toDict", "where"}

// Outline returns what an expression mentions, in the order of the text. into says
// that it passes a value on with ->, of which the right side may have another $.
func Outline(expr string) (ms []Mention, into bool, err error) {
	root, err := parse(expr)
	if err != nil {
		return nil, false, err
	}
	bytes := make([]int, 0, len(expr)+1) // of each character
	for i := range expr {
		bytes = append(bytes, i)
	}
	bytes = append(bytes, len(expr))
	var walk func(n any, inner, method bool)
	walk = func(n any, inner, method bool) {
		switch n := n.(type) {
		case *varNode:
			if n.index == 1 {
				ms = append(ms, Mention{At: bytes[n.offset()], Inner: inner})
			}
		case *wrapNode:
			walk(n.inner, inner, false)
		case *ruleNode:
			walk(n.key, inner, false)
			walk(n.val, inner, false)
		case *callNode:
			if n.byName {
				ms = append(ms, Mention{At: bytes[n.offset()], Name: n.name, Inner: inner})
			}
			into = into || n.op == opInto
			own := n.byName && slices.Contains(predicates, n.name)
			for i, a := range n.args {
				walk(a, inner || own && (method || i > 0), i == 1 && (n.op == opDot || n.op == opSafeDot))
			}
		}
	}
	walk(root, false, false)
	slices.SortStableFunc(ms, func(a, b Mention) int { return a.At - b.At })
	return ms, into, nil
}
