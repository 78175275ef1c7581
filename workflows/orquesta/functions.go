package orquesta

import (
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows/flow"
)

// variable is ctx(name).
func (e *env) variable(name string) (any, error) {
	v, ok := e.vars.get(name)
	if !ok {
		return nil, value.Raise("VariableUndefinedError", `The variable "%s" is undefined.`, name)
	}
	if strings.HasPrefix(name, "__") {
		return nil, value.Raise("VariableInaccessibleError", `The variable "%s" is for internal use and inaccessible.`, name)
	}
	return v, nil
}

// context is ctx() and ctx(name).
func (e *env) context(key any) (any, error) {
	if !value.Truth(key) {
		return e.vars.public(), nil
	}
	if name, ok := key.(string); ok {
		return e.variable(name)
	}
	return nil, value.Raise("VariableUndefinedError", `The variable "%s" is undefined.`, value.Str(key))
}

// public returns the variables that expressions may see.
func (v *vars) public() *value.Map {
	m := v.all()
	for i := range m.Len() {
		if k, _ := m.At(i); isPrivate(k) {
			out := value.NewMap(m.Len())
			for k, x := range m.All() {
				if !isPrivate(k) {
					out.Set(k, x)
				}
			}
			return out
		}
	}
	return m
}

func isPrivate(k any) bool {
	s, ok := k.(string)
	return ok && strings.HasPrefix(s, "__")
}

// itemOf is item() and item(key).
func (e *env) itemOf(key any) (any, error) {
	if !value.Truth(key) {
		return e.item, nil
	}
	m, ok := e.item.(*value.Map)
	if !ok {
		return nil, value.Raise("ExpressionEvaluationException", "Item is not type of collections.abc.Mapping.")
	}
	v, ok := m.Get(key)
	if !ok {
		return nil, value.Raise("ExpressionEvaluationException", `Item does not have key "%s".`, value.Str(key))
	}
	return v, nil
}

// current is the status of the current task; it is an error to ask outside of one.
func (e *env) current() (hayate.Status, error) {
	if e.node == nil {
		return "", value.Raise("ExpressionEvaluationException", "The current task is not set in the context.")
	}
	if x, ok := e.find(e.node, e.route); ok {
		return x.status, nil
	}
	return "", nil
}

// statusOf is the status of a task on a route, or on the nearest earlier one that
// the route was split from; "" where it has none.
func (e *env) statusOf(task string, route int64) (string, error) {
	if n := e.run.def.graph.names[task]; n != nil {
		if x, ok := e.find(n, int(route)); ok {
			return string(x.status), nil
		}
	}
	return "", nil
}

// find returns the newest entry of a task on a route, or on the nearest earlier
// one that this route was split from.
func (e *env) find(n *node, route int) (*entry, bool) {
	r := e.run
	if x := r.latest(spot{n, route}); x != nil {
		return x, true
	}
	if route <= 0 || route >= len(r.routes) {
		return nil, false
	}
	here := map[string]bool{}
	for _, via := range r.path(route) {
		here[via] = true
	}
	for i := route - 1; i >= 0; i-- {
		x := r.latest(spot{n, i})
		if x == nil {
			continue
		}
		part := true
		for j := i; r.routes[j].via != "" && part; j = r.routes[j].parent {
			part = here[r.routes[j].via]
		}
		if part {
			return x, true
		}
	}
	return nil, false
}

// routeOf is the route that a function was given, or the current one.
func (e *env) routeOf(route any) int {
	if i, ok := route.(int64); ok {
		return int(i)
	}
	return e.route
}

// taskRecord is task(name, route): what StackStorm keeps about a task.
func (e *env) taskRecord(task, route any) (any, error) {
	name, _ := task.(string)
	if task == nil && e.node != nil {
		name = e.node.name
	}
	if n := e.run.def.graph.names[name]; n != nil {
		if x, ok := e.find(n, e.routeOf(route)); ok {
			return e.record(x), nil
		}
	}
	return nil, value.Raise("ExpressionEvaluationException", `Unable to find task execution for "%s".`, value.Str(task))
}

func (e *env) record(x *entry) *value.Map {
	stamp := func(t interface{ IsZero() bool }, text string) any {
		if t.IsZero() {
			return nil
		}
		return text
	}
	const layout = "2006-01-02T15:04:05.000000Z"
	workflow, _ := e.vars.get("st2")
	var id any
	if m, ok := workflow.(*value.Map); ok {
		id, _ = m.Str("workflow_execution_id")
	}
	status, result := x.report, x.result
	if x.set != nil {
		status, result = x.set.record()
	}
	return value.MapOf(
		"task_execution_id", e.run.entryID(x),
		"workflow_execution_id", id,
		"task_name", x.node.name,
		"task_id", x.node.name,
		"route", int64(x.route),
		"result", result,
		"status", string(status),
		"start_timestamp", stamp(x.started, x.started.UTC().Format(layout)),
		"end_timestamp", stamp(x.ended, x.ended.UTC().Format(layout)),
	)
}

// lookup is st2kv(key, decrypt, default).
func (e *env) lookup(key any, decrypt bool, def any, hasDefault bool) (any, error) {
	name, ok := key.(string)
	if !ok {
		return nil, value.TypeErrorf("Given key is not typeof string.")
	}
	k := lookupKey{name, decrypt}
	v, ok := e.run.values[k]
	if !ok {
		e.run.wants(k)
		return nil, &flow.Need{Lookups: []flow.Lookup{{Key: name, Decrypt: decrypt}}}
	}
	if v.found {
		return v.value, nil
	}
	if hasDefault {
		return def, nil
	}
	return nil, value.Raise("ExpressionEvaluationException", "The key \"%s\" does not exist in the StackStorm datastore.", name)
}

// wants notes a datastore value that the step lacks.
func (r *Run) wants(k lookupKey) {
	for _, n := range r.needs {
		if n == k {
			return
		}
	}
	r.needs = append(r.needs, k)
}
