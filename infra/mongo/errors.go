package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver"
	"go.mongodb.org/mongo-driver/v2/x/mongo/driver/topology"

	"github.com/hayate-run/hayate"
)

// Codes of MongoDB's errors that mean something to callers.
const (
	codeUnauthorized   = 13
	codeAuthentication = 18
	codeTooLarge       = 10334 // BSONObjectTooLarge
	codeGrownTooLarge  = 17419 // the document after the update
	codeUpsertTooLarge = 17420
)

// kind gives a foreign error the kind that callers know. What is none of them,
// and everything of the network, says that the outcome is unknown.
func (s *Store) kind(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if s.closed.Load() {
		return errClosed
	}
	if cerr := ctx.Err(); cerr != nil {
		return fmt.Errorf("%w: %v", cerr, err) // the driver's wrapping hides what ended
	}
	return kindOf(err)
}

func kindOf(err error) error {
	var server mongo.ServerError
	var selection topology.ServerSelectionError
	switch {
	case errors.Is(err, mongo.ErrNoDocuments):
		return fmt.Errorf("%w: %w", err, hayate.ErrNotFound)
	case mongo.IsDuplicateKeyError(err):
		return fmt.Errorf("%w: %w", err, hayate.ErrConflict)
	case errors.As(err, &server) && (server.HasErrorCode(codeTooLarge) || server.HasErrorCode(codeGrownTooLarge) || server.HasErrorCode(codeUpsertTooLarge)),
		errors.Is(err, driver.ErrDocumentTooLarge):
		return fmt.Errorf("%w: %w", err, hayate.ErrTooLarge)
	case errors.As(err, &server) && (server.HasErrorCode(codeUnauthorized) || server.HasErrorCode(codeAuthentication)):
		return fmt.Errorf("%w: %w", err, hayate.ErrDenied)
	case mongo.IsNetworkError(err), mongo.IsTimeout(err), errors.As(err, &selection), errors.Is(err, mongo.ErrClientDisconnected),
		errors.As(err, &server) && server.HasErrorLabel("RetryableWriteError"):
		return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
	}
	return err
}

// onlyDuplicates says whether an insertion failed for nothing but documents that
// are there already.
func onlyDuplicates(err error) bool {
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return false
	}
	for _, w := range bulk.WriteErrors {
		if !mongo.IsDuplicateKeyError(w.WriteError) {
			return false
		}
	}
	return len(bulk.WriteErrors) > 0
}
