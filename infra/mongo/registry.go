package mongo

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Registry keeps registered documents in a database. One document, the head, has
// the newest revision; a change is committed by writing it on condition of its
// revision, with the changed documents as its outbox.
type Registry struct{ s *Store }

var _ router.Registry = (*Registry)(nil)

// headID is the head's _id in the collection meta.
const headID = "registry"

type head struct {
	ID  string       `bson:"_id"`
	Rev int64        `bson:"rev"`
	Box []registered `bson:"box,omitempty"`
}

type registered struct {
	ID   string `bson:"_id"`
	Kind string `bson:"kind"`
	Ref  string `bson:"ref"`
	Rev  int64  `bson:"rev"`
	Body []byte `bson:"body,omitempty"`
	Del  bool   `bson:"del,omitempty"`
}

func registeredID(k router.DocumentKey) string {
	return url.PathEscape(k.Kind) + "/" + url.PathEscape(k.Ref)
}

// Put implements router.Registry. The documents of one call share a revision;
// when one is refused, none is stored. Together they must fit into one document
// of MongoDB, 16 MiB; packs' bundles are blobs.
func (r *Registry) Put(ctx context.Context, docs ...router.Document) (int64, error) {
	rev, err := r.change(ctx, func(have map[string]registered) ([]registered, error) {
		list := make([]registered, 0, len(docs))
		at := map[string]int{}
		for _, d := range docs {
			id := registeredID(d.DocumentKey)
			if old, ok := have[id]; d.Expect != nil {
				rev := int64(-1)
				if ok && !old.Del {
					rev = old.Rev
				}
				if *d.Expect != rev {
					return nil, fmt.Errorf("%s %s: its revision is %d, not %d: %w", d.Kind, d.Ref, rev, *d.Expect, hayate.ErrConflict)
				}
			}
			doc := registered{ID: id, Kind: d.Kind, Ref: d.Ref, Body: d.Body}
			if i, twice := at[id]; twice {
				list[i] = doc // the last one stands
				continue
			}
			at[id] = len(list)
			list = append(list, doc)
		}
		return list, nil
	}, keysOf(docs))
	if err != nil {
		return 0, fmt.Errorf("register: %w", err)
	}
	return rev, nil
}

func keysOf(docs []router.Document) []router.DocumentKey {
	keys := make([]router.DocumentKey, len(docs))
	for i := range docs {
		keys[i] = docs[i].DocumentKey
	}
	return keys
}

// Delete implements router.Registry.
func (r *Registry) Delete(ctx context.Context, keys ...router.DocumentKey) (int64, error) {
	rev, err := r.change(ctx, func(have map[string]registered) ([]registered, error) {
		var list []registered
		for _, k := range keys {
			id := registeredID(k)
			if d, ok := have[id]; ok && !d.Del {
				list = append(list, registered{ID: id, Kind: k.Kind, Ref: k.Ref, Del: true})
				delete(have, id) // named twice, it is removed once
			}
		}
		return list, nil
	}, keys)
	if err != nil {
		return 0, fmt.Errorf("unregister: %w", err)
	}
	return rev, nil
}

// change commits what decide makes of the documents that are there now.
func (r *Registry) change(ctx context.Context, decide func(map[string]registered) ([]registered, error), keys []router.DocumentKey) (int64, error) {
	s := r.s
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	ids := make([]string, len(keys))
	for i, k := range keys {
		ids[i] = registeredID(k)
	}
	for range maxTries {
		h, err := r.head(ctx)
		if err != nil || len(keys) == 0 {
			return h.Rev, err
		}
		have := map[string]registered{}
		err = each(ctx, s, s.docs, bson.D{{Key: "_id", Value: in(ids)}}, options.Find().SetProjection(bson.D{{Key: "body", Value: 0}}),
			func(d *registered) (bool, error) {
				have[d.ID] = *d
				return true, nil
			})
		if err != nil {
			return 0, err
		}
		list, err := decide(have)
		if err != nil || len(list) == 0 {
			return h.Rev, err
		}
		next := head{ID: headID, Rev: h.Rev + 1, Box: list}
		for i := range next.Box {
			next.Box[i].Rev = next.Rev
		}
		ok, err := r.advance(ctx, &next)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue // another was first: look again
		}
		s.wrote(1 + len(list))
		select {
		case s.changed <- struct{}{}:
		default:
		}
		if err := r.finish(context.WithoutCancel(ctx), &next); err != nil {
			s.log.Warn("registered but not spread yet, the next reader will", "err", err)
		}
		return next.Rev, nil
	}
	return 0, fmt.Errorf("others were first %d times: %w", maxTries, hayate.ErrBusy)
}

// advance writes the head where it is still the one before.
func (r *Registry) advance(ctx context.Context, next *head) (bool, error) {
	raw, err := fit(next)
	if err != nil {
		return false, err
	}
	if next.Rev == 1 {
		_, err := r.s.meta.InsertOne(ctx, raw)
		if mongo.IsDuplicateKeyError(err) {
			return false, nil
		}
		return err == nil, r.s.kind(ctx, err)
	}
	res, err := r.s.meta.UpdateOne(ctx, bson.D{{Key: "_id", Value: headID}, {Key: "rev", Value: next.Rev - 1}, {Key: "box", Value: nil}},
		bson.D{{Key: "$set", Value: bson.D{{Key: "rev", Value: next.Rev}, {Key: "box", Value: next.Box}}}})
	if err != nil {
		return false, r.s.kind(ctx, err)
	}
	return res.MatchedCount == 1, nil
}

// head returns the head, with everything spread that it held.
func (r *Registry) head(ctx context.Context) (head, error) {
	var h head
	err := r.s.meta.FindOne(ctx, bson.D{{Key: "_id", Value: headID}}).Decode(&h)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return head{}, nil
	}
	if err != nil {
		return head{}, r.s.kind(ctx, err)
	}
	if len(h.Box) > 0 {
		err = r.finish(ctx, &h)
	}
	return h, err
}

// finish spreads what a head holds. Many may do so at once; what a newer
// revision has replaced meanwhile stays.
func (r *Registry) finish(ctx context.Context, h *head) error {
	s := r.s
	for i := range h.Box {
		d := &h.Box[i]
		res, err := s.docs.ReplaceOne(ctx, bson.D{{Key: "_id", Value: d.ID}, {Key: "rev", Value: bson.D{{Key: "$lt", Value: h.Rev}}}}, d)
		if err == nil && res.MatchedCount == 0 {
			if _, err = s.docs.InsertOne(ctx, d); mongo.IsDuplicateKeyError(err) {
				err = nil // it is there, at this revision or a newer one
			}
		}
		if err != nil {
			return fmt.Errorf("store %s %s: %w", d.Kind, d.Ref, s.kind(ctx, err))
		}
	}
	_, err := s.meta.UpdateOne(ctx, bson.D{{Key: "_id", Value: headID}, {Key: "rev", Value: h.Rev}},
		bson.D{{Key: "$unset", Value: bson.D{{Key: "box", Value: ""}}}})
	if err != nil {
		return fmt.Errorf("clear the outbox of the registry: %w", s.kind(ctx, err))
	}
	return nil
}

// List implements router.Registry. What changes while it reads is listed here,
// and again after the revision that it returns.
func (r *Registry) List(ctx context.Context, kind string, since int64) ([]router.Document, int64, error) {
	if err := r.s.enter(ctx); err != nil {
		return nil, 0, fmt.Errorf("list registered: %w", err)
	}
	h, err := r.head(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("list registered: %w", err)
	}
	f := filter{{Key: "rev", Value: bson.D{{Key: "$gt", Value: since}}}}
	f.equal("kind", kind)
	if since == 0 {
		f = append(f, bson.E{Key: "del", Value: nil})
	}
	var list []router.Document
	err = each(ctx, r.s, r.s.docs, bson.D(f), options.Find().SetSort(asc("rev", "_id")), func(d *registered) (bool, error) {
		list = append(list, router.Document{DocumentKey: router.DocumentKey{Kind: d.Kind, Ref: d.Ref}, Body: d.Body, Revision: d.Rev, Deleted: d.Del})
		return true, nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("list registered: %w", err)
	}
	return list, h.Rev, nil
}

// Wait implements router.Registry. A change by this process is seen at once,
// that of another within Config.Poll.
func (r *Registry) Wait(ctx context.Context, since int64) error {
	t := time.NewTicker(r.s.poll)
	defer t.Stop()
	for {
		if err := r.s.enter(ctx); err != nil {
			return fmt.Errorf("wait for a change: %w", err)
		}
		h, err := r.head(ctx)
		if err != nil {
			return fmt.Errorf("wait for a change: %w", err)
		}
		if h.Rev > since {
			return nil
		}
		select {
		case <-r.s.changed:
		case <-t.C:
		case <-r.s.closing:
		case <-ctx.Done():
		}
	}
}
