package mongo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// claimable and held are the statuses that may be claimed, and in which somebody
// may hold an attempt.
func claimable() []string {
	return statuses(func(s hayate.Status) bool { return s.Claimable() })
}
func held() []string { return statuses(record.Held) }

func statuses(keep func(hayate.Status) bool) []string {
	var list []string
	for _, s := range hayate.Statuses {
		if keep(s) {
			list = append(list, string(s))
		}
	}
	return list
}

func in(list []string) bson.D { return bson.D{{Key: "$in", Value: list}} }

// Claim implements router.Claims: one conditional update. It is durable for
// every execution: other processes look at the same store.
func (s *Store) Claim(ctx context.Context, c router.Claim) (hayate.Execution, error) {
	if err := s.enter(ctx); err != nil {
		return hayate.Execution{}, fmt.Errorf("claim execution %s: %w", c.Execution, err)
	}
	at := c.At.UnixMicro()
	var d execution
	err := s.execs.FindOneAndUpdate(ctx,
		bson.D{{Key: "_id", Value: string(c.Execution)}, {Key: "s", Value: in(claimable())}, {Key: "nb", Value: bson.D{{Key: "$lte", Value: at}}}},
		bson.D{
			{Key: "$set", Value: bson.D{{Key: "s", Value: string(hayate.StatusRunning)}, {Key: "w", Value: c.Worker}, {Key: "lease", Value: micros(c.Until)}}},
			{Key: "$min", Value: bson.D{{Key: "start", Value: micros(c.At)}}}, // the first attempt's stays
			{Key: "$inc", Value: bson.D{{Key: "k", Value: 1}, {Key: "v", Value: int64(1)}}},
			{Key: "$push", Value: bson.D{{Key: "log", Value: entry{micros(c.At), string(hayate.StatusRunning)}}}},
			{Key: "$unset", Value: bson.D{{Key: "due", Value: ""}, {Key: "ob", Value: ""}, {Key: "q", Value: ""}}},
		},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return hayate.Execution{}, s.refused(ctx, c)
	}
	if err != nil {
		return hayate.Execution{}, fmt.Errorf("claim execution %s: %w", c.Execution, s.kind(ctx, err))
	}
	s.wrote(1)
	return d.decode()
}

// refused says why a claim was.
func (s *Store) refused(ctx context.Context, c router.Claim) error {
	d, err := s.read(ctx, string(c.Execution))
	if err != nil {
		return fmt.Errorf("claim execution %s: %w", c.Execution, err)
	}
	x, err := d.decode()
	if err == nil {
		err = record.Claim(&x, c)
	}
	if err == nil { // it became claimable since
		err = fmt.Errorf("claim execution %s for %s: another was first: %w", c.Execution, c.Worker, hayate.ErrConflict)
	}
	return err
}

// holds selects an execution while the hold on it is good.
func holds(h router.Hold, status any) bson.D {
	return bson.D{{Key: "_id", Value: string(h.Execution)}, {Key: "k", Value: h.Attempt}, {Key: "w", Value: h.Worker}, {Key: "s", Value: status}}
}

// Heartbeat implements router.Claims.
func (s *Store) Heartbeat(ctx context.Context, h router.Hold, until time.Time) (router.Signal, error) {
	if err := s.enter(ctx); err != nil {
		return router.Signal{}, fmt.Errorf("heartbeat of execution %s: %w", h.Execution, err)
	}
	var d execution
	err := s.execs.FindOneAndUpdate(ctx, holds(h, in(held())),
		bson.D{{Key: "$set", Value: bson.D{{Key: "lease", Value: micros(until)}}}, {Key: "$inc", Value: bson.D{{Key: "v", Value: int64(1)}}}},
		options.FindOneAndUpdate().SetReturnDocument(options.After).SetProjection(bson.D{{Key: "s", Value: 1}})).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return router.Signal{}, s.stale(ctx, h)
	}
	if err != nil {
		return router.Signal{}, fmt.Errorf("heartbeat of execution %s: %w", h.Execution, s.kind(ctx, err))
	}
	s.wrote(1)
	return router.Signal{Cancel: d.Status == string(hayate.StatusCanceling)}, nil
}

// stale says why a hold is not good.
func (s *Store) stale(ctx context.Context, h router.Hold) error {
	d, err := s.read(ctx, string(h.Execution))
	if err != nil {
		return fmt.Errorf("hold of execution %s: %w", h.Execution, err)
	}
	x, err := d.decode()
	if err == nil {
		err = record.Check(&x, h)
	}
	if err == nil {
		err = fmt.Errorf("attempt %d of execution %s by %s was stale: %w", h.Attempt, h.Execution, h.Worker, hayate.ErrConflict)
	}
	return err
}

// line is the document of a line of output; its _id makes a repeated one known.
type line struct {
	ID      string `bson:"_id"`
	X       string `bson:"x"`
	Seq     int64  `bson:"q"`
	Attempt int    `bson:"k"`
	At      int64  `bson:"at"`
	Stream  string `bson:"s"`
	Text    string `bson:"l"`
}

// Output implements router.Claims.
func (s *Store) Output(ctx context.Context, h router.Hold, lines []hayate.OutputLine) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("output of execution %s: %w", h.Execution, err)
	}
	err := s.execs.FindOne(ctx, holds(h, in(held())), options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
	if errors.Is(err, mongo.ErrNoDocuments) {
		return s.stale(ctx, h)
	}
	if err != nil {
		return fmt.Errorf("output of execution %s: %w", h.Execution, s.kind(ctx, err))
	}
	if len(lines) == 0 {
		return nil
	}
	docs := make([]line, len(lines))
	for i, l := range lines {
		docs[i] = line{ID: fmt.Sprintf("%s.%d.%d", h.Execution, h.Attempt, l.Seq), X: string(h.Execution), Seq: l.Seq, Attempt: h.Attempt,
			At: micros(l.Time), Stream: string(l.Stream), Text: l.Text}
	}
	if _, err := s.lines.InsertMany(ctx, docs, options.InsertMany().SetOrdered(false)); err != nil && !onlyDuplicates(err) {
		return fmt.Errorf("output of execution %s: %w", h.Execution, s.kind(ctx, err))
	}
	s.wrote(len(docs))
	return nil
}

// Complete implements router.Claims: the result is committed first, then the
// step that it leads to. Where the process dies in between, the execution is
// swept as untold. Where another steps the run in between, the caller gets
// ErrConflict as for every stale step, computes the step anew and repeats the
// same completion: it is then known to be complete, and the step follows.
func (s *Store) Complete(ctx context.Context, c router.Completion) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("complete execution %s: %w", c.Execution, err)
	}
	if c.Step != nil {
		if err := s.check(ctx, c.Step); err != nil {
			return fmt.Errorf("complete execution %s: %w", c.Execution, err)
		}
	}
	if err := s.complete(ctx, &c); err != nil {
		return err
	}
	if c.Step == nil {
		return nil
	}
	step := *c.Step
	step.Told = append(step.Told[:len(step.Told):len(step.Told)], c.Execution)
	if err := s.commit(ctx, &step); err != nil {
		return fmt.Errorf("complete execution %s: %w", c.Execution, err)
	}
	return nil
}

// complete ends the attempt. An attempt that nobody asked to cancel, which is
// nearly every one, is ended without reading it.
func (s *Store) complete(ctx context.Context, c *router.Completion) error {
	to := c.Result.Status
	if to.Completed() || to == hayate.StatusPending {
		res, err := s.execs.UpdateOne(ctx, holds(c.Hold, string(hayate.StatusRunning)), ending(c, to))
		if err != nil {
			return fmt.Errorf("complete execution %s: %w", c.Execution, s.kind(ctx, err))
		}
		if res.MatchedCount == 1 {
			s.wrote(1)
			return nil
		}
	}
	for range maxTries {
		d, err := s.read(ctx, string(c.Execution))
		if err != nil {
			return fmt.Errorf("complete execution %s: %w", c.Execution, err)
		}
		x, err := d.decode()
		if err != nil {
			return err
		}
		if err := record.Complete(&x, *c); err != nil {
			if c.Step != nil && repeats(d, c) {
				return nil // by this attempt, before: the step is what is left
			}
			return err
		}
		res, err := s.execs.UpdateOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "v", Value: d.V}}, ending(c, x.Status))
		if err != nil {
			return fmt.Errorf("complete execution %s: %w", c.Execution, s.kind(ctx, err))
		}
		if res.MatchedCount == 1 {
			s.wrote(1)
			return nil
		}
	}
	return fmt.Errorf("complete execution %s: others were first %d times: %w", c.Execution, maxTries, hayate.ErrBusy)
}

// repeats says whether the document is what this completion left, and the
// parent has not heard of it.
func repeats(d *execution, c *router.Completion) bool {
	return d.Tell != 0 && d.Attempt == c.Attempt && d.Worker == c.Worker && d.End == micros(c.At) && bytes.Equal(d.Result, c.Result.Value) &&
		(d.Status == string(c.Result.Status) || d.Status == string(hayate.StatusCanceled))
}

// ending is the update that ends an attempt with a status.
func ending(c *router.Completion, to hayate.Status) bson.D {
	set := bson.D{{Key: "s", Value: string(to)}, {Key: "ok", Value: c.Result.Verified && to == hayate.StatusSucceeded}}
	unset := bson.D{{Key: "lease", Value: ""}}
	if len(c.Result.Value) > 0 {
		set = append(set, bson.E{Key: "res", Value: []byte(c.Result.Value)})
	} else {
		unset = append(unset, bson.E{Key: "res", Value: ""})
	}
	if c.Blob != nil {
		set = append(set, bson.E{Key: "ref", Value: blobRef{c.Blob.Hash, c.Blob.Size}})
	} else {
		unset = append(unset, bson.E{Key: "ref", Value: ""})
	}
	u := bson.D{}
	if to.Completed() {
		set = append(set, bson.E{Key: "end", Value: micros(c.At)})
		u = append(u, bson.E{Key: "$rename", Value: bson.D{{Key: "kid", Value: "tell"}}})
	}
	return append(u, bson.E{Key: "$set", Value: set}, bson.E{Key: "$unset", Value: unset},
		bson.E{Key: "$inc", Value: bson.D{{Key: "v", Value: int64(1)}}},
		bson.E{Key: "$push", Value: bson.D{{Key: "log", Value: entry{micros(c.At), string(to)}}}})
}
