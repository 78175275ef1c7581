package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/amqp"
	"github.com/hayate-run/hayate/infra/httpdesk"
	"github.com/hayate-run/hayate/infra/packdir"
	"github.com/hayate-run/hayate/infra/packshare"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/infra/spool"
	"github.com/hayate-run/hayate/infra/systemd"
	"github.com/hayate-run/hayate/router/outpost"
	"github.com/hayate-run/hayate/router/remote"
	"github.com/hayate-run/hayate/runners/all"
	"github.com/hayate-run/hayate/runners/shell"
)

// worker performs tasks of its tags until ctx ends: no store, no port, outward
// connections only. ready is called with its name once it receives.
func worker(ctx context.Context, s settings.Settings, stderr io.Writer, ready func(name string)) error {
	log := newLog(s, stderr)
	host, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("name of the host: %w", err)
	}
	name := s.Name
	if name == "" {
		name = host
	}
	kept, err := spool.Open(filepath.Join(s.Data, "spool"))
	if err != nil {
		return err
	}
	defer func() {
		if err := kept.Close(); err != nil {
			log.Error("close spool", "err", err)
		}
	}()
	broker, caller, err := workerBroker(s, log)
	if err != nil {
		return err
	}
	client := remote.NewClient(caller, name, strings.Join(s.Tags, ","))
	targets := make([]string, len(s.Tags))
	for i, tag := range s.Tags {
		targets[i] = amqp.TargetPrefix + tag
	}
	cache := &bundles{client: client, dir: filepath.Join(s.Data, "packs")}
	w, err := outpost.New(outpost.Config{Queue: broker.Queue(), Client: client, Spool: kept, Targets: targets, Workers: s.Workers, Log: log,
		Runners: all.New(all.Config{Version: version}), Pack: cache.folder,
		OnLost: func(id hayate.ExecutionID) {
			if err := shell.KillLeftovers(string(id)); err != nil {
				log.Error("end what the worker before left running", "execution_id", id, "err", err)
			}
		}})
	if err != nil {
		return err
	}
	began := time.Now().UTC()
	presence := func() amqp.Presence {
		return amqp.Presence{Worker: name, Tags: s.Tags, Host: host, Version: version, Started: began, Running: w.Running()}
	}
	broker.Announce(presence)
	return runWorker(ctx, s, broker, w, presence, func() { ready(name) })
}

// workerBroker makes the connection to the broker, and how the worker is heard.
func workerBroker(s settings.Settings, log *slog.Logger) (*amqp.Broker, remote.Caller, error) {
	tls, err := tlsConfig(s)
	if err != nil {
		return nil, nil, err
	}
	b, err := amqp.New(amqp.Config{URL: s.Queue, TLS: tls, Prefix: s.QueuePrefix, Name: "hayate worker", Log: log, Prefetch: s.Workers})
	if err != nil {
		return nil, nil, err
	}
	if s.Report == "" {
		return b, b.Caller(), nil
	}
	c, err := httpdesk.New(s.Report, "hayate/"+version, &http.Client{Timeout: 30 * time.Second})
	return b, c, err
}

// runWorker runs the worker on its broker, which outlives it by its last words.
func runWorker(ctx context.Context, s settings.Settings, broker *amqp.Broker, w *outpost.Worker, presence func() amqp.Presence, ready func()) error {
	connected, disconnect := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer disconnect()
	wg.Go(func() { _ = broker.Run(connected) }) // the context's end
	wg.Go(func() {
		if broker.Ready(ctx) == nil {
			systemd.Notify("READY=1")
			ready()
		}
	})
	err := w.Run(ctx, s.Drain)
	broker.Leave(connected, presence())
	return err
}

// bundles are the packs that this worker has fetched.
type bundles struct {
	client *remote.Client
	dir    string
	mu     sync.Mutex // one fetch at a time
}

// folder returns the folder of a granted attempt's pack, and fetches it where it is
// missing. A pack that lies in every binary is unpacked from this one.
func (b *bundles) folder(ctx context.Context, g *remote.Granted) (string, error) {
	if g.Pack == "" {
		return "", nil
	}
	if g.Digest == "" {
		b.mu.Lock()
		defer b.mu.Unlock()
		return packdir.Unpack(b.dir, g.Pack)
	}
	dir, err := packshare.Folder(b.dir, g.Pack, g.Digest)
	if err != nil {
		return "", err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
		return dir, nil
	}
	var buf bytes.Buffer
	digest, err := b.client.Bundle(ctx, g.Hold, g.Pack, &buf)
	if err != nil {
		return "", err
	}
	if digest != g.Digest { // registered anew since the grant
		if dir, err = packshare.Folder(b.dir, g.Pack, digest); err != nil {
			return "", err
		}
	}
	return dir, packshare.Install(dir, digest, &buf)
}
