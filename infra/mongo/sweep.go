package mongo

import (
	"context"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Sweep implements router.Journal. It first finishes what was cut off between
// two writes: what that brings to light is in its own answer.
//
// With StaleAfter zero, executions that other processes have dispatched are
// returned too, for their queues may have had no longer memory than they.
func (s *Store) Sweep(ctx context.Context, q router.SweepQuery) (router.Swept, error) {
	var out router.Swept
	if err := s.enter(ctx); err != nil {
		return out, fmt.Errorf("sweep: %w", err)
	}
	if err := s.finishAll(ctx, q.Limit); err != nil {
		return out, fmt.Errorf("sweep: %w", err)
	}
	now := q.Now.UnixMicro()
	upTo := func(t int64) bson.D { return bson.D{{Key: "$gt", Value: 0}, {Key: "$lte", Value: t}} }
	dispatch := bson.D{{Key: "ob", Value: upTo(q.Now.Add(-q.StaleAfter).UnixMicro())}}
	order := "ob"
	if q.StaleAfter == 0 {
		dispatch = bson.D{{Key: "due", Value: upTo(now)}, {Key: "q", Value: bson.D{{Key: "$ne", Value: s.me}}}}
		order = "due"
	}
	for _, part := range []struct {
		list   *[]hayate.Execution
		filter bson.D
		order  string
	}{
		{&out.Dispatch, append(dispatch, bson.E{Key: "s", Value: in(claimable())}), order},
		{&out.Lost, bson.D{{Key: "lease", Value: upTo(now)}, {Key: "s", Value: in(held())}}, "lease"},
		{&out.Untold, bson.D{{Key: "tell", Value: bson.D{{Key: "$gt", Value: 0}}}, {Key: "end", Value: upTo(now)}}, "tell"},
	} {
		var err error
		if *part.list, err = s.executions(ctx, part.filter, options.Find().SetSort(asc(part.order)).SetLimit(int64(q.Limit))); err != nil {
			return router.Swept{}, fmt.Errorf("sweep: %w", err)
		}
	}
	cur, err := s.runs.Find(ctx, bson.D{{Key: "wake", Value: upTo(now)}},
		options.Find().SetSort(asc("wake")).SetLimit(int64(q.Limit)).SetProjection(bson.D{{Key: "_id", Value: 1}}))
	var due []run
	if err == nil {
		err = cur.All(ctx, &due)
	}
	if err != nil {
		return router.Swept{}, fmt.Errorf("sweep: %w", s.kind(ctx, err))
	}
	for _, r := range due {
		out.Due = append(out.Due, hayate.ExecutionID(r.ID))
	}
	if out.Undecided, err = s.undecided(ctx, q.Now.Add(-q.StaleAfter).UnixMicro(), q.Limit); err != nil {
		return router.Swept{}, fmt.Errorf("sweep: %w", err)
	}
	return out, nil
}

// undecided returns events that were accepted up to a time and that nobody has
// decided on.
func (s *Store) undecided(ctx context.Context, upTo int64, limit int) ([]hayate.Event, error) {
	cur, err := s.events.Find(ctx, bson.D{{Key: "und", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lte", Value: upTo}}}},
		options.Find().SetSort(asc("und")).SetLimit(int64(limit)))
	var docs []event
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("look for undecided events: %w", s.kind(ctx, err))
	}
	var list []hayate.Event
	for i := range docs {
		r, err := docs[i].decode()
		if err != nil {
			return nil, err
		}
		list = append(list, r.Event)
	}
	return list, nil
}

// executions reads executions.
func (s *Store) executions(ctx context.Context, filter bson.D, o *options.FindOptionsBuilder) ([]hayate.Execution, error) {
	cur, err := s.execs.Find(ctx, filter, o.SetProjection(bson.D{{Key: "box", Value: 0}}))
	var docs []execution
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("read executions: %w", s.kind(ctx, err))
	}
	list := make([]hayate.Execution, len(docs))
	for i := range docs {
		if list[i], err = docs[i].decode(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// finishAll finishes what was cut off: events whose executions are not stored,
// and outboxes of steps and updates. Another process may be on its way with the
// same; that harms neither.
func (s *Store) finishAll(ctx context.Context, limit int) error {
	cur, err := s.events.Find(ctx, bson.D{{Key: "ob", Value: bson.D{{Key: "$gt", Value: 0}}}},
		options.Find().SetLimit(int64(limit)).SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "xs", Value: 1}}))
	var events []event
	if err == nil {
		err = cur.All(ctx, &events)
	}
	if err != nil {
		return fmt.Errorf("look for events that were not routed: %w", s.kind(ctx, err))
	}
	for i := range events {
		if err := s.route(ctx, &events[i]); err != nil {
			return err
		}
	}
	if err := s.unboxAll(ctx, limit); err != nil {
		return err
	}
	for _, c := range []*mongo.Collection{s.runs, s.execs} {
		cur, err := c.Find(ctx, bson.D{{Key: "box.v", Value: bson.D{{Key: "$gt", Value: 0}}}},
			options.Find().SetLimit(int64(limit)).SetProjection(bson.D{{Key: "box", Value: 1}}))
		var docs []struct {
			ID  string `bson:"_id"`
			Box *box   `bson:"box"`
		}
		if err == nil {
			err = cur.All(ctx, &docs)
		}
		if err != nil {
			return fmt.Errorf("look for changes that were cut off: %w", s.kind(ctx, err))
		}
		for _, d := range docs {
			if err := s.finish(ctx, c, d.ID, d.Box); err != nil {
				return err
			}
		}
	}
	return nil
}

// Dispatched implements router.Store. The mark is acknowledged by the primary
// alone: where it is lost, an execution is offered twice.
func (s *Store) Dispatched(ctx context.Context, ids ...hayate.ExecutionID) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("mark dispatched: %w", err)
	}
	if len(ids) == 0 {
		return nil
	}
	_, err := s.relaxed.UpdateMany(ctx, bson.D{{Key: "_id", Value: in(texts(ids))}, {Key: "s", Value: in(claimable())}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "q", Value: s.me}}}, {Key: "$unset", Value: bson.D{{Key: "ob", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("mark dispatched: %w", s.kind(ctx, err))
	}
	return nil
}
