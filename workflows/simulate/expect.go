package simulate

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/workflows"
)

// Expect is what a simulation should come to. Fields that are nil or empty are not
// looked at.
type Expect struct {
	Status hayate.Status
	// Tasks are the tasks in the order in which they started; a task on another route
	// than the first may be written with it: "name__r1".
	Tasks []string
	// Output and Errors are JSON; errors are compared as a whole.
	Output, Errors json.RawMessage
	Routes         [][]string
	// Terminal are the tasks that ended a branch, in any order.
	Terminal []string
	Took     *time.Duration
	// Problems are the findings of the inspection by category. Where it is set, the
	// inspection's findings must be these, and with any the workflow is not run.
	Problems map[string][]json.RawMessage
}

// Check compares a report with what was expected, and returns a line for each
// difference.
func (e *Expect) Check(r *Report) []string {
	var out []string
	differ := func(what string, got, want any) {
		out = append(out, fmt.Sprintf("%s: got %v, want %v", what, got, want))
	}
	if e.Status != "" && r.Status != e.Status {
		differ("status", r.Status, e.Status)
	}
	if e.Tasks != nil {
		got := taskNames(r, func(*Task) bool { return true }, e.Tasks)
		if !slices.Equal(got, e.Tasks) {
			differ("tasks", strings.Join(got, " "), strings.Join(e.Tasks, " "))
		}
	}
	if e.Terminal != nil {
		got, want := taskNames(r, func(t *Task) bool { return t.Term }, e.Terminal), slices.Clone(e.Terminal)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			differ("terminal tasks", strings.Join(got, " "), strings.Join(want, " "))
		}
	}
	if e.Routes != nil && !slices.EqualFunc(r.Routes, e.Routes, slices.Equal) {
		differ("routes", r.Routes, e.Routes)
	}
	if e.Output != nil && !same(r.Output, e.Output) {
		differ("output", compact(r.Output), compact(e.Output))
	}
	if e.Errors != nil {
		got := r.Errors
		if got == nil {
			got = json.RawMessage("[]")
		}
		if !same(got, e.Errors) {
			differ("errors", compact(got), compact(e.Errors))
		}
	}
	if e.Took != nil && r.Took != *e.Took {
		differ("took", r.Took, *e.Took)
	}
	return out
}

// taskNames are the names of tasks as they were written: with the route where that
// is not the first, unless what is wanted names none.
func taskNames(r *Report, use func(*Task) bool, wanted []string) []string {
	routed := slices.ContainsFunc(wanted, func(s string) bool { return strings.Contains(s, "__r") })
	out := []string{}
	for i := range r.Tasks {
		t := &r.Tasks[i]
		if !use(t) {
			continue
		}
		name := t.Name
		if r.Dialect == workflows.Orquesta && t.Route > 0 && (routed || len(wanted) == 0) {
			name += "__r" + strconv.Itoa(t.Route)
		}
		out = append(out, name)
	}
	return out
}

// CheckProblems compares the findings of an inspection with those expected.
func (e *Expect) CheckProblems(found []workflows.Problem) []string {
	got, want := map[string]bool{}, map[string]bool{}
	for _, p := range found {
		m := value.MapOf("message", p.Message, "schema_path", p.SchemaPath, "spec_path", p.SpecPath)
		if p.Category == "expressions" || p.Category == "context" {
			m.Set("type", p.Language)
			m.Set("expression", p.Expression)
		}
		got[p.Category+": "+sorted(m)] = true
	}
	var out []string
	for category, list := range e.Problems {
		for _, raw := range list {
			v, err := value.Decode(raw)
			m, ok := v.(*value.Map)
			if err != nil || !ok {
				continue
			}
			line := category + ": " + sorted(m)
			want[line] = true
			if !got[line] {
				out = append(out, "inspection did not find "+line)
			}
		}
	}
	for line := range got {
		if !want[line] {
			out = append(out, "inspection found "+line)
		}
	}
	slices.Sort(out)
	return out
}

func compact(raw json.RawMessage) string {
	v, err := value.Decode(orNull(raw))
	if err != nil {
		return string(raw)
	}
	return sorted(v)
}
