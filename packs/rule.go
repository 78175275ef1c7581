package packs

import (
	"encoding/json"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/rules/stateful"
)

// operators are the types a criterion may have.
var operators = []string{
	"matchwildcard", "matchregex", "regex", "iregex", "equals", "eq", "nequals", "neq", "iequals", "ieq",
	"contains", "icontains", "ncontains", "incontains", "startswith", "istartswith", "endswith", "iendswith",
	"lessthan", "lt", "greaterthan", "gt", "timediff_lt", "td_lt", "timediff_gt", "td_gt", "exists", "nexists",
	"inside", "in", "ninside", "nin", "search",
}

// criterionKeys are those of a criterion: StackStorm's, and the foldings.
var criterionKeys = []string{"type", "pattern", "condition", "fold"}

func (r *reader) readRule(n *yamldoc.Node) {
	fine := r.check(n, r.shapes.rule, "the rule")
	p := r.pack
	rule := hayate.Rule{
		Pack:        p.Ref,
		Name:        text(n.Get("name")),
		Description: text(n.Get("description")),
		Enabled:     boolOr(n.Get("enabled"), false),
		Kind:        hayate.KindStandard,
		Mode:        text(n.Get("mode")),
		Trigger: hayate.Trigger{
			Type:       text(n.Get("trigger").Get("type")),
			Parameters: filled(n.Get("trigger").Get("parameters")),
		},
		Criteria: filled(n.Get("criteria")),
		Pattern:  jsonOf(n.Get("pattern")),
		Filters:  jsonOf(n.Get("filters")),
		When:     jsonOf(n.Get("when")),
		Guard:    jsonOf(n.Get("guard")),
		Calendar: jsonOf(n.Get("calendar")),
		Tags:     jsonOf(n.Get("tags")),
		Source:   r.file,
		Revision: revision(n),
	}
	if !r.checkPast(n, &rule) {
		return
	}
	switch kind := n.Get("type").Get("ref"); text(kind) {
	case "", hayate.KindStandard:
	case hayate.KindBackstop:
		rule.Kind = hayate.KindBackstop
	default:
		r.warnf(kind, "unknown-rule-type", "unknown rule type %q counts as %q%s", text(kind), hayate.KindStandard,
			yamldoc.Suggest(text(kind), []string{hayate.KindStandard, hayate.KindBackstop}))
	}
	if a := n.Get("action"); !a.IsNull() {
		rule.Actions = append(rule.Actions, ruleAction(a))
	}
	for _, a := range n.Get("actions").Items() {
		rule.Actions = append(rule.Actions, ruleAction(a))
	}
	if !fine {
		p.Refused.Rules = append(p.Refused.Rules, rule)
		return
	}
	p.Rules = put(r, p.Rules, rule, n.Get("name"), "rule", (*hayate.Rule).Ref, func(x *hayate.Rule) string { return x.Source })
}

func ruleAction(n *yamldoc.Node) hayate.RuleAction {
	return hayate.RuleAction{Ref: hayate.Ref(text(n.Get("ref"))), Parameters: filled(n.Get("parameters")), Target: text(n.Get("target"))}
}

// filled returns a mapping as JSON, nil where it is absent or empty.
func filled(n *yamldoc.Node) json.RawMessage {
	if len(n.Entries()) == 0 {
		return nil
	}
	return n.JSON()
}

// checkRule checks how a rule's keys go together.
func (r *reader) checkRule(n *yamldoc.Node) {
	if n.Get("action").IsNull() && n.Get("actions").IsNull() {
		r.errorf(n, "missing-key", "the rule lacks the key %q", "action")
	}
	trigger := n.Get("trigger")
	if trigger.IsNull() && n.Get("pattern").IsNull() && n.Get("filters").IsNull() {
		r.errorf(n, "missing-key", "the rule lacks the key %q", "trigger")
	}
	if criteria := n.Get("criteria"); criteria.Kind() == yamldoc.Mapping {
		r.checkCriteria(criteria, "field")
	}
	if trigger.Kind() == yamldoc.Mapping {
		r.checkTriggerParameters(trigger)
	}
}

// checkPast checks what a rule says about its past, and says whether it is right.
func (r *reader) checkPast(n *yamldoc.Node, rule *hayate.Rule) bool {
	_, issues := stateful.Parse(rule)
	for _, is := range issues {
		if len(is.Path) == 1 && n.Get(is.Path[0]).Kind() != yamldoc.Mapping {
			continue // the shape of a rule says so already
		}
		at := n
		for i, step := range is.Path {
			k, next := at.Lookup(step)
			if x, err := strconv.Atoi(step); next == nil && err == nil && x >= 0 && x < len(at.Items()) {
				next = at.Items()[x]
			}
			if next == nil {
				break
			}
			if at = next; is.AtKey && i == len(is.Path)-1 {
				at = k
			}
		}
		code, what := "bad-value", strings.Join(is.Path, ".")+": "
		if is.AtKey {
			code, what = "unknown-key", ""
		}
		r.errorf(at, code, "%s%s", what, is.Text)
	}
	for _, part := range []string{"both", "cleared"} {
		if criteria := n.Get("when").Get(part).Get("criteria"); criteria.Kind() == yamldoc.Mapping {
			before := r.errors
			if r.checkCriteria(criteria, "field"); r.errors > before {
				return false
			}
		}
	}
	return len(issues) == 0
}

// checkCriteria checks what StackStorm checks when a rule is saved: each
// criterion has a known operator and a pattern.
func (r *reader) checkCriteria(criteria *yamldoc.Node, what string) {
	for _, e := range criteria.Entries() {
		c := e.Value
		if c.Kind() != yamldoc.Mapping {
			r.errorf(c, "wrong-type", "the criterion for the %s %q is %s, expected a mapping with type and pattern", what, e.Name(), c.Kind())
			continue
		}
		op := c.Get("type")
		name, isText := op.Str()
		switch {
		case op.IsNull():
			r.errorf(c, "missing-key", "the criterion for the %s %q lacks the key %q", what, e.Name(), "type")
		case !isText || !contains(operators, name):
			r.errorf(op, "unknown-operator", "unknown operator %q%s", op.Text(), yamldoc.Suggest(op.Text(), operators))
		}
		pattern := c.Get("pattern")
		if pattern.IsNull() {
			r.errorf(c, "missing-key", "the criterion for the %s %q lacks the key %q", what, e.Name(), "pattern")
		}
		for _, k := range c.Entries() {
			if !contains(criterionKeys, k.Name()) {
				r.warnf(k.Key, "unknown-key", "unknown key %q in a criterion%s", k.Name(), yamldoc.Suggest(k.Name(), criterionKeys))
			}
		}
	}
}

// checkTriggerParameters checks the parameters of a trigger that is core's or
// the pack's own.
func (r *reader) checkTriggerParameters(trigger *yamldoc.Node) {
	ref := hayate.Ref(text(trigger.Get("type")))
	if cron.IsTimer(string(ref)) {
		r.checkTimer(trigger, trigger.Get("parameters"), string(ref))
		return
	}
	t := r.triggerType(ref)
	if t == nil || t.ParametersSchema == nil {
		return
	}
	s, err := schema.Compile(t.ParametersSchema, schema.Options{AllowNull: true})
	if err != nil {
		return // said where the trigger type is read
	}
	given := trigger.Get("parameters")
	value := jsonOf(given)
	if value == nil {
		value = []byte("{}")
		given = trigger
	}
	_, err = s.Complete(value)
	r.schemaErrors(given, err, "the parameters of "+string(ref))
}

// schemaErrors reports what a schema refuses, at the values it refuses.
func (r *reader) schemaErrors(n *yamldoc.Node, err error, what string) {
	if err == nil {
		return
	}
	e, ok := err.(*schema.Error)
	if !ok {
		r.errorf(n, "bad-value", "%s: %v", what, err)
		return
	}
	for _, is := range e.Issues {
		at := n
		for _, step := range is.Path {
			next := at.Get(step)
			if i, err := strconv.Atoi(step); err == nil && i >= 0 && i < len(at.Items()) {
				next = at.Items()[i]
			}
			if next == nil {
				break
			}
			at = next
		}
		r.errorf(at, "bad-value", "%s: %s", what, is)
	}
}

// triggerType finds a trigger type of core, of hayate or of the pack itself.
func (r *reader) triggerType(ref hayate.Ref) *hayate.TriggerType {
	for i := range r.pack.TriggerTypes {
		if t := &r.pack.TriggerTypes[i]; t.Ref() == ref {
			return t
		}
	}
	if ref.Pack() != "core" && ref.Pack() != systemOwner || r.pack.Ref == "core" {
		return nil
	}
	if r.system == nil {
		r.system = map[string]*hayate.TriggerType{}
		core := &reader{fsys: Shipped(), dir: "core", shapes: r.shapes, pack: &Pack{Ref: "core", Documents: map[string]*yamldoc.Node{}}}
		core.each("triggers", core.readTriggerType)
		for i := range core.pack.TriggerTypes {
			t := &core.pack.TriggerTypes[i]
			r.system[string(t.Ref())] = t
		}
	}
	return r.system[string(ref)]
}
