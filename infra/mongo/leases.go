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

// Leases keeps leases in a database.
type Leases struct{ s *Store }

var _ router.Leases = (*Leases)(nil)

// lease is the document of a lease. It remains when it is released, so that its
// token goes on growing.
type lease struct {
	Name  string `bson:"_id"`
	Owner string `bson:"o"` // "" while nobody holds it
	Until int64  `bson:"u"`
	Token int64  `bson:"t"`
}

// Acquire implements router.Leases.
func (l *Leases) Acquire(ctx context.Context, name, owner string, now, until time.Time) (int64, error) {
	token, err := l.acquire(ctx, name, owner, now, until)
	if err != nil {
		return 0, fmt.Errorf("acquire lease %s: %w", name, err)
	}
	return token, nil
}

func (l *Leases) acquire(ctx context.Context, name, owner string, now, until time.Time) (int64, error) {
	s := l.s
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	if owner == "" {
		return 0, fmt.Errorf("no owner is given: %w", hayate.ErrInvalid)
	}
	after := options.FindOneAndUpdate().SetReturnDocument(options.After)
	var d lease
	err := s.leases.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: name}, {Key: "o", Value: owner}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "u", Value: micros(until)}}}}, after).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		free := bson.A{bson.D{{Key: "o", Value: ""}}, bson.D{{Key: "u", Value: bson.D{{Key: "$lte", Value: now.UnixMicro()}}}}}
		err = s.leases.FindOneAndUpdate(ctx, bson.D{{Key: "_id", Value: name}, {Key: "$or", Value: free}},
			bson.D{{Key: "$set", Value: bson.D{{Key: "o", Value: owner}, {Key: "u", Value: micros(until)}}},
				{Key: "$inc", Value: bson.D{{Key: "t", Value: int64(1)}}}}, after).Decode(&d)
	}
	if errors.Is(err, mongo.ErrNoDocuments) {
		d = lease{name, owner, micros(until), 1}
		_, err = s.leases.InsertOne(ctx, &d)
		if mongo.IsDuplicateKeyError(err) {
			return 0, l.taken(ctx, name)
		}
	}
	if err != nil {
		return 0, s.kind(ctx, err)
	}
	s.wrote(1)
	return d.Token, nil
}

// taken says who holds a lease.
func (l *Leases) taken(ctx context.Context, name string) error {
	var d lease
	if err := l.s.leases.FindOne(ctx, bson.D{{Key: "_id", Value: name}}).Decode(&d); err != nil {
		return l.s.kind(ctx, err)
	}
	return fmt.Errorf("%s holds it until %s: %w", d.Owner, instant(d.Until).Format(time.RFC3339), hayate.ErrConflict)
}

// Release implements router.Leases.
func (l *Leases) Release(ctx context.Context, name, owner string) error {
	if err := l.s.enter(ctx); err != nil {
		return fmt.Errorf("release lease %s: %w", name, err)
	}
	_, err := l.s.leases.UpdateOne(ctx, bson.D{{Key: "_id", Value: name}, {Key: "o", Value: owner}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "o", Value: ""}, {Key: "u", Value: int64(0)}}}})
	if err != nil {
		return fmt.Errorf("release lease %s: %w", name, l.s.kind(ctx, err))
	}
	return nil
}
