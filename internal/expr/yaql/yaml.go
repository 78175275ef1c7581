package yaql

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// YAMLOptions are the arguments of PyYAML's safe_dump that can be set.
type YAMLOptions struct {
	Indent int  // spaces a level; 2 where it is not from 2 to 9
	ASCII  bool // escape other characters (allow_unicode=False)
}

// yamlWidth is the column behind which text is folded.
const yamlWidth = 80

// DumpYAML writes a value in block style, exactly as PyYAML's safe_dump with
// libyaml does: keys sorted where they can be, text quoted where it would be read
// as something else, and folded where it is long. The budget bounds the length.
func DumpYAML(v any, o YAMLOptions, budget *value.Budget) (string, error) {
	e := yamlEmitter{indent: -1, step: o.Indent, ascii: o.ASCII, whitespace: true, indention: true, budget: budget}
	if e.step < 2 || e.step > 9 {
		e.step = 2
	}
	if err := e.node(v, false, 0); err != nil {
		return "", err
	}
	e.indent = -1
	e.newLine()
	return e.b.String(), nil
}

// yamlEmitter keeps the state that libyaml's emitter keeps.
type yamlEmitter struct {
	b          strings.Builder
	budget     *value.Budget
	indent     int
	step       int
	column     int
	ascii      bool
	whitespace bool // the last character was a space
	indention  bool // only indentation and indicators on this line so far
	simpleKey  bool
	charged    int
}

func (e *yamlEmitter) put(s string) {
	e.b.WriteString(s)
	e.column += utf8.RuneCountInString(s)
}

func (e *yamlEmitter) breakLine() {
	e.b.WriteByte('\n')
	e.column = 0
}

// newLine starts a line at the current indentation, unless it stands there.
func (e *yamlEmitter) newLine() {
	indent := max(0, e.indent)
	if !e.indention || e.column > indent || e.column == indent && !e.whitespace {
		e.breakLine()
	}
	for e.column < indent {
		e.put(" ")
	}
	e.whitespace, e.indention = true, true
}

func (e *yamlEmitter) indicator(s string, needSpace, isSpace, isIndention bool) {
	if needSpace && !e.whitespace {
		e.put(" ")
	}
	e.put(s)
	e.whitespace = isSpace
	e.indention = e.indention && isIndention
}

// deeper indents one level for what f writes.
func (e *yamlEmitter) deeper(flow, indentless bool, f func() error) error {
	saved := e.indent
	switch {
	case e.indent < 0 && flow:
		e.indent = e.step
	case e.indent < 0:
		e.indent = 0
	case !indentless:
		e.indent += e.step
	}
	err := f()
	e.indent = saved
	return err
}

// node writes a value; inMapping says that it is the value of a key.
func (e *yamlEmitter) node(v any, inMapping bool, depth int) error {
	if depth > maxNested {
		return limit("value nested deeper than %d", maxNested)
	}
	if err := e.budget.Step(1); err != nil {
		return err
	}
	if err := e.budget.Grow(e.b.Len() - e.charged); err != nil {
		return err
	}
	e.charged = e.b.Len()
	if items, ok := value.Items(v); ok {
		if len(items) == 0 {
			e.indicator("[", true, true, false)
			e.indicator("]", false, false, false)
			return nil
		}
		return e.deeper(false, inMapping && !e.indention, func() error { return e.sequence(items, depth) })
	}
	if m, ok := asMap(v); ok {
		if m.Len() == 0 {
			e.indicator("{", true, true, false)
			e.indicator("}", false, false, false)
			return nil
		}
		return e.deeper(false, false, func() error { return e.mapping(m, depth) })
	}
	return e.deeper(true, false, func() error { return e.scalar(v) })
}

func (e *yamlEmitter) sequence(items []any, depth int) error {
	for _, x := range items {
		e.newLine()
		e.indicator("-", true, false, true)
		if err := e.node(x, false, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (e *yamlEmitter) mapping(m *value.Map, depth int) error {
	for _, i := range sortedEntries(m) {
		k, v := m.At(i)
		e.newLine()
		if isSimpleKey(k) {
			e.simpleKey = true
			err := e.node(k, true, depth+1)
			e.simpleKey = false
			if err != nil {
				return err
			}
			e.indicator(":", false, false, false)
		} else {
			e.indicator("?", true, false, true)
			if err := e.node(k, true, depth+1); err != nil {
				return err
			}
			e.newLine()
			e.indicator(":", true, false, true)
		}
		if err := e.node(v, true, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// sortedEntries is the order of the keys, or that of the map where Python could
// not sort them.
func sortedEntries(m *value.Map) []int {
	order := make([]int, m.Len())
	for i := range order {
		order[i] = i
	}
	failed := false
	slices.SortStableFunc(order, func(i, j int) int {
		a, _ := m.At(i)
		b, _ := m.At(j)
		c, err := value.Compare(a, b)
		failed = failed || err != nil
		return c
	})
	if failed {
		slices.Sort(order)
	}
	return order
}

// isSimpleKey says whether a key can stand before its colon on one line.
func isSimpleKey(k any) bool {
	if s, ok := k.(string); ok {
		return len(s) <= 128 && !strings.ContainsAny(s, "\n\r\u0085\u2028\u2029")
	}
	if items, ok := value.Items(k); ok {
		return len(items) == 0
	}
	_, isMap := asMap(k)
	return !isMap
}

func (e *yamlEmitter) scalar(v any) error {
	s, isText := v.(string)
	if !isText {
		var err error
		if s, err = yamlScalar(v); err != nil {
			return err
		}
		e.plain(s)
		return nil
	}
	if err := e.budget.Grow(len(s)); err != nil {
		return err
	}
	a := analyze(s, e.ascii)
	switch {
	case e.simpleKey && a.multiline || !a.singleQuoted && !(a.plain && isPlainText(s)):
		e.doubleQuoted(s)
	case a.plain && isPlainText(s):
		e.plain(s)
	default:
		e.singleQuoted(s)
	}
	return nil
}

// isPlainText says whether a plain scalar is read back as text.
func isPlainText(s string) bool {
	switch s {
	case "", "=", "<<":
		return false
	}
	if len(s) > 200 {
		return true // longer than any other kind of scalar
	}
	n, found := yamldoc.Parse([]byte(s), yamldoc.Options{})
	if len(found) > 0 {
		return !yamldoc.HasErrors(found) && n.Kind() == yamldoc.String
	}
	return n.Kind() == yamldoc.String
}

// plain writes text as it is; a space behind the width becomes a line break.
func (e *yamlEmitter) plain(s string) {
	if !e.whitespace && s != "" {
		e.put(" ")
	}
	spaces := false
	for i, r := range s {
		if r == ' ' {
			if !e.simpleKey && !spaces && e.column > yamlWidth && i+1 < len(s) && s[i+1] != ' ' {
				e.newLine()
			} else {
				e.put(" ")
			}
			spaces = true
			continue
		}
		e.put(string(r))
		e.indention, spaces = false, false
	}
	e.whitespace, e.indention = false, false
}

func isYAMLBreak(r rune) bool {
	return r == '\n' || r == '\r' || r == 0x85 || r == 0x2028 || r == 0x2029
}

func (e *yamlEmitter) singleQuoted(s string) {
	e.indicator("'", true, false, false)
	spaces, breaks := false, false
	for i, r := range s {
		switch {
		case r == ' ':
			if !e.simpleKey && !spaces && e.column > yamlWidth && i > 0 && i < len(s)-1 && s[i+1] != ' ' {
				e.newLine()
			} else {
				e.put(" ")
			}
			spaces = true
		case isYAMLBreak(r):
			if !breaks && r == '\n' {
				e.breakLine()
			}
			if r == '\n' {
				e.breakLine()
			} else {
				e.b.WriteRune(r)
				e.column = 0
			}
			e.indention, breaks = true, true
		default:
			if breaks {
				e.newLine()
			}
			if r == '\'' {
				e.put("'")
			}
			e.put(string(r))
			e.indention, spaces, breaks = false, false, false
		}
	}
	if breaks {
		e.newLine()
	}
	e.indicator("'", false, false, false)
	e.whitespace, e.indention = false, false
}

const yamlEscapes = "\x00\a\b\t\n\v\f\r\x1b\"\\"
const yamlLetters = "0abtnvfre\"\\"

func (e *yamlEmitter) doubleQuoted(s string) {
	e.indicator(`"`, true, false, false)
	spaces := false
	for i, r := range s {
		switch {
		case !isYAMLPrintable(r) || e.ascii && r > 0x7f || isYAMLBreak(r) || r == '"' || r == '\\':
			e.put(escaped(r))
			spaces = false
		case r == ' ':
			if !e.simpleKey && !spaces && e.column > yamlWidth && i > 0 && i < len(s)-1 {
				e.newLine()
				if s[i+1] == ' ' {
					e.put(`\`)
				}
			} else {
				e.put(" ")
			}
			spaces = true
		default:
			e.put(string(r))
			spaces = false
		}
	}
	e.indicator(`"`, false, false, false)
	e.whitespace, e.indention = false, false
}

func escaped(r rune) string {
	if r < utf8.RuneSelf {
		if i := strings.IndexByte(yamlEscapes, byte(r)); i >= 0 {
			return `\` + yamlLetters[i:i+1]
		}
	}
	switch {
	case r == 0x85:
		return `\N`
	case r == 0xa0:
		return `\_`
	case r == 0x2028:
		return `\L`
	case r == 0x2029:
		return `\P`
	case r <= 0xff:
		return fmt.Sprintf(`\x%02X`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04X`, r)
	}
	return fmt.Sprintf(`\U%08X`, r)
}

// isYAMLPrintable says what libyaml writes as it is.
func isYAMLPrintable(r rune) bool {
	return r == '\n' || r >= 0x20 && r <= 0x7e || r >= 0xa0 && r <= 0xfffd && r != 0xfeff
}

// analysis says how a text may be written.
type analysis struct {
	multiline    bool
	plain        bool
	singleQuoted bool
}

// analyze looks at a text as libyaml does before it chooses a style.
func analyze(s string, ascii bool) analysis {
	if s == "" {
		return analysis{singleQuoted: true}
	}
	var (
		indicators, special, breaks, edge bool
		breakSpace, spaceBreak            bool
		afterSpace, afterBreak            bool
	)
	indicators = strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...")
	blankBefore := true
	runes := []rune(s)
	for i, r := range runes {
		blankAfter := i+1 == len(runes) || runes[i+1] == ' ' || runes[i+1] == '\t' || isYAMLBreak(runes[i+1])
		switch {
		case i == 0 && strings.ContainsRune("#,[]{}&*!|>'\"%@`", r):
			indicators = true
		case (r == ':' || i == 0 && (r == '?' || r == '-')) && blankAfter:
			indicators = true
		case r == '#' && blankBefore:
			indicators = true
		}
		if !isYAMLPrintable(r) || r > 0x7f && ascii {
			special = true
		}
		switch {
		case r == ' ':
			edge = edge || i == 0 || i == len(runes)-1
			breakSpace = breakSpace || afterBreak
			afterSpace, afterBreak = true, false
		case isYAMLBreak(r):
			breaks = true
			edge = edge || i == 0 || i == len(runes)-1
			spaceBreak = spaceBreak || afterSpace
			afterSpace, afterBreak = false, true
		default:
			afterSpace, afterBreak = false, false
		}
		blankBefore = r == ' ' || r == '\t' || isYAMLBreak(r)
	}
	return analysis{
		multiline:    breaks,
		plain:        !edge && !breakSpace && !spaceBreak && !special && !breaks && !indicators,
		singleQuoted: !breakSpace && !spaceBreak && !special,
	}
}
