// Package s3 keeps blobs in a bucket of Amazon S3, an object a blob.
package s3

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// maxBlob bounds a blob in bytes: it is held in memory until its hash, which is
// its name, is known.
const maxBlob = 64 << 20

// Config is what Blobs need. Client and Bucket are required.
type Config struct {
	Client *s3.Client
	Bucket string
	Prefix string // of the objects' keys, as "blobs/"
}

// Blobs is a router.Blobs. Its methods may be called from many goroutines.
type Blobs struct{ c Config }

var _ router.Blobs = (*Blobs)(nil)

// New returns the blobs of a bucket. It connects to nothing.
func New(c Config) (*Blobs, error) {
	if c.Client == nil || c.Bucket == "" {
		return nil, fmt.Errorf("blobs on S3: Client and Bucket are required: %w", hayate.ErrInvalid)
	}
	return &Blobs{c}, nil
}

// Put implements router.Blobs. An object is there whole or not at all.
func (b *Blobs) Put(ctx context.Context, r io.Reader) (hayate.BlobRef, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBlob+1))
	if err != nil {
		return hayate.BlobRef{}, fmt.Errorf("store blob: read it: %w", err)
	}
	if len(data) > maxBlob {
		return hayate.BlobRef{}, fmt.Errorf("store blob: it has more than %d bytes: %w", maxBlob, hayate.ErrTooLarge)
	}
	sum := sha256.Sum256(data)
	ref := hayate.BlobRef{Hash: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
	key := b.key(ref.Hash)
	if _, err := b.c.Client.PutObject(ctx, &s3.PutObjectInput{Bucket: &b.c.Bucket, Key: &key, Body: bytes.NewReader(data)}); err != nil {
		return hayate.BlobRef{}, fmt.Errorf("store blob %s in %s: %w", ref.Hash, b.c.Bucket, kind(err))
	}
	return ref, nil
}

// key is the object's key of a blob.
func (b *Blobs) key(hash string) string { return b.c.Prefix + strings.TrimPrefix(hash, "sha256:") }

// Get implements router.Blobs.
func (b *Blobs) Get(ctx context.Context, hash string) (io.ReadCloser, error) {
	key := b.key(hash)
	out, err := b.c.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.c.Bucket, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("read blob %s of %s: %w", hash, b.c.Bucket, kind(err))
	}
	return out.Body, nil
}

// Delete implements router.Blobs.
func (b *Blobs) Delete(ctx context.Context, hash string) error {
	key := b.key(hash)
	if _, err := b.c.Client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.c.Bucket, Key: &key}); err != nil {
		if err = kind(err); errors.Is(err, hayate.ErrNotFound) {
			return nil
		}
		return fmt.Errorf("delete blob %s of %s: %w", hash, b.c.Bucket, err)
	}
	return nil
}

// kind gives the errors of S3 the kinds that callers know.
func kind(err error) error {
	var key *types.NoSuchKey
	var response *awshttp.ResponseError
	status := 0
	if errors.As(err, &response) {
		status = response.HTTPStatusCode()
	}
	switch {
	case errors.As(err, &key), status == http.StatusNotFound:
		return fmt.Errorf("%w: %w", err, hayate.ErrNotFound)
	case status == http.StatusForbidden, status == http.StatusUnauthorized:
		return fmt.Errorf("%w: %w", err, hayate.ErrDenied)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
}
