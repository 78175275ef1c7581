package yaql

// node is a part of an expression. All nodes are immutable.
type node interface{ offset() int }

// at is where a node starts, in characters.
type at int

func (p at) offset() int { return int(p) }

// constNode is a literal. A bare word is a keyword: as an argument's name, as
// the right side of a dot, and otherwise as the string it spells.
type constNode struct {
	at
	val     any
	keyword bool
}

// varNode is $, $1, $name. index is its number where it has one (1 for $).
type varNode struct {
	at
	name  string
	index int
}

// wrapNode is an expression in parentheses, which is no constant any more.
type wrapNode struct {
	at
	inner node
}

// ruleNode is key => value.
type ruleNode struct {
	at
	key, val node
}

// callNode is everything that Python's yaql treats as the call of a function:
// calls by name, operators, index, list and map. Only calls by name can stand to
// the right of a dot.
type callNode struct {
	at
	name   string
	args   []any // node, or skipped for an argument left out
	byName bool
	op     opcode
}

// opcode selects the operators that have a path of their own.
type opcode uint8

const (
	opCall opcode = iota
	opDot
	opSafeDot
	opIndex
	opList
	opMap
	opAnd
	opOr
	opNot
	opEqual
	opNotEqual
	opLess
	opLessEqual
	opGreater
	opGreaterEqual
	opAdd
	opSub
	opMul
	opDiv
	opMod
	opNeg
	opPos
	opIn
	opInto
	opMatch
	opNotMatch
)

// isConst returns the constant that n is.
func isConst(n any) (*constNode, bool) {
	c, ok := n.(*constNode)
	return c, ok
}
