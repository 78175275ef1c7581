package yaql

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// dumper writes values as JSON and YAML, as StackStorm's functions do.
type dumper struct{ refuseNested bool }

// plain makes plain data of a value. StackStorm makes the maps known to Python's
// writers that it finds in maps and in Python's lists, but not those in YAQL's
// immutable lists: there they are refused, as are sets and iterators anywhere.
func (d dumper) plain(c *Call, v any, inside bool, depth int, refuse func(any) error) (any, error) {
	if depth > maxNested {
		return nil, limit("value nested deeper than %d", maxNested)
	}
	if err := c.Budget.Step(1); err != nil {
		return nil, err
	}
	switch v := v.(type) {
	case value.List:
		return d.plainItems(c, v, true, depth, refuse)
	case value.Tuple:
		return d.plainItems(c, v, true, depth, refuse)
	case *value.Array:
		return d.plainItems(c, v.Items, inside, depth, refuse)
	case *value.Map, *dict:
		if _, frozen := v.(*value.Map); frozen && inside && d.refuseNested {
			return nil, refuse(v)
		}
		m, _ := asMap(v)
		out := value.NewMap(m.Len())
		for k, x := range m.All() {
			y, err := d.plain(c, x, inside, depth+1, refuse)
			if err != nil {
				return nil, err
			}
			out.Set(k, y)
		}
		return out, nil
	case *iter, *memo, *ordering, *view, *value.Set:
		if d.refuseNested {
			return nil, refuse(v)
		}
		items, err := c.ev.collect(v)
		if err != nil {
			return nil, err
		}
		return d.plainItems(c, items, inside, depth, refuse)
	}
	return v, nil
}

func (d dumper) plainItems(c *Call, items []any, inside bool, depth int, refuse func(any) error) (any, error) {
	out := make(value.List, len(items))
	for i, x := range items {
		y, err := d.plain(c, x, inside, depth+1, refuse)
		if err != nil {
			return nil, err
		}
		out[i] = y
	}
	return out, nil
}

func notSerializable(v any) error {
	return Raise("TypeError", "Object of type %s is not JSON serializable", shortClass(v))
}

func (d dumper) toJSON(c *Call) (any, error) {
	o := value.DumpOptions{Indent: -1, SortKeys: truth(c.Args[2])}
	switch indent := c.Args[1].(type) {
	case nil:
	case int64:
		o.Indent = int(min(max(indent, 0), 1000))
	case bool:
		o.Indent = int(clampInt(indent))
	default:
		return nil, Raise("TypeError", "can't multiply sequence by non-int of type '%s'", shortClass(indent))
	}
	if sep, ok := value.Items(c.Args[3]); ok {
		item, ok1 := "", len(sep) == 2
		key, ok2 := "", len(sep) == 2
		if ok1 {
			item, ok1 = sep[0].(string)
			key, ok2 = sep[1].(string)
		}
		if !ok1 || !ok2 {
			return nil, Raise("ValueError", "separators must be two texts")
		}
		o.ItemSeparator, o.KeySeparator = item, key
	}
	return d.dumps(c, o)
}

func (d dumper) dumps(c *Call, o value.DumpOptions) (any, error) {
	v, err := d.plain(c, c.Args[0], false, 0, notSerializable)
	if err != nil {
		return nil, err
	}
	return value.Dumps(v, o, c.Budget)
}

// jsonEscape is the JSON form of a value without quotes at its ends.
func (d dumper) jsonEscape(c *Call) (any, error) {
	if _, ok := c.Args[0].(*value.Map); ok && d.refuseNested {
		return nil, notSerializable(c.Args[0])
	}
	s, err := d.dumps(c, value.DumpOptions{Indent: -1})
	if err != nil {
		return nil, err
	}
	return strings.Trim(s.(string), `"`), nil
}

func notRepresentable(v any) error {
	return Raise("RepresenterError", "('cannot represent an object', %s)", repr(v))
}

func (d dumper) toYAML(c *Call) (any, error) {
	v, err := d.plain(c, c.Args[0], false, 0, notRepresentable)
	if err != nil {
		return nil, err
	}
	o := YAMLOptions{ASCII: c.Args[2] != nil && !truth(c.Args[2])}
	switch indent := c.Args[1].(type) {
	case nil:
	case int64:
		o.Indent = int(min(max(indent, 0), 100))
	default:
		return nil, Raise("TypeError", "an integer is required")
	}
	return DumpYAML(v, o, c.Budget)
}

// callFromYAML reads YAML as PyYAML's safe loader does.
func callFromYAML(c *Call) (any, error) {
	s, err := c.Text(c.Args[0])
	if err != nil {
		return nil, err
	}
	if err := c.Budget.Grow(len(s) * 4); err != nil {
		return nil, err
	}
	doc, found := yamldoc.Parse([]byte(s), yamldoc.Options{MaxValues: 200_000})
	for _, f := range found {
		if f.Severity == yamldoc.Error {
			return nil, yamlError(f)
		}
	}
	return fromYAML(doc)
}

// yamlError words a finding as PyYAML does, as far as that can be known.
func yamlError(f yamldoc.Diagnostic) error {
	kind := "ParserError"
	if strings.Contains(f.Message, "found ") || strings.Contains(f.Message, "mapping values are not allowed") || strings.Contains(f.Message, "could not find") {
		kind = "ScannerError"
	}
	return Raise(kind, "%s\n  in \"<unicode string>\", line %d, column %d", f.Message, f.Line, max(1, f.Column))
}

func fromYAML(n *yamldoc.Node) (any, error) {
	switch n.Kind() {
	case yamldoc.Null:
		return nil, nil
	case yamldoc.Bool:
		b, _ := n.Bool()
		return b, nil
	case yamldoc.Int:
		if i, ok := n.Int(); ok {
			return i, nil
		}
		i, ok := new(big.Int).SetString(n.Text(), 10)
		if !ok {
			return n.Text(), nil
		}
		return value.BigInt(i), nil
	case yamldoc.Float:
		f, _ := n.Float()
		return f, nil
	case yamldoc.Sequence:
		a := &value.Array{Items: make(value.List, 0, len(n.Items()))}
		for _, x := range n.Items() {
			v, err := fromYAML(x)
			if err != nil {
				return nil, err
			}
			a.Items = append(a.Items, v)
		}
		return a, nil
	case yamldoc.Mapping:
		m := value.NewMap(len(n.Entries()))
		for _, e := range n.Entries() {
			k, err := fromYAML(e.Key)
			if err != nil {
				return nil, err
			}
			if err := hashable(k); err != nil {
				return nil, &Error{Kind: "ConstructorError", Message: fmt.Sprintf("while constructing a mapping\nfound unhashable key\n  in \"<unicode string>\", line %d, column %d", e.Key.Line(), e.Key.Column())}
			}
			v, err := fromYAML(e.Value)
			if err != nil {
				return nil, err
			}
			m.Set(k, v)
		}
		return &dict{m}, nil
	}
	return n.Text(), nil
}

// yamlFloat is PyYAML's form of a float.
func yamlFloat(f float64) string {
	s := value.FormatFloat(f)
	switch s {
	case "nan":
		return ".nan"
	case "inf":
		return ".inf"
	case "-inf":
		return "-.inf"
	}
	if mantissa, exp, ok := strings.Cut(s, "e"); ok && !strings.Contains(mantissa, ".") {
		return mantissa + ".0e" + exp
	}
	return s
}

// yamlScalar is the plain form of what is neither text nor collection.
func yamlScalar(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "null", nil
	case bool:
		return strconv.FormatBool(v), nil
	case float64:
		return yamlFloat(v), nil
	case int64, *big.Int:
		return value.Str(v), nil
	case *datetime:
		return v.PyStr(), nil
	}
	return "", notRepresentable(v)
}
