package yaql

import (
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// ptype is the type of a parameter. A name that ends in N takes null as well.
type ptype uint8

const (
	tAny    ptype = iota // anything, null too
	tObject              // anything but null
	tNull
	tStr
	tStrN
	tInt // bools are integers
	tIntN
	tInteger // bools are not
	tNumber  // bools are not
	tNumberN
	tBool
	tBoolN
	tIterable
	tIterableNoSet
	tIterator
	tSeq
	tSeqN
	tMap
	tSet
	tRegex
	tDate
	tSpan
	tSpanN
	tOrdering
	tRule
	tLambda
	tLazyRule
)

// lazy says whether arguments of the type stay unevaluated.
func (t ptype) lazy() bool { return t == tLambda || t == tLazyRule }

// accepts says whether a node or value may be an argument of the type. Nodes that
// are no constants may become anything.
func (t ptype) accepts(v any) bool {
	switch t {
	case tAny, tLambda:
		return true
	case tLazyRule:
		_, ok := v.(*ruleNode)
		return ok
	}
	if n, ok := v.(node); ok {
		c, ok := n.(*constNode)
		if !ok {
			return true
		}
		v = c.val
	}
	if v == nil {
		switch t {
		case tNull, tStrN, tIntN, tNumberN, tBoolN, tSpanN, tSeqN:
			return true
		}
		return false
	}
	return t.holds(v)
}

// holds says whether a value that is not null is of the type.
func (t ptype) holds(v any) bool {
	ok := false
	switch t {
	case tObject:
		ok = true
	case tStr, tStrN:
		_, ok = v.(string)
	case tInt, tIntN:
		switch v.(type) {
		case int64, bool, *big.Int:
			ok = true
		}
	case tInteger:
		ok = value.IsInt(v)
	case tNumber, tNumberN:
		_, ok = v.(float64)
		ok = ok || value.IsInt(v)
	case tBool, tBoolN:
		_, ok = v.(bool)
	case tIterable:
		ok = isIterable(v)
	case tIterableNoSet:
		ok = isIterable(v) && !isSet(v)
	case tIterator:
		ok = isIterator(v)
	case tSeq, tSeqN:
		ok = isSequence(v)
	case tMap:
		_, ok = asMap(v)
	case tSet:
		ok = isSet(v)
	case tRegex:
		_, ok = v.(*pattern)
	case tDate:
		_, ok = v.(*datetime)
	case tSpan, tSpanN:
		_, ok = v.(*timespan)
	case tOrdering:
		_, ok = v.(*ordering)
	case tRule:
		_, ok = v.(*rule)
	}
	return ok
}

// under says whether every value of t is one of u but not the other way round.
func (t ptype) under(u ptype) bool {
	switch u {
	case tAny, tObject:
		return t != tAny && t != tObject && !t.lazy()
	case tIterable, tIterableNoSet:
		switch t {
		case tIterator, tSeq, tSet, tMap, tOrdering, tStr, tStrN:
			return true
		}
	case tInt, tIntN:
		return t == tBool || t == tBoolN
	}
	return false
}
