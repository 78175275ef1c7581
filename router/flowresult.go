package router

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
)

// maxWorkflowResult bounds the result of a workflow, in bytes. Workflows that pass
// on the results of workflows would otherwise make each larger than the last.
const maxWorkflowResult = 8 << 20

// boundedResult replaces a result that is too large by one that says so; the workflow
// then failed.
func boundedResult(result json.RawMessage, status hayate.Status) (json.RawMessage, hayate.Status) {
	if len(result) <= maxWorkflowResult {
		return result, status
	}
	if status == hayate.StatusSucceeded {
		status = hayate.StatusFailed
	}
	message := fmt.Sprintf("The result of the workflow has %d bytes, more than the %d allowed. Give it an output that is smaller, or keep large values in files.", len(result), maxWorkflowResult)
	b, err := json.Marshal(map[string]any{"errors": []map[string]string{{"type": "error", "message": message}}, "output": nil})
	if err != nil {
		panic(err) // a text
	}
	return b, status
}

// workflowResult is the result of a workflow in StackStorm's shape. The output of an
// action chain, and that of a Mistral workflow, is the whole of it.
func workflowResult(runner string, c *workflows.Command) json.RawMessage {
	if (runner == workflows.ActionChain || runner == workflows.Mistral) && len(c.Output) > 0 {
		return c.Output
	}
	out := struct {
		Errors json.RawMessage `json:"errors,omitempty"`
		Output json.RawMessage `json:"output"`
	}{c.Errors, orNull(c.Output)}
	b, err := json.Marshal(out)
	if err != nil {
		return errorResult("the workflow's output is not JSON: " + err.Error())
	}
	return b
}

// hideInputs masks secrets in what the result of a Mistral workflow shows of its tasks'
// inputs. Variables that the workflow publishes on purpose stay what they are.
func hideInputs(result json.RawMessage, secrets []string) json.RawMessage {
	if len(secrets) == 0 {
		return result
	}
	v, err := value.Decode(result)
	all, ok := v.(*value.Map)
	if err != nil || !ok {
		return result
	}
	list, _ := all.Str("tasks")
	tasks, _ := list.(value.List)
	for _, t := range tasks {
		m, ok := t.(*value.Map)
		if !ok {
			continue
		}
		if in, ok := m.Str("input"); ok {
			m.Set("input", masked(in, secrets))
		}
	}
	out, err := value.Encode(all)
	if err != nil {
		return result
	}
	return out
}

// masked is a value with the secrets in its texts masked.
func masked(v any, secrets []string) any {
	switch v := v.(type) {
	case string:
		for _, s := range secrets {
			if v == s {
				return render.Mask
			}
			if len(s) >= minSealed {
				v = strings.ReplaceAll(v, s, render.Mask)
			}
		}
		return v
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = masked(x, secrets)
		}
		return out
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			out.Set(k, masked(x, secrets))
		}
		return out
	}
	return v
}
