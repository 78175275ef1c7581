package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/remote"
)

// node is what a process stands on: a store of its own, or one that it shares.
type node struct {
	log    *slog.Logger
	roles  []string
	shared bool // others work on the store too
	broker *amqp.Broker
	desk   *remote.Desk  // applies what workers elsewhere say
	lease  time.Duration // of those workers

	store     router.Store
	queue     router.Queue
	registry  router.Registry
	datastore router.Datastore
	blobs     router.Blobs
	leases    router.Leases
	timers    router.Timers
	secrets   router.Secrets
	ready     func(context.Context) error // whether the store takes writes
}

// openNode opens the store and what else the settings name.
func openNode(ctx context.Context, s settings.Settings, log *slog.Logger) (*node, error) {
	keys := s.Keys
	if keys == "" {
		keys = filepath.Join(s.Data, "keys")
	}
	if s.Store == "" {
		return openOwn(s, keys, log)
	}
	if err := makeDir(s.Data); err != nil {
		return nil, err
	}
	n := &node{log: log, roles: s.Roles, shared: true, lease: s.WorkerLease}
	if err := n.openShared(ctx, s, keys); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// openOwn opens the store of a directory, which nobody else may hold.
func openOwn(s settings.Settings, keys string, log *slog.Logger) (*node, error) {
	store, err := embedded.Open(embedded.Config{Dir: s.Data, Log: log, QueueBound: s.MaxBacklog})
	if err != nil {
		return nil, err
	}
	n := &node{log: log, roles: s.Roles, store: store, queue: store.Queue(), registry: store.Registry(), datastore: store.Datastore(),
		blobs: store.Blobs(), timers: store.Timers(), ready: storeReady(store)}
	if n.secrets, err = keyfile.Open(keys); err != nil {
		n.close()
		return nil, err
	}
	return n, nil
}

// openShared opens the store and the queue that processes share.
func (n *node) openShared(ctx context.Context, s settings.Settings, keys string) error {
	store, err := mongo.Open(ctx, mongo.Config{URI: s.Store, Log: n.log, QueueBound: s.MaxBacklog, HandOver: n.handOver()})
	if err != nil {
		return err
	}
	n.store, n.queue, n.registry, n.datastore, n.blobs = store, store.Queue(), store.Registry(), store.Datastore(), store.Blobs()
	n.leases, n.timers, n.ready = store.Leases(), store.Timers(), store.Ready
	secrets, err := keyfile.Open(keys)
	if err != nil {
		return err
	}
	n.secrets = secrets
	if err := n.checkKeys(ctx, keys); err != nil {
		return err
	}
	if s.Queue == "" {
		return nil
	}
	tls, err := tlsConfig(s)
	if err != nil {
		return err
	}
	n.broker, err = amqp.New(amqp.Config{URL: s.Queue, TLS: tls, Prefix: s.QueuePrefix, Log: n.log, Prefetch: s.Workers,
		Token: func(id hayate.ExecutionID) (string, error) { return remote.TaskToken(n.secrets, id) }})
	if err != nil {
		return err
	}
	n.queue = n.broker.Queue()
	return nil
}

// openDesk has this process answer workers that touch no store: those who ask by
// HTTPS, and, as a router, those who ask over the broker. As an api it takes events
// from queues.
func (n *node) openDesk(rt *router.Router, ps *packSource, queues []string) error {
	c := remote.DeskConfig{Router: rt, Secrets: n.secrets, Lease: n.lease}
	if ps.share != nil {
		c.Bundle = ps.share.Open
	}
	var err error
	if n.desk, err = remote.NewDesk(c); err != nil || n.broker == nil {
		return err
	}
	n.broker.Listen()
	if n.has("router") {
		n.broker.Serve(n.desk)
	}
	if n.has("api") { // who takes events in
		for _, queue := range queues {
			n.broker.Source(queue, rt.Accept)
		}
	}
	return nil
}

// spare says for how long a worker elsewhere is spared whose lease ran out: while
// the broker has not been there long enough for it to be heard.
func (n *node) spare(x *hayate.Execution) time.Duration {
	if n.broker == nil || !strings.HasPrefix(x.Target, amqp.TargetPrefix) || n.broker.Steady() >= n.lease {
		return 0
	}
	return n.lease
}

// workers are those elsewhere, as the status tells of them.
func (n *node) workers() any {
	if n.broker == nil {
		return []string{}
	}
	return n.broker.Workers()
}

// handOver names the targets that this process itself receives for.
func (n *node) handOver() []string {
	list := []string{}
	if n.has("worker") {
		list = append(list, "")
	}
	if n.has("router") {
		list = append(list, router.TargetWorkflow)
	}
	return list
}

func (n *node) has(role string) bool { return slices.Contains(n.roles, role) }

// work is how many tasks this process does at once, and of which targets.
func (n *node) work(s settings.Settings) (workers int, targets []string) {
	targets = n.handOver()
	if len(targets) == 0 {
		return -1, nil
	}
	return s.Workers, targets
}

// keyCheck is a text that every process must be able to open.
const keyCheck = "sealed with the keys of this store"

// checkKeys refuses a process whose keys are not those of the others: what they
// seal it could not open.
func (n *node) checkKeys(ctx context.Context, file string) error {
	id := router.DocumentKey{Kind: "setting", Ref: "keys"}
	for {
		docs, _, err := n.registry.List(ctx, id.Kind, 0)
		if err != nil {
			return fmt.Errorf("compare keys with the other processes: %w", err)
		}
		if i := slices.IndexFunc(docs, func(d router.Document) bool { return d.Ref == id.Ref }); i >= 0 {
			var sealed string
			if err := json.Unmarshal(docs[i].Body, &sealed); err != nil {
				return fmt.Errorf("read the key check of the store: %w", err)
			}
			if text, err := n.secrets.Open(sealed); err != nil || text != keyCheck {
				return fmt.Errorf("the keys in %s are not those of the other processes of this store; copy their key file here, or name it with --keys: %w", file, hayate.ErrDenied)
			}
			return nil
		}
		sealed, err := n.secrets.Seal(keyCheck)
		if err != nil {
			return fmt.Errorf("seal the key check: %w", err)
		}
		body, err := json.Marshal(sealed)
		if err != nil {
			return fmt.Errorf("seal the key check: %w", err)
		}
		absent := int64(-1)
		_, err = n.registry.Put(ctx, router.Document{DocumentKey: id, Body: body, Expect: &absent})
		if err == nil {
			return nil
		}
		if !errors.Is(err, hayate.ErrConflict) {
			return fmt.Errorf("compare keys with the other processes: %w", err)
		} // another was first: look at its
	}
}

// start starts what works beside the router; the returned function ends it, once
// the router has put and acknowledged its last.
func (n *node) start(ctx context.Context, rt *router.Router) func() {
	if n.broker == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	n.broker.OnBack(rt.Nudge)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = n.broker.Run(ctx) // the context's end
	}()
	return func() {
		cancel()
		<-done
	}
}

// settle waits for the broker, but not long: without it events are taken all the same.
func (n *node) settle(ctx context.Context) {
	if n.broker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := n.broker.Ready(ctx); err != nil && ctx.Err() != nil {
		n.log.Warn("serving without the queue", "err", n.broker.Health())
	}
}

// health is what the status of this process tells beyond its readiness.
func (n *node) health() map[string]func(context.Context) error {
	if n.broker == nil {
		return nil
	}
	return map[string]func(context.Context) error{"queue": func(context.Context) error { return n.broker.Health() }}
}

// notes is what an operator should know that is no failure.
func (n *node) notes() []string {
	if n.broker == nil {
		return nil
	}
	return n.broker.Notes()
}

func (n *node) close() {
	if n.store == nil {
		return
	}
	if err := n.store.Close(); err != nil {
		n.log.Error("close store", "err", err)
	}
}

// after calls f after a while, or at once.
func after(d time.Duration, f func()) {
	if d <= 0 {
		f()
		return
	}
	time.AfterFunc(d, f)
}

// storeReady asks the store for a durable write: a full disk or a lost directory
// shows at once.
func storeReady(store *embedded.Store) func(context.Context) error {
	return func(ctx context.Context) error {
		now := time.Now()
		_, err := store.Leases().Acquire(ctx, "readiness", "self", now, now.Add(time.Second))
		return err
	}
}
