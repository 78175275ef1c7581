package packs

import (
	"regexp"
	"strconv"

	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// shapes are the forms of a pack's documents, as StackStorm 3.9 takes them, with
// hayate's own keys.
type shapes struct {
	pack, action, rule, triggerType, sensor, alias, policy, configSchema, override *shape
}

var (
	isMapping = kindSet(yamldoc.Mapping)
	isList    = kindSet(yamldoc.Sequence)
	isText    = kindSet(yamldoc.String)
	isBool    = kindSet(yamldoc.Bool)
	isNumber  = kindSet(yamldoc.Int, yamldoc.Float)
	isInteger = kindSet(yamldoc.Int)
	isScalar  = kindSet(yamldoc.Bool, yamldoc.Int, yamldoc.Float, yamldoc.String, yamldoc.Timestamp)

	wordName     = regexp.MustCompile(`^[\pL\pN_]+$`) // Python's ^\w+$
	packRef      = regexp.MustCompile(`^[a-z0-9_]+$`)
	target       = regexp.MustCompile(`^(amqp|lambda):[A-Za-z0-9._-]{1,64}$`)
	packVersion  = regexp.MustCompile(`^(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*)){2}(?:-[\da-z-]+(?:\.[\da-z-]+)*)?(?:\+[\da-z-]+(?:\.[\da-z-]+)*)?$`)
	versionRange = regexp.MustCompile(`^(?:(?:>?>|>=|=|<=|<?<)\s*\d+\.\d+\.\d+(?:\s*,)?\s*)+$`)
)

// of gives a shape that asks only for kinds.
func of(k kinds) *shape { return &shape{kinds: k} }

func listOf(item *shape) *shape { return &shape{kinds: isList, items: item} }

// records are the keys that StackStorm writes into its own copies; they may
// stand in a file and mean nothing there.
func records() []key {
	return []key{{name: "id", shape: of(isText)}, {name: "ref", shape: of(isText)}, {name: "uid", shape: of(isText)},
		{name: "metadata_file", shape: of(isText)}}
}

func newShapes() *shapes {
	property, nested := propertyShapes()
	tags := listOf(of(isMapping))
	return &shapes{
		pack:         packShape(),
		action:       actionShape(property, nested, tags),
		rule:         ruleShape(tags),
		triggerType:  triggerTypeShape(tags),
		sensor:       sensorShape(),
		alias:        aliasShape(),
		policy:       policyShape(),
		configSchema: &shape{kinds: isMapping, names: wordName, named: property, strict: true},
		override:     overrideShape(),
	}
}

// propertyShapes are the shapes of a parameter's schema: a parameter itself
// takes known keywords only, and a single type; what is nested in it may hold
// anything beside them.
func propertyShapes() (top, nested *shape) {
	types := []string{"array", "boolean", "integer", "null", "number", "object", "string"}
	single := &shape{kinds: isText, enum: types}
	nested = &shape{kinds: isMapping, open: true, silent: true, strict: true}
	several := &shape{kinds: isText | isList, also: func(r *reader, n *yamldoc.Node) {
		if n.Kind() == yamldoc.Sequence {
			r.check(n, &shape{items: single, least: 1, distinct: true}, `"type"`)
		} else {
			r.check(n, single, `"type"`)
		}
	}}
	nested.keys = append(propertyKeys(nested), key{name: "type", shape: several}, key{name: "format", shape: of(isText)})
	top = &shape{kinds: isMapping, strict: true}
	top.keys = append(propertyKeys(nested), key{name: "type", shape: single})
	for _, s := range []*shape{top, nested} {
		s.also = exclusiveNeedsBound
	}
	return top, nested
}

func exclusiveNeedsBound(r *reader, n *yamldoc.Node) {
	for _, bound := range []string{"Maximum", "Minimum"} {
		if k, _ := n.Lookup("exclusive" + bound); k != nil && n.Get("m"+bound[1:]) == nil {
			r.errorf(k, "bad-value", "%q needs %q beside it", "exclusive"+bound, "m"+bound[1:])
		}
	}
}

func propertyKeys(nested *shape) []key {
	flag, text, number, count := of(isBool), of(isText), of(isNumber), &shape{kinds: isInteger, whole: true}
	schemas := &shape{kinds: isList, items: nested, least: 1}
	named := &shape{kinds: isMapping, open: true, names: regexp.MustCompile(``), named: nested, strict: true}
	schemaOrFlag := &shape{kinds: isMapping | isBool, also: schemaIfMapping(nested)}
	positive := &shape{kinds: isNumber, refuse: func(n *yamldoc.Node) string {
		if f, _ := n.Float(); f <= 0 {
			return "must be above 0"
		}
		return ""
	}}
	position := &shape{kinds: isNumber, refuse: func(n *yamldoc.Node) string {
		if f, _ := n.Float(); f < 0 {
			return "must not be below 0"
		}
		return ""
	}}
	expression := &shape{kinds: isText, refuse: func(n *yamldoc.Node) string {
		if _, err := pyre.Compile(n.Text(), 0); err != nil {
			return "is no regular expression: " + err.Error()
		}
		return ""
	}}
	dependency := &shape{kinds: isMapping | isList, also: func(r *reader, n *yamldoc.Node) {
		if n.Kind() == yamldoc.Sequence {
			r.check(n, &shape{items: text, least: 1, distinct: true}, "dependency")
		} else {
			r.check(n, nested, "dependency")
		}
	}}
	items := &shape{kinds: isMapping | isList, also: func(r *reader, n *yamldoc.Node) {
		if n.Kind() == yamldoc.Sequence {
			r.check(n, schemas, `"items"`)
		} else {
			r.check(n, nested, `"items"`)
		}
	}}
	return []key{
		{name: "id", shape: text}, {name: "$schema", shape: text}, {name: "title", shape: text}, {name: "description", shape: text},
		{name: "default"}, {name: "multipleOf", shape: positive}, {name: "maximum", shape: number}, {name: "exclusiveMaximum", shape: flag},
		{name: "minimum", shape: number}, {name: "exclusiveMinimum", shape: flag}, {name: "maxLength", shape: count},
		{name: "minLength", shape: count}, {name: "pattern", shape: expression}, {name: "additionalItems", shape: schemaOrFlag},
		{name: "items", shape: items}, {name: "maxItems", shape: count}, {name: "minItems", shape: count}, {name: "uniqueItems", shape: flag},
		{name: "maxProperties", shape: count}, {name: "minProperties", shape: count}, {name: "required", shape: flag},
		{name: "secret", shape: flag}, {name: "additionalProperties", shape: schemaOrFlag}, {name: "definitions", shape: named},
		{name: "properties", shape: named}, {name: "patternProperties", shape: named},
		{name: "dependencies", shape: &shape{kinds: isMapping, open: true, names: regexp.MustCompile(``), named: dependency, strict: true}},
		{name: "enum", shape: &shape{kinds: isList, least: 1, distinct: true}}, {name: "position", shape: position},
		{name: "immutable", shape: flag}, {name: "allOf", shape: schemas}, {name: "anyOf", shape: schemas}, {name: "oneOf", shape: schemas},
		{name: "not", shape: nested},
	}
}

func schemaIfMapping(nested *shape) func(*reader, *yamldoc.Node) {
	return func(r *reader, n *yamldoc.Node) {
		if n.Kind() == yamldoc.Mapping {
			r.check(n, nested, "schema")
		}
	}
}

// packShape takes unknown keys, as StackStorm does, to let packs of later
// versions in.
func packShape() *shape {
	texts := listOf(of(isText))
	return &shape{kinds: isMapping, open: true, keys: []key{
		{name: "name", shape: of(isText), required: true},
		{name: "ref", shape: &shape{kinds: isText, pattern: packRef}},
		{name: "description", shape: of(isText), required: true},
		{name: "version", shape: &shape{kinds: isScalar, refuse: func(n *yamldoc.Node) string {
			if !packVersion.MatchString(n.Text()) {
				return strconv.Quote(n.Text()) + " is not a semantic version of three parts, such as 0.1.0"
			}
			return ""
		}}, required: true},
		{name: "author", shape: of(isText), required: true},
		{name: "email", shape: &shape{kinds: isText, nullable: true}, required: true},
		{name: "keywords", shape: texts},
		{name: "stackstorm_version", shape: &shape{kinds: isText, pattern: versionRange}},
		{name: "python_versions", shape: &shape{kinds: isList, items: &shape{kinds: isText, enum: []string{"2", "3"}}, least: 1, most: 2, distinct: true}},
		{name: "contributors", shape: listOf(&shape{kinds: isText, refuse: func(n *yamldoc.Node) string {
			if len([]rune(n.Text())) > 100 {
				return "has more than 100 characters"
			}
			return ""
		}})},
		{name: "dependencies", shape: texts}, {name: "system", shape: of(isMapping)},
		{name: "files"}, {name: "path"}, {name: "id"}, {name: "uid", shape: of(isText)},
		{name: "pipefail", shape: of(isBool)}, // hayate's: the default for its actions
	}}
}

func actionShape(property, nested, tags *shape) *shape {
	notice := &shape{kinds: isMapping, keys: []key{{name: "message", shape: of(isText)}, {name: "data", shape: of(isMapping)},
		{name: "routes", shape: of(isList)}, {name: "channels", shape: of(isList)}}}
	number, text := of(isNumber), of(isText)
	expect := &shape{kinds: isMapping, keys: []key{
		{name: "exit_codes", shape: listOf(of(isInteger))}, {name: "stdout", shape: text}, {name: "stderr", shape: text},
		{name: "not_stdout", shape: text}, {name: "not_stderr", shape: text}, {name: "schema", shape: nested},
		{name: "ranges", shape: listOf(&shape{kinds: isMapping, keys: []key{{name: "path", shape: text, required: true},
			{name: "min", shape: number}, {name: "max", shape: number}}})},
		{name: "files", shape: listOf(&shape{kinds: isMapping, keys: []key{{name: "path", shape: text, required: true}, {name: "absent", shape: of(isBool)},
			{name: "fresh", shape: of(isBool)}, {name: "max_age", shape: number}, {name: "min_size", shape: of(isInteger)}}})},
	}}
	return &shape{kinds: isMapping, keys: append(records(),
		key{name: "name", shape: text, required: true},
		key{name: "description", shape: text},
		key{name: "enabled", shape: of(isBool)},
		key{name: "runner_type", shape: text, required: true},
		key{name: "entry_point", shape: text},
		key{name: "pack", shape: text},
		key{name: "parameters", shape: &shape{kinds: isMapping, names: wordName, named: property, strict: true}},
		key{name: "output_schema", shape: nested},
		key{name: "tags", shape: tags},
		key{name: "notify", shape: &shape{kinds: isMapping, keys: []key{{name: "on-complete", shape: notice},
			{name: "on-success", shape: notice}, {name: "on-failure", shape: notice}}}},
		key{name: "idempotent", shape: of(isBool)},
		key{name: "target", shape: &shape{kinds: isText, pattern: target}},
		key{name: "pipefail", shape: of(isBool)},
		key{name: "expect", shape: expect},
		key{name: "deadline", shape: &shape{kinds: isMapping | isText | isInteger, keys: []key{{name: "after", shape: of(isText | isInteger)},
			{name: "at", shape: of(isText | isInteger)}, {name: "timezone", shape: text}, {name: "warn", shape: of(isText | isInteger)}}}},
	)}
}

func ruleShape(tags *shape) *shape {
	text := of(isText)
	action := &shape{kinds: isMapping, keys: []key{{name: "ref", shape: text, required: true},
		{name: "description", shape: text}, {name: "parameters", shape: of(isMapping)}, {name: "target", shape: &shape{kinds: isText, pattern: target}}}}
	return &shape{kinds: isMapping, also: (*reader).checkRule, keys: append(records(),
		key{name: "name", shape: text, required: true},
		key{name: "pack", shape: text},
		key{name: "description", shape: text},
		key{name: "type", shape: &shape{kinds: isMapping, keys: []key{{name: "ref", shape: text, required: true}, {name: "parameters", shape: of(isMapping)}}}},
		key{name: "trigger", shape: &shape{kinds: isMapping, open: true, keys: []key{{name: "type", shape: text, required: true},
			{name: "description", shape: text}, {name: "parameters", shape: of(isMapping)}, {name: "ref", shape: text}}}},
		key{name: "criteria", shape: of(isMapping)},
		key{name: "action", shape: action},
		key{name: "enabled", shape: of(isBool)},
		key{name: "context", shape: of(isMapping)},
		key{name: "tags", shape: tags},
		key{name: "actions", shape: &shape{kinds: isList, items: action, least: 1}},
		key{name: "pattern", shape: of(isMapping)},
		key{name: "filters", shape: &shape{kinds: isList, items: of(isMapping), least: 1}},
		key{name: "mode", shape: &shape{kinds: isText, enum: []string{"shadow"}}},
		key{name: "when", shape: of(isMapping)},
		key{name: "guard", shape: of(isMapping)},
		key{name: "calendar", shape: of(isMapping)},
	)}
}

// triggerTypeShape takes unknown keys: StackStorm ignores them.
func triggerTypeShape(tags *shape) *shape {
	return &shape{kinds: isMapping, open: true, keys: append(records(),
		key{name: "name", shape: of(isText), required: true},
		key{name: "pack", shape: of(isText)},
		key{name: "description", shape: of(isText)},
		key{name: "payload_schema", shape: of(isMapping)},
		key{name: "parameters_schema", shape: of(isMapping)},
		key{name: "tags", shape: tags},
		key{name: "payload_info"},
	)}
}

// sensorShape takes unknown keys: StackStorm does not check sensors.
func sensorShape() *shape {
	return &shape{kinds: isMapping, open: true, keys: append(records(),
		key{name: "class_name", shape: of(isText), required: true},
		key{name: "entry_point", shape: &shape{kinds: isText, refuse: func(n *yamldoc.Node) string {
			if n.Text() == "" {
				return "must not be empty"
			}
			return ""
		}}, required: true},
		key{name: "pack", shape: of(isText)},
		key{name: "description", shape: of(isText)},
		key{name: "enabled", shape: of(isBool)},
		key{name: "poll_interval", shape: &shape{kinds: isNumber, refuse: func(n *yamldoc.Node) string {
			if f, _ := n.Float(); f != 0 && f < 4 {
				return "must not be below 4 seconds"
			}
			return ""
		}}},
		key{name: "trigger_types", shape: of(isList)},
		key{name: "artifact_uri", shape: of(isText)},
	)}
}

func aliasShape() *shape {
	text, flag, extra := of(isText), of(isBool), of(isMapping)
	spelled := &shape{kinds: isMapping, open: true, silent: true, keys: []key{{name: "display", shape: text}, {name: "representation", shape: listOf(text)}}}
	format := &shape{kinds: isText | isMapping, also: func(r *reader, n *yamldoc.Node) {
		if n.Kind() == yamldoc.Mapping {
			r.check(n, spelled, "format")
		}
	}}
	return &shape{kinds: isMapping, keys: append(records(),
		key{name: "name", shape: text, required: true},
		key{name: "pack", shape: text},
		key{name: "description", shape: text},
		key{name: "enabled", shape: flag},
		key{name: "action_ref", shape: text, required: true},
		key{name: "formats", shape: listOf(format), required: true},
		key{name: "ack", shape: &shape{kinds: isMapping, open: true, keys: []key{{name: "enabled", shape: flag}, {name: "format", shape: text},
			{name: "extra", shape: extra}, {name: "append_url", shape: flag}}}},
		key{name: "result", shape: &shape{kinds: isMapping, open: true, keys: []key{{name: "enabled", shape: flag}, {name: "format", shape: text},
			{name: "extra", shape: extra}}}},
		key{name: "extra", shape: extra},
		key{name: "immutable_parameters", shape: extra},
	)}
}

func policyShape() *shape {
	text := of(isText)
	return &shape{kinds: isMapping, also: (*reader).checkPolicy, keys: append(records(),
		key{name: "name", shape: text, required: true},
		key{name: "pack", shape: text},
		key{name: "description", shape: text},
		key{name: "enabled", shape: of(isBool)},
		key{name: "resource_ref", shape: text, required: true},
		key{name: "policy_type", shape: text, required: true},
		key{name: "parameters", shape: &shape{kinds: isMapping, names: wordName, strict: true}},
	)}
}

func overrideShape() *shape {
	settings := &shape{kinds: isMapping, keys: []key{{name: "enabled", shape: of(isBool)}}}
	kind := &shape{kinds: isMapping, keys: []key{{name: "defaults", shape: settings},
		{name: "exceptions", shape: &shape{kinds: isMapping, open: true, names: regexp.MustCompile(``), named: settings}}}}
	return &shape{kinds: isMapping, open: true, keys: []key{{name: "sensors", shape: kind}, {name: "actions", shape: kind},
		{name: "rules", shape: kind}, {name: "aliases", shape: kind}}}
}
