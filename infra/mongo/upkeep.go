package mongo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// purgeTree is an event with all executions that came of it, or an execution
// that came of none with its children.
type purgeTree struct {
	key     string // of the event's document, "" where there is none
	id      string // names the tree in its executions
	at      int64
	waiting bool // its executions are not stored yet
}

// Purge implements router.Upkeep. The event is hidden first and reduced to its
// key last; a topmost execution goes last: a purge that is cut off is finished by
// the next. A tree that is larger than the limit is removed whole.
func (s *Store) Purge(ctx context.Context, q router.PurgeQuery) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	n, err := s.purge(ctx, q)
	if err == nil && n < q.Limit {
		var forgotten int
		forgotten, err = s.forget(ctx, q, q.Limit-n)
		n += forgotten
	}
	if err == nil {
		err = s.Blobs().orphans(ctx)
	}
	if err != nil {
		return n, fmt.Errorf("purge: %w", err)
	}
	return n, nil
}

func (s *Store) purge(ctx context.Context, q router.PurgeQuery) (n int, err error) {
	err = each(ctx, s, s.events, bson.D{{Key: "going", Value: bson.D{{Key: "$gt", Value: 0}}}},
		options.Find().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "at", Value: 1}}), func(d *event) (bool, error) {
			n++
			return n < q.Limit, s.remove(ctx, purgeTree{key: d.Key, id: d.ID, at: d.At})
		})
	if err != nil || n >= q.Limit {
		return n, err
	}
	over := int64(0)
	if q.Keep > 0 {
		if over, err = s.finished(ctx); err != nil {
			return 0, err
		}
		over -= int64(q.Keep)
	}
	before := micros(q.Before)
	err = s.eachTree(ctx, func(t purgeTree) (bool, error) {
		if over <= 0 && (q.Before.IsZero() || t.at >= before) {
			return false, nil // all that follow are newer still
		}
		size, last, done, err := s.measure(ctx, t)
		if err != nil {
			return false, err
		}
		if !done || over <= 0 && last >= before {
			return true, nil
		}
		if n > 0 && n+size > q.Limit {
			return false, nil
		}
		if err := s.remove(ctx, t); err != nil {
			return false, err
		}
		n += size
		over -= int64(size)
		return n < q.Limit, nil
	})
	return n, err
}

// finished counts events and completed executions.
func (s *Store) finished(ctx context.Context) (int64, error) {
	events, err := s.events.CountDocuments(ctx, bson.D{there()})
	if err != nil {
		return 0, s.kind(ctx, err)
	}
	execs, err := s.execs.CountDocuments(ctx, bson.D{{Key: "s", Value: in(statuses(hayate.Status.Completed))}})
	return events + execs, s.kind(ctx, err)
}

// eachTree calls f with the trees, oldest first, until it returns false.
func (s *Store) eachTree(ctx context.Context, f func(purgeTree) (bool, error)) error {
	events, err := s.events.Find(ctx, bson.D{there()}, options.Find().SetSort(asc("at", "_id")).
		SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "at", Value: 1}, {Key: "ob", Value: 1}}))
	if err != nil {
		return s.kind(ctx, err)
	}
	defer events.Close(context.WithoutCancel(ctx)) // its Err is asked
	alone, err := s.execs.Find(ctx, bson.D{{Key: "top", Value: bson.D{{Key: "$gt", Value: 0}}}}, options.Find().SetSort(asc("top")).
		SetProjection(bson.D{{Key: "t", Value: 1}, {Key: "top", Value: 1}}))
	if err != nil {
		return s.kind(ctx, err)
	}
	defer alone.Close(context.WithoutCancel(ctx)) // its Err is asked
	nextEvent := func() (*purgeTree, error) {
		if !events.Next(ctx) {
			return nil, s.kind(ctx, events.Err())
		}
		var d event
		if err := events.Decode(&d); err != nil {
			return nil, fmt.Errorf("a document of events is damaged: %w", err)
		}
		return &purgeTree{d.Key, d.ID, d.At, d.Out != 0}, nil
	}
	nextAlone := func() (*purgeTree, error) {
		if !alone.Next(ctx) {
			return nil, s.kind(ctx, alone.Err())
		}
		var d execution
		if err := alone.Decode(&d); err != nil {
			return nil, fmt.Errorf("a document of executions is damaged: %w", err)
		}
		return &purgeTree{"", d.Tree, d.Top, false}, nil
	}
	return merge(nextEvent, nextAlone, f)
}

// merge calls f with the trees of two lists, the older one first.
func merge(nextA, nextB func() (*purgeTree, error), f func(purgeTree) (bool, error)) error {
	a, err := nextA()
	if err != nil {
		return err
	}
	b, err := nextB()
	if err != nil {
		return err
	}
	for a != nil || b != nil {
		t, next, slot := a, nextA, &a
		if a == nil || b != nil && b.at < a.at {
			t, next, slot = b, nextB, &b
		}
		more, err := f(*t)
		if err != nil || !more {
			return err
		}
		if *slot, err = next(); err != nil {
			return err
		}
	}
	return nil
}

// measure says how many parts a tree has, when its last part was accepted or
// ended, and whether all of it is finished.
func (s *Store) measure(ctx context.Context, t purgeTree) (size int, last int64, done bool, err error) {
	last, done = t.at, !t.waiting
	if t.key != "" {
		size = 1
	}
	o := options.Find().SetProjection(bson.D{{Key: "s", Value: 1}, {Key: "end", Value: 1}, {Key: "box.v", Value: 1}})
	err = each(ctx, s, s.execs, bson.D{{Key: "t", Value: t.id}}, o, func(d *execution) (bool, error) {
		size++
		last = max(last, d.End)
		done = done && hayate.Status(d.Status).Completed() && d.Box == nil
		return done, nil
	})
	return size, last, done, err
}

// remove removes a tree. Of the event, its key stays.
func (s *Store) remove(ctx context.Context, t purgeTree) error {
	if t.key != "" {
		_, err := s.events.UpdateOne(ctx, bson.D{{Key: "_id", Value: t.key}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "gone", Value: t.at}, {Key: "going", Value: t.at}}}})
		if err != nil {
			return fmt.Errorf("hide event %s: %w", t.id, s.kind(ctx, err))
		}
		s.wrote(1)
	}
	var ids, hashes []string
	top := ""
	o := options.Find().SetProjection(bson.D{{Key: "top", Value: 1}, {Key: "ref", Value: 1}})
	err := each(ctx, s, s.execs, bson.D{{Key: "t", Value: t.id}}, o, func(d *execution) (bool, error) {
		if d.Ref != nil {
			hashes = append(hashes, d.Ref.Hash)
		}
		if d.Top != 0 {
			top = d.ID
		}
		ids = append(ids, d.ID)
		return true, nil
	})
	if err != nil {
		return err
	}
	if len(ids) > 0 {
		err = errors.Join(s.drop(ctx, s.runs, bson.D{{Key: "_id", Value: in(ids)}}), s.drop(ctx, s.lines, bson.D{{Key: "x", Value: in(ids)}}),
			s.drop(ctx, s.execs, bson.D{{Key: "t", Value: t.id}, {Key: "_id", Value: bson.D{{Key: "$ne", Value: top}}}}))
		if err == nil && top != "" {
			err = s.drop(ctx, s.execs, bson.D{{Key: "_id", Value: top}})
		}
		if err != nil {
			return err
		}
	}
	if t.key != "" {
		_, err := s.events.ReplaceOne(ctx, bson.D{{Key: "_id", Value: t.key}}, &event{Key: t.key, ID: t.id, At: t.at, Gone: t.at})
		if err != nil {
			return fmt.Errorf("remove event %s: %w", t.id, s.kind(ctx, err))
		}
		s.wrote(1)
	}
	return s.loosen(ctx, hashes)
}

func (s *Store) drop(ctx context.Context, c *mongo.Collection, f bson.D) error {
	if _, err := c.DeleteMany(ctx, f); err != nil {
		return fmt.Errorf("remove from %s: %w", c.Name(), s.kind(ctx, err))
	}
	s.wrote(1)
	return nil
}

// loosen removes blobs that nothing refers to any more, and that nobody is about
// to refer to.
func (s *Store) loosen(ctx context.Context, hashes []string) error {
	for _, h := range hashes {
		err := s.execs.FindOne(ctx, bson.D{{Key: "ref.h", Value: h}}, options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
		if err == nil {
			continue
		}
		if !errors.Is(err, mongo.ErrNoDocuments) {
			return s.kind(ctx, err)
		}
		old := micros(s.now().Add(-looseAge))
		if err := s.Blobs().remove(ctx, bson.D{{Key: "_id", Value: h}, {Key: "at", Value: bson.D{{Key: "$lt", Value: old}}}}); err != nil {
			return fmt.Errorf("remove blob %s: %w", h, err)
		}
	}
	return nil
}

// forget removes the keys of purged events that were accepted before the time,
// and pairs of the datastore that expired before the purge's.
func (s *Store) forget(ctx context.Context, q router.PurgeQuery, limit int) (int, error) {
	if !q.Before.IsZero() {
		err := s.drop(ctx, s.keys, bson.D{{Key: "exp", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lt", Value: micros(q.Before)}}}})
		if err != nil {
			return 0, err
		}
	}
	if q.ForgetKeys.IsZero() {
		return 0, nil
	}
	var keys []string
	o := options.Find().SetLimit(int64(limit)).SetProjection(bson.D{{Key: "_id", Value: 1}})
	err := each(ctx, s, s.events, bson.D{{Key: "gone", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lt", Value: micros(q.ForgetKeys)}}}, {Key: "going", Value: nil}}, o,
		func(d *event) (bool, error) {
			keys = append(keys, d.Key)
			return true, nil
		})
	if err != nil || len(keys) == 0 {
		return 0, err
	}
	return len(keys), s.drop(ctx, s.events, bson.D{{Key: "_id", Value: in(keys)}})
}

// Stats implements router.Upkeep. Commits and writes are those of this process.
func (s *Store) Stats(ctx context.Context) (router.Stats, error) {
	if err := s.enter(ctx); err != nil {
		return router.Stats{}, fmt.Errorf("count: %w", err)
	}
	st := router.Stats{Engine: "mongodb", Executions: map[string]int64{}, Commits: s.commits.Load(), Writes: s.writes.Load()}
	if err := s.count(ctx, &st); err != nil {
		return router.Stats{}, fmt.Errorf("count: %w", err)
	}
	return st, nil
}

func (s *Store) count(ctx context.Context, st *router.Stats) error {
	group := func(by, sum any) bson.D {
		return bson.D{{Key: "$group", Value: bson.D{{Key: "_id", Value: by}, {Key: "n", Value: bson.D{{Key: "$sum", Value: sum}}}}}}
	}
	var err error
	if st.Executions, err = s.sums(ctx, s.execs, mongo.Pipeline{group("$s", 1)}); err != nil {
		return err
	}
	firings, err := s.sums(ctx, s.events, mongo.Pipeline{{{Key: "$match", Value: bson.D{there()}}}, group(nil, "$nf")})
	if err != nil {
		return err
	}
	st.Firings = firings[""]
	for _, c := range []struct {
		n *int64
		c *mongo.Collection
		f bson.D
	}{{&st.Events, s.events, bson.D{there()}}, {&st.Keys, s.events, bson.D{}}, {&st.Blobs, s.blobs, bson.D{}}} {
		if *c.n, err = c.c.CountDocuments(ctx, c.f); err != nil {
			return s.kind(ctx, err)
		}
	}
	if st.Oldest, err = s.oldest(ctx); err != nil {
		return err
	}
	var size struct {
		Storage float64 `bson:"storageSize"`
		Index   float64 `bson:"indexSize"`
	}
	if err := s.db.RunCommand(ctx, bson.D{{Key: "dbStats", Value: 1}}).Decode(&size); err == nil {
		st.Bytes = int64(size.Storage + size.Index) // not every server tells
	}
	return nil
}

// oldest is when the oldest event or execution came to be.
func (s *Store) oldest(ctx context.Context) (time.Time, error) {
	var oldest time.Time
	for _, c := range []struct {
		c *mongo.Collection
		f bson.D
	}{{s.events, bson.D{there()}}, {s.execs, bson.D{}}} {
		var d struct {
			At int64 `bson:"at"`
		}
		err := c.c.FindOne(ctx, c.f, options.FindOne().SetSort(asc("at")).SetProjection(bson.D{{Key: "at", Value: 1}})).Decode(&d)
		if errors.Is(err, mongo.ErrNoDocuments) {
			continue
		}
		if err != nil {
			return oldest, s.kind(ctx, err)
		}
		if t := instant(d.At); oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	return oldest, nil
}

// Backup implements router.Upkeep: ErrInvalid, the server's own tools do it.
func (s *Store) Backup(context.Context, string) error {
	return fmt.Errorf("back up a MongoDB: use mongodump, or snapshots of its disks: %w", hayate.ErrInvalid)
}
