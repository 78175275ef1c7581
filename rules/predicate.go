package rules

import (
	"bytes"
	"net/netip"
	"strconv"
	"strings"
)

// op is what an alternative asks of a value.
type op uint8

const (
	opString op = iota // equals the text
	opIP               // equals the text, or is the same IP address
	opNumber           // is the same number
	opNull             // the literals
	opTrue
	opFalse
	opFold       // equals the folded text, folded
	opPrefix     // begins with the text
	opSuffix     // ends with it
	opPrefixFold // the same of the folded value
	opSuffixFold
	opContains // the text occurs in it
	opWildcard // matches the text, in which star is the wild card
	opRange    // is a number between lo and hi
	opCIDR     // is an address in the network
	opExists   // any value
	opAbsent   // no value: never true of one
	opNot      // none of the alternatives in sub holds
)

// alternative is one of the values that a predicate allows.
//
// There are many of them, and checking one should touch one line of cache: what
// few need is behind pointers.
type alternative struct {
	text string
	// lo and hi bound opRange; lo is also opNumber's value.
	lo, hi         float64
	net            *netip.Prefix // of opIP and opCIDR
	sub            *alternatives // of opNot
	op             op
	loOpen, hiOpen bool
	long           bool // the number in text has more digits than a double holds
}

type alternatives []alternative

// predicate says that a value at a place satisfies one of the alternatives.
type predicate struct {
	path pathID
	alts []alternative
}

// star stands for any run of characters in a compiled wildcard. It never occurs
// in UTF-8 text.
const star = 0xff

// holds says whether a value satisfies an alternative.
func (v *view) holds(a *alternative, f *field) bool {
	switch a.op {
	case opExists:
		return true
	case opAbsent:
		return false
	case opNot:
		for i := range *a.sub {
			if v.holds(&(*a.sub)[i], f) {
				return false
			}
		}
		return true
	case opNull:
		return f.kind == kindNull
	case opTrue:
		return f.kind == kindTrue
	case opFalse:
		return f.kind == kindFalse
	case opNumber:
		return f.kind == kindNumber && sameNumber(a, f)
	case opRange:
		return f.kind == kindNumber && inRange(a, f.number())
	}
	return f.kind == kindString && v.textHolds(a, f.val)
}

func (v *view) textHolds(a *alternative, s []byte) bool {
	switch a.op {
	case opString:
		return string(s) == a.text
	case opIP:
		return string(s) == a.text || sameAddress(a.net.Addr(), s)
	case opPrefix:
		return len(s) >= len(a.text) && string(s[:len(a.text)]) == a.text
	case opSuffix:
		return len(s) >= len(a.text) && string(s[len(s)-len(a.text):]) == a.text
	case opContains:
		return bytes.Contains(s, bytesOf(a.text))
	case opFold:
		return string(v.folded(s)) == a.text
	case opPrefixFold:
		return bytes.HasPrefix(v.folded(s), bytesOf(a.text))
	case opSuffixFold:
		return bytes.HasSuffix(v.folded(s), bytesOf(a.text))
	case opWildcard:
		return glob(a.text, s)
	case opCIDR:
		addr, ok := parseAddress(s)
		return ok && a.net.Contains(addr)
	}
	return false
}

// folded returns the text folded, in scratch space that the next call reuses.
func (v *view) folded(s []byte) []byte {
	v.fold = appendFolded(v.fold[:0], s)
	return v.fold
}

// glob matches s against a compiled wildcard in linear time: the pieces between
// stars are found from left to right, each at its first place.
func glob(pattern string, s []byte) bool {
	i := strings.IndexByte(pattern, star)
	if i < 0 {
		return string(s) == pattern
	}
	if len(s) < i || string(s[:i]) != pattern[:i] {
		return false
	}
	s, pattern = s[i:], pattern[i+1:]
	for {
		i = strings.IndexByte(pattern, star)
		if i < 0 {
			return len(s) >= len(pattern) && string(s[len(s)-len(pattern):]) == pattern
		}
		j := bytes.Index(s, bytesOf(pattern[:i]))
		if j < 0 {
			return false
		}
		s, pattern = s[j+i:], pattern[i+1:]
	}
}

func inRange(a *alternative, x float64) bool {
	if a.loOpen && x <= a.lo || x < a.lo {
		return false
	}
	return x < a.hi || x == a.hi && !a.hiOpen
}

// number returns the field's value as a double.
func (f *field) number() float64 {
	if f.flags&numRead == 0 {
		f.num, f.flags = 0, f.flags|numRead
		x, long := parseNumber(f.val)
		f.num = x
		if long {
			f.flags |= numLong
		}
	}
	return f.num
}

// parseNumber reads a JSON number; long says that its digits may say more than
// a double does.
func parseNumber(s []byte) (x float64, long bool) {
	i, neg := 0, false
	if i < len(s) && s[i] == '-' {
		neg, i = true, 1
	}
	if n := len(s) - i; n > 0 && n <= 15 {
		var u int64
		for ; i < len(s) && s[i]-'0' <= 9; i++ {
			u = u*10 + int64(s[i]-'0')
		}
		if i == len(s) {
			if neg {
				return float64(-u), false
			}
			return float64(u), false
		}
	}
	// Out of range gives an infinity, which orders as it should.
	x, _ = strconv.ParseFloat(textOf(s), 64)
	digits := 0
	for _, c := range s {
		if c == 'e' || c == 'E' {
			break
		}
		if c >= '0' && c <= '9' && (digits > 0 || c != '0') {
			digits++
		}
	}
	return x, digits > 15 || x > 1e300 || x < -1e300 || x == 0 && digits > 0
}

// sameNumber compares the numbers that JSON spells, exactly.
func sameNumber(a *alternative, f *field) bool {
	if f.number() != a.lo {
		return false
	}
	return !a.long && f.flags&numLong == 0 || sameDecimal(a.text, textOf(f.val))
}

// sameDecimal compares two JSON numbers digit by digit.
func sameDecimal(a, b string) bool {
	negA, digitsA, expA := decimal(a)
	negB, digitsB, expB := decimal(b)
	if digitsA == "" && digitsB == "" {
		return true
	}
	return negA == negB && expA == expB && digitsA == digitsB
}

// decimal splits a number into sign, digits without outer zeros, and the
// exponent of a point before the first digit.
func decimal(s string) (neg bool, digits string, exp int) {
	neg = strings.HasPrefix(s, "-")
	s = strings.TrimPrefix(s, "-")
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		// An exponent beyond int is as good as the largest one.
		exp, _ = strconv.Atoi(s[i+1:])
		exp = max(min(exp, 1<<30), -1<<30)
		s = s[:i]
	}
	whole, frac, _ := strings.Cut(s, ".")
	digits = whole + frac
	exp += len(whole)
	for strings.HasPrefix(digits, "0") {
		digits = digits[1:]
		exp--
	}
	return neg, strings.TrimRight(digits, "0"), exp
}

// parseAddress reads an IP address without zone.
func parseAddress(s []byte) (netip.Addr, bool) {
	// The longest form is an IPv6 address with an IPv4 tail.
	if len(s) < 2 || len(s) > 45 || bytes.IndexByte(s, '.') < 0 && bytes.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c >= 'A' && c <= 'F', c == ':', c == '.':
		default:
			return netip.Addr{}, false
		}
	}
	a, err := netip.ParseAddr(textOf(s))
	return a, err == nil
}

func sameAddress(a netip.Addr, s []byte) bool {
	b, ok := parseAddress(s)
	return ok && a == b
}

// any says whether some value at the predicate's place satisfies it, wherever
// it lies.
func (v *view) any(p *predicate) bool {
	if h := v.first(p.path); h >= 0 && v.heads[p.path].n >= many {
		if holds, done := v.anyOfMany(p); done {
			return holds
		}
	}
	absent := true
	for i := v.first(p.path); i >= 0; i = v.fields[i].next {
		f := &v.fields[i]
		if f.kind >= kindArray {
			continue
		}
		absent = false
		for k := range p.alts {
			if v.holds(&p.alts[k], f) {
				return true
			}
		}
	}
	return absent && p.allowsAbsence()
}

// anyOfMany decides a predicate that names single values by looking them up.
func (v *view) anyOfMany(p *predicate) (holds, done bool) {
	for k := range p.alts {
		key, ok := p.alts[k].key(v.w, p.path)
		if !ok {
			return false, false
		}
		f, known := v.lookup(p.path, key)
		if !known {
			return false, false
		}
		if f != nil {
			if v.holds(&p.alts[k], f) {
				return true, true
			}
			return false, false // another value may have this key
		}
	}
	return false, true
}

// key is the key of the value that the alternative names, false where it names
// no single one.
func (a *alternative) key(w *paths, p pathID) (uint64, bool) {
	switch a.op {
	case opString:
		return textKey(w, p, keyString, bytesOf(a.text)), true
	case opNumber:
		return bitsKey(w, p, keyNumber, numberBits(a.lo)), true
	case opNull, opTrue, opFalse:
		return bitsKey(w, p, keyLiteral, literalBits(a.op)), true
	}
	return 0, false
}

func (p *predicate) allowsAbsence() bool {
	for k := range p.alts {
		if p.alts[k].op == opAbsent {
			return true
		}
	}
	return false
}

// allows says whether one value satisfies the predicate.
func (v *view) allows(p *predicate, f *field) bool {
	if f.kind >= kindArray {
		return false
	}
	for k := range p.alts {
		if v.holds(&p.alts[k], f) {
			return true
		}
	}
	return false
}
