// Package pyre matches text with regular expressions as Python's re module
// (3.11) understands them, since StackStorm's rules, filters and YAQL use it.
//
// A pattern whose meaning RE2 can express exactly runs on Go's regexp in linear
// time. Everything else (look-around, back-references, conditionals, atomic
// groups, loops over empty matches, non-ASCII word boundaries) runs on a
// backtracking machine that counts its steps and gives up with ErrSteps, at the
// same point each time. Which of the two runs can never be seen in the result.
package pyre

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Flags change what a pattern means, as the flags of Python's re do.
type Flags uint8

// The flags, with Python's letters.
const (
	IgnoreCase Flags = 1 << iota // i
	Multiline                    // m
	DotAll                       // s
	Verbose                      // x
	ASCII                        // a: \w, \d, \s, \b and case know ASCII only
)

// ErrSteps says that a match was given up because it took too many steps.
var ErrSteps = fmt.Errorf("match a regular expression: too many steps: %w", value.ErrLimit)

const (
	// stepBase and stepsPerByte bound one operation of the backtracking machine:
	// a few tens of milliseconds.
	stepBase     = 1_000_000
	stepsPerByte = 64
	// maxPattern bounds a pattern, in bytes.
	maxPattern = 64 << 10
	// maxTranslated bounds a pattern that is handed to Go's regexp.
	maxTranslated = 32 << 10
)

// Error says what is wrong with a pattern or a replacement, in Python's words.
type Error struct{ Message string }

// Error returns Python's text: "missing ), unterminated subpattern at position 0".
func (e *Error) Error() string { return e.Message }

// Regexp is a compiled pattern. It may be used by many goroutines at once.
type Regexp struct {
	pattern string
	groups  int // without group 0
	names   map[string]int
	ordered []string // the name of each group, "" for none

	prog *program // for the backtracking machine
	fast fast     // for RE2

	machines sync.Pool
}

// fast holds the pattern in RE2's form, where it has one.
type fast struct {
	expr     string // "" where RE2 cannot express the pattern
	ascii    bool   // exact on ASCII text only
	noFinal  bool   // exact on text that does not end in a newline only
	filled   bool   // exact on text that is not empty only
	nullable bool   // may match the empty text

	search, prefix, full lazyRegexp
}

type lazyRegexp struct {
	once sync.Once
	re   *regexp.Regexp
}

func (l *lazyRegexp) get(expr string) *regexp.Regexp {
	l.once.Do(func() {
		// An expression that RE2 finds too large stays nil and runs on the machine.
		l.re, _ = regexp.Compile(expr)
	})
	return l.re
}

// Compile reads a pattern. Wrong patterns give an *Error with Python's message.
func Compile(pattern string, flags Flags) (*Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, &Error{fmt.Sprintf("pattern is longer than %d bytes", maxPattern)}
	}
	p, root, err := parse(pattern, flags)
	if err != nil {
		return nil, err
	}
	r := &Regexp{pattern: pattern, groups: p.groups - 1, names: p.names, ordered: make([]string, p.groups)}
	for n, i := range p.names {
		r.ordered[i] = n
	}
	if r.prog, err = assemble(root, p.groups); err != nil {
		return nil, err
	}
	t := translator{}
	if t.node(root) && t.b.Len() <= maxTranslated {
		r.fast.expr = "(?:" + t.b.String() + ")"
	}
	r.fast.ascii, r.fast.noFinal, r.fast.filled = t.ascii, t.noFinal, t.filled
	r.fast.nullable = root.nullable()
	r.machines.New = func() any { return &machine{prog: r.prog} }
	return r, nil
}

// String returns the pattern as it was given.
func (r *Regexp) String() string { return r.pattern }

// Groups is the number of groups, without the whole match.
func (r *Regexp) Groups() int { return r.groups }

// GroupName is the name of a group, "" where it has none.
func (r *Regexp) GroupName(i int) string { return r.ordered[i] }

// Match is where a pattern was found.
type Match struct {
	text  string
	spans []int
	re    *Regexp
}

// Span returns where group i begins and ends, in bytes of the text; 0 is the
// whole match; -1, -1 where the group took no part.
func (m *Match) Span(i int) (start, end int) { return m.spans[2*i], m.spans[2*i+1] }

// Group returns the text of group i and whether it took part.
func (m *Match) Group(i int) (string, bool) {
	if s := m.spans[2*i]; s >= 0 {
		return m.text[s:m.spans[2*i+1]], true
	}
	return "", false
}

// Index returns the number of the group with this name.
func (m *Match) Index(name string) (int, bool) {
	i, ok := m.re.names[name]
	return i, ok
}

// Regexp returns the pattern that was matched.
func (m *Match) Regexp() *Regexp { return m.re }

// mode says where a match must lie.
type mode uint8

const (
	anywhere mode = iota
	atStart
	whole
)

// Search finds the first match anywhere in text; nil where there is none.
func (r *Regexp) Search(text string) (*Match, error) { return r.match(text, anywhere) }

// Match finds a match that begins where the text begins; nil where there is none.
func (r *Regexp) Match(text string) (*Match, error) { return r.match(text, atStart) }

// FullMatch finds a match that is the whole text; nil where there is none.
func (r *Regexp) FullMatch(text string) (*Match, error) { return r.match(text, whole) }

// Found says whether Search would find a match. It does not allocate.
func (r *Regexp) Found(text string) (bool, error) { return r.test(text, anywhere) }

// Starts says whether Match would find a match. It does not allocate.
func (r *Regexp) Starts(text string) (bool, error) { return r.test(text, atStart) }

func (r *Regexp) match(text string, how mode) (*Match, error) {
	if re := r.re2(text, how); re != nil {
		if spans := re.FindStringSubmatchIndex(text); spans != nil {
			return &Match{text: text, spans: spans, re: r}, nil
		}
		return nil, nil
	}
	m := r.machine(text)
	defer r.release(m)
	ok, err := m.find(0, how, -1)
	if err != nil || !ok {
		return nil, err
	}
	return &Match{text: text, spans: m.spans(), re: r}, nil
}

func (r *Regexp) test(text string, how mode) (bool, error) {
	if re := r.re2(text, how); re != nil {
		return re.MatchString(text), nil
	}
	m := r.machine(text)
	defer r.release(m)
	return m.find(0, how, -1)
}

func (r *Regexp) machine(text string) *machine {
	m := r.machines.Get().(*machine)
	m.reset(text)
	return m
}

func (r *Regexp) release(m *machine) {
	m.release()
	r.machines.Put(m)
}

// re2 returns the RE2 form of the pattern if it is exact for this text.
func (r *Regexp) re2(text string, how mode) *regexp.Regexp {
	f := &r.fast
	if f.expr == "" || f.noFinal && strings.HasSuffix(text, "\n") || f.filled && text == "" || f.ascii && !isASCII(text) {
		return nil
	}
	switch how {
	case anywhere:
		return f.search.get(f.expr)
	case atStart:
		return f.prefix.get(`\A(?:` + f.expr + `)`)
	}
	return f.full.get(`\A(?:` + f.expr + `)\z`)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// All calls yield with every match, from the left, none overlapping, until it
// returns false. An empty match may touch the match before it, as in Python
// since 3.7. The Match is yield's to keep.
func (r *Regexp) All(text string, yield func(*Match) bool) error {
	if re := r.re2(text, anywhere); re != nil && !r.fast.nullable {
		// Without empty matches Go and Python walk a text alike.
		for _, spans := range re.FindAllStringSubmatchIndex(text, -1) {
			if !yield(&Match{text: text, spans: spans, re: r}) {
				break
			}
		}
		return nil
	}
	m := r.machine(text)
	defer r.release(m)
	for at, avoid := 0, -1; at <= len(text); {
		ok, err := m.find(at, anywhere, avoid)
		if err != nil || !ok {
			return err
		}
		match := &Match{text: text, spans: m.spans(), re: r}
		if !yield(match) {
			return nil
		}
		at = match.spans[1]
		avoid = -1
		if match.spans[0] == at {
			avoid = at
		}
	}
	return nil
}

// FindAll returns every match.
func (r *Regexp) FindAll(text string) ([]*Match, error) {
	var out []*Match
	err := r.All(text, func(m *Match) bool {
		out = append(out, m)
		return true
	})
	return out, err
}
