package embedded

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// Stats implements router.Upkeep.
func (s *Store) Stats(ctx context.Context) (router.Stats, error) {
	if err := s.ready(ctx); err != nil {
		return router.Stats{}, fmt.Errorf("count: %w", err)
	}
	memory := s.live.volatiles()
	c := *s.w.shown.Load()
	st := router.Stats{Engine: "embedded", Events: c.events, Firings: c.firings, Keys: c.keys, Executions: map[string]int64{},
		Commits: s.w.commits.Load(), Writes: s.w.writes.Load()}
	for _, r := range memory {
		c.statuses[statusNumber(r.disk)]--
		c.statuses[statusNumber(r.Status)]++
	}
	for i, n := range c.statuses {
		switch {
		case n == 0:
		case i < len(statuses):
			st.Executions[string(statuses[i])] = n
		default:
			st.Executions["other"] += n
		}
	}
	n, size, err := s.blobs.count()
	if err != nil {
		return router.Stats{}, fmt.Errorf("count blobs: %w", fileError(err))
	}
	st.Blobs = n
	st.Bytes = size + fileSize(s.w.path) + fileSize(s.w.path+"-wal")
	if st.Oldest, err = s.oldest(ctx); err != nil {
		return router.Stats{}, fmt.Errorf("count: %w", err)
	}
	return st, nil
}

func fileSize(path string) int64 {
	fi, err := os.Stat(path)
	if err != nil {
		return 0 // the log is not always there
	}
	return fi.Size()
}

// oldest is when the oldest event or execution came to be.
func (s *Store) oldest(ctx context.Context) (time.Time, error) {
	var oldest time.Time
	if err := s.readable(ctx); err != nil {
		return oldest, err
	}
	for _, table := range []string{"events", "executions"} {
		var at int64
		err := s.read.QueryRowContext(ctx, "SELECT at FROM "+table+" ORDER BY seq LIMIT 1").Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return oldest, sqlError(err)
		}
		if t := time.Unix(0, at).UTC(); oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	return oldest, nil
}

// Backup implements router.Upkeep: path becomes a directory that can be opened
// like the original. ErrConflict says that something is there already.
func (s *Store) Backup(ctx context.Context, path string) error {
	if err := s.backup(ctx, path); err != nil {
		return fmt.Errorf("back up to %s: %w", path, err)
	}
	return nil
}

func (s *Store) backup(ctx context.Context, path string) error {
	if err := s.settled(ctx); err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("it exists: %w", hayate.ErrConflict)
	}
	making := path + ".part"
	if err := os.Mkdir(making, 0o700); err != nil {
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s is left from a backup that was cut off, or in use by another; remove it: %w", making, hayate.ErrConflict)
		}
		return fileError(err)
	}
	err := s.backupInto(ctx, making)
	if err == nil {
		err = os.Rename(making, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return errors.Join(fileError(err), os.RemoveAll(making))
	}
	return nil
}

func (s *Store) backupInto(ctx context.Context, dir string) error {
	file := filepath.Join(dir, databaseFile)
	db, err := sql.Open("sqlite", dsn(s.w.path, "wal_autocheckpoint(0)", "cache_size(-2048)"))
	if err != nil {
		return sqlError(err)
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", file)
	if err := errors.Join(err, db.Close()); err != nil {
		return sqlError(err)
	}
	if err := syncFile(file); err != nil {
		return err
	}
	if err := s.blobs.copyTo(ctx, filepath.Join(dir, blobsDir)); err != nil {
		return err
	}
	return syncDir(dir)
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// copyTo copies all blobs into another folder.
func (b *Blobs) copyTo(ctx context.Context, dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	folders, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		to := filepath.Join(dir, f.Name())
		if err := os.Mkdir(to, 0o700); err != nil {
			return err
		}
		files, err := os.ReadDir(filepath.Join(b.dir, f.Name()))
		if err != nil {
			return err
		}
		for _, file := range files {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := copyFile(filepath.Join(b.dir, f.Name(), file.Name()), filepath.Join(to, file.Name()))
			if err != nil && !errors.Is(err, os.ErrNotExist) { // purged meanwhile
				return err
			}
		}
		if err := syncDir(to); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close() // only read
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	if err == nil {
		err = dst.Sync()
	}
	return errors.Join(err, dst.Close())
}
