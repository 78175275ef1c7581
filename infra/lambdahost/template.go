package lambdahost

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Template is a template of CloudFormation with the SAM transform, as far as a
// host needs it: its functions, queues and buckets, with references between them
// resolved. Everything else is counted and left alone.
type Template struct {
	doc        map[string]any
	parameters map[string]any
	// Value gives what a resource's Ref ("") or attribute is; a host sets it before
	// it resolves properties. Default: a text that names it.
	Value func(id, attribute string) string
}

// tags are the short forms of intrinsic functions.
var tags = map[string]string{
	"!Ref": "Ref", "!Sub": "Fn::Sub", "!GetAtt": "Fn::GetAtt", "!If": "Fn::If", "!Equals": "Fn::Equals", "!Not": "Fn::Not", "!And": "Fn::And",
	"!Or": "Fn::Or", "!Join": "Fn::Join", "!Split": "Fn::Split", "!Select": "Fn::Select", "!Condition": "Condition", "!FindInMap": "Fn::FindInMap",
}

// ReadTemplate reads a template with values for its parameters; parameters without
// a value have their default, and those without either a text that names them, since
// nothing is created with them. ErrInvalid says what is wrong, with its place.
func ReadTemplate(file string, text []byte, parameters map[string]string) (*Template, error) {
	n, found := yamldoc.Parse(text, yamldoc.Options{File: file, Tags: tags})
	var errs []error
	for _, d := range found {
		if d.Severity == yamldoc.Error {
			errs = append(errs, fmt.Errorf("%s: %w", d, hayate.ErrInvalid))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	t := &Template{parameters: map[string]any{}}
	if err := json.Unmarshal(n.JSON(), &t.doc); err != nil {
		return nil, fmt.Errorf("%s: it is no mapping: %w", file, hayate.ErrInvalid)
	}
	t.Value = func(id, attribute string) string { return strings.TrimSuffix("${"+id+"."+attribute, ".") + "}" }
	declared := t.section("Parameters")
	for name := range declared {
		p, _ := declared[name].(map[string]any)
		v, given := parameters[name]
		switch d, has := p["Default"]; {
		case given:
			t.parameters[name] = parameterValue(p, v)
		case has:
			t.parameters[name] = parameterValue(p, textOf(d))
		default:
			t.parameters[name] = "{{" + name + "}}"
		}
	}
	for name := range parameters {
		if _, ok := declared[name]; !ok {
			errs = append(errs, fmt.Errorf("%s has no parameter %q%s: %w", file, name, yamldoc.Suggest(name, slices.Sorted(maps.Keys(declared))), hayate.ErrInvalid))
		}
	}
	return t, errors.Join(errs...)
}

// parameterValue is a parameter's value in its type.
func parameterValue(p map[string]any, v string) any {
	if typ, _ := p["Type"].(string); typ == "CommaDelimitedList" || strings.HasPrefix(typ, "List<") {
		var list []any
		for part := range strings.SplitSeq(v, ",") {
			list = append(list, strings.TrimSpace(part))
		}
		return list
	}
	return v
}

func (t *Template) section(name string) map[string]any {
	s, _ := t.doc[name].(map[string]any)
	return s
}

// Resource is one resource whose condition holds.
type Resource struct {
	ID, Type   string
	Properties map[string]any // resolved
}

// Resources are the resources of a type, or all for "", by id.
func (t *Template) Resources(typ string) ([]Resource, error) {
	var list []Resource
	all := t.section("Resources")
	for _, id := range slices.Sorted(maps.Keys(all)) {
		r, _ := all[id].(map[string]any)
		kind, _ := r["Type"].(string)
		if typ != "" && kind != typ {
			continue
		}
		if c, ok := r["Condition"].(string); ok && !t.holds(c, 0) {
			continue
		}
		properties, _ := r["Properties"].(map[string]any)
		if kind == "AWS::Serverless::Function" {
			globals, _ := t.section("Globals")["Function"].(map[string]any)
			properties = merged(globals, properties)
		}
		v, err := t.resolve(properties, 0)
		if err != nil {
			return nil, fmt.Errorf("resource %s: %w", id, err)
		}
		properties, _ = v.(map[string]any)
		list = append(list, Resource{id, kind, properties})
	}
	return list, nil
}

// merged is own over globals; mappings are merged, as SAM does.
func merged(globals, own map[string]any) map[string]any {
	out := maps.Clone(globals)
	if out == nil {
		out = map[string]any{}
	}
	for k, v := range own {
		a, isMap := out[k].(map[string]any)
		if b, ok := v.(map[string]any); ok && isMap {
			v = merged(a, b)
		}
		out[k] = v
	}
	return out
}

// maxDepth bounds how deep functions lie in each other.
const maxDepth = 64

// noValue is what AWS::NoValue resolves to: the member is left out.
type noValue struct{}

// resolve resolves the functions in a value.
func (t *Template) resolve(v any, depth int) (any, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("nested deeper than %d: %w", maxDepth, hayate.ErrInvalid)
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "Ref" || name == "Condition" || strings.HasPrefix(name, "Fn::") {
					return t.call(name, argument, depth+1)
				}
			}
		}
		out := make(map[string]any, len(v))
		for k, x := range v {
			y, err := t.resolve(x, depth+1)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			if _, none := y.(noValue); !none {
				out[k] = y
			}
		}
		return out, nil
	case []any:
		out := make([]any, 0, len(v))
		for _, x := range v {
			y, err := t.resolve(x, depth+1)
			if err != nil {
				return nil, err
			}
			if _, none := y.(noValue); !none {
				out = append(out, y)
			}
		}
		return out, nil
	}
	return v, nil
}

// call resolves one function.
func (t *Template) call(name string, argument any, depth int) (any, error) {
	switch name {
	case "Ref":
		return t.ref(textOf(argument)), nil
	case "Condition":
		return t.holds(textOf(argument), depth), nil
	case "Fn::GetAtt":
		return t.attribute(argument), nil
	case "Fn::Sub":
		return t.substitute(argument, depth)
	}
	list, _ := argument.([]any)
	if name == "Fn::If" && len(list) == 3 {
		if t.holds(textOf(list[0]), depth) {
			return t.resolve(list[1], depth)
		}
		return t.resolve(list[2], depth)
	}
	v, err := t.resolve(list, depth)
	if err != nil {
		return nil, err
	}
	args, _ := v.([]any)
	switch {
	case name == "Fn::Equals" && len(args) == 2:
		return textOf(args[0]) == textOf(args[1]), nil
	case name == "Fn::Not" && len(args) == 1:
		return args[0] != true, nil
	case name == "Fn::And":
		return !slices.Contains(args, any(false)), nil
	case name == "Fn::Or":
		return slices.Contains(args, any(true)), nil
	case name == "Fn::Join" && len(args) == 2:
		var parts []string
		list, _ := args[1].([]any)
		for _, p := range list {
			parts = append(parts, textOf(p))
		}
		return strings.Join(parts, textOf(args[0])), nil
	case name == "Fn::Split" && len(args) == 2:
		var out []any
		for part := range strings.SplitSeq(textOf(args[1]), textOf(args[0])) {
			out = append(out, part)
		}
		return out, nil
	case name == "Fn::Select" && len(args) == 2:
		var i int
		list, _ := args[1].([]any)
		if _, err := fmt.Sscan(textOf(args[0]), &i); err == nil && i >= 0 && i < len(list) {
			return list[i], nil
		}
	}
	return nil, fmt.Errorf("%s cannot be resolved here: %w", name, hayate.ErrInvalid)
}

// pseudo are the parameters that CloudFormation itself has.
var pseudo = map[string]string{"AWS::Region": region, "AWS::AccountId": accountID, "AWS::Partition": "aws", "AWS::URLSuffix": "amazonaws.com", "AWS::StackName": "hayate"}

const region = "us-east-1"

func (t *Template) ref(name string) any {
	if name == "AWS::NoValue" {
		return noValue{}
	}
	if v, ok := pseudo[name]; ok {
		return v
	}
	if v, ok := t.parameters[name]; ok {
		return v
	}
	id, attribute, _ := strings.Cut(name, ".") // Function.Alias, as SAM allows
	return t.Value(id, attribute)
}

func (t *Template) attribute(argument any) any {
	if list, ok := argument.([]any); ok && len(list) == 2 {
		return t.Value(textOf(list[0]), textOf(list[1]))
	}
	id, attribute, _ := strings.Cut(textOf(argument), ".")
	return t.Value(id, attribute)
}

var substitution = regexp.MustCompile(`\$\{([A-Za-z0-9.:]+)\}`)

// substitute resolves Fn::Sub.
func (t *Template) substitute(argument any, depth int) (any, error) {
	text, own := textOf(argument), map[string]any{}
	if list, ok := argument.([]any); ok && len(list) == 2 {
		v, err := t.resolve(list[1], depth)
		if err != nil {
			return nil, err
		}
		text = textOf(list[0])
		own, _ = v.(map[string]any)
	}
	return substitution.ReplaceAllStringFunc(text, func(m string) string {
		name := m[2 : len(m)-1]
		if v, ok := own[name]; ok {
			return textOf(v)
		}
		return textOf(t.ref(name))
	}), nil
}

// holds says whether a condition holds.
func (t *Template) holds(name string, depth int) bool {
	if depth > maxDepth {
		return false
	}
	v, err := t.resolve(t.section("Conditions")[name], depth+1)
	return err == nil && v == true
}

// textOf is a scalar as a text.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case nil, noValue:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// at follows a path of members in a resolved value.
func at(v any, path ...string) any {
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}
