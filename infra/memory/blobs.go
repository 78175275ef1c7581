package memory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Blobs keeps bytes by their content.
type Blobs struct {
	mu     sync.Mutex
	blobs  map[string][]byte
	closed bool
}

var _ router.Blobs = (*Blobs)(nil)

// NewBlobs returns an empty keeper of blobs.
func NewBlobs() *Blobs { return &Blobs{blobs: map[string][]byte{}} }

func (b *Blobs) enter(ctx context.Context, act string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", act, err)
	}
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return fmt.Errorf("%s: the blobs are closed: %w", act, hayate.ErrBusy)
	}
	return nil
}

// Put implements router.Blobs.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return hayate.BlobRef{}, fmt.Errorf("read blob: %w", err)
	}
	if err := b.enter(ctx, "store blob"); err != nil {
		return hayate.BlobRef{}, err
	}
	defer b.mu.Unlock()
	sum := sha256.Sum256(data)
	ref := hayate.BlobRef{Hash: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
	b.blobs[ref.Hash] = data
	return ref, nil
}

// Get implements router.Blobs.
func (b *Blobs) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	if err := b.enter(ctx, "read blob "+hash); err != nil {
		return nil, err
	}
	defer b.mu.Unlock()
	data, ok := b.blobs[hash]
	if !ok {
		return nil, fmt.Errorf("blob %s: %w", hash, hayate.ErrNotFound)
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// Delete implements router.Blobs.
func (b *Blobs) Delete(ctx context.Context, hash string) error {
	if err := b.enter(ctx, "delete blob "+hash); err != nil {
		return err
	}
	defer b.mu.Unlock()
	delete(b.blobs, hash)
	return nil
}

// Close ends the blobs. Twice is fine.
func (b *Blobs) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}
