package mongo

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// maxTries bounds how often a call reads anew because others were first.
const maxTries = 64

// run is the document of a run. Entries lie under names that a field may bear.
type run struct {
	ID      string            `bson:"_id"`
	V       int64             `bson:"v"`
	Head    []byte            `bson:"head"`
	Entries map[string][]byte `bson:"e,omitempty"`
	Wake    int64             `bson:"wake,omitempty"` // absent once the run has ended
	Done    bool              `bson:"done,omitempty"`
	Box     *box              `bson:"box,omitempty"`
}

// field makes a field's name of an entry's key, which may hold anything.
func field(key string) string { return "k" + base64.RawURLEncoding.EncodeToString([]byte(key)) }

func unfield(name string) (string, error) {
	if name == "" {
		return "", fmt.Errorf("entry without a name")
	}
	b, err := base64.RawURLEncoding.DecodeString(name[1:])
	return string(b), err
}

// Commit implements router.Journal. One document carries the change: the run,
// else the first updated execution. Writing it, on condition of its version, is
// the commit; the rest of the change is in its outbox and follows.
func (s *Store) Commit(ctx context.Context, c router.Change) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("commit change: %w", err)
	}
	return s.commit(ctx, &c)
}

func (s *Store) commit(ctx context.Context, c *router.Change) error {
	if err := s.check(ctx, c); err != nil {
		return err
	}
	b, err := s.pack(ctx, c)
	if err != nil {
		return err
	}
	switch {
	case c.Run != nil:
		return s.step(ctx, c.Run, b)
	case len(b.Update) > 0:
		return s.carry(ctx, b)
	}
	for i := range c.Complete {
		if err := s.complete(ctx, &c.Complete[i]); err != nil {
			return err
		}
	}
	b.Ends = nil
	// Nothing else is conditional: each part may be repeated by itself.
	return s.apply(ctx, nil, "", b)
}

// check returns ErrConflict where the change was not computed from what is
// stored now. What changes between the look and the commit is noticed by the
// commit itself where it concerns the document that carries the change.
func (s *Store) check(ctx context.Context, c *router.Change) error {
	if c.Run != nil {
		if err := s.checkRun(ctx, c.Run); err != nil {
			return err
		}
	}
	for i := range c.Complete {
		if err := s.checkEnd(ctx, c.Complete[i]); err != nil {
			return err
		}
	}
	if len(c.Update) == 0 || c.Run == nil && len(c.Update) == 1 {
		return nil // the write itself is the check
	}
	ids := make([]string, len(c.Update))
	for i := range c.Update {
		ids[i] = string(c.Update[i].ID)
	}
	have := map[string]int64{}
	cur, err := s.execs.Find(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}}, options.Find().SetProjection(bson.D{{Key: "v", Value: 1}}))
	if err == nil {
		var docs []struct {
			ID string `bson:"_id"`
			V  int64  `bson:"v"`
		}
		err = cur.All(ctx, &docs)
		for _, d := range docs {
			have[d.ID] = d.V
		}
	}
	if err != nil {
		return fmt.Errorf("commit change: %w", s.kind(ctx, err))
	}
	for i := range c.Update {
		x := &c.Update[i]
		if v, ok := have[string(x.ID)]; !ok || v != x.Version {
			return staleUpdate(x, v, ok)
		}
	}
	return nil
}

// checkEnd returns ErrConflict where the hold of a completion is not good.
func (s *Store) checkEnd(ctx context.Context, c router.Completion) error {
	d, err := s.read(ctx, string(c.Execution))
	if errors.Is(err, hayate.ErrNotFound) {
		return fmt.Errorf("complete execution %s: it does not exist: %w", c.Execution, hayate.ErrConflict)
	}
	if err != nil {
		return fmt.Errorf("complete execution %s: %w", c.Execution, err)
	}
	x, err := d.decode()
	if err != nil {
		return err
	}
	return record.Complete(&x, c)
}

func staleUpdate(x *hayate.Execution, have int64, exists bool) error {
	if !exists {
		return fmt.Errorf("update execution %s: it does not exist: %w", x.ID, hayate.ErrConflict)
	}
	return fmt.Errorf("update execution %s: its version is %d, not %d: %w", x.ID, have, x.Version, hayate.ErrConflict)
}

func (s *Store) checkRun(ctx context.Context, d *router.RunDelta) error {
	var doc run
	err := s.runs.FindOne(ctx, bson.D{{Key: "_id", Value: string(d.ID)}}, options.FindOne().SetProjection(bson.D{{Key: "v", Value: 1}})).Decode(&doc)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return fmt.Errorf("step run %s: %w", d.ID, s.kind(ctx, err))
	}
	if doc.V != d.From {
		return fmt.Errorf("step run %s: its version is %d, not %d: %w", d.ID, doc.V, d.From, hayate.ErrConflict)
	}
	return nil
}

// pack makes documents of a change. Updates have the version they shall have.
func (s *Store) pack(ctx context.Context, c *router.Change) (*box, error) {
	b := &box{Told: texts(c.Told)}
	for i := range c.Insert {
		d, err := encode(&c.Insert[i], i)
		if err != nil {
			return nil, err
		}
		b.Insert = append(b.Insert, d)
	}
	if err := s.inherit(ctx, b.Insert); err != nil {
		return nil, err
	}
	for i := range c.Update {
		d, err := encode(&c.Update[i], 0)
		if err != nil {
			return nil, err
		}
		d.V++
		b.Update = append(b.Update, d)
	}
	for i := range c.Complete {
		b.Ends = append(b.Ends, encodeEnd(&c.Complete[i]))
	}
	return b, nil
}

// inherit gives children the type and source of the event they came of.
func (s *Store) inherit(ctx context.Context, xs []execution) error {
	ids := map[string]bool{}
	for i := range xs {
		if xs[i].Event != "" {
			ids[xs[i].Event] = true
		}
	}
	if len(ids) == 0 {
		return nil
	}
	list := make([]string, 0, len(ids))
	for id := range ids {
		list = append(list, id)
	}
	cur, err := s.events.Find(ctx, bson.D{{Key: "id", Value: bson.D{{Key: "$in", Value: list}}}},
		options.Find().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "type", Value: 1}, {Key: "src", Value: 1}}))
	var docs []event
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return fmt.Errorf("read the events of new executions: %w", s.kind(ctx, err))
	}
	for _, d := range docs {
		for i := range xs {
			if xs[i].Event == d.ID {
				xs[i].Type, xs[i].Source = d.Type, d.Src
			}
		}
	}
	return nil
}

// step commits the step of a run with its outbox, and empties it.
func (s *Store) step(ctx context.Context, d *router.RunDelta, b *box) error {
	id := string(d.ID)
	b.V = d.From + 1
	set := bson.D{{Key: "v", Value: b.V}, {Key: "head", Value: []byte(d.Head)}}
	unset := bson.D{}
	for k, v := range d.Entries {
		set = append(set, bson.E{Key: "e." + field(k), Value: []byte(v)})
	}
	if d.Done {
		set = append(set, bson.E{Key: "done", Value: true})
	}
	if w := micros(d.Wake); w != 0 && !d.Done {
		set = append(set, bson.E{Key: "wake", Value: w})
	} else {
		unset = append(unset, bson.E{Key: "wake", Value: ""})
	}
	if !b.empty() {
		set = append(set, bson.E{Key: "box", Value: b})
	}
	for range maxTries {
		ok, err := s.writeRun(ctx, d, set, unset)
		if err != nil {
			return err
		}
		if ok {
			s.wrote(1 + len(b.Insert) + len(b.Update))
			return s.empty(ctx, s.runs, id, b)
		}
		// Another was first, or the step before has not been finished.
		var doc run
		err = s.runs.FindOne(ctx, bson.D{{Key: "_id", Value: id}}, options.FindOne().SetProjection(bson.D{{Key: "v", Value: 1}, {Key: "box", Value: 1}})).Decode(&doc)
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			return fmt.Errorf("step run %s: %w", id, s.kind(ctx, err))
		}
		if doc.V != d.From {
			return fmt.Errorf("step run %s: its version is %d, not %d: %w", id, doc.V, d.From, hayate.ErrConflict)
		}
		if doc.Box != nil {
			if err := s.finish(ctx, s.runs, id, doc.Box); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("step run %s: others were first %d times: %w", id, maxTries, hayate.ErrConflict)
}

// writeRun creates or updates the document of a run, and says whether it did.
func (s *Store) writeRun(ctx context.Context, d *router.RunDelta, set, unset bson.D) (bool, error) {
	id := string(d.ID)
	if d.From == 0 {
		doc := run{ID: id, V: 1, Head: d.Head, Done: d.Done, Entries: map[string][]byte{}}
		for k, v := range d.Entries {
			doc.Entries[field(k)] = v
		}
		for _, e := range set {
			switch v := e.Value.(type) {
			case *box:
				doc.Box = v
			case int64:
				if e.Key == "wake" {
					doc.Wake = v
				}
			}
		}
		raw, err := fit(&doc)
		if err != nil {
			return false, fmt.Errorf("create run %s: %w", id, err)
		}
		_, err = s.runs.InsertOne(ctx, raw)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("create run %s: %w", id, s.kind(ctx, err))
		}
		return true, nil
	}
	u := bson.D{{Key: "$set", Value: set}}
	if len(unset) > 0 {
		u = append(u, bson.E{Key: "$unset", Value: unset})
	}
	if _, err := fit(set); err != nil {
		return false, fmt.Errorf("step run %s: %w", id, err)
	}
	res, err := s.runs.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "v", Value: d.From}, {Key: "box", Value: nil}}, u)
	if err != nil {
		return false, fmt.Errorf("step run %s: %w", id, s.kind(ctx, err))
	}
	return res.MatchedCount == 1, nil
}

// carry commits a change without a run: its first update carries the rest.
func (s *Store) carry(ctx context.Context, b *box) error {
	first := &b.Update[0]
	rest := &box{V: first.V, Insert: b.Insert, Update: b.Update[1:], Ends: b.Ends, Told: b.Told}
	u, err := first.update()
	if err != nil {
		return err
	}
	filter := bson.D{{Key: "_id", Value: first.ID}, {Key: "v", Value: first.V - 1}}
	if !rest.empty() {
		filter = append(filter, bson.E{Key: "box", Value: nil})
		set := u[0].Value.(bson.D)
		u[0].Value = append(set, bson.E{Key: "box", Value: rest})
	}
	if _, err := fit(u); err != nil {
		return fmt.Errorf("update execution %s: %w", first.ID, err)
	}
	for range maxTries {
		res, err := s.execs.UpdateOne(ctx, filter, u)
		if err != nil {
			return fmt.Errorf("update execution %s: %w", first.ID, s.kind(ctx, err))
		}
		if res.MatchedCount == 1 {
			s.wrote(1 + len(rest.Insert) + len(rest.Update))
			return s.empty(ctx, s.execs, first.ID, rest)
		}
		doc, err := s.read(ctx, first.ID)
		switch {
		case errors.Is(err, hayate.ErrNotFound):
			return staleUpdate(&hayate.Execution{ID: hayate.ExecutionID(first.ID)}, 0, false)
		case err != nil:
			return fmt.Errorf("update execution %s: %w", first.ID, err)
		case doc.V != first.V-1:
			return staleUpdate(&hayate.Execution{ID: hayate.ExecutionID(first.ID), Version: first.V - 1}, doc.V, true)
		case doc.Box != nil:
			if err := s.finish(ctx, s.execs, first.ID, doc.Box); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("update execution %s: others were first %d times: %w", first.ID, maxTries, hayate.ErrConflict)
}

// empty finishes an outbox that was just committed. The change has happened:
// what cannot be finished now is finished by the sweeper.
func (s *Store) empty(ctx context.Context, c *mongo.Collection, id string, b *box) error {
	if b.empty() {
		return nil
	}
	if err := s.finish(context.WithoutCancel(ctx), c, id, b); err != nil {
		s.log.Warn("change committed but not finished yet, the sweeper will", "execution_id", id, "err", err)
	}
	return nil
}

// finish does what an outbox says and clears it. Many may do so at once.
func (s *Store) finish(ctx context.Context, c *mongo.Collection, id string, b *box) error {
	if err := s.apply(ctx, c, id, b); err != nil {
		return err
	}
	_, err := c.UpdateOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "box.v", Value: b.V}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "box", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("clear the outbox of %s: %w", id, s.kind(ctx, err))
	}
	s.wrote(1)
	return nil
}

// apply does what an outbox says that lies in a document of a collection.
func (s *Store) apply(ctx context.Context, c *mongo.Collection, id string, b *box) error {
	for i := range b.Update {
		if err := s.applyUpdate(ctx, c, id, b.V, &b.Update[i]); err != nil {
			return err
		}
	}
	for i := range b.Ends {
		c := b.Ends[i].decode()
		// Refused: it has ended so before, or its worker was taken for lost between
		// the check and the commit, and then the next attempt's end is the one that
		// counts for the execution; the run has the fact already.
		if err := s.complete(ctx, &c); err != nil && !errors.Is(err, hayate.ErrConflict) && !errors.Is(err, hayate.ErrNotFound) {
			return err
		}
	}
	if err := s.insert(ctx, b.Insert); err != nil {
		return err
	}
	if len(b.Told) == 0 {
		return nil
	}
	_, err := s.execs.UpdateMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: b.Told}}}, {Key: "tell", Value: bson.D{{Key: "$gt", Value: 0}}}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "tell", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("mark children as told: %w", s.kind(ctx, err))
	}
	s.wrote(len(b.Told))
	return nil
}

// applyUpdate makes an execution what a committed change says, once. Where
// somebody changed it between the check and the commit, its status follows the
// change as far as that is still legal: what has completed stays as it is.
func (s *Store) applyUpdate(ctx context.Context, c *mongo.Collection, id string, v int64, d *execution) error {
	name := fmt.Sprintf("%s/%s/%d", c.Name(), id, v) // tells the outbox from all others
	for range maxTries {
		u, err := d.update()
		if err != nil {
			return err
		}
		u[0].Value = append(u[0].Value.(bson.D), bson.E{Key: "lb", Value: name})
		res, err := s.execs.UpdateOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "v", Value: d.V - 1}, {Key: "lb", Value: bson.D{{Key: "$ne", Value: name}}}}, u)
		if err != nil {
			return fmt.Errorf("update execution %s: %w", d.ID, s.kind(ctx, err))
		}
		if res.MatchedCount == 1 {
			s.wrote(1)
			return nil
		}
		now, err := s.read(ctx, d.ID)
		switch {
		case errors.Is(err, hayate.ErrNotFound):
			return nil // purged: it had been applied
		case err != nil:
			return fmt.Errorf("update execution %s: %w", d.ID, err)
		}
		from, to := hayate.Status(now.Status), hayate.Status(d.Status)
		if now.Last == name || from == to || !from.CanBecome(to) {
			return nil
		}
		// Applied long ago, where the outbox is not there any more: this helper was
		// late, and others have gone on.
		err = c.FindOne(ctx, bson.D{{Key: "_id", Value: id}, {Key: "box.v", Value: v}}, options.FindOne().SetProjection(bson.D{{Key: "v", Value: 1}})).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("update execution %s: %w", d.ID, s.kind(ctx, err))
		}
		late := *d
		late.V = now.V + 1
		late.Attempt, late.Worker, late.Log = now.Attempt, now.Worker, append(now.Log, d.Log[len(d.Log)-min(1, len(d.Log)):]...)
		d = &late
	}
	return fmt.Errorf("update execution %s: others were first %d times: %w", d.ID, maxTries, hayate.ErrBusy)
}

// read returns the document of an execution, or ErrNotFound.
func (s *Store) read(ctx context.Context, id string) (*execution, error) {
	var d execution
	if err := s.execs.FindOne(ctx, bson.D{{Key: "_id", Value: id}}).Decode(&d); err != nil {
		return nil, s.kind(ctx, err)
	}
	return &d, nil
}

// Run implements router.Journal.
func (s *Store) Run(ctx context.Context, id hayate.ExecutionID) (router.Run, error) {
	if err := s.enter(ctx); err != nil {
		return router.Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	var d run
	err := s.runs.FindOne(ctx, bson.D{{Key: "_id", Value: string(id)}}, options.FindOne().SetProjection(bson.D{{Key: "box", Value: 0}})).Decode(&d)
	if err != nil {
		return router.Run{}, fmt.Errorf("read run %s: %w", id, s.kind(ctx, err))
	}
	r := router.Run{ID: id, Version: d.V, Head: json.RawMessage(d.Head), Wake: instant(d.Wake), Entries: make(map[string]json.RawMessage, len(d.Entries))}
	for name, v := range d.Entries {
		k, err := unfield(name)
		if err != nil {
			return router.Run{}, fmt.Errorf("read run %s: its document is damaged: entry %q: %w", id, name, err)
		}
		r.Entries[k] = v
	}
	return r, nil
}
