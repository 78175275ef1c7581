package embedded

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	lib "modernc.org/sqlite/lib"

	"github.com/hayate-run/hayate"
)

// errDamaged says that the file is not what it should be.
var errDamaged = errors.New("the store is damaged; stop hayate, run `hayate store check`, and restore a backup if it confirms this")

// sqlError gives SQLite's errors the kinds that callers know. What an operator
// can mend (room, permissions) is ErrBusy: the same call succeeds afterwards.
func sqlError(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case lib.SQLITE_FULL:
		return fmt.Errorf("the disk is full: %w: %w", err, hayate.ErrBusy)
	case lib.SQLITE_READONLY, lib.SQLITE_CANTOPEN, lib.SQLITE_PERM:
		return fmt.Errorf("the store cannot be written: %w: %w", err, hayate.ErrBusy)
	case lib.SQLITE_IOERR:
		return fmt.Errorf("the disk refuses: %w: %w", err, hayate.ErrBusy)
	case lib.SQLITE_BUSY, lib.SQLITE_LOCKED, lib.SQLITE_NOMEM:
		return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
	case lib.SQLITE_TOOBIG:
		return fmt.Errorf("%w: %w", err, hayate.ErrTooLarge)
	case lib.SQLITE_CORRUPT, lib.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", errDamaged, err)
	}
	return err
}
