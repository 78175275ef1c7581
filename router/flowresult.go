package router

import (
	"encoding/json"
	"fmt"

	"github.com/hayate-run/hayate"
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
