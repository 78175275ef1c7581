package jinja

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// DumpYAML writes a value as PyYAML's safe_dump does in block style: keys sorted,
// lists in maps not indented, strings plain where they read back as strings, lines
// folded at 80 characters. A lone scalar has no end mark. With unicode, printable
// characters beyond ASCII are written as they are.
func DumpYAML(v any, indent int, unicode bool, budget *value.Budget) (string, error) {
	if indent < 2 || indent > 9 {
		indent = 2
	}
	y := yamlWriter{step: indent, unicode: unicode, budget: budget, indent: -1, indention: true, whitespace: true}
	if err := y.node(v, rootPlace, 0); err != nil {
		return "", err
	}
	y.b = append(y.b, '\n')
	return string(y.b), budget.Grow(len(y.b))
}

const yamlWidth = 80

// place is what a value stands in.
type yamlPlace uint8

const (
	rootPlace yamlPlace = iota
	itemPlace
	valuePlace
	keyPlace
)

// yamlWriter keeps PyYAML's account of where it is on the line: whitespace says
// that the last thing written was white space, indention that the line holds
// nothing but indentation and indicators yet.
type yamlWriter struct {
	b                     []byte
	step                  int
	unicode               bool
	budget                *value.Budget
	indent                int
	column                int
	whitespace, indention bool
}

func (y *yamlWriter) lineBreak() {
	y.b = append(y.b, '\n')
	y.column, y.whitespace, y.indention = 0, true, true
}

func (y *yamlWriter) newIndent() {
	n := max(y.indent, 0)
	if !y.indention || y.column > n || y.column == n && !y.whitespace {
		y.lineBreak()
	}
	if y.column < n {
		y.b = append(y.b, strings.Repeat(" ", n-y.column)...)
		y.column, y.whitespace = n, true
	}
}

func (y *yamlWriter) indicator(t string, need, whitespace, indention bool) {
	if need && !y.whitespace {
		y.text(" ")
	}
	y.text(t)
	y.whitespace, y.indention = whitespace, y.indention && indention
}

func (y *yamlWriter) text(t string) {
	y.b = append(y.b, t...)
	y.column += utf8.RuneCountInString(t)
}

func (y *yamlWriter) node(v any, at yamlPlace, depth int) error {
	if depth > value.MaxDepth {
		return fmt.Errorf("write YAML: %w", value.ErrLimit)
	}
	if err := y.budget.Step(1); err != nil {
		return err
	}
	if _, left := y.budget.Left(); int64(len(y.b)) > left {
		return fmt.Errorf("write YAML: %w", value.ErrLimit)
	}
	switch v := v.(type) {
	case *value.Map:
		return y.mapping(v, at, depth)
	case *value.Set:
		y.indicator("!!set", true, false, false)
		m := value.NewMap(v.Len())
		for _, x := range v.Items() {
			m.Set(x, nil)
		}
		return y.mapping(m, at, depth)
	}
	if items, ok := value.Items(v); ok {
		return y.sequence(items, at, depth)
	}
	return y.scalar(v, at)
}

func (y *yamlWriter) mapping(m *value.Map, at yamlPlace, depth int) error {
	if m.Len() == 0 {
		y.indicator("{", true, true, false)
		y.indicator("}", false, false, false)
		return nil
	}
	outer := y.indent
	defer func() { y.indent = outer }()
	if y.indent < 0 {
		y.indent = 0
	} else {
		y.indent += y.step
	}
	keys := m.Keys()
	sorted := slices.Clone(keys)
	ok := true
	slices.SortStableFunc(sorted, func(a, b any) int {
		c, err := value.Compare(a, b)
		ok = ok && err == nil
		return c
	})
	if ok {
		keys = sorted
	}
	for _, k := range keys {
		y.newIndent()
		simple := isSimpleKey(k)
		if !simple {
			y.indicator("?", true, false, true)
		}
		place := keyPlace
		if !simple {
			place = valuePlace
		}
		if err := y.node(k, place, depth+1); err != nil {
			return err
		}
		if simple {
			y.indicator(":", false, false, false)
		} else {
			y.newIndent()
			y.indicator(":", true, false, true)
		}
		v, _ := m.Get(k)
		if err := y.node(v, valuePlace, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// isSimpleKey says whether a key fits before a colon on its line.
func isSimpleKey(k any) bool {
	if items, ok := value.Items(k); ok {
		return len(items) == 0
	}
	t, ok := k.(string)
	// PyYAML counts the tag !!str, too, against its bound of 128.
	return !ok || t != "" && utf8.RuneCountInString(t) < 123 && !strings.ContainsAny(t, "\n\u0085\u2028\u2029")
}

func (y *yamlWriter) sequence(items []any, at yamlPlace, depth int) error {
	if len(items) == 0 {
		y.indicator("[", true, true, false)
		y.indicator("]", false, false, false)
		return nil
	}
	outer := y.indent
	defer func() { y.indent = outer }()
	switch {
	case y.indent < 0:
		y.indent = 0
	case at == valuePlace && !y.indention:
	default:
		y.indent += y.step
	}
	for _, x := range items {
		y.newIndent()
		y.indicator("-", true, false, true)
		if err := y.node(x, itemPlace, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (y *yamlWriter) scalar(v any, at yamlPlace) error {
	switch v := v.(type) {
	case nil:
		y.plain("null", true)
	case bool:
		y.plain(strings.ToLower(value.Str(v)), true)
	case float64:
		t := strings.ToLower(value.FormatFloat(v))
		switch t {
		case "inf", "-inf", "nan":
			t = map[string]string{"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}[t]
		default:
			if !strings.Contains(t, ".") {
				t = strings.Replace(t, "e", ".0e", 1)
			}
		}
		y.plain(t, true)
	case string:
		y.str(v, at)
	default:
		if !value.IsInt(v) {
			return value.Raise("RepresenterError", "('cannot represent an object', %s)", value.Repr(v))
		}
		y.plain(value.Str(v), true)
	}
	return nil
}

// implicit are the plain texts that read back as something else than strings.
var implicit = regexp.MustCompile(`^(?:` + strings.Join([]string{
	`|~|null|Null|NULL|<<|=`,
	`yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF`,
	`[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+`,
	`[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?`,
	`[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)`,
	`[0-9]{4}-[0-9]{2}-[0-9]{2}`,
	`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?`,
}, "|") + `)$`)

// yamlText is what matters about a string for the choice of its style.
type yamlText struct {
	plain, single, lines bool
}

func (y *yamlWriter) analyze(t string) yamlText {
	if t == "" {
		return yamlText{single: true}
	}
	a := yamlText{plain: true, single: true}
	runes := []rune(t)
	if strings.HasPrefix(t, "---") || strings.HasPrefix(t, "...") || strings.ContainsRune("#,[]{}&*!|>'\"%@`", runes[0]) {
		a.plain = false
	}
	blank := func(i int) bool {
		return i >= len(runes) || strings.ContainsRune("\x00 \t\r\n\u0085\u2028\u2029", runes[i])
	}
	isBreak := func(i int) bool {
		return i >= 0 && i < len(runes) && strings.ContainsRune("\n\u0085\u2028\u2029", runes[i])
	}
	isSpace := func(i int) bool { return i >= 0 && i < len(runes) && runes[i] == ' ' }
	for i, r := range runes {
		switch {
		case i == 0 && strings.ContainsRune("?:-", r) && blank(1), i > 0 && r == ':' && blank(i+1), i > 0 && r == '#' && blank(i-1):
			a.plain = false
		}
		switch {
		case isBreak(i):
			a.lines = true
			a.single = a.single && !isSpace(i-1)
		case r == ' ' && isBreak(i-1):
			a.single = false
		}
		if r != '\n' && (r < ' ' || r > '~') {
			printable := r == 0x85 || r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000
			if !printable || r == 0xfeff || !y.unicode {
				a.plain, a.single = false, false
			}
		}
	}
	last := len(runes) - 1
	if isSpace(0) || isBreak(0) || isSpace(last) || isBreak(last) {
		a.plain = false
	}
	a.plain = a.plain && !a.lines && a.single
	return a
}

func (y *yamlWriter) str(t string, at yamlPlace) {
	a := y.analyze(t)
	split := at != keyPlace
	switch {
	case a.plain && !implicit.MatchString(t):
		y.plain(t, split)
	case a.single && !(at == keyPlace && a.lines):
		y.single(t, split)
	default:
		y.double(t, split)
	}
}

func (y *yamlWriter) plain(t string, split bool) {
	if !y.whitespace {
		y.text(" ")
	}
	y.whitespace, y.indention = false, false
	words := strings.Split(t, " ")
	for i, w := range words {
		if i > 0 {
			// A single space may become a line break, unless it stands at an end.
			if split && y.column > yamlWidth && w != "" && words[i-1] != "" {
				y.foldedIndent()
				y.whitespace, y.indention = false, false
			} else {
				y.text(" ")
			}
		}
		y.text(w)
	}
}

// foldedIndent begins a new line inside of a scalar.
func (y *yamlWriter) foldedIndent() {
	old := y.indent
	y.indent = y.scalarIndent()
	y.newIndent()
	y.indent = old
}

// scalarIndent is the indentation of the further lines of a scalar.
func (y *yamlWriter) scalarIndent() int {
	if y.indent < 0 {
		return y.step
	}
	return y.indent + y.step
}

func (y *yamlWriter) single(t string, split bool) {
	y.indicator("'", true, false, false)
	runes := []rune(t)
	isBreak := func(r rune) bool { return strings.ContainsRune("\n\u0085\u2028\u2029", r) }
	for i := 0; i < len(runes); {
		j := i
		switch r := runes[i]; {
		case r == ' ':
			for j < len(runes) && runes[j] == ' ' {
				j++
			}
			if j-i == 1 && y.column > yamlWidth && split && i > 0 && j < len(runes) {
				y.foldedIndent()
			} else {
				y.text(string(runes[i:j]))
			}
		case isBreak(r):
			for j < len(runes) && isBreak(runes[j]) {
				j++
			}
			if r == '\n' {
				y.lineBreak()
			}
			for _, br := range runes[i:j] {
				y.lineBreak()
				if br != '\n' {
					y.b = utf8.AppendRune(y.b[:len(y.b)-1], br)
				}
			}
			y.foldedIndent()
		default:
			for j < len(runes) && runes[j] != ' ' && !isBreak(runes[j]) {
				j++
			}
			y.text(strings.ReplaceAll(string(runes[i:j]), "'", "''"))
		}
		i = j
		y.whitespace, y.indention = false, false
	}
	y.indicator("'", false, false, false)
}

var yamlEscapes = map[rune]string{0: "0", 7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 27: "e",
	'"': `"`, '\\': `\`, 0x85: "N", 0xa0: "_", 0x2028: "L", 0x2029: "P"}

func (y *yamlWriter) double(t string, split bool) {
	y.indicator(`"`, true, false, false)
	runes := []rune(t)
	start := 0
	for end := 0; end <= len(runes); end++ {
		var r rune = -1
		if end < len(runes) {
			r = runes[end]
		}
		special := r == -1 || strings.ContainsRune("\"\\\u0085\u2028\u2029\ufeff", r) ||
			!(r >= ' ' && r <= '~' || y.unicode && (r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000))
		if special {
			if start < end {
				y.text(string(runes[start:end]))
				start = end
			}
			if r != -1 {
				y.text(escapeYAML(r))
				start = end + 1
			}
		}
		if end > 0 && end < len(runes)-1 && (r == ' ' || start >= end) && y.column+(end-start) > yamlWidth && split {
			if start < end {
				y.text(string(runes[start:end]))
				start = end
			}
			y.text(`\`)
			y.foldedIndent()
			y.whitespace, y.indention = false, false
			if runes[start] == ' ' {
				y.text(`\`)
			}
		}
	}
	y.indicator(`"`, false, false, false)
}

func escapeYAML(r rune) string {
	if e, ok := yamlEscapes[r]; ok {
		return `\` + e
	}
	switch {
	case r <= 0xff:
		return fmt.Sprintf(`\x%02X`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04X`, r)
	}
	return fmt.Sprintf(`\U%08X`, r)
}
