package router

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/schema"
	"github.com/hayate-run/hayate/router/render"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/flow"
)

// runnerInquirer is the runner whose pending executions are questions to people.
const runnerInquirer = "inquirer"

// TriggerInquiry is StackStorm's trigger for a question that was asked.
const TriggerInquiry = "core.st2.generic.inquiry"

// Inquiry is a question that waits for an answer.
type Inquiry struct {
	ID     hayate.ExecutionID `json:"id"`
	Schema json.RawMessage    `json:"schema"`
	Route  string             `json:"route"`
	Roles  []string           `json:"roles"`
	Users  []string           `json:"users"`
	// TTL is in minutes, counted from Asked; 0 or less: it never expires.
	TTL   int64     `json:"ttl"`
	Asked time.Time `json:"-"`
}

func inquiryOf(x *hayate.Execution) (Inquiry, error) {
	q := Inquiry{}
	if err := json.Unmarshal(x.Result, &q); err != nil {
		return q, fmt.Errorf("inquiry %s: its question cannot be read: %v: %w", x.ID, err, hayate.ErrInvalid)
	}
	q.ID, q.Asked = x.ID, x.Created
	for _, l := range x.Log {
		if l.Status == hayate.StatusPending {
			q.Asked = l.Time
		}
	}
	return q, nil
}

func (q *Inquiry) expired(at time.Time) bool {
	return q.TTL > 0 && at.After(q.Asked.Add(time.Duration(q.TTL)*time.Minute))
}

// Inquiries lists the questions that wait for an answer, newest first.
func (r *Router) Inquiries(ctx context.Context, limit int) ([]Inquiry, error) {
	p, err := r.store.Executions(ctx, Query{Status: []hayate.Status{hayate.StatusPending}, Runner: runnerInquirer, Limit: limit})
	if err != nil {
		return nil, fmt.Errorf("list inquiries: %w", err)
	}
	out := make([]Inquiry, 0, len(p.Items))
	for i := range p.Items {
		q, err := inquiryOf(&p.Items[i])
		if err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, nil
}

// Inquiry returns one question: ErrNotFound where there is none by that id,
// ErrInvalid where it does not wait for an answer.
func (r *Router) Inquiry(ctx context.Context, id hayate.ExecutionID) (Inquiry, error) {
	x, err := r.Execution(ctx, id)
	if err != nil {
		return Inquiry{}, err
	}
	if x.Runner != runnerInquirer || x.Status != hayate.StatusPending {
		return Inquiry{}, fmt.Errorf("execution %s is %s and waits for no answer: %w", id, x.Status, hayate.ErrInvalid)
	}
	return inquiryOf(&x)
}

// Respond answers a question. user is who answers, "" where everybody is the
// operator. ErrDenied says that the question is not for that user, ErrInvalid what
// is wrong with the answer.
func (r *Router) Respond(ctx context.Context, id hayate.ExecutionID, response json.RawMessage, user string) error {
	for range maxRetries {
		x, err := r.Execution(ctx, id)
		if err != nil {
			return err
		}
		if x.Runner != runnerInquirer || x.Status != hayate.StatusPending {
			return fmt.Errorf("execution %s is %s and waits for no answer: %w", id, x.Status, hayate.ErrInvalid)
		}
		q, err := inquiryOf(&x)
		if err != nil {
			return err
		}
		if user != "" && len(q.Users) > 0 && !slices.Contains(q.Users, user) {
			return fmt.Errorf("inquiry %s is not for %s: %w", id, user, hayate.ErrDenied)
		}
		if err := checkResponse(q.Schema, response); err != nil {
			return err
		}
		x.Result = withMember(x.Result, "response", response)
		err = r.settlePending(ctx, &x, hayate.StatusSucceeded)
		if errors.Is(err, hayate.ErrConflict) {
			continue
		}
		return err
	}
	return fmt.Errorf("respond to inquiry %s: it keeps changing: %w", id, hayate.ErrBusy)
}

func checkResponse(doc, response json.RawMessage) error {
	if !json.Valid(response) {
		return fmt.Errorf("response: it is no JSON: %w", hayate.ErrInvalid)
	}
	if err := hayate.CheckJSON(response); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	s, err := schema.Compile(doc, schema.Options{AllowNull: true})
	if err != nil {
		return fmt.Errorf("the question's schema is wrong: %v: %w", err, hayate.ErrInvalid)
	}
	if err := s.Validate(response); err != nil {
		return fmt.Errorf("response: %v: %w", err, hayate.ErrInvalid)
	}
	return nil
}

// maskAnswer is an execution's result, without the members of an answer that the
// question's schema calls secret.
func maskAnswer(x *hayate.Execution) json.RawMessage {
	if x.Runner != runnerInquirer {
		return x.Result
	}
	var q struct {
		Schema json.RawMessage `json:"schema"`
	}
	if len(x.Result) == 0 || json.Unmarshal(x.Result, &q) != nil {
		return x.Result
	}
	return render.MaskResult(x.Result, q.Schema, "response")
}

// settlePending ends a pending execution and tells its workflow.
func (r *Router) settlePending(ctx context.Context, x *hayate.Execution, st hayate.Status) error {
	if err := x.To(st, r.now()); err != nil {
		return err
	}
	if err := r.store.Commit(ctx, Change{Update: []hayate.Execution{*x}}); err != nil {
		return fmt.Errorf("answer inquiry %s: %w", x.ID, err)
	}
	r.over(ctx, x)
	return nil
}

// expireInquiries withdraws questions whose time is over.
func (r *Router) expireInquiries(ctx context.Context) error {
	p, err := r.store.Executions(ctx, Query{Status: []hayate.Status{hayate.StatusPending}, Runner: runnerInquirer, Limit: sweepLimit, Ascending: true})
	if err != nil {
		return err
	}
	var errs []error
	for i := range p.Items {
		x := &p.Items[i]
		q, err := inquiryOf(x)
		if err != nil || !q.expired(r.now()) {
			continue
		}
		if err := r.settlePending(ctx, x, hayate.StatusTimeout); err != nil && !errors.Is(err, hayate.ErrConflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// withdrawQuestions is owed by a run that ended while a task may wait for an answer.
const withdrawQuestions flow.CommandKind = "withdraw"

// waits says of a task's status that a person may have to answer first: the task is a
// question, or a workflow that rests, perhaps because of one.
func waits(st hayate.Status) bool {
	return st == hayate.StatusPending || st == hayate.StatusPausing || st == hayate.StatusPaused
}

// withdraw owes it that the open questions of a run which has ended with a status are
// withdrawn: an answer would mean nothing. To cancel all children does it too.
func (s *step) withdraw(ended hayate.Status) {
	if !s.own.Questions || !ended.Completed() {
		return
	}
	o := s.owe()
	if o.Children != workflows.CancelChildren {
		o.Children, o.Asked = withdrawQuestions, s.lr.version+1
	}
}

// withdraw ends a question that waits for an answer, and cancels a workflow that rests
// because one waits below it, however deep: to end the question alone would let the
// workflow go on with what follows it. Any other task stays as it is; a workflow that
// still has tasks under way is looked at again when it rests.
func (r *Router) withdraw(ctx context.Context, x *hayate.Execution) error {
	if isWorkflow(x.Runner) {
		asks, err := r.asks(ctx, x)
		if err == nil && asks {
			_, err = r.Cancel(ctx, x.ID, "")
		}
		return err
	}
	if x.Status != hayate.StatusPending || x.Runner != runnerInquirer {
		return nil
	}
	x.Result = withMember(x.Result, "withdrawn", json.RawMessage(`"the workflow has ended"`))
	return r.settlePending(ctx, x, hayate.StatusCanceled)
}

// asks says whether a workflow rests and a question is open below it.
func (r *Router) asks(ctx context.Context, x *hayate.Execution) (bool, error) {
	if x.Status != hayate.StatusPaused {
		return false, nil
	}
	p, err := r.store.Executions(ctx, Query{Parent: x.ID, Limit: -1})
	if err != nil {
		return false, fmt.Errorf("look for questions of run %s: %w", x.ID, err)
	}
	for i := range p.Items {
		c := &p.Items[i]
		if c.Runner == runnerInquirer && c.Status == hayate.StatusPending {
			return true, nil
		}
		if isWorkflow(c.Runner) {
			if found, err := r.asks(ctx, c); found || err != nil {
				return found, err
			}
		}
	}
	return false, nil
}

// asked emits StackStorm's inquiry trigger for a new question, if a rule waits for it.
func (r *Router) asked(ctx context.Context, x *hayate.Execution, at time.Time, question json.RawMessage) {
	if x.Runner != runnerInquirer || !r.cat.Load().inquiryTrigger {
		return
	}
	var q Inquiry
	if json.Unmarshal(question, &q) != nil {
		return
	}
	data, err := json.Marshal(map[string]string{"id": string(x.ID), "route": q.Route})
	if err == nil {
		e := hayate.Event{ID: "inquiry-" + string(x.ID), Source: "/hayate/executions", Type: TriggerInquiry, Subject: string(x.Action), Time: at, Data: data}
		e.SetExtension(hayate.ExtCause, string(x.ID))
		e.SetExtension(hayate.ExtLineage, LineageText(x.Lineage))
		_, err = r.Accept(ctx, e)
	}
	if err != nil {
		r.log.Error("announce inquiry", "execution_id", x.ID, "err", err)
	}
}
