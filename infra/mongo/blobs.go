package mongo

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Blobs keeps bytes in a database, in parts of a mebibyte. The document that
// names a blob is written last: a blob is there whole or not at all.
type Blobs struct{ s *Store }

var _ router.Blobs = (*Blobs)(nil)

const (
	chunkSize = 1 << 20
	// looseAge is how long bytes that nothing refers to are kept: somebody may be
	// about to refer to them.
	looseAge = time.Hour
)

type blob struct {
	Hash   string `bson:"_id"`
	Size   int64  `bson:"n"`
	Upload string `bson:"u"` // names the parts
	At     int64  `bson:"at"`
}

type chunk struct {
	ID     string `bson:"_id"`
	Upload string `bson:"u"`
	At     int64  `bson:"at"`
	Data   []byte `bson:"d"`
}

func chunkID(upload string, n int) string { return fmt.Sprintf("%s/%d", upload, n) }

// Put implements router.Blobs. It holds one part in memory.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	ref, err := b.put(ctx, r)
	if err != nil {
		return hayate.BlobRef{}, fmt.Errorf("store blob: %w", err)
	}
	return ref, nil
}

func (b *Blobs) put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	s := b.s
	if err := s.enter(ctx); err != nil {
		return hayate.BlobRef{}, err
	}
	name := make([]byte, 16)
	rand.Read(name) // never fails
	upload := hex.EncodeToString(name)
	at := micros(s.now())
	hash := sha256.New()
	var size int64
	buf := make([]byte, chunkSize)
	for n := 0; ; n++ {
		k, err := io.ReadFull(r, buf)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return hayate.BlobRef{}, errors.Join(fmt.Errorf("read it: %w", err), b.drop(ctx, upload))
		}
		if k > 0 {
			hash.Write(buf[:k])
			size += int64(k)
			if _, err := s.chunks.InsertOne(ctx, &chunk{chunkID(upload, n), upload, at, buf[:k]}); err != nil {
				return hayate.BlobRef{}, errors.Join(s.kind(ctx, err), b.drop(ctx, upload))
			}
			s.wrote(1)
		}
		if err != nil {
			break
		}
	}
	ref := hayate.BlobRef{Hash: "sha256:" + hex.EncodeToString(hash.Sum(nil)), Size: size}
	_, err := s.blobs.InsertOne(ctx, &blob{ref.Hash, size, upload, at})
	if mongo.IsDuplicateKeyError(err) {
		if err := b.drop(ctx, upload); err != nil {
			return hayate.BlobRef{}, err
		}
		// Young again, so that no purge removes it before it is referred to.
		var res *mongo.UpdateResult
		res, err = s.blobs.UpdateOne(ctx, bson.D{{Key: "_id", Value: ref.Hash}}, bson.D{{Key: "$max", Value: bson.D{{Key: "at", Value: at}}}})
		if err == nil && res.MatchedCount == 0 {
			return hayate.BlobRef{}, fmt.Errorf("%s was removed meanwhile: %w", ref.Hash, hayate.ErrBusy)
		}
	}
	if err != nil {
		return hayate.BlobRef{}, s.kind(ctx, err)
	}
	s.wrote(1)
	return ref, nil
}

// drop removes the parts of an upload that came to nothing.
func (b *Blobs) drop(ctx context.Context, upload string) error {
	_, err := b.s.chunks.DeleteMany(context.WithoutCancel(ctx), bson.D{{Key: "u", Value: upload}})
	return b.s.kind(ctx, err)
}

// Get implements router.Blobs. The parts are fetched as they are read; a reader
// whose blob is removed meanwhile gets ErrNotFound.
func (b *Blobs) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	if err := b.s.enter(ctx); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, err)
	}
	var d blob
	if err := b.s.blobs.FindOne(ctx, bson.D{{Key: "_id", Value: hash}}).Decode(&d); err != nil {
		return nil, fmt.Errorf("read blob %s: %w", hash, b.s.kind(ctx, err))
	}
	return &reader{fetch: func(n int) ([]byte, error) {
		var c chunk
		if err := b.s.chunks.FindOne(ctx, bson.D{{Key: "_id", Value: chunkID(d.Upload, n)}}).Decode(&c); err != nil {
			return nil, fmt.Errorf("read blob %s: %w", hash, b.s.kind(ctx, err))
		}
		return c.Data, nil
	}, left: d.Size}, nil
}

// reader reads a blob part by part.
type reader struct {
	fetch func(n int) ([]byte, error)
	next  int
	left  int64 // bytes that were not fetched yet
	part  bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	for r.part.Len() == 0 {
		if r.left == 0 {
			return 0, io.EOF
		}
		data, err := r.fetch(r.next)
		if err != nil {
			return 0, err
		}
		if len(data) == 0 || int64(len(data)) > r.left {
			return 0, fmt.Errorf("part %d of the blob is damaged", r.next)
		}
		r.next++
		r.left -= int64(len(data))
		r.part.Reset(data)
	}
	return r.part.Read(p)
}

func (r *reader) Close() error { return nil }

// Delete implements router.Blobs.
func (b *Blobs) Delete(ctx context.Context, hash string) error {
	if err := b.s.enter(ctx); err != nil {
		return fmt.Errorf("delete blob %s: %w", hash, err)
	}
	if err := b.remove(ctx, bson.D{{Key: "_id", Value: hash}}); err != nil {
		return fmt.Errorf("delete blob %s: %w", hash, err)
	}
	return nil
}

// remove removes the blob that a filter selects, and then its parts.
func (b *Blobs) remove(ctx context.Context, filter bson.D) error {
	var d blob
	err := b.s.blobs.FindOneAndDelete(ctx, filter).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil
	}
	if err != nil {
		return b.s.kind(ctx, err)
	}
	b.s.wrote(1)
	return b.drop(ctx, d.Upload)
}

// orphans removes parts whose blob was never finished: their writer died.
func (b *Blobs) orphans(ctx context.Context) error {
	old := micros(b.s.now().Add(-looseAge))
	uploads := map[string]bool{}
	err := each(ctx, b.s, b.s.chunks, bson.D{{Key: "at", Value: bson.D{{Key: "$lt", Value: old}}}},
		options.Find().SetProjection(bson.D{{Key: "u", Value: 1}}).SetLimit(1000), func(c *chunk) (bool, error) {
			uploads[c.Upload] = true
			return true, nil
		})
	if err != nil {
		return err
	}
	for upload := range uploads {
		err := b.s.blobs.FindOne(ctx, bson.D{{Key: "u", Value: upload}}).Err()
		if errors.Is(err, mongo.ErrNoDocuments) {
			err = b.drop(ctx, upload)
		}
		if err != nil {
			return b.s.kind(ctx, err)
		}
	}
	return nil
}
