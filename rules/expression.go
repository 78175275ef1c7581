package rules

import (
	"errors"
	"regexp"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// template is a pattern with {{ }}, as StackStorm's filter renders it
// (st2reactor/rules/filter.py): first with to_complex put behind the last
// expression, so that a type survives as JSON; what is no JSON then is rendered
// once more, as it was written.
type template struct {
	complex *jinja.Template // nil where there is no {{ }}
	plain   *jinja.Template
	wrong   error // why it cannot be read
}

// environment is StackStorm's: sandboxed, and undefined values are errors.
// Templates in criteria decrypt nothing: rules see no key.
var environment = jinja.New(jinja.StackStormOptions(jinja.Hooks{ParseYAML: parseYAML}, true))

// parseYAML reads a document for from_yaml_string.
func parseYAML(text string) (any, error) {
	doc, ds := yamldoc.Parse([]byte(text), yamldoc.Options{})
	if yamldoc.HasErrors(ds) {
		return nil, value.ValueErrorf("%s", ds[0].Message)
	}
	if raw := doc.JSON(); raw != nil {
		return value.Decode(raw)
	}
	return nil, nil
}

// braces finds what to_complex is added to: greedy, so the last expression of
// a line.
var braces = regexp.MustCompile(`(\{\{)(.*)(\}\})`)

// newTemplate compiles a pattern; it returns nil where the text has no template.
func newTemplate(text string) *template {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") && !strings.Contains(text, "{#") {
		return nil
	}
	t := &template{}
	if braces.MatchString(text) {
		t.complex, t.wrong = environment.Compile(braces.ReplaceAllString(text, "${1}${2} | to_complex${3}"))
	}
	if t.wrong == nil {
		t.plain, t.wrong = environment.Compile(text)
	}
	return t
}

// render gives the pattern for an event.
func (t *template) render(ev *evaluation) (any, error) {
	if t.wrong != nil {
		return nil, t.wrong
	}
	if t.complex != nil {
		text, err := t.text(ev, t.complex)
		if err == nil {
			var v any
			if v, err = value.Loads(text); err == nil {
				return v, nil
			}
		} else if !isValueError(err) {
			return nil, err
		}
	}
	return t.text(ev, t.plain)
}

// isValueError says whether Python would have raised a ValueError.
func isValueError(err error) bool {
	var je *jinja.Error
	if errors.As(err, &je) {
		return je.Class == "ValueError"
	}
	var ve *value.Error
	return errors.As(err, &ve) && ve.Class == "ValueError"
}

func (t *template) text(ev *evaluation, x *jinja.Template) (string, error) {
	s := &variables{ev: ev}
	text, err := x.Render(s)
	if len(s.need) > 0 {
		return "", needError{s.need}
	}
	return text, err
}

// variables are what a pattern's template sees.
type variables struct {
	ev   *evaluation
	need []string
}

// Lookup finds trigger (inside search: item), system and st2kv.
func (s *variables) Lookup(name string) (any, bool, error) {
	switch name {
	case "st2kv":
		return &storedKey{s: s}, true, nil
	case "system":
		return &storedKey{s: s, path: "system"}, true, nil
	case "trigger", "item":
		ctx, err := s.ev.context()
		if err != nil {
			return nil, false, err
		}
		v, ok := ctx.Str(name)
		return v, ok, nil
	}
	return nil, false, nil
}

// storedKey is st2kv, st2kv.system or a key below: each attribute makes the name
// longer, and it is looked up when its value is needed. An absent key is an empty
// text.
type storedKey struct {
	s    *variables
	path string
}

// Attr goes on along the name. Rules see the system scope only.
func (k *storedKey) Attr(name string) (any, bool, error) {
	if k.path == "" {
		return &storedKey{k.s, name}, name == "system", nil
	}
	return &storedKey{k.s, k.path + "." + name}, true, nil
}

// Resolve returns the value, or notes that it is needed.
func (k *storedKey) Resolve() (any, error) {
	if v, ok := k.s.ev.values[k.path]; ok {
		return v, nil
	}
	if k.path != "" && !slices.Contains(k.s.need, k.path) {
		k.s.need = append(k.s.need, k.path)
	}
	return "", nil
}
