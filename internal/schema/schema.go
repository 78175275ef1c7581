// Package schema checks JSON values against StackStorm's dialect of JSON
// schema: draft 4, with draft 3's boolean "required" inside a property, null
// allowed for what is optional, and defaults filled in. "format" is never
// checked, as in StackStorm. Messages are worded as python-jsonschema words
// them, since people search for those.
//
// A schema is compiled once and then used from any number of goroutines.
// Patterns are Python's regular expressions.
package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/pyre"
)

// Options say how a schema is compiled. The zero value takes it as written.
type Options struct {
	// AllowNull lets a property be null where it is optional or its default is
	// null, at every depth: how StackStorm checks the parameters of actions,
	// triggers and policies, and configs. As there, an optional property without a
	// type is then text, and draft 4's list of required names counts for nothing.
	AllowNull bool
	// Pattern compiles the regular expressions of "pattern" and
	// "patternProperties", which are searched for anywhere in the text;
	// default: Python's, with a bound on steps.
	Pattern func(expr string) (func(text string) bool, error)
}

// Property is a named schema.
type Property struct {
	Name   string
	Schema json.RawMessage // a JSON object; nil or {} accepts anything
}

// Schema is a compiled schema. It is immutable.
type Schema struct {
	root *node
}

// Compile compiles a schema, a JSON object. The error names everything that is
// wrong with it, each with its place.
func Compile(doc json.RawMessage, o Options) (*Schema, error) {
	v, err := parse(doc)
	if err != nil {
		return nil, fmt.Errorf("read schema: %w", err)
	}
	return compile(v, o)
}

// Parameters compiles the schema of an object with these properties, to which
// open says whether others may be added. Nulls are allowed as
// Options.AllowNull says.
func Parameters(props []Property, open bool, o Options) (*Schema, error) {
	o.AllowNull = true
	b := []byte(`{"type":"object","additionalProperties":`)
	if open {
		b = append(b, `true,"properties":{`...)
	} else {
		b = append(b, `false,"properties":{`...)
	}
	for i, p := range props {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, p.Name)
		b = append(b, ':')
		if len(p.Schema) == 0 || isEmptyObject(p.Schema) {
			b = append(b, anyType...)
			continue
		}
		b = append(b, p.Schema...)
	}
	return Compile(append(b, "}}"...), o)
}

// anyType is what StackStorm makes of a parameter that says nothing.
const anyType = `{"anyOf":[{"type":"array"},{"type":"boolean"},{"type":"integer"},{"type":"number"},{"type":"object"},{"type":"string"}]}`

func isEmptyObject(raw json.RawMessage) bool {
	v, err := parse(raw)
	return err == nil && v.kind == kindObject && len(v.members) == 0
}

// Validate checks a value. A value that does not fit gets an *Error with all
// that is wrong; text that is not JSON gets another error.
func (s *Schema) Validate(value json.RawMessage) error {
	v, err := parse(value)
	if err != nil {
		return err
	}
	return s.check(&v)
}

// Complete fills in the defaults of what is absent or null, nested ones where
// the parent is there, and checks the outcome, which it returns. Keys keep
// their order; those added come last, in the order of the schema. Without
// defaults to add it returns value itself.
func (s *Schema) Complete(value json.RawMessage) (json.RawMessage, error) {
	v, err := parse(value)
	if err != nil {
		return nil, err
	}
	changed := v.kind == kindObject && s.root.types == typeObject && s.root.fillObject(&v)
	if err := s.check(&v); err != nil {
		return nil, err
	}
	if !changed {
		return value, nil
	}
	return v.appendJSON(make([]byte, 0, len(value)+64)), nil
}

// Merge returns the deep union of two JSON objects: members of over replace
// those of base unless both are objects, which are merged. Keys keep the order of
// base; those added come last. It is how an action's parameter overrides single
// keys of its runner's.
func Merge(base, over json.RawMessage) (json.RawMessage, error) {
	b, err := parse(base)
	if err != nil {
		return nil, err
	}
	o, err := parse(over)
	if err != nil {
		return nil, err
	}
	merge(&b, &o)
	return b.appendJSON(nil), nil
}

func merge(base, over *val) {
	if base.kind != kindObject || over.kind != kindObject {
		*base = *over
		return
	}
	for i := range over.members {
		m := &over.members[i]
		if at := base.member(m.name); at != nil {
			merge(at, &m.val)
		} else {
			base.members = append(base.members, *m)
		}
	}
	base.raw = nil
}

// Error is the list of what is wrong with a value.
type Error struct {
	Issues []Issue
}

// Issue is one thing that is wrong.
type Issue struct {
	// Path leads to the value: names and indices.
	Path []string
	// Keyword is the schema's keyword that refuses it: "type".
	Keyword string
	// Message is python-jsonschema's: 'x' is not of type 'integer'. A secret value
	// does not appear in it.
	Message string
}

// String gives the message, led by the field's path where there is one.
func (i Issue) String() string {
	if len(i.Path) == 0 {
		return i.Message
	}
	return i.Field() + ": " + i.Message
}

// Field is the path as people write it: servers[0].port.
func (i Issue) Field() string {
	var b strings.Builder
	for _, p := range i.Path {
		switch {
		case p != "" && p[0] >= '0' && p[0] <= '9':
			b.WriteString("[" + p + "]")
		case b.Len() > 0:
			b.WriteString("." + p)
		default:
			b.WriteString(p)
		}
	}
	return b.String()
}

// Error lists the issues, separated by semicolons.
func (e *Error) Error() string {
	texts := make([]string, len(e.Issues))
	for i, is := range e.Issues {
		texts[i] = is.String()
	}
	return strings.Join(texts, "; ")
}

func (s *Schema) check(v *val) error {
	if s.root.fits(v) {
		return nil
	}
	c := checker{steps: new(int)}
	c.check(s.root, v, 0)
	if len(c.issues) == 0 {
		return errors.New("the value does not fit, and the schema cannot say why")
	}
	return &Error{c.issues}
}

// defaultPattern searches as Python's re does. A match that takes too many steps
// is none.
func defaultPattern(expr string) (func(string) bool, error) {
	re, err := pyre.Compile(expr, 0)
	if err != nil {
		return nil, err
	}
	return func(text string) bool {
		found, err := re.Found(text)
		return err == nil && found
	}, nil
}
