package rules_test

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
	"github.com/hayate-run/hayate/rules/cesql"
)

// A second opinion on what rules mean, written without an index, without
// predicates and without regard to speed. It knows what the generator makes.

// verdictOf says what one rule makes of an event: "match", "error" or "".
func verdictOf(r *hayate.Rule, e *hayate.Event) string {
	if r.Trigger.Type != "" && r.Trigger.Type != e.Type {
		return ""
	}
	if p := rules.TriggerParameters(r.Trigger.Type, r.Trigger.Parameters); p != "" && e.Extension(hayate.ExtTriggerParameters) != p {
		return ""
	}
	if r.Filters != nil {
		for _, f := range decode(r.Filters).([]any) {
			if ok, failed := naiveFilter(f.(map[string]any), e); !ok || failed {
				return ""
			}
		}
	}
	data := decode(e.Data)
	if r.Pattern != nil {
		m, ok := data.(map[string]any)
		if !ok || !naivePattern(decode(r.Pattern).(map[string]any), m) {
			return ""
		}
	}
	return naiveCriteria(r.Criteria, data, e.AcceptedAt)
}

func decode(b []byte) any {
	if len(b) == 0 {
		return nil
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		panic(err)
	}
	return v
}

// leaf is a scalar of an event: where, what, and which array elements it is in.
type leaf struct {
	path string
	val  any
	in   map[string]int // array, named by the way to it: element
}

func leaves(v any, path, way string, in map[string]int, arrays map[string]int, out *[]leaf) {
	switch x := v.(type) {
	case map[string]any:
		for k, y := range x {
			leaves(y, path+"/"+k, way+"/"+k, arrays, arrays, out)
		}
	case []any:
		for i, y := range x {
			inner := map[string]int{}
			for k, n := range arrays {
				inner[k] = n
			}
			inner[way] = i
			// Scalars of an array are bound by what is around it only.
			leaves(y, path, way+"#"+strconv.Itoa(i), in, inner, out)
		}
	default:
		*out = append(*out, leaf{path, v, in})
	}
}

// want is a field of a pattern and its allowed values.
type want struct {
	path string
	alts []any
}

// expand turns a pattern into its alternatives, each a list of wants.
func expand(p map[string]any, path string) [][]want {
	all := [][]want{nil}
	for k, v := range p {
		var part [][]want
		switch x := v.(type) {
		case map[string]any:
			part = expand(x, path+"/"+k)
		case []any:
			switch k {
			case "$or":
				for _, b := range x {
					part = append(part, expand(b.(map[string]any), path)...)
				}
			case "$and":
				part = [][]want{nil}
				for _, b := range x {
					part = cross(part, expand(b.(map[string]any), path))
				}
			default:
				part = [][]want{{{path + "/" + k, x}}}
			}
		}
		all = cross(all, part)
	}
	return all
}

func cross(a, b [][]want) [][]want {
	var out [][]want
	for _, x := range a {
		for _, y := range b {
			out = append(out, append(slices.Clone(x), y...))
		}
	}
	return out
}

func naivePattern(p, data map[string]any) bool {
	var ls []leaf
	leaves(data, "", "", map[string]int{}, map[string]int{}, &ls)
	for _, ws := range expand(p, "") {
		if choose(ws, ls, nil, nil) {
			return true
		}
	}
	return false
}

// choose tries every leaf for the first want; absences wait until all others
// are chosen.
func choose(ws []want, ls []leaf, chosen []map[string]int, absent []string) bool {
	if len(ws) == 0 {
		for _, p := range absent {
			for _, l := range ls {
				if l.path == p && fits(l.in, chosen) {
					return false
				}
			}
		}
		return true
	}
	w := ws[0]
	for _, l := range ls {
		if l.path == w.path && fits(l.in, chosen) && slices.ContainsFunc(w.alts, func(a any) bool { return allows(a, l.val) }) {
			if choose(ws[1:], ls, append(slices.Clone(chosen), l.in), absent) {
				return true
			}
		}
	}
	for _, a := range w.alts {
		if m, ok := a.(map[string]any); ok && m["exists"] == false {
			return choose(ws[1:], ls, chosen, append(slices.Clone(absent), w.path))
		}
	}
	return false
}

func fits(in map[string]int, chosen []map[string]int) bool {
	for _, c := range chosen {
		for a, i := range in {
			if k, ok := c[a]; ok && k != i {
				return false
			}
		}
	}
	return true
}

// allows says whether a pattern's value allows an event's.
func allows(a, v any) bool {
	s, isText := v.(string)
	n, isNumber := v.(json.Number)
	op, isOp := a.(map[string]any)
	if !isOp {
		if x, ok := a.(json.Number); ok {
			return isNumber && float(x) == float(n)
		}
		return a == v
	}
	for name, arg := range op {
		switch name {
		case "exists":
			return arg == true
		case "exactly":
			return isText && s == arg
		case "prefix", "suffix":
			t, ok := arg.(string)
			if !ok {
				t, s = lowerASCII(arg.(map[string]any)["equals-ignore-case"].(string)), lowerASCII(s)
			}
			return isText && (name == "prefix" && strings.HasPrefix(s, t) || name == "suffix" && strings.HasSuffix(s, t))
		case "equals-ignore-case":
			return isText && lowerASCII(s) == lowerASCII(arg.(string))
		case "wildcard":
			return isText && wild(arg.(string), s)
		case "numeric":
			return isNumber && within(arg.([]any), float(n))
		case "cidr":
			addr, err := netip.ParseAddr(s)
			return isText && err == nil && netip.MustParsePrefix(arg.(string)).Contains(addr)
		case "anything-but":
			return !excluded(arg, v)
		}
	}
	panic("unknown operator")
}

func excluded(arg, v any) bool {
	switch x := arg.(type) {
	case []any:
		return slices.ContainsFunc(x, func(y any) bool { return excluded(y, v) })
	case map[string]any:
		for name, y := range x {
			list, ok := y.([]any)
			if !ok {
				list = []any{y}
			}
			return slices.ContainsFunc(list, func(z any) bool { return allows(map[string]any{name: z}, v) })
		}
	}
	return allows(arg, v)
}

func float(n json.Number) float64 {
	f, err := n.Float64()
	if err != nil {
		panic(err)
	}
	return f
}

func within(bounds []any, x float64) bool {
	for i := 0; i < len(bounds); i += 2 {
		y := float(bounds[i+1].(json.Number))
		ok := map[string]bool{"=": x == y, ">": x > y, ">=": x >= y, "<": x < y, "<=": x <= y}[bounds[i].(string)]
		if !ok {
			return false
		}
	}
	return true
}

func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, s)
}

func wild(p, s string) bool {
	switch {
	case p == "":
		return s == ""
	case p[0] == '*':
		return wild(p[1:], s) || s != "" && wild(p, s[1:])
	}
	return s != "" && s[0] == p[0] && wild(p[1:], s[1:])
}

type naiveAttributes struct{ e *hayate.Event }

func (a naiveAttributes) Attribute(name string) (any, bool) {
	e := a.e
	switch name {
	case "id":
		return e.ID, true
	case "source":
		return e.Source, true
	case "type":
		return e.Type, true
	case "specversion":
		return "1.0", true
	case "subject":
		return e.Subject, e.Subject != ""
	}
	v, ok := e.Extensions[name]
	return v, ok
}

func naiveFilter(f map[string]any, e *hayate.Event) (ok, failed bool) {
	for name, arg := range f {
		switch name {
		case "exact", "prefix", "suffix":
			for attr, want := range arg.(map[string]any) {
				v, ok := naiveAttributes{e}.Attribute(attr)
				s, w := hayate.AttributeText(v), want.(string)
				if !ok || name == "exact" && s != w || name == "prefix" && !strings.HasPrefix(s, w) || name == "suffix" && !strings.HasSuffix(s, w) {
					return false, false
				}
			}
			return true, false
		case "all", "any":
			some := false
			for _, x := range arg.([]any) {
				ok, bad := naiveFilter(x.(map[string]any), e)
				failed = failed || bad
				some = some || ok && !bad
				if name == "all" && !ok && !bad {
					return false, false
				}
			}
			if name == "any" {
				return some, failed && !some
			}
			return !failed, failed
		case "not":
			ok, failed := naiveFilter(arg.(map[string]any), e)
			return !ok && !failed, failed
		case "sql":
			x, err := cesql.Parse(arg.(string))
			if err != nil {
				panic(err)
			}
			v, bad := x.Eval(naiveAttributes{e})
			b, isBool := v.Bool()
			return b && isBool && bad == nil, bad != nil
		}
	}
	panic("unknown filter")
}

// naiveCriteria evaluates criteria in the order of the document.
func naiveCriteria(raw json.RawMessage, data any, now time.Time) string {
	if raw == nil {
		return "match"
	}
	d := json.NewDecoder(strings.NewReader(string(raw)))
	if _, err := d.Token(); err != nil {
		panic(err)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			panic(err)
		}
		var c struct {
			Type    string
			Pattern json.RawMessage
		}
		if err := d.Decode(&c); err != nil {
			panic(err)
		}
		if falsy(data) {
			return ""
		}
		v := data
		name, _, _ := strings.Cut(key.(string), "#")
		for _, n := range strings.Split(name, ".")[1:] {
			m, _ := v.(map[string]any)
			v = m[n]
		}
		val, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		ok, err := rules.Operate(c.Type, val, c.Pattern, nil, now)
		switch {
		case err != nil:
			return "error"
		case !ok:
			return ""
		}
	}
	return "match"
}

func falsy(v any) bool {
	switch x := v.(type) {
	case nil:
		return true
	case map[string]any:
		return len(x) == 0
	case []any:
		return len(x) == 0
	}
	return v == false || v == "" || v == json.Number("0")
}
