package yaql

import (
	"errors"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// Workflow is what Orquesta's functions know of a run. Context.Env holds a
// *Workflow, or a WorkflowEnv, for them.
type Workflow struct {
	// Vars is the context; names that start with __ are hidden.
	Vars *value.Map
	// Item is the item of a with-items task, and what item() gives.
	Item any
	// Task is the current task; nil outside of one.
	Task *CurrentTask
	// Status returns the status of a task on a route, or on the nearest earlier
	// one, and "" where there is none.
	Status func(task string, route int64) (string, error)
}

// CurrentTask is the task whose transitions are evaluated.
type CurrentTask struct {
	ID     string
	Route  int64
	Result any
}

// WorkflowEnv is a Context.Env with more in it than a Workflow.
type WorkflowEnv interface{ Workflow() *Workflow }

func workflowOf(c *Call) *Workflow {
	switch e := c.Env.(type) {
	case *Workflow:
		return e
	case WorkflowEnv:
		return e.Workflow()
	}
	return &Workflow{}
}

// unset is the status of a task that has not run.
const unset = "null"

// OrquestaFunctions returns the functions that Orquesta adds to YAQL: ctx, item,
// task_status, succeeded, failed, completed, result, json and zip.
func OrquestaFunctions() map[string]Function {
	key := []Param{{Name: "key", Optional: true}}
	return map[string]Function{
		"ctx":         {Params: key, Call: callCtx},
		"item":        {Params: key, Call: callItem},
		"task_status": {Params: []Param{{Name: "taskId"}, {Name: "route", Optional: true}}, Call: callTaskStatus},
		"succeeded":   {Call: hasStatus("succeeded")},
		"failed":      {Call: hasStatus("failed")},
		"completed":   {Call: hasStatus("succeeded", "failed", "timeout", "abandoned", "canceled")},
		"result":      {Call: callResult},
		"json":        {Params: []Param{{Name: "s"}}, Call: callJSON},
		"zip":         {Rest: true, Named: true, Call: callZip},
	}
}

func callCtx(c *Call) (any, error) {
	w := workflowOf(c)
	key := c.Args[0]
	if !truth(key) {
		return visible(w.Vars), c.Budget.Step(w.Vars.Len())
	}
	name, isText := key.(string)
	if isText {
		if v, ok := w.Vars.Str(name); ok {
			if strings.HasPrefix(name, "__") {
				return nil, Raise("VariableInaccessibleError", `The variable "%s" is for internal use and inaccessible.`, name)
			}
			return v, nil
		}
	} else if err := c.ev.hashable(key); err != nil {
		return nil, err
	}
	if t, ok := tupleItems(key); ok { // Python formats the message with the key as its arguments
		if len(t) != 1 {
			return nil, Raise("TypeError", "not all arguments converted during string formatting")
		}
		key = t[0]
	}
	return nil, Raise("VariableUndefinedError", `The variable "%s" is undefined.`, str(key))
}

// visible is the context without the names that start with __.
func visible(vars *value.Map) any {
	hidden := false
	for k := range vars.All() {
		if s, ok := k.(string); ok && strings.HasPrefix(s, "__") {
			hidden = true
			break
		}
	}
	if !hidden {
		if vars == nil {
			vars = value.NewMap(0)
		}
		return &dict{vars}
	}
	m := value.NewMap(vars.Len())
	for k, v := range vars.All() {
		if s, ok := k.(string); !ok || !strings.HasPrefix(s, "__") {
			m.Set(k, v)
		}
	}
	return &dict{m}
}

func callItem(c *Call) (any, error) {
	item, key := workflowOf(c).Item, c.Args[0]
	if !truth(key) {
		return item, nil
	}
	m, ok := asMap(item)
	if !ok {
		return nil, Raise("ExpressionEvaluationException", "Item is not type of collections.abc.Mapping.")
	}
	if err := c.ev.hashable(key); err != nil {
		return nil, err
	}
	v, ok := m.Get(key)
	if !ok {
		return nil, Raise("ExpressionEvaluationException", `Item does not have key "%s".`, str(key))
	}
	return v, nil
}

func taskStatus(w *Workflow, task string, route int64) (string, error) {
	if w.Status == nil {
		if route > 0 {
			return "", KeyError("routes")
		}
		return unset, nil
	}
	s, err := w.Status(task, route)
	if s == "" {
		s = unset
	}
	return s, err
}

func callTaskStatus(c *Call) (any, error) {
	w := workflowOf(c)
	route := int64(0)
	switch r := c.Args[1].(type) {
	case nil:
		if w.Task != nil {
			route = w.Task.Route
		}
	case int64:
		route = r
	case bool:
		route = clampInt(r)
	default:
		return nil, Raise("TypeError", "'>' not supported between instances of '%s' and 'int'", shortClass(r))
	}
	return taskStatus(w, str(c.Args[0]), route)
}

func currentTask(c *Call) (*Workflow, error) {
	w := workflowOf(c)
	if w.Task == nil {
		return nil, Raise("ExpressionEvaluationException", "The current task is not set in the context.")
	}
	return w, nil
}

func hasStatus(wanted ...string) func(*Call) (any, error) {
	return func(c *Call) (any, error) {
		w, err := currentTask(c)
		if err != nil {
			return nil, err
		}
		s, err := taskStatus(w, w.Task.ID, w.Task.Route)
		if err != nil {
			return nil, err
		}
		for _, want := range wanted {
			if s == want {
				return true, nil
			}
		}
		return false, nil
	}
}

func callResult(c *Call) (any, error) {
	w, err := currentTask(c)
	if err != nil {
		return nil, err
	}
	return w.Task.Result, nil
}

// parseJSON is Python's json.loads: the result is made of Python's own lists and
// dicts.
func parseJSON(c *Call, text string) (any, error) {
	if err := c.Budget.Grow(len(text) * 4); err != nil {
		return nil, err
	}
	v, err := value.Loads(text)
	var syntax *value.SyntaxError
	if errors.As(err, &syntax) {
		return nil, &Error{Kind: "JSONDecodeError", Message: syntax.Error()}
	}
	if err != nil {
		return nil, err
	}
	return Thaw(v), nil
}

func callJSON(c *Call) (any, error) {
	switch v := c.Args[0].(type) {
	case *dict:
		return v, nil
	case string:
		return parseJSON(c, v)
	}
	return nil, Raise("TypeError", "Given object is not typeof string.")
}

// callZip joins lists to the length of the longest, at once.
func callZip(c *Call) (any, error) {
	args := append([]any(nil), c.Rest...)
	for i, a := range args {
		if a == nil {
			args[i] = &value.Array{}
		}
	}
	if len(args) == 1 {
		return args[0], nil
	}
	f := frame{ev: c.ev, rest: make([]any, len(args))}
	for i, a := range args {
		w, err := c.ev.elements(a)
		if err != nil {
			return nil, err
		}
		f.rest[i] = &iter{next: w, chain: chainOf(a)}
	}
	pad, _ := c.Named.Get("pad")
	rows, err := f.zip(true, pad)
	if err != nil {
		return nil, err
	}
	items, err := c.ev.collect(rows)
	return &value.Array{Items: items}, err
}
