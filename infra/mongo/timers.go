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

// Timers keeps what timers remember in a database.
type Timers struct{ s *Store }

var _ router.Timers = (*Timers)(nil)

// timer is the document of a timer.
type timer struct {
	ID     string `bson:"_id"`
	Token  int64  `bson:"t"`
	Anchor int64  `bson:"a"`
	Done   int64  `bson:"d"`
	Last   int64  `bson:"l,omitempty"`
}

// TimerStates implements router.Timers.
func (k *Timers) TimerStates(ctx context.Context) ([]router.TimerState, error) {
	if err := k.s.enter(ctx); err != nil {
		return nil, fmt.Errorf("read timers: %w", err)
	}
	var docs []timer
	cur, err := k.s.timers.Find(ctx, bson.D{}, options.Find().SetSort(asc("_id")))
	if err == nil {
		err = cur.All(ctx, &docs)
	}
	if err != nil {
		return nil, fmt.Errorf("read timers: %w", k.s.kind(ctx, err))
	}
	out := make([]router.TimerState, len(docs))
	for i, d := range docs {
		out[i] = router.TimerState{ID: d.ID, Token: d.Token, Anchor: instant(d.Anchor), Done: instant(d.Done), Last: instant(d.Last)}
	}
	return out, nil
}

// PutTimers implements router.Timers: one conditional write for each state.
func (k *Timers) PutTimers(ctx context.Context, states ...router.TimerState) error {
	if len(states) == 0 {
		return nil
	}
	if err := k.s.enter(ctx); err != nil {
		return fmt.Errorf("store timers: %w", err)
	}
	writes := make([]mongo.WriteModel, len(states))
	for i := range states {
		st := &states[i]
		// Where the document has a greater token nothing is found, and inserting one
		// of the same _id is refused.
		writes[i] = mongo.NewReplaceOneModel().SetUpsert(true).
			SetFilter(bson.D{{Key: "_id", Value: st.ID}, {Key: "t", Value: bson.D{{Key: "$lte", Value: st.Token}}}}).
			SetReplacement(&timer{st.ID, st.Token, micros(st.Anchor), micros(st.Done), micros(st.Last)})
	}
	_, err := k.s.timers.BulkWrite(ctx, writes, options.BulkWrite().SetOrdered(false))
	switch {
	case mongo.IsDuplicateKeyError(err):
		return fmt.Errorf("store timers: another process has written them later: %w", hayate.ErrConflict)
	case err != nil:
		return fmt.Errorf("store timers: %w", k.s.kind(ctx, err))
	}
	k.s.wrote(len(states))
	return nil
}

// DropTimers implements router.Timers.
func (k *Timers) DropTimers(ctx context.Context, token int64, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	if err := k.s.enter(ctx); err != nil {
		return fmt.Errorf("forget timers: %w", err)
	}
	_, err := k.s.timers.DeleteMany(ctx, bson.D{{Key: "_id", Value: bson.D{{Key: "$in", Value: ids}}}, {Key: "t", Value: bson.D{{Key: "$lte", Value: token}}}})
	if err != nil {
		return fmt.Errorf("forget timers: %w", k.s.kind(ctx, err))
	}
	return nil
}
