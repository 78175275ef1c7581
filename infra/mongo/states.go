package mongo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/rules/stateful"
)

// state is the document of what a rule remembers under one name. The first of
// the states that a decision depends on carries the others: they change with it,
// through its outbox, and never otherwise.
type state struct {
	ID   string `bson:"_id"`
	Rule string `bson:"rule"`
	Name string `bson:"name"`
	V    int64  `bson:"v"` // grows with every change; of the carrier, where it has one
	Body []byte `bson:"b,omitempty"`
	Wake int64  `bson:"wake,omitempty"`
	Exp  int64  `bson:"exp,omitempty"`
	// Marks are the verdicts on events that are not stored as decided yet, so that
	// each is decided once.
	Marks []stateMark `bson:"m,omitempty"`
	Box   []state     `bson:"box,omitempty"` // the others, as they shall be
	Boxed int64       `bson:"bx,omitempty"`  // V, while there is an outbox
}

type stateMark struct {
	Event   string `bson:"e"` // the event's key
	Verdict []byte `bson:"v"`
}

// keepEmpty is how long a state that says nothing is kept for the marks in it.
const keepEmpty = time.Hour

// maxMarks is how many marks a state may have before those of decided events,
// whose process died, are looked for.
const maxMarks = 16

func stateID(rule hayate.Ref, name string) string { return string(rule) + "/" + name }

// settle decides the guarded firings of an undecided event, and keeps the new
// states. again says that the decision must be made anew: a state is not any more
// what it looked at. over says that the event has been decided by somebody else.
func (s *Store) settle(ctx context.Context, key string, e *hayate.Event, d *router.Decision) (verdicts []stateful.Verdict, again, over bool, err error) {
	verdicts = make([]stateful.Verdict, len(d.Guarded))
	for i := range d.Guarded {
		g := &d.Guarded[i]
		if verdicts[i], again, over, err = s.settleOne(ctx, key, e, g); err != nil || again || over {
			return nil, again, over, err
		}
	}
	return verdicts, false, false, nil
}

func (s *Store) settleOne(ctx context.Context, key string, e *hayate.Event, g *router.Guarded) (v stateful.Verdict, again, over bool, err error) {
	for range maxTries {
		docs, err := s.readStates(ctx, g)
		if err != nil {
			return v, false, false, err
		}
		carrier := docs[0]
		if carrier.Boxed != 0 {
			if err := s.unbox(ctx, carrier); err != nil {
				return v, false, false, err
			}
			continue
		}
		for _, m := range carrier.Marks {
			if m.Event == key {
				err := json.Unmarshal(m.Verdict, &v)
				return v, false, false, err
			}
		}
		// A mark goes when its event is decided. The event is looked at after the
		// state: while it is undecided, a state without its mark does not count it.
		err = s.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "und", Value: bson.D{{Key: "$gt", Value: 0}}}},
			options.FindOne().SetProjection(bson.D{{Key: "_id", Value: 1}})).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			return v, false, true, nil
		}
		if err != nil {
			return v, false, false, s.kind(ctx, err)
		}
		full, err := s.full(ctx, g, docs)
		if err != nil {
			return v, false, false, err
		}
		have := make([]json.RawMessage, len(docs))
		for i := range docs {
			have[i] = docs[i].Body
		}
		out := g.Decide(have, full)
		if out.Again || out.States == nil {
			return out.Verdict, out.Again, false, nil
		}
		ok, err := s.writeState(ctx, key, e, docs, &out)
		if err != nil {
			return v, false, false, err
		}
		if ok {
			return out.Verdict, false, false, nil
		}
	}
	return v, false, false, fmt.Errorf("state of rule %s: others were first %d times: %w", g.Rule, maxTries, hayate.ErrBusy)
}

// readStates reads the states under the names, in their order; one that is not
// there has version 0.
func (s *Store) readStates(ctx context.Context, g *router.Guarded) ([]*state, error) {
	ids := make([]string, len(g.Names))
	docs := make([]*state, len(g.Names))
	for i, name := range g.Names {
		ids[i] = stateID(g.Rule, name)
		docs[i] = &state{ID: ids[i], Rule: string(g.Rule), Name: name}
	}
	cur, err := s.states.Find(ctx, bson.D{{Key: "_id", Value: in(ids)}})
	var found []state
	if err == nil {
		err = cur.All(ctx, &found)
	}
	if err != nil {
		return nil, fmt.Errorf("read states of rule %s: %w", g.Rule, s.kind(ctx, err))
	}
	for i := range found {
		docs[slices.Index(ids, found[i].ID)] = &found[i]
	}
	if len(docs[0].Marks) > maxMarks {
		return docs, s.dropMarks(ctx, docs[0])
	}
	return docs, nil
}

// full says whether the rule has as many states as it may, and these are not all
// among them.
func (s *Store) full(ctx context.Context, g *router.Guarded, docs []*state) (bool, error) {
	if !slices.ContainsFunc(docs, func(d *state) bool { return d.V == 0 }) {
		return false, nil
	}
	n, err := s.states.CountDocuments(ctx, bson.D{{Key: "rule", Value: string(g.Rule)}}, options.Count().SetLimit(int64(g.MaxKeys)))
	if err != nil {
		return false, fmt.Errorf("count states of rule %s: %w", g.Rule, s.kind(ctx, err))
	}
	return n >= int64(g.MaxKeys), nil
}

// writeState replaces the carrier on condition that it is what was read, with the
// verdict on the event and the others in its outbox. It says whether it did.
func (s *Store) writeState(ctx context.Context, key string, e *hayate.Event, docs []*state, out *stateful.Outcome) (bool, error) {
	verdict, err := json.Marshal(out.Verdict)
	if err != nil {
		return false, fmt.Errorf("write verdict: %w", err)
	}
	old := docs[0]
	next := make([]state, len(docs))
	// A new document's version begins with the time, so that one that was removed
	// and comes again is not taken for what it was.
	v := max(old.V+1, s.now().UnixMicro())
	for i, st := range out.States {
		next[i] = state{ID: docs[i].ID, Rule: docs[i].Rule, Name: docs[i].Name, V: v, Body: st.Body, Wake: micros(st.Wake), Exp: micros(st.Expires)}
		if st.Body == nil {
			next[i].Exp = micros(e.AcceptedAt.Add(keepEmpty))
		}
	}
	c := &next[0]
	if len(next) > 1 {
		c.Box, c.Boxed = next[1:], v
	}
	mark := stateMark{Event: key, Verdict: verdict}
	if old.V == 0 {
		c.Marks = []stateMark{mark}
		_, err := s.states.InsertOne(ctx, c)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("store state %s: %w", c.ID, s.kind(ctx, err))
		}
	} else {
		set, unset := c.fields()
		res, err := s.states.UpdateOne(ctx, bson.D{{Key: "_id", Value: c.ID}, {Key: "v", Value: old.V}},
			bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}, {Key: "$push", Value: bson.D{{Key: "m", Value: mark}}}})
		if err != nil {
			return false, fmt.Errorf("store state %s: %w", c.ID, s.kind(ctx, err))
		}
		if res.MatchedCount == 0 {
			return false, nil
		}
	}
	s.wrote(1)
	if c.Boxed != 0 {
		if err := s.unbox(ctx, c); err != nil {
			s.log.Warn("state stored but not finished yet, the sweeper will", "rule", c.Rule, "err", err)
		}
	}
	return true, nil
}

// fields are what an update sets and removes; marks are left alone.
func (d *state) fields() (set, unset bson.D) {
	set = bson.D{{Key: "v", Value: d.V}}
	unset = bson.D{{Key: "none", Value: ""}} // some servers refuse an empty one
	field := func(name string, has bool, v any) {
		if has {
			set = append(set, bson.E{Key: name, Value: v})
		} else {
			unset = append(unset, bson.E{Key: name, Value: ""})
		}
	}
	field("b", d.Body != nil, d.Body)
	field("wake", d.Wake != 0, d.Wake)
	field("exp", d.Exp != 0, d.Exp)
	field("box", d.Boxed != 0, d.Box)
	field("bx", d.Boxed != 0, d.Boxed)
	return set, unset
}

// unbox does what the outbox of a state says, and clears it. Many may do so at
// once, and late: a newer state stays.
func (s *Store) unbox(ctx context.Context, c *state) error {
	for i := range c.Box {
		d := &c.Box[i]
		set, unset := d.fields()
		set = append(set, bson.E{Key: "rule", Value: d.Rule}, bson.E{Key: "name", Value: d.Name})
		_, err := s.states.UpdateOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "v", Value: bson.D{{Key: "$lt", Value: d.V}}}},
			bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: unset}}, options.UpdateOne().SetUpsert(true))
		if err != nil && !mongo.IsDuplicateKeyError(err) {
			return fmt.Errorf("store state %s: %w", d.ID, s.kind(ctx, err))
		}
	}
	_, err := s.states.UpdateOne(ctx, bson.D{{Key: "_id", Value: c.ID}, {Key: "bx", Value: c.Boxed}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "box", Value: ""}, {Key: "bx", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("clear the outbox of state %s: %w", c.ID, s.kind(ctx, err))
	}
	s.wrote(1 + len(c.Box))
	return nil
}

// unmark removes the verdicts on an event that is decided now. What cannot be
// removed is found when marks grow many.
func (s *Store) unmark(ctx context.Context, key string, gs []router.Guarded) {
	ids := make([]string, len(gs))
	for i := range gs {
		ids[i] = stateID(gs[i].Rule, gs[i].Names[0])
	}
	if err := s.pull(ctx, ids, []string{key}); err != nil {
		s.log.Debug("verdict stays in the state", "event_id", key, "err", err)
	}
}

func (s *Store) pull(ctx context.Context, ids, keys []string) error {
	_, err := s.states.UpdateMany(ctx, bson.D{{Key: "_id", Value: in(ids)}},
		bson.D{{Key: "$pull", Value: bson.D{{Key: "m", Value: bson.D{{Key: "e", Value: in(keys)}}}}}})
	if err != nil {
		return s.kind(ctx, err)
	}
	s.wrote(1)
	return nil
}

// dropMarks removes the marks of events that are decided.
func (s *Store) dropMarks(ctx context.Context, d *state) error {
	keys := make([]string, len(d.Marks))
	for i, m := range d.Marks {
		keys[i] = m.Event
	}
	cur, err := s.events.Find(ctx, bson.D{{Key: "_id", Value: in(keys)}, {Key: "und", Value: bson.D{{Key: "$gt", Value: 0}}}},
		options.Find().SetProjection(bson.D{{Key: "_id", Value: 1}}))
	var open []event
	if err == nil {
		err = cur.All(ctx, &open)
	}
	if err != nil {
		return fmt.Errorf("look for events of marks: %w", s.kind(ctx, err))
	}
	keys = slices.DeleteFunc(keys, func(k string) bool {
		return slices.ContainsFunc(open, func(e event) bool { return e.Key == k })
	})
	if len(keys) == 0 {
		return nil
	}
	return s.pull(ctx, []string{d.ID}, keys)
}

// stateFilter selects the states of a query that say something.
func stateFilter(q *router.StateQuery) bson.D {
	f := bson.D{{Key: "b", Value: bson.D{{Key: "$exists", Value: true}}}}
	if q.Rule != "" {
		f = append(f, bson.E{Key: "rule", Value: string(q.Rule)})
	}
	if len(q.Names) > 0 {
		f = append(f, bson.E{Key: "name", Value: in(q.Names)})
	}
	for _, t := range []struct {
		name string
		by   time.Time
	}{{"wake", q.DueBy}, {"exp", q.ExpiredBy}} {
		if !t.by.IsZero() {
			f = append(f, bson.E{Key: t.name, Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lte", Value: t.by.UnixMicro()}}})
		}
	}
	return f
}

// States implements router.States.
func (s *Store) States(ctx context.Context, q router.StateQuery) (router.Page[router.StateRecord], error) {
	var p router.Page[router.StateRecord]
	if err := s.enter(ctx); err != nil {
		return p, fmt.Errorf("list states: %w", err)
	}
	f := stateFilter(&q)
	sort := asc("rule", "name")
	if !q.DueBy.IsZero() {
		sort = asc("wake", "rule", "name")
	}
	if q.Limit != 0 {
		o := options.Find().SetSort(sort).SetSkip(int64(max(q.Offset, 0))).SetProjection(bson.D{{Key: "m", Value: 0}, {Key: "box", Value: 0}})
		if q.Limit > 0 {
			o.SetLimit(int64(q.Limit))
		}
		cur, err := s.states.Find(ctx, f, o)
		var docs []state
		if err == nil {
			err = cur.All(ctx, &docs)
		}
		if err != nil {
			return p, fmt.Errorf("list states: %w", s.kind(ctx, err))
		}
		for i := range docs {
			d := &docs[i]
			p.Items = append(p.Items, router.StateRecord{Rule: hayate.Ref(d.Rule), Name: d.Name, Body: d.Body, Wake: instant(d.Wake), Expires: instant(d.Exp)})
		}
	}
	n, err := s.states.CountDocuments(ctx, f)
	if err != nil {
		return p, fmt.Errorf("list states: %w", s.kind(ctx, err))
	}
	p.Total = int(n)
	return p, nil
}

// ForgetStates implements router.States. Documents stay for a while without what
// they said, for the marks and outboxes in them; those that have long expired are
// removed.
func (s *Store) ForgetStates(ctx context.Context, q router.StateQuery) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, fmt.Errorf("forget states: %w", err)
	}
	if err := s.unboxAll(ctx, 1000); err != nil {
		return 0, fmt.Errorf("forget states: %w", err)
	}
	if !q.ExpiredBy.IsZero() {
		empty := bson.D{{Key: "b", Value: nil}, {Key: "m.0", Value: nil}, {Key: "bx", Value: nil},
			{Key: "exp", Value: bson.D{{Key: "$gt", Value: 0}, {Key: "$lte", Value: q.ExpiredBy.UnixMicro()}}}}
		if _, err := s.states.DeleteMany(ctx, empty); err != nil {
			return 0, fmt.Errorf("forget states: %w", s.kind(ctx, err))
		}
	}
	limit := q.Limit
	if limit <= 0 {
		limit = -1
	}
	q.Offset, q.Limit = 0, limit
	p, err := s.States(ctx, q)
	if err != nil {
		return 0, err
	}
	n := 0
	for i := range p.Items {
		r := &p.Items[i]
		f := stateFilter(&router.StateQuery{Rule: r.Rule, Names: []string{r.Name}, DueBy: q.DueBy, ExpiredBy: q.ExpiredBy})
		res, err := s.states.UpdateOne(ctx, f, bson.D{{Key: "$set", Value: bson.D{{Key: "exp", Value: s.now().Add(keepEmpty).UnixMicro()}}},
			{Key: "$unset", Value: bson.D{{Key: "b", Value: ""}, {Key: "wake", Value: ""}}}, {Key: "$inc", Value: bson.D{{Key: "v", Value: 1}}}})
		if err != nil {
			return n, fmt.Errorf("forget states: %w", s.kind(ctx, err))
		}
		n += int(res.MatchedCount)
	}
	if n > 0 {
		s.wrote(n)
	}
	return n, nil
}

// unboxAll finishes outboxes of states that were cut off.
func (s *Store) unboxAll(ctx context.Context, limit int) error {
	cur, err := s.states.Find(ctx, bson.D{{Key: "bx", Value: bson.D{{Key: "$gt", Value: 0}}}}, options.Find().SetLimit(int64(limit)))
	var docs []state
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return fmt.Errorf("look for states that were cut off: %w", s.kind(ctx, err))
	}
	for i := range docs {
		if err := s.unbox(ctx, &docs[i]); err != nil {
			return err
		}
	}
	return nil
}
