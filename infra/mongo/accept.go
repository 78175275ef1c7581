package mongo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// keyOf is the _id of an event's document.
func keyOf(uid string) string {
	sum := sha256.Sum256([]byte(uid))
	return hex.EncodeToString(sum[:])
}

// Accept implements router.Journal. The insertion of the event's document is the
// commit: it holds the firings, and the executions until they are stored as such.
// What follows is finished by Sweep where it is cut off.
func (s *Store) Accept(ctx context.Context, e hayate.Event, decide router.Decide) (router.Receipt, error) {
	if err := s.enter(ctx); err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	key := keyOf(e.UID())
	rc, err := s.receipt(ctx, key)
	switch {
	case errors.Is(err, errUndecided):
		return s.resume(ctx, key, decide)
	case err == nil:
		return rc, nil
	case !errors.Is(err, hayate.ErrNotFound):
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	d, err := decide(ctx, &e)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
	}
	if len(d.Guarded) > 0 {
		return s.acceptGuarded(ctx, key, &e, &d, decide)
	}
	doc, err := encodeEvent(key, &e, &d)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	raw, err := fit(&doc)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	_, err = s.events.InsertOne(ctx, raw)
	if mongo.IsDuplicateKeyError(err) {
		// Another was first between the look and the insertion.
		rc, err = s.receipt(ctx, key)
		if errors.Is(err, errUndecided) {
			return s.resume(ctx, key, decide)
		}
		if err != nil {
			return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
		}
		return rc, nil
	}
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, s.kind(ctx, err))
	}
	s.wrote(1 + len(d.Executions))
	return s.accepted(ctx, &doc, &d), nil
}

// accepted stores the executions of an event that is accepted and decided.
func (s *Store) accepted(ctx context.Context, doc *event, d *router.Decision) router.Receipt {
	rc := router.Receipt{ID: hayate.EventID(doc.ID), AcceptedAt: instant(doc.At)}
	// The event is accepted: the caller must not be told otherwise, whatever
	// happens to the rest, nor may a caller who has left stop it.
	if err := s.route(context.WithoutCancel(ctx), doc); err != nil {
		s.log.Warn("executions of an accepted event not stored yet, the sweeper will finish it", "event_id", rc.ID, "err", err)
		return rc
	}
	rc.Executions = append(rc.Executions, d.Executions...)
	return rc
}

// errUndecided says that an event is known, and that nothing is decided on it.
var errUndecided = errors.New("the event is not decided")

// acceptGuarded accepts an event whose firings depend on states: it is stored as
// undecided, which is the commit; then the states, then the decision.
func (s *Store) acceptGuarded(ctx context.Context, key string, e *hayate.Event, d *router.Decision, decide router.Decide) (router.Receipt, error) {
	doc, err := encodeEvent(key, e, &router.Decision{})
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	doc.Und = doc.At
	raw, err := fit(&doc)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	_, err = s.events.InsertOne(ctx, raw)
	if mongo.IsDuplicateKeyError(err) {
		rc, err := s.receipt(ctx, key)
		if errors.Is(err, errUndecided) {
			return s.resume(ctx, key, decide)
		}
		if err != nil {
			return rc, fmt.Errorf("accept event %s: %w", e.ID, err)
		}
		return rc, nil
	}
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, s.kind(ctx, err))
	}
	s.wrote(1)
	return s.conclude(ctx, key, e, d, decide)
}

// resume goes on with an undecided event, as it was accepted.
func (s *Store) resume(ctx context.Context, key string, decide router.Decide) (router.Receipt, error) {
	var doc event
	if err := s.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}}).Decode(&doc); err != nil {
		return router.Receipt{}, fmt.Errorf("read event %s: %w", key, s.kind(ctx, err))
	}
	r, err := doc.decode()
	if err != nil {
		return router.Receipt{}, err
	}
	d, err := decide(ctx, &r.Event)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("decide on event %s: %w", r.ID, err)
	}
	return s.conclude(ctx, key, &r.Event, &d, decide)
}

// conclude decides an event that is stored as undecided. Several may do so at
// once: the states hold the verdicts, and one of them stores the decision.
func (s *Store) conclude(ctx context.Context, key string, e *hayate.Event, d *router.Decision, decide router.Decide) (router.Receipt, error) {
	ctx = context.WithoutCancel(ctx)
	for range router.MaxAgain {
		verdicts, again, over, err := s.settle(ctx, key, e, d)
		if err != nil {
			return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
		}
		if over {
			return s.receipt(ctx, key)
		}
		if again {
			next, err := decide(ctx, e)
			if err != nil {
				return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
			}
			d = &next
			continue
		}
		settled := *d
		for i := range verdicts {
			settled.Settle(&d.Guarded[i], verdicts[i])
		}
		rc, err := s.decided(ctx, key, e, &settled)
		if err == nil {
			s.unmark(ctx, key, d.Guarded)
		}
		return rc, err
	}
	return router.Receipt{}, fmt.Errorf("accept event %s: others were first %d times: %w", e.ID, router.MaxAgain, hayate.ErrBusy)
}

// decided stores the decision on an undecided event, unless another has.
func (s *Store) decided(ctx context.Context, key string, e *hayate.Event, d *router.Decision) (router.Receipt, error) {
	doc, err := encodeEvent(key, e, d)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	set := bson.D{{Key: "nf", Value: doc.NF}}
	if len(doc.F) > 0 {
		set = append(set, bson.E{Key: "f", Value: doc.F})
	}
	if doc.Fail != "" {
		set = append(set, bson.E{Key: "fail", Value: doc.Fail})
	}
	if doc.Out != 0 {
		set = append(set, bson.E{Key: "ob", Value: doc.Out}, bson.E{Key: "xs", Value: doc.Xs})
	}
	res, err := s.events.UpdateOne(ctx, bson.D{{Key: "_id", Value: key}, {Key: "und", Value: bson.D{{Key: "$gt", Value: 0}}}},
		bson.D{{Key: "$set", Value: set}, {Key: "$unset", Value: bson.D{{Key: "und", Value: ""}}}})
	if err != nil {
		return router.Receipt{}, fmt.Errorf("store the decision on event %s: %w", e.ID, s.kind(ctx, err))
	}
	if res.MatchedCount == 0 {
		return s.receipt(ctx, key)
	}
	s.wrote(1 + len(d.Executions))
	return s.accepted(ctx, &doc, d), nil
}

// receipt answers for an event that is known, or returns ErrNotFound, or
// errUndecided.
func (s *Store) receipt(ctx context.Context, key string) (router.Receipt, error) {
	var doc event
	err := s.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}},
		options.FindOne().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "at", Value: 1}, {Key: "ob", Value: 1}, {Key: "xs", Value: 1}, {Key: "und", Value: 1}})).Decode(&doc)
	if err != nil {
		return router.Receipt{}, s.kind(ctx, err)
	}
	if doc.Und != 0 {
		return router.Receipt{}, errUndecided
	}
	// A delivery that was cut off is finished by the next: it may be the only one
	// who looks for a long time.
	if err := s.route(ctx, &doc); err != nil {
		return router.Receipt{}, err
	}
	return router.Receipt{ID: hayate.EventID(doc.ID), AcceptedAt: instant(doc.At), Duplicate: true}, nil
}

// route stores the executions that an event's document holds, and clears its mark.
func (s *Store) route(ctx context.Context, doc *event) error {
	if len(doc.Xs) == 0 {
		return nil
	}
	if err := s.insert(ctx, doc.Xs); err != nil {
		return err
	}
	_, err := s.events.UpdateOne(ctx, bson.D{{Key: "_id", Value: doc.Key}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "ob", Value: ""}, {Key: "xs", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("mark event %s routed: %w", doc.ID, s.kind(ctx, err))
	}
	s.wrote(1)
	return nil
}

// insert stores executions; those that exist are left as they are.
func (s *Store) insert(ctx context.Context, xs []execution) error {
	if len(xs) == 0 {
		return nil
	}
	_, err := s.execs.InsertMany(ctx, xs, options.InsertMany().SetOrdered(false))
	if err != nil && !onlyDuplicates(err) {
		return fmt.Errorf("store %d executions: %w", len(xs), s.kind(ctx, err))
	}
	s.wrote(len(xs))
	return nil
}
