package mongo

import (
	"context"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// filter gathers the conditions of a query.
type filter bson.D

func (f *filter) equal(key, v string) {
	if v != "" {
		*f = append(*f, bson.E{Key: key, Value: v})
	}
}

func (f *filter) among(key string, list []string) {
	if len(list) > 0 {
		*f = append(*f, bson.E{Key: key, Value: in(list)})
	}
}

// within bounds the time of creation or acceptance.
func (f *filter) within(q *router.Query) {
	var d bson.D
	if !q.After.IsZero() {
		d = append(d, bson.E{Key: "$gt", Value: q.After.UnixMicro()})
	}
	if !q.Before.IsZero() {
		d = append(d, bson.E{Key: "$lt", Value: micros(q.Before)})
	}
	if len(d) > 0 {
		*f = append(*f, bson.E{Key: "at", Value: d})
	}
}

// order is the order of a list: by time, then as stored together.
func order(q *router.Query, keys ...string) bson.D {
	d := asc(keys...)
	if !q.Ascending {
		for i := range d {
			d[i].Value = -1
		}
	}
	return d
}

func executionFilter(q *router.Query) bson.D {
	f := filter{}
	f.among("_id", q.IDs)
	f.among("s", texts(q.Status))
	f.equal("a", string(q.Action))
	f.equal("r", q.Runner)
	f.equal("rule", string(q.Rule))
	f.equal("ev", string(q.Event))
	f.equal("et", q.Type)
	f.equal("es", q.Source)
	f.equal("p", string(q.Parent))
	if q.NoParent {
		f = append(f, bson.E{Key: "p", Value: ""})
	}
	f.within(q)
	return bson.D(f)
}

// Executions implements router.History.
func (s *Store) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	p := router.Page[hayate.Execution]{}
	if err := s.enter(ctx); err != nil {
		return p, fmt.Errorf("list executions: %w", err)
	}
	if q.Parent != "" && q.NoParent {
		return p, nil
	}
	match := func(d *execution) (hayate.Execution, bool, error) {
		x, err := d.decode()
		return x, err == nil && (!lookedAt(&q) || record.MatchExecution(&router.Query{Text: q.Text, User: q.User, Unverified: q.Unverified}, &x)), err
	}
	p, err := list(ctx, s, s.execs, &q, executionFilter(&q), order(&q, "at", "n", "_id"), bson.D{{Key: "box", Value: 0}}, match)
	if err != nil {
		return p, fmt.Errorf("list executions: %w", err)
	}
	return p, nil
}

// lookedAt says whether what is selected must be looked at: the server cannot
// decide.
func lookedAt(q *router.Query) bool { return q.Text != "" || q.User != "" || q.Unverified }

// list reads a part of what a filter selects, and counts all. With a text or a user the
// server cannot decide: what the rest of the filter selects is looked through.
func list[D, T any](ctx context.Context, s *Store, c *mongo.Collection, q *router.Query, filter, sort, fields bson.D,
	match func(*D) (T, bool, error)) (router.Page[T], error) {
	var p router.Page[T]
	o := options.Find().SetSort(sort).SetProjection(fields)
	skip := max(q.Offset, 0)
	// Without bounds, what is read is all there is.
	whole := lookedAt(q) || q.Limit < 0 && skip == 0
	if !whole {
		n, err := c.CountDocuments(ctx, filter)
		if err != nil {
			return p, s.kind(ctx, err)
		}
		p.Total = int(n)
		if q.Limit == 0 || skip >= p.Total {
			return p, nil
		}
		o.SetSkip(int64(skip))
		if q.Limit > 0 {
			o.SetLimit(int64(q.Limit))
		}
		skip = 0
	}
	err := each(ctx, s, c, filter, o, func(d *D) (bool, error) {
		v, ok, err := match(d)
		if err != nil || !ok {
			return true, err
		}
		if whole {
			p.Total++
		}
		if skip > 0 {
			skip--
			return true, nil
		}
		if q.Limit < 0 || len(p.Items) < q.Limit {
			p.Items = append(p.Items, v)
		}
		return true, nil
	})
	return p, err
}

// each calls f with each document until it returns false.
func each[D any](ctx context.Context, s *Store, c *mongo.Collection, filter bson.D, o *options.FindOptionsBuilder, f func(*D) (bool, error)) error {
	cur, err := c.Find(ctx, filter, o)
	if err != nil {
		return s.kind(ctx, err)
	}
	defer cur.Close(context.WithoutCancel(ctx)) // what it could tell, Err tells
	for cur.Next(ctx) {
		var d D
		if err := cur.Decode(&d); err != nil {
			return fmt.Errorf("a document of %s is damaged: %w", c.Name(), err)
		}
		more, err := f(&d)
		if err != nil || !more {
			return err
		}
	}
	return s.kind(ctx, cur.Err())
}

// there selects events that were not purged.
func there() bson.E { return bson.E{Key: "gone", Value: nil} }

func eventFilter(q *router.Query) bson.D {
	f := filter{there()}
	f.among("id", q.IDs)
	f.equal("id", string(q.Event))
	f.equal("type", q.Type)
	f.equal("src", q.Source)
	f.equal("f.rule", string(q.Rule))
	f.within(q)
	return bson.D(f)
}

// both says whether two conditions on the identifier contradict each other. A
// document must not name a field twice.
func both(q *router.Query) (router.Query, bool) {
	if q.Event == "" || len(q.IDs) == 0 {
		return *q, true
	}
	n := *q
	n.IDs = nil
	return n, slices.Contains(q.IDs, string(q.Event))
}

// Events implements router.History.
func (s *Store) Events(ctx context.Context, q router.Query) (router.Page[router.EventRecord], error) {
	p := router.Page[router.EventRecord]{}
	if err := s.enter(ctx); err != nil {
		return p, fmt.Errorf("list events: %w", err)
	}
	q, possible := both(&q)
	if !possible {
		return p, nil
	}
	match := func(d *event) (router.EventRecord, bool, error) {
		r, err := d.decode()
		return r, err == nil && (q.Text == "" || record.MatchEvent(&router.Query{Text: q.Text}, &r)), err
	}
	p, err := list(ctx, s, s.events, &q, eventFilter(&q), order(&q, "at", "_id"), bson.D{{Key: "xs", Value: 0}}, match)
	if err != nil {
		return p, fmt.Errorf("list events: %w", err)
	}
	return p, nil
}

// firingFilters are the conditions on the event, and those on the firing itself.
func firingFilters(q *router.Query) (onEvent, onFiring bson.D) {
	e := filter{there(), {Key: "nf", Value: bson.D{{Key: "$gt", Value: 0}}}}
	e.equal("id", string(q.Event))
	e.equal("type", q.Type)
	e.equal("src", q.Source)
	e.within(q)
	var f filter
	f.among("f.id", q.IDs)
	f.equal("f.rule", string(q.Rule))
	f.equal("f.x", string(q.Execution))
	return append(bson.D(e), f...), bson.D(f)
}

// Firings implements router.History. Firings lie in their events; those of one
// event are listed as they were decided.
func (s *Store) Firings(ctx context.Context, q router.Query) (router.Page[hayate.Firing], error) {
	var p router.Page[hayate.Firing]
	if err := s.enter(ctx); err != nil {
		return p, fmt.Errorf("list firings: %w", err)
	}
	onEvent, onFiring := firingFilters(&q)
	if q.Text == "" {
		n, err := s.countFirings(ctx, onEvent, onFiring)
		if err != nil {
			return p, fmt.Errorf("count firings: %w", err)
		}
		p.Total = n
		if q.Limit == 0 || q.Offset >= n {
			return p, nil
		}
	}
	own := router.Query{IDs: q.IDs, Rule: q.Rule, Execution: q.Execution, Text: q.Text}
	skip := max(q.Offset, 0)
	o := options.Find().SetSort(order(&q, "at", "_id")).SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "f", Value: 1}})
	err := each(ctx, s, s.events, onEvent, o, func(d *event) (bool, error) {
		fs, err := d.firings()
		if err != nil {
			return false, err
		}
		if !q.Ascending {
			slices.Reverse(fs)
		}
		for i := range fs {
			if !record.MatchFiring(&own, nil, &fs[i]) {
				continue
			}
			if q.Text != "" {
				p.Total++
			}
			switch {
			case skip > 0:
				skip--
			case q.Limit < 0 || len(p.Items) < q.Limit:
				p.Items = append(p.Items, fs[i])
			}
		}
		return q.Text != "" || q.Limit < 0 || len(p.Items) < q.Limit, nil
	})
	if err != nil {
		return router.Page[hayate.Firing]{}, fmt.Errorf("list firings: %w", err)
	}
	return p, nil
}

func (s *Store) countFirings(ctx context.Context, onEvent, onFiring bson.D) (int, error) {
	pipeline := mongo.Pipeline{{{Key: "$match", Value: onEvent}}}
	var sum any = "$nf"
	if len(onFiring) > 0 {
		pipeline = append(pipeline, bson.D{{Key: "$unwind", Value: "$f"}}, bson.D{{Key: "$match", Value: onFiring}})
		sum = 1
	}
	pipeline = append(pipeline, bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: nil}, {Key: "n", Value: bson.D{{Key: "$sum", Value: sum}}}}}})
	n, err := s.sums(ctx, s.events, pipeline)
	return int(n[""]), err
}

// sums runs a pipeline that groups by a text, or by nothing, and adds up n.
func (s *Store) sums(ctx context.Context, c *mongo.Collection, pipeline mongo.Pipeline) (map[string]int64, error) {
	cur, err := c.Aggregate(ctx, pipeline)
	var rows []struct {
		ID *string `bson:"_id"`
		N  int64   `bson:"n"`
	}
	if err == nil {
		err = cur.All(ctx, &rows)
	}
	if err != nil {
		return nil, s.kind(ctx, err)
	}
	out := map[string]int64{}
	for _, r := range rows {
		if r.ID == nil {
			out[""] = r.N
			continue
		}
		out[*r.ID] = r.N
	}
	return out, nil
}

// Lines implements router.History.
func (s *Store) Lines(ctx context.Context, id hayate.ExecutionID, after int64, limit int) ([]hayate.OutputLine, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("list output of execution %s: %w", id, err)
	}
	if limit == 0 {
		return nil, nil
	}
	o := options.Find().SetSort(asc("q", "k"))
	if limit > 0 {
		o.SetLimit(int64(limit))
	}
	cur, err := s.lines.Find(ctx, bson.D{{Key: "x", Value: string(id)}, {Key: "q", Value: bson.D{{Key: "$gt", Value: after}}}}, o)
	var docs []line
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("list output of execution %s: %w", id, s.kind(ctx, err))
	}
	list := make([]hayate.OutputLine, len(docs))
	for i, d := range docs {
		list[i] = hayate.OutputLine{Execution: id, Attempt: d.Attempt, Seq: d.Seq, Time: instant(d.At), Stream: hayate.Stream(d.Stream), Text: d.Text}
	}
	return list, nil
}
