package shell

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
	"unicode"

	"github.com/hayate-run/hayate"
)

// object is a JSON object in its order; lists are []any, numbers json.Number.
type object []member

type member struct {
	name  string
	value any
}

func decodeValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{k.(string), v})
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		l := []any{}
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			l = append(l, v)
		}
		_, err = d.Token()
		return l, err
	}
	return t, nil
}

// arguments are a script's: the named ones first, as StackStorm formats them,
// then the positional ones by position. Position and type are read from the
// action's metadata alone.
func arguments(a hayate.Action, parameters json.RawMessage, kwargOp string) ([]string, error) {
	given := object{}
	raw := map[string]json.RawMessage{}
	if len(parameters) > 0 {
		v, err := decode(parameters)
		o, ok := v.(object)
		if err != nil || (!ok && v != nil) {
			return nil, fmt.Errorf("read parameters: %w", errors.Join(err, errors.New("want a JSON object")))
		}
		if err := json.Unmarshal(parameters, &raw); err != nil {
			return nil, fmt.Errorf("read parameters: %w", err)
		}
		given = o
	}
	byPosition := map[int]hayate.Parameter{}
	var positions []int
	for _, p := range a.Parameters {
		if p.Position == nil {
			continue
		}
		if _, twice := byPosition[*p.Position]; !twice {
			positions = append(positions, *p.Position)
		}
		byPosition[*p.Position] = p
	}
	sort.Ints(positions)
	positional := map[string]bool{}
	for _, p := range byPosition {
		positional[p.Name] = true
	}

	var args []string
	for _, m := range given {
		if positional[m.name] {
			continue
		}
		switch v := m.value.(type) {
		case nil:
		case bool:
			if v {
				args = append(args, kwargOp+m.name)
			}
		default:
			if text := pyText(v); v != "" {
				args = append(args, kwargOp+m.name+"="+text)
			}
		}
	}
	for _, n := range positions {
		p := byPosition[n]
		text, err := positionalText(p.Type, raw[p.Name])
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		args = append(args, text)
	}
	for _, a := range args {
		if strings.IndexByte(a, 0) >= 0 {
			return nil, errors.New("parameters: an argument contains a NUL character")
		}
	}
	return args, nil
}

// positionalText is a positional argument; an absent or empty one keeps its slot.
func positionalText(typ string, raw json.RawMessage) (string, error) {
	if len(raw) == 0 {
		return "", nil
	}
	v, err := decode(raw)
	if err != nil {
		return "", err
	}
	if v == nil || typ == "null" {
		return "", nil
	}
	switch typ {
	case "string", "number", "float":
		return pyText(v), nil
	case "boolean":
		if truthy(v) {
			return "1", nil
		}
		return "0", nil
	}
	if !truthy(v) {
		return "", nil
	}
	if l, ok := v.([]any); ok && (typ == "array" || typ == "list") {
		items := make([]string, len(l))
		for i, x := range l {
			items[i] = pyText(x)
		}
		return strings.Join(items, ","), nil
	}
	if typ == "object" {
		return compact(raw), nil
	}
	return pyText(v), nil
}

func compact(raw json.RawMessage) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(raw) != nil { // raw was decoded before, so it is JSON
		return string(raw)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// truthy is Python's bool().
func truthy(v any) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case string:
		return v != ""
	case json.Number:
		f, err := v.Float64()
		return err != nil || f != 0
	case []any:
		return len(v) > 0
	case object:
		return len(v) > 0
	}
	return true
}

// pyText is Python's str().
func pyText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var b strings.Builder
	pyRepr(&b, v)
	return b.String()
}

func pyRepr(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("None")
	case bool:
		if v {
			b.WriteString("True")
		} else {
			b.WriteString("False")
		}
	case json.Number:
		b.WriteString(pyNumber(v.String()))
	case string:
		pyQuote(b, v)
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			pyRepr(b, x)
		}
		b.WriteByte(']')
	case object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			pyQuote(b, m.name)
			b.WriteString(": ")
			pyRepr(b, m.value)
		}
		b.WriteByte('}')
	}
}

// pyNumber writes a JSON number as Python does; a fraction or exponent makes it a float.
func pyNumber(s string) string {
	if !strings.ContainsAny(s, ".eE") {
		return s
	}
	f, err := strconv.ParseFloat(s, 64)
	switch a := math.Abs(f); {
	case err != nil && math.IsInf(f, 1):
		return "inf"
	case err != nil && math.IsInf(f, -1):
		return "-inf"
	case a != 0 && (a < 1e-4 || a >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s = strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

func pyQuote(b *strings.Builder, s string) {
	q := '\''
	if strings.ContainsRune(s, '\'') && !strings.ContainsRune(s, '"') {
		q = '"'
	}
	b.WriteRune(q)
	for _, r := range s {
		switch {
		case r == q || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unicode.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			fmt.Fprintf(b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(b, `\u%04x`, r)
		default:
			fmt.Fprintf(b, `\U%08x`, r)
		}
	}
	b.WriteRune(q)
}
