package pyre

import (
	"strings"
	"unicode/utf8"
)

// Glob is a compiled shell pattern, as Python's fnmatch reads it on POSIX: * for
// any text, ? for any character, [seq] and [!seq]; all of it may span newlines,
// case matters, and the whole text must match. It may be used by many goroutines
// at once, and takes time linear in the text for each star.
type Glob struct{ parts []globPart }

type globPart struct {
	kind   byte // '*', '?', '[' or 'a' for one character
	r      rune
	negate bool
	ranges []span
}

// CompileGlob reads a shell pattern. Every text is one.
func CompileGlob(pattern string) *Glob {
	g := &Glob{}
	src := []rune(pattern)
	for i := 0; i < len(src); {
		c := src[i]
		i++
		switch c {
		case '*':
			if n := len(g.parts); n == 0 || g.parts[n-1].kind != '*' {
				g.parts = append(g.parts, globPart{kind: '*'})
			}
		case '?':
			g.parts = append(g.parts, globPart{kind: '?'})
		case '[':
			j := i
			if j < len(src) && src[j] == '!' {
				j++
			}
			if j < len(src) && src[j] == ']' {
				j++
			}
			for j < len(src) && src[j] != ']' {
				j++
			}
			if j >= len(src) {
				g.parts = append(g.parts, globPart{kind: 'a', r: c})
				continue
			}
			g.parts = append(g.parts, globSet(src[i:j]))
			i = j + 1
		default:
			g.parts = append(g.parts, globPart{kind: 'a', r: c})
		}
	}
	return g
}

// globSet reads what stands between brackets. A hyphen makes a range unless it
// stands first or last or right behind another range; ranges that run backwards
// are empty.
func globSet(src []rune) globPart {
	p := globPart{kind: '['}
	from := 1
	if src[0] == '!' {
		p.negate = true
		from = 2
	}
	var chunks [][]rune
	at := 0
	for k := from; k < len(src); k++ {
		if src[k] == '-' {
			chunks = append(chunks, append([]rune(nil), src[at:k]...))
			at = k + 1
			k += 2
		}
	}
	if at < len(src) || len(chunks) == 0 {
		chunks = append(chunks, append([]rune(nil), src[at:]...))
	} else {
		chunks[len(chunks)-1] = append(chunks[len(chunks)-1], '-')
	}
	for k := len(chunks) - 1; k > 0; k-- {
		before, after := chunks[k-1], chunks[k]
		if before[len(before)-1] > after[0] {
			chunks[k-1] = append(before[:len(before)-1], after[1:]...)
			chunks = append(chunks[:k], chunks[k+1:]...)
		}
	}
	if p.negate {
		chunks[0] = chunks[0][1:]
	}
	for k, chunk := range chunks {
		if k > 0 && len(chunks[k-1]) > 0 && len(chunk) > 0 {
			before := chunks[k-1]
			p.ranges = append(p.ranges, span{before[len(before)-1], chunk[0]})
		}
		for _, r := range chunk {
			p.ranges = append(p.ranges, span{r, r})
		}
	}
	return p
}

func (p *globPart) has(r rune) bool {
	switch p.kind {
	case '?':
		return true
	case 'a':
		return p.r == r
	}
	for _, s := range p.ranges {
		if r >= s.lo && r <= s.hi {
			return !p.negate
		}
	}
	return p.negate
}

// Match says whether the whole text fits the pattern.
func (g *Glob) Match(text string) bool {
	i, at := 0, 0         // in the pattern, in the text
	star, resume := -1, 0 // the last star, and where the text behind it begins
	for at < len(text) || i < len(g.parts) {
		if i < len(g.parts) {
			p := &g.parts[i]
			if p.kind == '*' {
				if i++; i == len(g.parts) {
					return true
				}
				star, resume = i, at
				continue
			}
			if at < len(text) {
				r, n := utf8.DecodeRuneInString(text[at:])
				if p.has(r) {
					i++
					at += n
					continue
				}
			}
		}
		if star < 0 || resume >= len(text) {
			return false
		}
		_, n := utf8.DecodeRuneInString(text[resume:])
		resume += n
		i, at = star, resume
	}
	return true
}

// Literal returns the text that the pattern stands for, where it has neither
// stars nor choices.
func (g *Glob) Literal() (string, bool) {
	var b strings.Builder
	for _, p := range g.parts {
		if p.kind != 'a' {
			return "", false
		}
		b.WriteRune(p.r)
	}
	return b.String(), true
}
