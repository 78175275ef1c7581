package embedded

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hayate-run/hayate"
)

// lockFile is held by the process that has the directory open and names its pid.
const lockFile = "lock"

// How often, and how long after each other, a lock that is taken is tried again.
const (
	lockTries = 100
	lockPause = 10 * time.Millisecond
)

// lock takes the directory for this process. The kernel frees it when the
// process dies, however it dies; the file stays.
func lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, fileError(err))
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	// A process that was just started holds what its parent had open until it has
	// become its own program: that passes in milliseconds.
	for try := 0; try < lockTries && errors.Is(err, syscall.EWOULDBLOCK); try++ {
		time.Sleep(lockPause)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		defer f.Close() // nothing was written
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("the data directory %s is in use by process %s; one process at a time may open it: %w",
				dir, holder(f), hayate.ErrBusy)
		}
		return nil, fmt.Errorf("lock the data directory %s: %w", dir, err)
	}
	if err := errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n")); err != nil {
		return nil, errors.Join(fmt.Errorf("write %s: %w", path, fileError(err)), f.Close())
	}
	return f, nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

func holder(f *os.File) string {
	b, err := io.ReadAll(io.LimitReader(f, 32))
	if pid := strings.TrimSpace(string(b)); err == nil && pid != "" {
		return pid
	}
	return "unknown"
}

// fileError gives the errors of the file system the kinds that callers know:
// what an operator can mend is ErrBusy.
func fileError(err error) error {
	for _, mendable := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EFBIG, syscall.EMFILE, syscall.ENFILE, syscall.EIO} {
		if errors.Is(err, mendable) {
			return fmt.Errorf("%w: %w", err, hayate.ErrBusy)
		}
	}
	return err
}
