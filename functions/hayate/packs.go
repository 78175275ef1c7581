package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/infra/httpapi"
	"github.com/hayate-run/hayate/infra/packdir"
	"github.com/hayate-run/hayate/infra/packshare"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
)

// loaded says what came of reading the packs.
type loaded struct {
	Packs    int      `json:"packs"`
	Actions  int      `json:"actions"`
	Rules    int      `json:"rules"`
	Errors   int      `json:"errors"`
	Warnings int      `json:"warnings"`
	Findings []string `json:"findings"` // one a line, with their places
}

// packSource brings packs to the router: those of this process's folders, or, where
// a store is shared, those that any process has registered.
type packSource struct {
	rt    *router.Router
	log   *slog.Logger
	local packdir.Config
	share *packshare.Share // nil where the store is this process's own

	mu       sync.Mutex
	mine     []string // packs of the local folders, when they were last read
	revision int64    // of the register, as it was last read

	last atomic.Pointer[loaded]
}

// problems says what was wrong with the packs when they were last read.
func (ps *packSource) problems() httpapi.Problems {
	l := ps.last.Load()
	if l == nil {
		return httpapi.Problems{}
	}
	return httpapi.Problems{Errors: l.Errors, Warnings: l.Warnings, Findings: l.Findings}
}

func newPackSource(s settings.Settings, n *node, rt *router.Router, log *slog.Logger) *packSource {
	cache := filepath.Join(s.Data, "packs")
	ps := &packSource{rt: rt, log: log, local: packdir.Config{Dirs: s.Packs, Shipped: s.Shipped, Configs: s.Configs, Unpack: cache, Lint: true, Log: log}}
	if n.shared {
		ps.share = packshare.New(packshare.Config{Registry: n.registry, Blobs: n.blobs, Secrets: n.secrets, Dir: cache, Log: log})
	}
	return ps
}

// load reads the packs and makes them the registered content. What is wrong with
// single files is logged and reported; the rest is in effect.
func (ps *packSource) load(ctx context.Context) (loaded, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if ps.share == nil {
		content, found, err := packdir.Load(ps.local)
		if err != nil {
			return loaded{}, err
		}
		return ps.register(ctx, content, found), nil
	}
	own := ps.local
	own.Shipped = nil
	content, found, err := packdir.Load(own)
	if err != nil {
		return loaded{}, err
	}
	if err := ps.publish(ctx, content); err != nil {
		return loaded{}, err
	}
	return ps.fetch(ctx, found)
}

// publish registers the packs of the local folders, and takes those out of the
// register that have left them.
func (ps *packSource) publish(ctx context.Context, content router.Content) error {
	if err := ps.share.Publish(ctx, content); err != nil {
		return err
	}
	have := make([]string, len(content.Packs))
	for i := range content.Packs {
		have[i] = content.Packs[i].Ref
	}
	var gone []string
	for _, ref := range ps.mine {
		if !slices.Contains(have, ref) {
			gone = append(gone, ref)
		}
	}
	ps.mine = have
	if len(gone) == 0 {
		return nil
	}
	return ps.share.Remove(ctx, gone...)
}

// fetch makes what is registered the content.
func (ps *packSource) fetch(ctx context.Context, found []packs.Diagnostic) (loaded, error) {
	f, err := ps.share.Fetch(ctx)
	if err != nil {
		return loaded{}, err
	}
	ps.revision = f.Revision
	all := ps.local
	all.Dirs, all.Configs = f.Dirs, ""
	content, more, err := packdir.Load(all)
	if err != nil {
		return loaded{}, err
	}
	for i := range content.Packs {
		if c := f.Configs[content.Packs[i].Ref]; c != nil {
			content.Packs[i].Config = c
		}
	}
	if len(ps.mine) == 0 { // their findings tell those who have the folders
		found = append(found, more...)
	}
	return ps.register(ctx, content, found), nil
}

func (ps *packSource) register(ctx context.Context, content router.Content, found []packs.Diagnostic) loaded {
	out := loaded{Packs: len(content.Packs), Actions: len(content.Actions), Rules: len(content.Rules), Findings: []string{}}
	for _, d := range found {
		out.Findings = append(out.Findings, d.String())
		if d.Severity == packs.Error {
			out.Errors++
			ps.log.Error("pack file has an error", "at", d.String())
			continue
		}
		if out.Warnings++; out.Warnings <= maxWarned {
			ps.log.Warn("pack file may be wrong", "at", d.String())
		}
	}
	if out.Warnings > maxWarned {
		ps.log.Warn("more pack files may be wrong", "warnings", out.Warnings, "run", "hayate pack problems")
	}
	if err := ps.rt.Load(ctx, content); err != nil {
		for _, e := range unjoin(err) {
			ps.log.Error("resource refused", "err", e)
			out.Errors++
			out.Findings = append(out.Findings, e.Error())
		}
	}
	ps.log.Info("packs registered", "packs", out.Packs, "actions", out.Actions, "rules", out.Rules, "errors", out.Errors, "warnings", out.Warnings)
	ps.last.Store(&out)
	if len(content.Actions) > manyActions {
		go debug.FreeOSMemory() // what reading took is not needed again; it ends by itself
	}
	return out
}

// manyActions is from how many actions on reading packs takes memory that is worth
// giving back at once.
const manyActions = 200

// maxWarned bounds the warnings that one reading of the packs logs.
const maxWarned = 20

// watch loads again whenever files of the local folders change.
func (ps *packSource) watch(ctx context.Context) error {
	return packdir.Watch(ctx, ps.local, func() {
		if _, err := ps.load(ctx); err != nil {
			ps.log.Error("reload packs", "err", err)
		}
	})
}

// follow loads again whenever another process has changed what is registered.
func (ps *packSource) follow(ctx context.Context) error {
	if ps.share == nil {
		return nil
	}
	ps.mu.Lock()
	since := ps.revision
	ps.mu.Unlock()
	return ps.share.Follow(ctx, since, func() (int64, error) {
		ps.mu.Lock()
		defer ps.mu.Unlock()
		_, err := ps.fetch(ctx, nil)
		return ps.revision, err
	})
}

// unjoin takes a joined error apart.
func unjoin(err error) []error {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		return many.Unwrap()
	}
	return []error{err}
}

func newLog(s settings.Settings, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// openStore opens the store of a directory that no server holds, for the
// commands that look after it.
func openStore(dir string) (router.Store, error) {
	return embedded.Open(embedded.Config{Dir: dir})
}

// createToken makes an access token in the store of a directory that no server
// holds.
func createToken(ctx context.Context, dir, user, note string, ttl time.Duration) (secret string, t router.Token, err error) {
	store, err := embedded.Open(embedded.Config{Dir: dir})
	if err != nil {
		return "", router.Token{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return router.CreateToken(ctx, store.Registry(), time.Now(), user, note, ttl)
}
