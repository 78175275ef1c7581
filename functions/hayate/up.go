package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/cli"
	"github.com/hayate-run/hayate/infra/httpapi"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/infra/systemd"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/all"
	runneraws "github.com/hayate-run/hayate/runners/aws"
	"github.com/hayate-run/hayate/runners/shell"
)

// up serves until ctx ends: one process, one directory. ready is called with the
// address once requests are answered.
func up(ctx context.Context, s settings.Settings, stderr io.Writer, ready func(addr string)) error {
	log := newLog(s, stderr)
	n, err := openNode(ctx, s, log)
	if err != nil {
		return err
	}
	defer n.close()
	rt, err := newRouter(s, n, log)
	if err != nil {
		return err
	}
	ps := newPackSource(s, n, rt, log)
	if _, err := ps.load(ctx); err != nil {
		return err
	}
	if err := n.openDesk(rt, ps, s.EventQueues); err != nil {
		return err
	}
	l, err := net.Listen(network(s.Listen), s.Listen)
	if err != nil {
		return fmt.Errorf("%v. Choose another address with --listen HOST:PORT (port 0 picks a free one): %w", err, hayate.ErrInvalid)
	}
	defer l.Close()
	if err := warnOpen(ctx, rt, l, s, log); err != nil {
		return err
	}
	var draining atomic.Bool
	api, err := newAPI(s, rt, n, ps, log, l, &draining)
	if err != nil {
		return err
	}
	return serve(ctx, s, rt, n, api, l, ps, log, &draining, ready)
}

func newRouter(s settings.Settings, n *node, log *slog.Logger) (*router.Router, error) {
	retention := s.Retention
	if retention == 0 {
		retention = -1
	}
	workers, targets := n.work(s)
	return router.New(router.Config{
		Store: n.store, Queue: n.queue, Registry: n.registry, Datastore: n.datastore, Blobs: n.blobs, Leases: n.leases,
		Timers: n.timers, Zone: s.Timezone, TimerMisfire: cron.Misfire(s.TimerMisfire), TimerGrace: s.TimerGrace,
		Secrets: n.secrets, Log: log, SoleOwner: !n.shared, SharedQueue: n.broker != nil, NoUpkeep: !n.has("router"),
		Workers: workers, Targets: targets, Lease: s.Lease, MaxBacklog: s.MaxBacklog,
		MaxEvent: s.MaxEvent, Retention: retention, RetainCount: s.RetainCount,
		Runners:     all.New(all.Config{Version: version, AWS: runneraws.Config{Session: awsSession, CallbackURL: s.CallbackURL}}),
		RunnerTypes: packs.Runners(),
		Spare:       n.spare,
		OnLost: func(x hayate.Execution) {
			if err := shell.KillLeftovers(string(x.ID)); err != nil {
				log.Error("end what a lost worker left running", "execution_id", x.ID, "err", err)
			}
		},
		Left: leftovers,
	})
}

// leftovers names the executions of which this host has processes.
func leftovers() []hayate.ExecutionID {
	var ids []hayate.ExecutionID
	for _, id := range shell.Leftovers() {
		ids = append(ids, hayate.ExecutionID(id))
	}
	return ids
}

// network keeps an IPv4 address what it is: Go would serve 0.0.0.0 on [::] too.
func network(listen string) string {
	if host, _, err := net.SplitHostPort(listen); err == nil {
		if a, err := netip.ParseAddr(host); err == nil && a.Is4() {
			return "tcp4"
		}
	}
	return "tcp"
}

func loopback(l net.Listener) bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// warnOpen says what an address that others can reach lacks: a token, or TLS.
func warnOpen(ctx context.Context, rt *router.Router, l net.Listener, s settings.Settings, log *slog.Logger) error {
	if loopback(l) {
		return nil
	}
	ts, err := rt.Tokens(ctx)
	if err != nil {
		return err
	}
	if len(ts) == 0 {
		log.Warn("every call to this address needs a token, and there is none yet; create one on this host", "run", "hayate auth token create --data "+s.Data)
	}
	if s.TLSCert == "" {
		log.Warn("tokens and events travel unencrypted to this address; serve TLS with --tls-cert and --tls-key, or behind a proxy that does")
	}
	return nil
}

func newAPI(s settings.Settings, rt *router.Router, n *node, ps *packSource, log *slog.Logger, l net.Listener, draining *atomic.Bool) (*httpapi.Server, error) {
	signatures := make(map[string]httpapi.Signature, len(s.Webhooks))
	for name, w := range s.Webhooks {
		signatures[name] = httpapi.Signature{Kind: w.Kind, Secret: w.Secret, Header: w.Header, Hash: w.Hash, Prefix: w.Prefix, Encoding: w.Encoding}
	}
	return httpapi.New(httpapi.Config{
		Router: rt, Log: log, Version: version, Open: loopback(l), MaxBody: int64(s.MaxBody), MaxInFlight: s.MaxInFlight,
		AllowedOrigins: s.WebhookOrigins, SNSTopics: s.SNSTopics, SNSUnsigned: s.SNSUnsigned, Signatures: signatures,
		Ready:  map[string]func(context.Context) error{"store": n.ready},
		Health: n.health(), Notes: n.notes, Workers: n.workers, Desk: n.desk, HealthOnly: !n.has("api"),
		Draining: draining.Load,
		Reload:   func(ctx context.Context) (any, error) { return ps.load(ctx) },
		Problems: ps.problems,
	})
}

// serve runs the router and the HTTP server until ctx ends, then drains: first
// readiness turns, then the listener closes, then the running actions end.
func serve(ctx context.Context, s settings.Settings, rt *router.Router, n *node, api http.Handler, l net.Listener, ps *packSource,
	log *slog.Logger, draining *atomic.Bool, ready func(string)) error {
	srv := &http.Server{Handler: api, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}
	control, cl, err := controlSocket(srv, s.Data, log)
	if err != nil {
		return err
	}
	outer, octx := errgroup.WithContext(ctx)
	// Service ends ready-delay after readiness has turned.
	sctx, endService := context.WithCancel(context.WithoutCancel(octx))
	defer endService()
	outer.Go(func() error {
		<-octx.Done()
		draining.Store(true)
		systemd.Notify("STOPPING=1")
		after(s.ReadyDelay, endService)
		return nil
	})
	g, gctx := errgroup.WithContext(sctx)
	g.Go(func() error {
		defer n.start(gctx, rt)()
		return rt.Run(gctx, s.Drain)
	})
	g.Go(func() error { return untilClosed(listen(srv, l, s)) })
	if control != nil {
		g.Go(func() error { return untilClosed(control.Serve(cl)) })
	}
	if s.Watch {
		g.Go(func() error { return ps.watch(gctx) })
	}
	g.Go(func() error { return ps.follow(gctx) })
	g.Go(func() error {
		<-gctx.Done()
		draining.Store(true)
		log.Info("stopping: no more work is taken, running actions end")
		stop, cancel := context.WithTimeout(context.WithoutCancel(gctx), s.Drain)
		defer cancel()
		err := srv.Shutdown(stop)
		if control != nil {
			err = errors.Join(err, control.Shutdown(stop))
		}
		return err
	})
	n.settle(ctx)
	addr := l.Addr().String()
	if err := os.WriteFile(filepath.Join(s.Data, "listen"), []byte(addr+"\n"), 0o644); err != nil {
		log.Error("write the address", "err", err)
	}
	systemd.Notify("READY=1\nSTATUS=serving on " + addr)
	ready(addr)
	outer.Go(g.Wait)
	if err := outer.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// untilClosed takes the end of a server that was asked to end for what it is.
func untilClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// controlSocket returns a server that answers on a socket in the data directory,
// for whoever may open it: the operator on this host, who needs no token there.
// A directory whose path is too long for a socket has none.
func controlSocket(srv *http.Server, dir string, log *slog.Logger) (*http.Server, net.Listener, error) {
	path := filepath.Join(dir, cli.ControlSocket)
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // the store's lock says that it is nobody's
		return nil, nil, fmt.Errorf("remove what an ended server left: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		log.Warn("no socket for commands on this host: they use the address, and need a token where it is not loopback", "err", err)
		return nil, nil, nil
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	return &http.Server{Handler: srv.Handler, ReadHeaderTimeout: srv.ReadHeaderTimeout, ReadTimeout: srv.ReadTimeout, IdleTimeout: srv.IdleTimeout,
		MaxHeaderBytes: srv.MaxHeaderBytes, ErrorLog: srv.ErrorLog, ConnContext: func(ctx context.Context, _ net.Conn) context.Context { return httpapi.Operator(ctx) }}, l, nil
}

func listen(srv *http.Server, l net.Listener, s settings.Settings) error {
	if s.TLSCert != "" {
		return srv.ServeTLS(l, s.TLSCert, s.TLSKey)
	}
	return srv.Serve(l)
}
