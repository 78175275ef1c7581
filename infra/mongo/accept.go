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
	if err == nil {
		return rc, nil
	}
	if !errors.Is(err, hayate.ErrNotFound) {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
	}
	d, err := decide(ctx, &e)
	if err != nil {
		return router.Receipt{}, fmt.Errorf("decide on event %s: %w", e.ID, err)
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
		if rc, err = s.receipt(ctx, key); err != nil {
			return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, err)
		}
		return rc, nil
	}
	if err != nil {
		return router.Receipt{}, fmt.Errorf("accept event %s: %w", e.ID, s.kind(ctx, err))
	}
	s.wrote(1 + len(d.Executions))
	rc = router.Receipt{ID: hayate.EventID(doc.ID), AcceptedAt: e.AcceptedAt}
	// The event is accepted: the caller must not be told otherwise, whatever
	// happens to the rest, nor may a caller who has left stop it.
	if err := s.route(context.WithoutCancel(ctx), &doc); err != nil {
		s.log.Warn("executions of an accepted event not stored yet, the sweeper will finish it", "event_id", rc.ID, "err", err)
		return rc, nil
	}
	rc.Executions = append(rc.Executions, d.Executions...)
	return rc, nil
}

// receipt answers for an event that is known, or returns ErrNotFound.
func (s *Store) receipt(ctx context.Context, key string) (router.Receipt, error) {
	var doc event
	err := s.events.FindOne(ctx, bson.D{{Key: "_id", Value: key}},
		options.FindOne().SetProjection(bson.D{{Key: "id", Value: 1}, {Key: "at", Value: 1}, {Key: "ob", Value: 1}, {Key: "xs", Value: 1}})).Decode(&doc)
	if err != nil {
		return router.Receipt{}, s.kind(ctx, err)
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
