// Package pyliteral reads Python literals: what ast.literal_eval accepts of texts,
// numbers, lists, tuples, dicts, sets, True, False and None. A text that a template
// made of a value is such a literal, so StackStorm takes it where JSON is wanted.
package pyliteral

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// maxDepth bounds how deep a literal may be nested.
const maxDepth = 200

// Parse returns the value of a literal. Dicts keep their order. Bytes and complex
// numbers are errors, as is anything that is computed; errors name the byte.
func Parse(s string) (any, error) {
	p := &literal{s: s}
	v, err := p.value(0)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", p.at, err)
	}
	if p.space(); p.at < len(p.s) {
		return nil, fmt.Errorf("at byte %d: something follows the value", p.at)
	}
	return v, nil
}

// literal is a reading position.
type literal struct {
	s  string
	at int
}

func (p *literal) space() {
	for p.at < len(p.s) && strings.IndexByte(" \t\r\n\f", p.s[p.at]) >= 0 {
		p.at++
	}
}

// next returns the next byte that is not white space, 0 at the end.
func (p *literal) next() byte {
	if p.space(); p.at < len(p.s) {
		return p.s[p.at]
	}
	return 0
}

func (p *literal) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deep")
	}
	switch c := p.next(); {
	case c == 0:
		return nil, errors.New("a value is missing")
	case c == '[':
		items, _, err := p.items(']', depth)
		return value.List(items), err
	case c == '(':
		items, commas, err := p.items(')', depth)
		if err == nil && commas == 0 && len(items) == 1 {
			return items[0], nil // parentheses around one value
		}
		return value.Tuple(items), err
	case c == '{':
		return p.braces(depth)
	case c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'):
		return p.number()
	case c == '\'' || c == '"':
		return p.texts()
	}
	word := p.word()
	if rest := p.s[p.at+len(word):]; rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		return p.texts()
	}
	p.at += len(word)
	switch word {
	case "None":
		return nil, nil
	case "True":
		return true, nil
	case "False":
		return false, nil
	}
	p.at -= len(word)
	return nil, errors.New("not a literal")
}

func (p *literal) word() string {
	n := 0
	for rest := p.s[p.at:]; n < len(rest) && (rest[n] == '_' || rest[n]|0x20 >= 'a' && rest[n]|0x20 <= 'z'); n++ {
	}
	return p.s[p.at : p.at+n]
}

// items reads up to the closing bracket and says how many commas there were.
func (p *literal) items(end byte, depth int) (out []any, commas int, err error) {
	p.at++
	for p.next() != end {
		if len(out) > commas {
			return nil, 0, errors.New("want a comma or the end of the list")
		}
		v, err := p.value(depth + 1)
		if err != nil {
			return nil, 0, err
		}
		out = append(out, v)
		commas += p.comma()
	}
	p.at++
	return out, commas, nil
}

// comma passes over a comma and says how many there were.
func (p *literal) comma() int {
	if p.next() != ',' {
		return 0
	}
	p.at++
	return 1
}

// braces reads a dict, or a set.
func (p *literal) braces(depth int) (any, error) {
	p.at++
	m := new(value.Map)
	var set []any
	entries, commas := 0, 0
	for p.next() != '}' {
		if entries > commas {
			return nil, errors.New("want a comma or the end of the dict")
		}
		key, err := p.value(depth + 1)
		if err != nil {
			return nil, err
		}
		if err := value.Hashable(key); err != nil {
			return nil, errors.New("a list or dict cannot be a key")
		}
		switch {
		case p.next() != ':' && (entries == 0 || set != nil):
			set = append(set, key)
		case p.next() != ':':
			return nil, errors.New("want a colon after the key")
		case set != nil:
			return nil, errors.New("a set cannot hold pairs")
		default:
			p.at++
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			m.Set(key, v)
		}
		entries++
		commas += p.comma()
	}
	p.at++
	if set != nil {
		return value.NewSet(set...), nil
	}
	return m, nil
}

func (p *literal) number() (any, error) {
	n := 0
	rest := p.s[p.at:]
	for n < len(rest) {
		c := rest[n]
		sign := (c == '-' || c == '+') && (n == 0 || rest[n-1]|0x20 == 'e' && !strings.HasPrefix(strings.TrimLeft(rest, "+-"), "0x"))
		if !sign && c != '.' && c != '_' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			break
		}
		n++
	}
	word := rest[:n]
	text := strings.TrimPrefix(word, "+")
	if i, ok := new(big.Int).SetString(text, 0); ok && len(text) <= 4300 {
		digits := strings.TrimLeft(text, "-")
		if len(digits) > 1 && digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9' && i.Sign() != 0 {
			return nil, fmt.Errorf("%q has a leading zero", word)
		}
		p.at += n
		return value.BigInt(i), nil
	}
	if strings.ContainsAny(text, "xXpPnN") {
		return nil, fmt.Errorf("%q is not a number", word)
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%q is not a number", word)
	}
	p.at += n
	return f, nil
}

// texts reads a text; texts that follow one another are one.
func (p *literal) texts() (any, error) {
	var b strings.Builder
	for {
		word := ""
		if c := p.next(); c != '\'' && c != '"' {
			word = p.word()
			rest := p.s[p.at+len(word):]
			if rest == "" || (rest[0] != '\'' && rest[0] != '"') {
				break
			}
		}
		raw := false
		switch strings.ToLower(word) {
		case "", "u":
		case "r":
			raw = true
		default:
			return nil, fmt.Errorf("texts with the prefix %q have no JSON form", word)
		}
		p.at += len(word)
		if err := p.text(&b, raw); err != nil {
			return nil, err
		}
	}
	return b.String(), nil
}

func (p *literal) text(b *strings.Builder, raw bool) error {
	quote := p.s[p.at : p.at+1]
	if triple := strings.Repeat(quote, 3); strings.HasPrefix(p.s[p.at:], triple) {
		quote = triple
	}
	p.at += len(quote)
	for p.at < len(p.s) {
		rest := p.s[p.at:]
		switch c := rest[0]; {
		case strings.HasPrefix(rest, quote):
			p.at += len(quote)
			return nil
		case c == '\n' && len(quote) == 1:
			return errors.New("the text is not closed on its line")
		case c != '\\':
			b.WriteByte(c)
			p.at++
		case len(rest) < 2:
			return errors.New("the text is not closed")
		case raw:
			b.WriteString(rest[:2])
			p.at += 2
		default:
			n, err := escape(b, rest[1:])
			if err != nil {
				return err
			}
			p.at += 1 + n
		}
	}
	return errors.New("the text is not closed")
}

// simpleEscapes are what stands behind a backslash, and what it means.
var simpleEscapes = map[byte]string{'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f",
	'n': "\n", 'r': "\r", 't': "\t", 'v': "\v"}

// escape writes what the escape sequence means and returns its length without
// the backslash. An unknown one means itself.
func escape(b *strings.Builder, s string) (int, error) {
	if text, ok := simpleEscapes[s[0]]; ok {
		b.WriteString(text)
		return 1, nil
	}
	digits, base := 0, 16
	from := 1
	switch {
	case s[0] == 'x':
		digits = 2
	case s[0] == 'u':
		digits = 4
	case s[0] == 'U':
		digits = 8
	case s[0] >= '0' && s[0] <= '7':
		base, from = 8, 0
		for digits < 3 && digits < len(s) && s[digits] >= '0' && s[digits] <= '7' {
			digits++
		}
	default:
		b.WriteByte('\\')
		_, n := utf8.DecodeRuneInString(s)
		b.WriteString(s[:n])
		return n, nil
	}
	if len(s) < from+digits {
		return 0, errors.New("an escape sequence is cut short")
	}
	n, err := strconv.ParseUint(s[from:from+digits], base, 32)
	if err != nil || n > utf8.MaxRune {
		return 0, fmt.Errorf("\\%s is not an escape sequence", s[:from+digits])
	}
	b.WriteRune(rune(n))
	return from + digits, nil
}
