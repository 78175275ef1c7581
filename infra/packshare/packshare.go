// Package packshare lets processes that share a store share their packs: who has
// the folder of a pack registers it as a bundle, by digest, and everybody unpacks
// what is registered into a folder of their own. Configurations travel sealed.
// Nothing else is shared: no disk, no path.
package packshare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
)

// The kinds under which packs and their configurations are registered; the
// reference is the pack's.
const (
	kindPack   = "pack"
	kindConfig = "config"
)

// Config is what sharing needs. All but Log are required.
type Config struct {
	Registry router.Registry
	Blobs    router.Blobs
	Secrets  router.Secrets
	// Dir is where bundles are unpacked: a folder of this process's own.
	Dir string
	Log *slog.Logger // default: silence
}

// registered is the document of a pack.
type registered struct {
	Digest  string         `json:"digest"`
	Version string         `json:"version"`
	Bundle  hayate.BlobRef `json:"bundle"`
}

// sealed is the document of a configuration.
type sealed struct {
	Sealed string `json:"sealed"`
}

// Share is the packs of a store. Its methods may be called from many goroutines.
type Share struct{ Config }

// New returns the packs of a store.
func New(c Config) *Share {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Share{c}
}

// Publish registers the packs of local folders, and their configurations, where
// they differ from what is registered. Packs that nobody has any more remain until
// Remove.
func (s *Share) Publish(ctx context.Context, content router.Content) error {
	have, err := s.list(ctx)
	if err != nil {
		return err
	}
	var docs []router.Document
	for i := range content.Packs {
		p := &content.Packs[i]
		if have.packs[p.Ref].Digest != p.Digest {
			d, err := s.bundle(ctx, p)
			if err != nil {
				return err
			}
			docs = append(docs, d)
			s.Log.Info("pack registered for all", "pack", p.Ref, "version", p.Version, "digest", p.Digest)
		}
		if len(p.Config) == 0 || bytes.Equal(have.configs[p.Ref], p.Config) {
			continue
		}
		text, err := s.Secrets.Seal(string(p.Config))
		if err != nil {
			return fmt.Errorf("seal the configuration of pack %s: %w", p.Ref, err)
		}
		body, err := json.Marshal(sealed{text})
		if err != nil {
			return fmt.Errorf("register the configuration of pack %s: %w", p.Ref, err)
		}
		docs = append(docs, router.Document{DocumentKey: router.DocumentKey{Kind: kindConfig, Ref: p.Ref}, Body: body})
	}
	if len(docs) == 0 {
		return nil
	}
	if _, err := s.Registry.Put(ctx, docs...); err != nil {
		return fmt.Errorf("register packs: %w", err)
	}
	return nil
}

// Remove takes packs out of the register.
func (s *Share) Remove(ctx context.Context, refs ...string) error {
	var keys []router.DocumentKey
	for _, ref := range refs {
		keys = append(keys, router.DocumentKey{Kind: kindPack, Ref: ref}, router.DocumentKey{Kind: kindConfig, Ref: ref})
	}
	if _, err := s.Registry.Delete(ctx, keys...); err != nil {
		return fmt.Errorf("remove packs: %w", err)
	}
	return nil
}

func (s *Share) bundle(ctx context.Context, p *router.Pack) (router.Document, error) {
	var b bytes.Buffer
	if err := Pack(&b, os.DirFS(p.Dir)); err != nil {
		return router.Document{}, fmt.Errorf("bundle pack %s: %w", p.Ref, err)
	}
	ref, err := s.Blobs.Put(ctx, &b)
	if err != nil {
		return router.Document{}, fmt.Errorf("store the bundle of pack %s: %w", p.Ref, err)
	}
	body, err := json.Marshal(registered{p.Digest, p.Version, ref})
	if err != nil {
		return router.Document{}, fmt.Errorf("register pack %s: %w", p.Ref, err)
	}
	return router.Document{DocumentKey: router.DocumentKey{Kind: kindPack, Ref: p.Ref}, Body: body}, nil
}

// Open opens the bundle of a registered pack: ErrNotFound for one that is not.
func (s *Share) Open(ctx context.Context, ref string) (r io.ReadCloser, digest string, size int64, err error) {
	docs, _, err := s.Registry.List(ctx, kindPack, 0)
	if err != nil {
		return nil, "", 0, fmt.Errorf("open the bundle of pack %s: %w", ref, err)
	}
	for _, d := range docs {
		if d.Ref != ref {
			continue
		}
		var p registered
		if err := json.Unmarshal(d.Body, &p); err != nil {
			return nil, "", 0, fmt.Errorf("read registered pack %s: %w", ref, err)
		}
		if r, err = s.Blobs.Get(ctx, p.Bundle.Hash); err != nil {
			return nil, "", 0, fmt.Errorf("open the bundle of pack %s: %w", ref, err)
		}
		return r, p.Digest, p.Bundle.Size, nil
	}
	return nil, "", 0, fmt.Errorf("pack %s is not registered: %w", ref, hayate.ErrNotFound)
}

// list is what is registered.
type list struct {
	packs    map[string]registered
	configs  map[string]json.RawMessage
	revision int64
}

func (s *Share) list(ctx context.Context) (list, error) {
	out := list{packs: map[string]registered{}, configs: map[string]json.RawMessage{}}
	docs, rev, err := s.Registry.List(ctx, "", 0)
	if err != nil {
		return out, fmt.Errorf("list packs: %w", err)
	}
	out.revision = rev
	for _, d := range docs {
		switch d.Kind {
		case kindPack:
			var r registered
			if err := json.Unmarshal(d.Body, &r); err != nil {
				return out, fmt.Errorf("read registered pack %s: %w", d.Ref, err)
			}
			out.packs[d.Ref] = r
		case kindConfig:
			var c sealed
			if err := json.Unmarshal(d.Body, &c); err != nil {
				return out, fmt.Errorf("read the registered configuration of pack %s: %w", d.Ref, err)
			}
			text, err := s.Secrets.Open(c.Sealed)
			if err != nil {
				return out, fmt.Errorf("open the registered configuration of pack %s: %w", d.Ref, err)
			}
			out.configs[d.Ref] = json.RawMessage(text)
		}
	}
	return out, nil
}

// Fetched are the packs of everybody, as folders of this process.
type Fetched struct {
	Dirs     []string
	Configs  map[string]json.RawMessage
	Revision int64 // of the register
}

// Fetch unpacks what is registered and is not here yet. A bundle that cannot be
// had is left out, and logged: the others are in effect.
func (s *Share) Fetch(ctx context.Context) (Fetched, error) {
	all, err := s.list(ctx)
	if err != nil {
		return Fetched{}, err
	}
	out := Fetched{Configs: all.configs, Revision: all.revision}
	for ref, r := range all.packs {
		dir, err := s.unpack(ctx, ref, r.Digest, r.Bundle.Hash)
		if err != nil {
			s.Log.Error("pack not had", "pack", ref, "err", err)
			continue
		}
		out.Dirs = append(out.Dirs, dir)
	}
	return out, nil
}

// unpack returns the folder of a bundle, and makes it where it is missing.
func (s *Share) unpack(ctx context.Context, ref, digest, blob string) (string, error) {
	dir, err := Folder(s.Dir, ref, digest)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
		return dir, nil
	}
	r, err := s.Blobs.Get(ctx, blob)
	if err != nil {
		return "", fmt.Errorf("fetch the bundle: %w", err)
	}
	defer r.Close()
	return dir, Install(dir, digest, r)
}

// Folder is where a bundle of a digest is unpacked below root.
func Folder(root, ref, digest string) (string, error) {
	hash, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(hash) != 64 || strings.ContainsAny(hash, `/\.`) || ref == "" || filepath.Base(ref) != ref {
		return "", fmt.Errorf("pack %q with digest %q: %w", ref, digest, hayate.ErrInvalid)
	}
	return filepath.Join(root, hash[:16], ref), nil
}

// Install unpacks a bundle whose content must have the digest into a folder. It is
// done beside it and put in place at once, so that a folder is whole or absent.
func Install(dir, digest string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", dir, err)
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".unpacking-")
	if err != nil {
		return fmt.Errorf("unpack %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	if err := Unpack(tmp, r); err != nil {
		return fmt.Errorf("unpack %s: %w", dir, err)
	}
	got, err := packs.Digest(os.DirFS(tmp), ".")
	if err != nil {
		return err
	}
	if got != digest {
		return fmt.Errorf("unpack %s: the bundle's digest is %s, want %s: %w", dir, got, digest, hayate.ErrInvalid)
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return fmt.Errorf("unpack %s: %w", dir, err)
	}
	err = os.Rename(tmp, dir)
	if _, there := os.Stat(filepath.Join(dir, "pack.yaml")); there == nil {
		return nil // by us, or by another process at the same time
	}
	return err
}

// Follow calls changed whenever packs, their configurations or anything else that
// the content depends on changes after a revision, until ctx ends. changed returns
// the revision that it has seen.
func (s *Share) Follow(ctx context.Context, since int64, changed func() (int64, error)) error {
	for {
		err := s.Registry.Wait(ctx, since)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var docs []router.Document
		rev := since
		if err == nil {
			docs, rev, err = s.Registry.List(ctx, "", since)
		}
		if err == nil && relevant(docs) {
			rev, err = changed()
		}
		if err == nil {
			since = rev
			continue
		}
		if errors.Is(err, context.Canceled) {
			return err
		}
		s.Log.Error("follow registered packs, again in a second", "err", err)
		t := time.NewTimer(time.Second)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}

// relevant says whether the content depends on a change.
func relevant(docs []router.Document) bool {
	for _, d := range docs {
		if d.Kind != "token" {
			return true
		}
	}
	return false
}
