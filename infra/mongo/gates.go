package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/hayate-run/hayate"
)

// gate is the document of a gate: one, so that entering it is one conditional
// update. One that nobody holds a place in is removed.
type gate struct {
	Name string   `bson:"_id"`
	In   []string `bson:"in"` // executions, the longest first
}

// Enter implements router.Gates.
func (s *Store) Enter(ctx context.Context, name string, x hayate.ExecutionID, limit int) error {
	if err := s.enterGate(ctx, name, string(x), limit); err != nil {
		return fmt.Errorf("execution %s enters gate %s: %w", x, name, err)
	}
	return nil
}

func (s *Store) enterGate(ctx context.Context, name, x string, limit int) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	for range maxTries {
		var d gate
		err := s.gates.FindOne(ctx, bson.D{{Key: "_id", Value: name}}).Decode(&d)
		if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
			return s.kind(ctx, err)
		}
		switch {
		case slices.Contains(d.In, x):
			return nil
		case len(d.In) >= limit:
			return fmt.Errorf("%d hold a place, the limit is %d: %w", len(d.In), limit, hayate.ErrConflict)
		case err != nil:
			_, err = s.gates.InsertOne(ctx, &gate{Name: name, In: []string{x}})
			if mongo.IsDuplicateKeyError(err) {
				continue
			}
		default:
			// There is room as long as the last place is not taken.
			var res *mongo.UpdateResult
			res, err = s.gates.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "in", Value: bson.D{{Key: "$ne", Value: x}}},
				{Key: "in." + strconv.Itoa(limit-1), Value: bson.D{{Key: "$exists", Value: false}}}},
				bson.D{{Key: "$push", Value: bson.D{{Key: "in", Value: x}}}})
			if err == nil && res.MatchedCount == 0 {
				continue
			}
		}
		if err != nil {
			return s.kind(ctx, err)
		}
		s.wrote(1)
		return nil
	}
	return fmt.Errorf("others were first %d times: %w", maxTries, hayate.ErrBusy)
}

// Holders implements router.Gates.
func (s *Store) Holders(ctx context.Context, name string) ([]hayate.ExecutionID, error) {
	if err := s.enter(ctx); err != nil {
		return nil, fmt.Errorf("read gate %s: %w", name, err)
	}
	var d gate
	err := s.gates.FindOne(ctx, bson.D{{Key: "_id", Value: name}}).Decode(&d)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return nil, fmt.Errorf("read gate %s: %w", name, s.kind(ctx, err))
	}
	out := make([]hayate.ExecutionID, len(d.In))
	for i, x := range d.In {
		out[i] = hayate.ExecutionID(x)
	}
	return out, nil
}

// Leave implements router.Gates.
func (s *Store) Leave(ctx context.Context, name string, xs ...hayate.ExecutionID) error {
	if err := s.enter(ctx); err != nil {
		return fmt.Errorf("leave gate %s: %w", name, err)
	}
	if len(xs) == 0 {
		return nil
	}
	res, err := s.gates.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}},
		bson.D{{Key: "$pull", Value: bson.D{{Key: "in", Value: in(texts(xs))}}}})
	if err == nil && res.ModifiedCount > 0 {
		s.wrote(1)
		_, err = s.gates.DeleteOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "in", Value: bson.D{{Key: "$size", Value: 0}}}})
	}
	if err != nil {
		return fmt.Errorf("leave gate %s: %w", name, s.kind(ctx, err))
	}
	return nil
}
