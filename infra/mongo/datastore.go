package mongo

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Datastore keeps key-value pairs in a database.
type Datastore struct{ s *Store }

var _ router.Datastore = (*Datastore)(nil)

// pair is the document of a key.
type pair struct {
	ID      string `bson:"_id"`
	Scope   string `bson:"sc"`
	User    string `bson:"u"`
	Name    string `bson:"n"`
	Value   string `bson:"v"`
	Secret  bool   `bson:"sec,omitempty"`
	Expires int64  `bson:"exp,omitempty"`
	Created int64  `bson:"c,omitempty"`
	Updated int64  `bson:"m,omitempty"`
}

func pairID(k router.Key) string {
	return url.PathEscape(k.Scope) + "/" + url.PathEscape(k.User) + "/" + url.PathEscape(k.Name)
}

func (d *pair) key() router.Key { return router.Key{Scope: d.Scope, User: d.User, Name: d.Name} }

func (d *pair) item() router.Item {
	return router.Item{Value: d.Value, Secret: d.Secret, Expires: instant(d.Expires), Created: instant(d.Created), Updated: instant(d.Updated)}
}

// unexpired selects the pairs that are still good.
func unexpired(now time.Time) bson.E {
	return bson.E{Key: "$or", Value: bson.A{bson.D{{Key: "exp", Value: nil}}, bson.D{{Key: "exp", Value: bson.D{{Key: "$gt", Value: now.UnixMicro()}}}}}}
}

// Get implements router.Datastore.
func (d *Datastore) Get(ctx context.Context, now time.Time, keys ...router.Key) (map[router.Key]router.Item, error) {
	if err := d.s.enter(ctx); err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	got := make(map[router.Key]router.Item, len(keys))
	if len(keys) == 0 {
		return got, nil
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = pairID(k)
	}
	err := each(ctx, d.s, d.s.keys, bson.D{{Key: "_id", Value: in(ids)}, unexpired(now)}, options.Find(), func(p *pair) (bool, error) {
		got[p.key()] = p.item()
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	return got, nil
}

// Set implements router.Datastore.
func (d *Datastore) Set(ctx context.Context, k router.Key, it router.Item) error {
	if err := d.s.enter(ctx); err != nil {
		return fmt.Errorf("set key %s: %w", k.Name, err)
	}
	doc := pair{ID: pairID(k), Scope: k.Scope, User: k.User, Name: k.Name, Value: it.Value, Secret: it.Secret,
		Expires: micros(it.Expires), Created: micros(it.Created), Updated: micros(it.Updated)}
	for range maxTries {
		_, err := d.s.keys.ReplaceOne(ctx, bson.D{{Key: "_id", Value: doc.ID}}, &doc, options.Replace().SetUpsert(true))
		if mongo.IsDuplicateKeyError(err) {
			continue // two who create it at once: now it is there
		}
		if err != nil {
			return fmt.Errorf("set key %s: %w", k.Name, d.s.kind(ctx, err))
		}
		d.s.wrote(1)
		return nil
	}
	return fmt.Errorf("set key %s: others were first %d times: %w", k.Name, maxTries, hayate.ErrBusy)
}

// Delete implements router.Datastore.
func (d *Datastore) Delete(ctx context.Context, k router.Key) error {
	if err := d.s.enter(ctx); err != nil {
		return fmt.Errorf("delete key %s: %w", k.Name, err)
	}
	res, err := d.s.keys.DeleteOne(ctx, bson.D{{Key: "_id", Value: pairID(k)}})
	if err != nil {
		return fmt.Errorf("delete key %s: %w", k.Name, d.s.kind(ctx, err))
	}
	if res.DeletedCount == 0 {
		return fmt.Errorf("delete key %s: %w", k.Name, hayate.ErrNotFound)
	}
	d.s.wrote(1)
	return nil
}

// Keys implements router.Datastore.
func (d *Datastore) Keys(ctx context.Context, now time.Time, q router.KeyQuery) ([]router.Pair, error) {
	if err := d.s.enter(ctx); err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	if q.Limit == 0 {
		return nil, nil
	}
	f := filter{unexpired(now)}
	f.equal("sc", q.Scope)
	f.equal("u", q.User)
	if q.Prefix != "" {
		f = append(f, bson.E{Key: "n", Value: bson.D{{Key: "$gte", Value: q.Prefix}, {Key: "$lt", Value: q.Prefix + "\U0010ffff"}}})
	}
	o := options.Find().SetSort(asc("sc", "u", "n")).SetSkip(int64(max(q.Offset, 0)))
	if q.Limit > 0 {
		o.SetLimit(int64(q.Limit))
	}
	var list []router.Pair
	err := each(ctx, d.s, d.s.keys, bson.D(f), o, func(p *pair) (bool, error) {
		list = append(list, router.Pair{Key: p.key(), Item: p.item()})
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	return list, nil
}
