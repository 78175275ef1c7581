package http

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep a Python literal may be nested.
const maxDepth = 200

// pythonLiteral turns a Python literal (dict, list, tuple, text, number, True,
// False, None) into JSON, in its order. A body given as text is often the text
// form of a Python value, since that is what a template makes of one.
func pythonLiteral(s string) ([]byte, error) {
	p := &literal{s: s}
	out, err := p.value(nil, 0)
	if err != nil {
		return nil, fmt.Errorf("at byte %d: %w", p.at, err)
	}
	if p.space(); p.at < len(p.s) {
		return nil, fmt.Errorf("at byte %d: something follows the value", p.at)
	}
	return out, nil
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

func (p *literal) value(out []byte, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, errors.New("nested too deep")
	}
	switch c := p.next(); {
	case c == 0:
		return nil, errors.New("a value is missing")
	case c == '[':
		out, _, err := p.list(out, ']', depth)
		return out, err
	case c == '(':
		start := len(out)
		out, commas, err := p.list(out, ')', depth)
		if err == nil && commas == 0 && len(out) > start+2 {
			out = append(out[:start], out[start+1:len(out)-1]...) // parentheses around one value
		}
		return out, err
	case c == '{':
		return p.dict(out, depth)
	case c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'):
		return p.number(out)
	case c == '\'' || c == '"':
		return p.texts(out)
	}
	word := p.word()
	if rest := p.s[p.at+len(word):]; rest != "" && (rest[0] == '\'' || rest[0] == '"') {
		return p.texts(out)
	}
	p.at += len(word)
	switch word {
	case "None":
		return append(out, "null"...), nil
	case "True":
		return append(out, "true"...), nil
	case "False":
		return append(out, "false"...), nil
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

// list reads items up to the closing bracket and says how many commas there were.
func (p *literal) list(out []byte, end byte, depth int) ([]byte, int, error) {
	p.at++
	out = append(out, '[')
	commas, items := 0, 0
	for p.next() != end {
		if items > commas {
			return nil, 0, errors.New("want a comma or the end of the list")
		}
		if items > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = p.value(out, depth+1); err != nil {
			return nil, 0, err
		}
		items++
		if p.next() == ',' {
			p.at++
			commas++
		}
	}
	p.at++
	return append(out, ']'), commas, nil
}

func (p *literal) dict(out []byte, depth int) ([]byte, error) {
	p.at++
	out = append(out, '{')
	commas, items := 0, 0
	for p.next() != '}' {
		if items > commas {
			return nil, errors.New("want a comma or the end of the dict")
		}
		if items > 0 {
			out = append(out, ',')
		}
		key, err := p.value(nil, depth+1)
		switch {
		case err != nil:
			return nil, err
		case p.next() != ':':
			return nil, errors.New("want a colon after the key")
		case key[0] == '[' || key[0] == '{':
			return nil, errors.New("a list or dict cannot be a key")
		case key[0] != '"':
			key = jsonText(string(key))
		}
		p.at++
		out = append(append(out, key...), ':')
		if out, err = p.value(out, depth+1); err != nil {
			return nil, err
		}
		items++
		if p.next() == ',' {
			p.at++
			commas++
		}
	}
	p.at++
	return append(out, '}'), nil
}

func (p *literal) number(out []byte) ([]byte, error) {
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
		return i.Append(out, 10), nil
	}
	if strings.ContainsAny(text, "xXpPnN") {
		return nil, fmt.Errorf("%q is not a number", word)
	}
	f, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
	if err != nil || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%q is not a number", word)
	}
	p.at += n
	raw, err := json.Marshal(f)
	if err == nil && !strings.ContainsAny(string(raw), ".e") {
		raw = append(raw, ".0"...)
	}
	return append(out, raw...), err
}

// texts reads a text; texts that follow one another are one.
func (p *literal) texts(out []byte) ([]byte, error) {
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
	return append(out, jsonText(b.String())...), nil
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
