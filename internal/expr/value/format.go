package value

import (
	"fmt"
	"math/big"
	"strings"
	"unicode/utf8"
)

// maxWidth bounds a field of formatted text.
const maxWidth = 1 << 20

// Percent is Python's format % args. show gives the text of a value, its repr
// where asked; nil means Str and Repr. The budget bounds the result.
func Percent(format string, args any, budget *Budget, show func(v any, repr bool) (string, error)) (string, error) {
	if show == nil {
		show = func(v any, repr bool) (string, error) {
			if repr {
				return Repr(v), nil
			}
			return Str(v), nil
		}
	}
	p := &percent{budget: budget, show: show, args: args}
	if t, ok := args.(Tuple); ok {
		p.list, p.isTuple = t, true
	} else {
		p.list = []any{args}
	}
	if err := p.run(format); err != nil {
		return "", err
	}
	_, isMap := args.(*Map)
	if _, ok := args.(interface{ PyMapping() }); ok {
		isMap = true
	}
	_, isList := listItems(args)
	if p.next < len(p.list) && !isMap && !(isList && !p.isTuple) {
		return "", TypeErrorf("not all arguments converted during string formatting")
	}
	return string(p.b), nil
}

type percent struct {
	b       []byte
	budget  *Budget
	show    func(any, bool) (string, error)
	args    any
	list    []any
	isTuple bool
	next    int
}

func (p *percent) arg() (any, error) {
	if p.next >= len(p.list) {
		return nil, TypeErrorf("not enough arguments for format string")
	}
	p.next++
	return p.list[p.next-1], nil
}

func (p *percent) run(f string) error {
	for i := 0; i < len(f); {
		k := strings.IndexByte(f[i:], '%')
		if k < 0 {
			p.b = append(p.b, f[i:]...)
			return p.budget.Grow(len(f) - i)
		}
		p.b = append(p.b, f[i:i+k]...)
		n, err := p.field(f, i+k+1)
		if err != nil {
			return err
		}
		i = n
	}
	return nil
}

// field writes one conversion that begins behind its percent sign and returns
// where it ends.
func (p *percent) field(f string, i int) (int, error) {
	var s Spec
	s.precision = -1
	var v any
	has := false
	if i < len(f) && f[i] == '(' {
		depth, start := 1, i+1
		for i++; i < len(f) && depth > 0; i++ {
			switch f[i] {
			case '(':
				depth++
			case ')':
				depth--
			}
		}
		if depth > 0 {
			return 0, ValueErrorf("incomplete format key")
		}
		m, ok := p.args.(*Map)
		if !ok {
			return 0, TypeErrorf("format requires a mapping")
		}
		key := f[start : i-1]
		if v, ok = m.Str(key); !ok {
			return 0, Raise("KeyError", "%s", Repr(key))
		}
		has = true
	}
	left := false
	for ; i < len(f) && strings.IndexByte("-+ #0", f[i]) >= 0; i++ {
		switch f[i] {
		case '-':
			left = true
		case '+':
			s.sign = '+'
		case ' ':
			if s.sign == 0 {
				s.sign = ' '
			}
		case '#':
			s.alt = true
		case '0':
			s.fill, s.align = "0", '='
		}
	}
	var err error
	if i, s.width, err = p.number(f, i); err != nil {
		return 0, err
	}
	if s.width < 0 {
		left, s.width = true, -s.width
	}
	if i < len(f) && f[i] == '.' {
		if i, s.precision, err = p.number(f, i+1); err != nil {
			return 0, err
		}
		s.precision = max(s.precision, 0)
	}
	for i < len(f) && strings.IndexByte("hlL", f[i]) >= 0 {
		i++
	}
	if i >= len(f) {
		return 0, ValueErrorf("incomplete format")
	}
	c, n := utf8.DecodeRuneInString(f[i:])
	if c == '%' && f[i-1] == '%' {
		p.b = append(p.b, '%')
		return i + n, nil
	}
	if !has {
		if v, err = p.arg(); err != nil {
			return 0, err
		}
	}
	if left {
		s.fill, s.align = "", '<'
	} else if s.align == 0 {
		s.align = '>'
	}
	if s.width > maxWidth || s.precision > maxWidth {
		return 0, fmt.Errorf("format a text: field is too wide: %w", ErrLimit)
	}
	text, err := p.convert(c, v, &s, utf8.RuneCountInString(f[:i]))
	if err != nil {
		return 0, err
	}
	p.b = append(p.b, text...)
	return i + n, p.budget.Grow(len(text) + 1)
}

// number reads a width or precision, which may be a star.
func (p *percent) number(f string, i int) (int, int, error) {
	if i < len(f) && f[i] == '*' {
		v, err := p.arg()
		if err != nil {
			return 0, 0, err
		}
		n, ok := plain(v).(int64)
		if !ok {
			return 0, 0, TypeErrorf("* wants int")
		}
		return i + 1, int(min(max(n, -maxWidth-1), maxWidth+1)), nil
	}
	n := 0
	for ; i < len(f) && isDigit(f[i]); i++ {
		n = min(n*10+int(f[i]-'0'), maxWidth+1)
	}
	return i, n, nil
}

func (p *percent) convert(c rune, v any, s *Spec, at int) (string, error) {
	switch c {
	case 's', 'r', 'a':
		t, err := p.show(v, c != 's')
		if c == 'a' {
			t = escapeNonASCII(t)
		}
		if s.align == '=' {
			s.align, s.fill = '>', ""
		}
		return s.text(t), err
	case 'd', 'i', 'u':
		i, err := percentInt(c, v)
		if err != nil {
			return "", err
		}
		return s.digits(i, 10, ""), nil
	case 'x', 'X', 'o':
		i, ok := ToBig(v)
		if !ok {
			return "", TypeErrorf("%%%c format: an integer is required, not %s", c, Type(v))
		}
		s.kind = c
		return s.integer(i)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		x, err := ToFloat(v)
		if err != nil {
			return "", err
		}
		s.kind = c
		return s.float(x)
	case 'c':
		s.precision = -1
		if s.align == '=' {
			s.align, s.fill = '>', ""
		}
		if t, ok := v.(string); ok && utf8.RuneCountInString(t) == 1 {
			return s.text(t), nil
		}
		if i, ok := plain(v).(int64); ok && i >= 0 && i <= utf8.MaxRune {
			return s.text(string(rune(i))), nil
		}
		return "", TypeErrorf("%c requires int or char")
	}
	return "", ValueErrorf("unsupported format character '%c' (0x%x) at index %d", c, c, at)
}

// escapeNonASCII is what ascii() does to a repr.
func escapeNonASCII(t string) string {
	var b []byte
	for _, r := range t {
		switch {
		case r < utf8.RuneSelf:
			b = append(b, byte(r))
		case r < 0x100:
			b = appendHex(append(b, `\x`...), uint32(r), 2)
		case r < 0x10000:
			b = appendHex(append(b, `\u`...), uint32(r), 4)
		default:
			b = appendHex(append(b, `\U`...), uint32(r), 8)
		}
	}
	return string(b)
}

func percentInt(c rune, v any) (*big.Int, error) {
	if f, ok := v.(float64); ok {
		x, err := Float(f)
		if err != nil {
			return nil, err
		}
		v = x
	}
	i, ok := ToBig(v)
	if !ok {
		return nil, TypeErrorf("%%%c format: a real number is required, not %s", c, Type(v))
	}
	return i, nil
}
