package simulation_test

import (
	"context"
	"io"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// The ports beside the store and the queue, as one process sees them.

type blobs struct {
	router.Blobs
	p *process
}

func (b blobs) Put(ctx context.Context, r io.Reader) (ref hayate.BlobRef, err error) {
	err = b.p.call("blob put", "", func() (err error) {
		ref, err = b.Blobs.Put(ctx, r)
		return err
	})
	return ref, err
}

func (b blobs) Get(ctx context.Context, hash string) (rd io.ReadCloser, err error) {
	err = b.p.call("blob get", hash, func() (err error) {
		rd, err = b.Blobs.Get(ctx, hash)
		return err
	})
	return rd, err
}

type datastore struct {
	router.Datastore
	p *process
}

func (d datastore) Get(ctx context.Context, now time.Time, keys ...router.Key) (got map[router.Key]router.Item, err error) {
	err = d.p.call("key get", keys[0].Name, func() (err error) {
		got, err = d.Datastore.Get(ctx, now, keys...)
		return err
	})
	return got, err
}

type registry struct {
	router.Registry
	p *process
}

func (r registry) Put(ctx context.Context, docs ...router.Document) (rev int64, err error) {
	err = r.p.call("registry put", docs[0].Ref, func() (err error) {
		rev, err = r.Registry.Put(ctx, docs...)
		return err
	})
	return rev, err
}

func (r registry) List(ctx context.Context, kind string, since int64) (docs []router.Document, rev int64, err error) {
	err = r.p.call("registry list", r.p.slot.name+kind, func() (err error) {
		docs, rev, err = r.Registry.List(ctx, kind, since)
		return err
	})
	return docs, rev, err
}

func (r registry) Wait(ctx context.Context, since int64) error {
	return r.p.call("registry wait", r.p.slot.name, func() error { return r.Registry.Wait(ctx, since) })
}

type leases struct {
	router.Leases
	p *process
}

func (l leases) Acquire(ctx context.Context, name, owner string, now, until time.Time) (token int64, err error) {
	err = l.p.call("lease", name+" "+owner, func() (err error) {
		token, err = l.Leases.Acquire(ctx, name, owner, now, until)
		return err
	})
	return token, err
}

func (l leases) Release(ctx context.Context, name, owner string) error {
	return l.p.call("release", name+" "+owner, func() error { return l.Leases.Release(ctx, name, owner) })
}

type timerStates struct {
	router.Timers
	p *process
}

func (k timerStates) TimerStates(ctx context.Context) (list []router.TimerState, err error) {
	err = k.p.call("timer states", k.p.slot.name, func() (err error) {
		list, err = k.Timers.TimerStates(ctx)
		return err
	})
	return list, err
}

func (k timerStates) PutTimers(ctx context.Context, states ...router.TimerState) error {
	return k.p.call("timer put", states[0].ID, func() error { return k.Timers.PutTimers(ctx, states...) })
}

func (k timerStates) DropTimers(ctx context.Context, token int64, ids ...string) error {
	return k.p.call("timer drop", ids[0], func() error { return k.Timers.DropTimers(ctx, token, ids...) })
}
