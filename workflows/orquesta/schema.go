package orquesta

import (
	"regexp"
	"sort"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// schema is the part of JSON schema (draft 4) that describes the language. The
// messages are those of Python's jsonschema, which users of StackStorm know.
type schema struct {
	kind       string // type, "" for any
	props      map[string]*schema
	pattern    *schema // every property whose name is a word
	open       bool    // other properties may stand beside
	required   []string
	minProps   bool // at least one property
	one        bool // at most one property
	items      *schema
	minItems   bool
	unique     bool
	minLength  bool
	matches    *regexp.Regexp
	matchText  string
	enum       value.List
	minimum    bool // not negative
	oneOf      []*schema
	oneOfLabel string // oneOf or anyOf
}

const wordPattern = `^\w+$`

var wordName = regexp.MustCompile(`^[\p{L}\p{N}_]+\n?$`)

// itemsPattern is what with.items must look like, as Python writes it.
const itemsPattern = `^(\s+)?(<%.*?%>|{{.*?}})(\s+)?$|^(\s+)?((\w+,\s?|\s+)+)?(\w+)\s+in\s+(<%.*?%>|{{.*?}})(\s+)?$`

var itemsRegexp = regexp.MustCompile(`^(\s+)?(<%.*?%>|\{\{.*?\}\})(\s+)?$|^(\s+)?(([\p{L}\p{N}_]+,\s?|\s+)+)?([\p{L}\p{N}_]+)\s+in\s+(<%.*?%>|\{\{.*?\}\})(\s+)?$`)

// languageSchema describes a whole workflow.
var languageSchema = newLanguageSchema()

func newLanguageSchema() *schema {
	text := &schema{kind: "string"}
	full := &schema{kind: "string", minLength: true}
	count := &schema{kind: "integer", minimum: true}
	either := func(ss ...*schema) *schema { return &schema{oneOf: ss, oneOfLabel: "oneOf"} }
	pair := &schema{kind: "object", open: true, minProps: true, one: true}
	pairs := &schema{kind: "array", items: pair, unique: true, minItems: true}
	transition := &schema{kind: "object", props: map[string]*schema{
		"when":    full,
		"publish": either(full, pairs),
		"do":      either(full, &schema{kind: "array", items: full, unique: true, minItems: true}),
	}}
	task := &schema{kind: "object", props: map[string]*schema{
		"delay": either(full, count),
		"join":  either(&schema{enum: value.List{"all"}}, count),
		"with": {kind: "object", required: []string{"items"}, props: map[string]*schema{
			"items":       {kind: "string", minLength: true, matches: itemsRegexp, matchText: itemsPattern},
			"concurrency": either(full, count),
		}},
		"action": full,
		"input":  either(full, &schema{kind: "object", open: true, minProps: true}),
		"retry": {kind: "object", required: []string{"count"}, props: map[string]*schema{
			"when":  full,
			"count": either(full, count),
			"delay": either(full, count),
		}},
		"next": {kind: "array", items: transition},
	}}
	return &schema{kind: "object", required: []string{"tasks"}, props: map[string]*schema{
		"version":     {enum: value.List{"1.0", 1.0}},
		"name":        full,
		"description": full,
		"tags":        {kind: "array", items: text, unique: true},
		"input": {kind: "array", unique: true, minItems: true,
			items: either(full, pair)},
		"vars":   pairs,
		"output": pairs,
		"tasks":  {kind: "object", pattern: task, minProps: true},
	}}
}

// violation is one way in which a document breaks the schema.
type violation struct {
	message, spec, schema string
	at                    []string // keys and indexes from the root
}

// check appends the violations of v.
func (s *schema) check(v any, spec, path string, at []string, out []violation) []violation {
	add := func(rule, message string) {
		out = append(out, violation{unescape(message), spec, join(path, rule), at})
	}
	repr := func() string { return value.Repr(v) }
	if s.enum != nil {
		ok := false
		for _, e := range s.enum {
			ok = ok || value.Equal(e, v) && !isBool(v)
		}
		if !ok {
			add("enum", repr()+" is not one of "+value.Repr(s.enum))
		}
	}
	if s.oneOf != nil {
		good := 0
		for _, o := range s.oneOf {
			if len(o.check(v, "", "", nil, nil)) == 0 {
				good++
			}
		}
		if good == 0 {
			add(s.oneOfLabel, repr()+" is not valid under any of the given schemas")
		}
	}
	if s.kind != "" && !isKind(v, s.kind) {
		add("type", repr()+" is not of type '"+s.kind+"'")
	}
	switch v := v.(type) {
	case *value.Map:
		out = s.checkObject(v, spec, path, at, out, add)
	case value.List:
		if s.minItems && len(v) == 0 {
			add("minItems", "[] should be non-empty")
		}
		if s.unique && !uniqueItems(v) {
			add("uniqueItems", repr()+" has non-unique elements")
		}
		if s.items != nil {
			for i, item := range v {
				n := strconv.Itoa(i)
				out = s.items.check(item, spec+"["+n+"]", join(path, "items"), append(at[:len(at):len(at)], n), out)
			}
		}
	case string:
		if s.minLength && v == "" {
			add("minLength", "'' should be non-empty")
		}
		if s.matches != nil && !s.matches.MatchString(v) {
			add("pattern", repr()+" does not match "+value.Repr(s.matchText))
		}
	}
	if s.minimum && value.IsNumber(v) {
		if less, err := value.Order("<", v, int64(0)); err == nil && less {
			add("minimum", repr()+" is less than the minimum of 0")
		}
	}
	return out
}

func (s *schema) checkObject(v *value.Map, spec, path string, at []string, out []violation, add func(rule, message string)) []violation {
	for _, name := range s.required {
		if !v.Has(name) {
			out = append(out, violation{value.Repr(name) + " is a required property", spec, join(path, "required"), at})
		}
	}
	if s.minProps && v.Len() == 0 {
		out = append(out, violation{"{} should be non-empty", spec, join(path, "minProperties"), at})
	}
	if s.one && v.Len() > 1 {
		out = append(out, violation{unescape(value.Repr(v) + " has too many properties"), spec, join(path, "maxProperties"), at})
	}
	var extra []string
	for k, item := range v.All() {
		name := value.Str(k)
		below := append(at[:len(at):len(at)], name)
		if sub := s.props[name]; sub != nil {
			out = sub.check(item, dot(spec, name), join(path, "properties."+name), below, out)
		} else if s.pattern != nil && wordName.MatchString(name) {
			out = s.pattern.check(item, dot(spec, name), join(path, "patternProperties."+wordPattern), below, out)
		} else if !s.open && (s.props != nil || s.pattern != nil) {
			extra = append(extra, value.Repr(k))
		}
	}
	if len(extra) == 0 {
		return out
	}
	sort.Strings(extra)
	verb := "was"
	if len(extra) > 1 {
		verb = "were"
	}
	message := "Additional properties are not allowed (" + strings.Join(extra, ", ") + " " + verb + " unexpected)"
	if s.pattern != nil {
		verb = "does"
		if len(extra) > 1 {
			verb = "do"
		}
		message = strings.Join(extra, ", ") + " " + verb + " not match any of the regexes: '" + wordPattern + "'"
	}
	return append(out, violation{unescape(message), spec, join(path, "additionalProperties"), at})
}

func isBool(v any) bool { _, ok := v.(bool); return ok }

func isKind(v any, kind string) bool {
	switch kind {
	case "string":
		_, ok := v.(string)
		return ok
	case "object":
		_, ok := v.(*value.Map)
		return ok
	case "array":
		_, ok := v.(value.List)
		return ok
	case "integer":
		return value.IsInt(v)
	}
	return false
}

func uniqueItems(l value.List) bool {
	seen := make(map[any]bool, len(l))
	for _, v := range l {
		k := value.HashKey(v)
		if b, ok := v.(bool); ok {
			k = [2]bool{true, b} // True is no second 1 here
		}
		if seen[k] {
			return false
		}
		seen[k] = true
	}
	return true
}

func join(path, rule string) string {
	if path == "" {
		return rule
	}
	return path + "." + rule
}

func dot(path, name string) string { return join(path, name) }

var reprEscapes = strings.NewReplacer(`\\`, `\`, `\'`, `'`, `\n`, "\n", `\t`, "\t", `\r`, "\r")

// unescape undoes the backslashes of Python's repr in a message, as StackStorm
// does.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	return reprEscapes.Replace(s)
}
