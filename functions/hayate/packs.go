package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/hayate-run/hayate/infra/embedded"
	"github.com/hayate-run/hayate/infra/packdir"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
)

// loaded says what came of reading the packs.
type loaded struct {
	Packs    int      `json:"packs"`
	Actions  int      `json:"actions"`
	Rules    int      `json:"rules"`
	Findings []string `json:"findings"`
}

// loadPacks reads the packs and makes them the registered content. What is wrong
// with single files is logged and reported; the rest is in effect.
func loadPacks(ctx context.Context, rt *router.Router, c packdir.Config, log *slog.Logger) (loaded, error) {
	content, found, err := packdir.Load(c)
	if err != nil {
		return loaded{}, err
	}
	out := loaded{Packs: len(content.Packs), Actions: len(content.Actions), Rules: len(content.Rules), Findings: []string{}}
	for _, d := range found {
		out.Findings = append(out.Findings, d.String())
		if d.Severity == packs.Error {
			log.Error("pack file refused", "at", d.String())
		}
	}
	if err := rt.Load(ctx, content); err != nil {
		for _, e := range unjoin(err) {
			log.Error("resource refused", "err", e)
			out.Findings = append(out.Findings, e.Error())
		}
	}
	log.Info("packs registered", "packs", out.Packs, "actions", out.Actions, "rules", out.Rules, "findings", len(out.Findings))
	return out, nil
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
