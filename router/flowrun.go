package router

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/flow"
)

// definitions keeps parsed workflows by their digest: parsing costs far more than
// a step. It forgets everything when it is full.
type definitions struct {
	mu   sync.Mutex
	m    map[string]parsed
	kept map[string]bool // digests whose text this process has put into the blobs
	// checked are the definitions whose actions were found to be there, by the catalog
	// they were looked up in.
	checked map[*workflows.Definition]*catalog
}

// variant is what of the parameters of Mistral's runner changes what is run: which
// workflow of a workbook, and the task at which a reverse workflow ends.
type variant struct {
	Workflow string `json:"workflow,omitempty"`
	Target   string `json:"target,omitempty"`
}

type parsed struct {
	def      *workflows.Definition
	problems []workflows.Problem
}

const maxDefinitions = 2048

// parse reads a workflow, once for each text.
func (d *definitions) parse(runner string, text []byte, v variant) (string, parsed) {
	sum := sha256.Sum256(text)
	digest := "sha256:" + hex.EncodeToString(sum[:])
	key := runner + " " + digest + " " + v.Workflow + " " + v.Target
	d.mu.Lock()
	defer d.mu.Unlock()
	if p, ok := d.m[key]; ok {
		return digest, p
	}
	if d.m == nil || len(d.m) >= maxDefinitions {
		d.m = map[string]parsed{}
	}
	o := workflowOptions
	o.Workflow, o.Target = v.Workflow, v.Target
	def, problems := workflows.Parse(runner, digest, text, o)
	d.m[key] = parsed{def, problems}
	return digest, d.m[key]
}

// keepDefinition stores a definition's text, once for each process.
func (r *Router) keepDefinition(ctx context.Context, digest string, text []byte) error {
	d := &r.definitions
	d.mu.Lock()
	kept := d.kept[digest]
	d.mu.Unlock()
	if kept {
		return nil
	}
	if _, err := r.blobs.Put(ctx, bytes.NewReader(text)); err != nil {
		return fmt.Errorf("keep the definition: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.kept == nil || len(d.kept) >= maxDefinitions {
		d.kept = map[string]bool{}
	}
	d.kept[digest] = true
	return nil
}

// missingActions checks the actions that a definition names against those that are
// registered, as StackStorm does before it starts a workflow. Of an action chain it
// looks at each when its turn comes.
func (r *Router) missingActions(def *workflows.Definition) []workflows.Problem {
	if def.Dialect() == workflows.ActionChain {
		return nil
	}
	cat := r.cat.Load()
	d := &r.definitions
	d.mu.Lock()
	known := d.checked[def] == cat
	d.mu.Unlock()
	if known {
		return nil
	}
	ps := def.Contents(func(ref string) (hayate.Parameters, bool) {
		b := cat.actions[hayate.Ref(ref)]
		if b == nil {
			return nil, false
		}
		return b.plan.Parameters(), true
	})
	if len(ps) > 0 {
		return ps
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.checked == nil || len(d.checked) >= maxDefinitions {
		d.checked = map[*workflows.Definition]*catalog{}
	}
	d.checked[def] = cat
	return nil
}

// runInputs are the parameters of a workflow, defaults filled in, and what the
// runner's say about which workflow it is. The context given to Mistral's runner is
// more input.
func (r *Router) runInputs(ctx context.Context, x *hayate.Execution, b *boundAction) (json.RawMessage, variant, error) {
	final, err := r.final(ctx, x, b)
	if err != nil {
		return nil, variant{}, err
	}
	if b.Runner == workflows.Mistral {
		return mistralInputs(final)
	}
	return final.Action, variant{}, nil
}

// mistralInputs reads the parameters of Mistral's runner.
func mistralInputs(f render.Final) (json.RawMessage, variant, error) {
	var p struct {
		Workflow string                     `json:"workflow"`
		Task     string                     `json:"task"`
		Context  map[string]json.RawMessage `json:"context"`
	}
	if len(f.Runner) > 0 {
		if err := json.Unmarshal(f.Runner, &p); err != nil {
			return nil, variant{}, fmt.Errorf("parameters of the runner: %v: %w", err, hayate.ErrInvalid)
		}
	}
	v := variant{p.Workflow, p.Task}
	if len(p.Context) == 0 {
		return f.Action, v, nil
	}
	all := p.Context
	if err := json.Unmarshal(f.Action, &all); err != nil { // goes over the context
		return nil, v, fmt.Errorf("parameters of the action: %v: %w", err, hayate.ErrInvalid)
	}
	out, err := json.Marshal(all)
	return out, v, err
}

// runContext is what ctx() of a workflow holds besides its inputs: st2 and parent.
func runContext(x *hayate.Execution, b *boundAction) json.RawMessage {
	out := append(make([]byte, 0, 320+len(x.Context)), `{"parent":`...)
	if parent := member(x.Context, "parent"); len(parent) > 0 {
		out = append(out, parent...)
	} else {
		out = append(out, "null"...)
	}
	out = appendText(append(out, `,"st2":{"action_execution_id":`...), x.ID)
	out = appendText(append(out, `,"workflow_execution_id":`...), x.ID)
	out = appendText(append(out, `,"api_url":"","user":`...), contextUser(x.Context))
	out = appendText(append(out, `,"pack":`...), b.Pack)
	out = appendText(append(out, `,"action":`...), x.Action)
	out = appendText(append(out, `,"runner":`...), x.Runner)
	return append(out, "}}"...)
}

// WorkflowProblem is a finding of a workflow's inspection.
type WorkflowProblem struct {
	Type string `json:"type"`
	workflows.Problem
}

// InspectWorkflow checks a workflow's definition in the dialect of a runner.
func InspectWorkflow(runner string, text []byte) []WorkflowProblem {
	_, ps := workflows.Parse(runner, "", text, workflowOptions)
	return problems(ps)
}

// isWorkflow says whether executions of the runner are stepped by the router.
func isWorkflow(runner string) bool { return slices.Contains(workflows.Dialects, runner) }

func problems(ps []workflows.Problem) []WorkflowProblem {
	out := make([]WorkflowProblem, len(ps))
	for i, p := range ps {
		out[i] = WorkflowProblem{p.Category, p}
	}
	return out
}

// workflowOptions are how definitions are read.
var workflowOptions = workflows.Options{Known: []string{"st2", "parent"}}

// problemResult is the result of a workflow that inspection refused.
func problemResult(ps []workflows.Problem) json.RawMessage {
	b, err := json.Marshal(map[string]any{"errors": problems(ps), "output": nil})
	if err != nil {
		panic(err) // strings and numbers
	}
	return b
}

// failRun ends a workflow that cannot begin.
func (r *Router) failRun(ctx context.Context, x *hayate.Execution, result json.RawMessage) error {
	return r.endRun(ctx, x, hayate.StatusFailed, result)
}

// endRun ends a workflow that has not begun.
func (r *Router) endRun(ctx context.Context, x *hayate.Execution, status hayate.Status, result json.RawMessage) error {
	at := r.now()
	y := *x
	if err := y.To(hayate.StatusRunning, at); err != nil {
		return err
	}
	if err := y.To(status, at); err != nil {
		return err
	}
	y.Result, y.Worker, y.LeaseUntil = result, "", time.Time{}
	if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{y}}); err != nil {
		return fmt.Errorf("fail execution %s: %w", x.ID, err)
	}
	y.Version++
	r.over(ctx, &y)
	return nil
}

// loadRun brings a stored run into memory.
func (r *Router) loadRun(ctx context.Context, lr *liveRun) error {
	_, err := r.readRun(ctx, lr)
	return err
}

// readRun brings a stored run into memory, and returns it as it is stored, without
// the router's own entry.
func (r *Router) readRun(ctx context.Context, lr *liveRun) (Run, error) {
	x, err := r.Execution(ctx, lr.id)
	if err != nil {
		return Run{}, err
	}
	st, err := r.store.Run(ctx, lr.id)
	if err != nil {
		return st, fmt.Errorf("load run %s: %w", lr.id, err)
	}
	var own ownState
	if err := json.Unmarshal(st.Entries[ownEntry], &own); err != nil {
		return st, fmt.Errorf("load run %s: its router entry: %v: %w", lr.id, err, hayate.ErrInvalid)
	}
	delete(st.Entries, ownEntry)
	if err := r.openRun(&st); err != nil {
		return st, fmt.Errorf("load %w", err)
	}
	text, err := r.readBlob(ctx, own.Definition)
	if err != nil {
		return st, fmt.Errorf("load run %s: its definition: %w", lr.id, err)
	}
	_, p := r.definitions.parse(x.Runner, text, own.variant)
	if p.def == nil {
		return st, fmt.Errorf("load run %s: its definition cannot be read any more: %w", lr.id, hayate.ErrInvalid)
	}
	run, err := workflows.Load(p.def, string(lr.id), st.Head, st.Entries)
	if err != nil {
		return st, fmt.Errorf("load run %s: %w", lr.id, err)
	}
	lr.x, lr.def, lr.run, lr.version, lr.head, lr.own = x, p.def, run, st.Version, st.Head, own
	lr.secrets = nil
	return st, nil
}

func (r *Router) readBlob(ctx context.Context, hash string) ([]byte, error) {
	rd, err := r.blobs.Get(ctx, hash)
	if err != nil {
		return nil, err
	}
	defer rd.Close()
	return io.ReadAll(rd)
}

// tick tells a run of its timers that have come, and of its deadline; where that
// fails, the sweeper does it again.
func (r *Router) tick(ctx context.Context, id hayate.ExecutionID) {
	if err := r.fireTimers(ctx, id); err != nil {
		r.log.Warn("run not told of its timers, the sweeper will", "run_id", id, "err", err)
	}
}

// fireTimers tells a run of its timers that have come. Without any it is cheap.
func (r *Router) fireTimers(ctx context.Context, id hayate.ExecutionID) error {
	st, err := r.store.Run(ctx, id)
	if err != nil {
		return fmt.Errorf("read timers of run %s: %w", id, err)
	}
	var own ownState
	if err := json.Unmarshal(st.Entries[ownEntry], &own); err != nil {
		return fmt.Errorf("read timers of run %s: %v: %w", id, err, hayate.ErrInvalid)
	}
	if !own.Owed.empty() {
		r.pay(ctx, id, *own.Owed)
	}
	at := r.now()
	var errs []error
	for key, due := range own.Timers {
		if due.After(at) {
			continue
		}
		if err := r.tell(ctx, id, &told{fact: workflows.Fact{Kind: workflows.TimerDue, At: at, Timer: key}}); err != nil {
			errs = append(errs, fmt.Errorf("timer %s of run %s: %w", key, id, err))
		}
	}
	if err := r.checkDeadline(ctx, id, own.due, at); err != nil {
		errs = append(errs, fmt.Errorf("deadline of run %s: %w", id, err))
	}
	return errors.Join(errs...)
}

// tellChildren passes a wish on to the children of a run that still run.
func (r *Router) tellChildren(ctx context.Context, id hayate.ExecutionID, kind flow.CommandKind) error {
	p, err := r.store.Executions(ctx, Query{Parent: id, Limit: -1})
	if err != nil {
		return fmt.Errorf("ask children of run %s to %s: %w", id, kind, err)
	}
	var errs []error
	for _, c := range p.Items {
		if c.Status.Completed() {
			continue
		}
		switch {
		case kind == workflows.CancelChildren && c.Status == hayate.StatusPending:
			// A question of a canceled workflow is withdrawn: an answer would mean nothing.
			c.Result = canceledResult("")
			err = r.settlePending(ctx, &c, hayate.StatusCanceled)
		case kind == withdrawQuestions:
			err = r.withdraw(ctx, &c)
		case kind == workflows.CancelChildren:
			_, err = r.Cancel(ctx, c.ID, "")
		case !isWorkflow(c.Runner):
			continue
		case kind == workflows.PauseChildren:
			_, err = r.Pause(ctx, c.ID)
		default:
			_, err = r.Resume(ctx, c.ID)
		}
		if err != nil && !errors.Is(err, hayate.ErrConflict) {
			errs = append(errs, fmt.Errorf("ask execution %s to %s: %w", c.ID, kind, err))
		}
	}
	return errors.Join(errs...)
}

// Pause asks a running workflow to start no further tasks; it is paused once
// those that run have ended. ErrInvalid for anything but a work.
func (r *Router) Pause(ctx context.Context, id hayate.ExecutionID) (hayate.Execution, error) {
	return r.wish(ctx, id, workflows.PauseAsked, "paused", hayate.StatusRunning, hayate.StatusResuming, hayate.StatusPausing)
}

// Resume lets a paused workflow go on.
func (r *Router) Resume(ctx context.Context, id hayate.ExecutionID) (hayate.Execution, error) {
	return r.wish(ctx, id, workflows.ResumeAsked, "resumed", hayate.StatusPaused, hayate.StatusPausing)
}

func (r *Router) wish(ctx context.Context, id hayate.ExecutionID, kind flow.FactKind, done string, from ...hayate.Status) (hayate.Execution, error) {
	x, err := r.Execution(ctx, id)
	if err != nil {
		return x, err
	}
	if !isWorkflow(x.Runner) {
		return x, fmt.Errorf("execution %s is run by %s; only workflows can be %s: %w", id, x.Runner, done, hayate.ErrInvalid)
	}
	ok := false
	for _, st := range from {
		ok = ok || x.Status == st
	}
	if !ok {
		return x, fmt.Errorf("execution %s is %s and cannot be %s: %w", id, x.Status, done, hayate.ErrConflict)
	}
	if err := r.tell(ctx, id, &told{fact: workflows.Fact{Kind: kind}}); err != nil {
		return x, fmt.Errorf("execution %s: %w", id, err)
	}
	return r.Execution(ctx, id)
}
