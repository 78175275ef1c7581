package rules

import (
	"math"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// opNames are the operators of patterns, as documents write them.
var opNames = map[op]string{
	opPrefix: "prefix", opSuffix: "suffix", opFold: "equals-ignore-case", opWildcard: "wildcard", opRange: "numeric",
	opCIDR: "cidr", opExists: "exists", opAbsent: "exists", opNot: "anything-but",
}

// appendJSON spells an alternative as a pattern would.
func (a *alternative) appendJSON(b []byte) []byte {
	switch a.op {
	case opString, opIP:
		return value.AppendString(b, a.text, false)
	case opNumber:
		return append(b, a.text...)
	case opNull:
		return append(b, "null"...)
	case opTrue:
		return append(b, "true"...)
	case opFalse:
		return append(b, "false"...)
	}
	b = append(append(append(b, `{"`...), opNames[a.unfolded()]...), `":`...)
	switch a.op {
	case opExists:
		b = append(b, "true"...)
	case opAbsent:
		b = append(b, "false"...)
	case opCIDR:
		b = append(append(append(b, '"'), a.net.String()...), '"')
	case opWildcard:
		s := strings.NewReplacer(`\`, `\\`, "*", `\*`, string([]byte{star}), "*").Replace(a.text)
		b = value.AppendString(b, s, false)
	case opPrefixFold, opSuffixFold:
		b = append(b, `{"equals-ignore-case":`...)
		b = append(value.AppendString(b, a.text, false), '}')
	case opRange:
		b = a.appendBounds(b)
	case opNot:
		b = append(b, '[')
		for i := range *a.sub {
			if i > 0 {
				b = append(b, ',')
			}
			b = (*a.sub)[i].appendJSON(b)
		}
		b = append(b, ']')
	default:
		b = value.AppendString(b, a.text, false)
	}
	return append(b, '}')
}

// unfolded is the operator under which a document writes the alternative.
func (a *alternative) unfolded() op {
	switch a.op {
	case opPrefixFold:
		return opPrefix
	case opSuffixFold:
		return opSuffix
	}
	return a.op
}

func (a *alternative) appendBounds(b []byte) []byte {
	b = append(b, '[')
	bound := func(sign string, open bool, x float64) {
		if math.IsInf(x, 0) {
			return
		}
		if b[len(b)-1] != '[' {
			b = append(b, ',')
		}
		if !open {
			sign += "="
		}
		b = append(append(append(b, '"'), sign...), `",`...)
		b = strconv.AppendFloat(b, x, 'g', -1, 64)
	}
	if a.lo == a.hi {
		bound("", false, a.lo)
	} else {
		bound(">", a.loOpen, a.lo)
		bound("<", a.hiOpen, a.hi)
	}
	return append(b, ']')
}
