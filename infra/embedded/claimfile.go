package embedded

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

// claimsFile keeps the claims of idempotent executions over the death of the
// process, though not over that of the machine: it is written and never synced.
const claimsFile = "claims"

const (
	// claimSlot is the length of a claim in the file, padding and all: a claim never
	// lies across two pages.
	claimSlot = 256
	// claimHead is the checksum and the length before a claim's fields.
	claimHead = 6
	// claimSlots is by how many the file grows, and how many slots are looked
	// through at once for those that are free again.
	claimSlots = 64
)

// The fields of a claim.
const (
	cfID = iota + 1
	cfVersion
	cfAttempt
	cfAt
	cfUntil
	cfWorker
)

// claimNote is what the file says of a claim: after it, the execution has this
// version.
type claimNote struct {
	router.Claim
	version int64
	attempt int
}

// claimFile is an array of slots, each with the newest claim of one execution.
// The slots of claims that are over are used again: the file has as many as were
// ever held at once, rounded up.
type claimFile struct {
	mu      sync.Mutex
	f       *os.File
	slots   map[hayate.ExecutionID]int64
	free    []int64
	n       int64 // slots in the file
	buf     [claimSlot]byte
	failing bool // the last write failed
}

// open opens the file, making it if it is not there, and returns the claims in it.
// What is torn or garbled is skipped: such a claim is as one that was never noted.
func (c *claimFile) open(dir string) ([]claimNote, error) {
	path := filepath.Join(dir, claimsFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, fileError(err))
	}
	c.f, c.slots = f, map[hayate.ExecutionID]int64{}
	fi, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, fileError(err))
	}
	c.n = (fi.Size() + claimSlot - 1) / claimSlot
	var notes []claimNote
	for i := range c.n {
		b := c.buf[:]
		n, err := f.ReadAt(b, i*claimSlot)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("read %s: %w", path, fileError(err))
		}
		note, ok := readClaim(b[:n])
		if !ok {
			c.free = append(c.free, i)
			continue
		}
		if other, twice := c.slots[note.Execution]; twice {
			c.free = append(c.free, other)
		}
		c.slots[note.Execution] = i
		notes = append(notes, note)
	}
	return notes, nil
}

// note writes a claim before its execution is attempted. held names the executions
// whose claims are in memory only: the slots of others are free. The claim holds
// even where it cannot be written: first says that this is new.
func (c *claimFile) note(n claimNote, held func(hayate.ExecutionID) bool) (first bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	b := appendClaim(c.buf[:0], n)
	if len(b) > claimSlot {
		return false, nil // a worker with such a name is not of this program
	}
	clear(b[len(b):claimSlot])
	at, ok := c.slots[n.Execution]
	if !ok {
		at = c.take(held)
	}
	if _, err := c.f.WriteAt(b[:claimSlot], at*claimSlot); err != nil {
		first, c.failing = !c.failing, true
		delete(c.slots, n.Execution)
		c.free = append(c.free, at)
		return first, fmt.Errorf("note a claim in %s: %w", c.f.Name(), fileError(err))
	}
	c.slots[n.Execution], c.failing = at, false
	return false, nil
}

// take returns a slot that is free, making room where there is none.
func (c *claimFile) take(held func(hayate.ExecutionID) bool) int64 {
	if len(c.free) == 0 {
		for id, at := range c.slots {
			if !held(id) {
				delete(c.slots, id)
				c.free = append(c.free, at)
			}
		}
		// With few free, the search would soon be repeated.
		if len(c.free) < claimSlots/2 {
			for range int64(claimSlots) {
				c.free = append(c.free, c.n)
				c.n++
			}
		}
	}
	at := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	return at
}

func (c *claimFile) close() error {
	if c.f == nil {
		return nil
	}
	return c.f.Close()
}

// appendClaim appends a claim: a checksum of all that follows, its length, fields.
func appendClaim(b []byte, n claimNote) []byte {
	from := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0)
	b = putID(b, cfID, n.Execution)
	b = putInt(b, cfVersion, n.version)
	b = putInt(b, cfAttempt, int64(n.attempt))
	b = putTime(b, cfAt, n.At)
	b = putTime(b, cfUntil, n.Until)
	b = putBytes(b, cfWorker, n.Worker)
	one := b[from:]
	binary.LittleEndian.PutUint16(one[4:], uint16(len(one)-claimHead))
	binary.LittleEndian.PutUint32(one, crc32.ChecksumIEEE(one[4:]))
	return b
}

// readClaim reads what a slot holds; ok is false where that is no claim.
func readClaim(b []byte) (n claimNote, ok bool) {
	if len(b) < claimHead {
		return n, false
	}
	size := int(binary.LittleEndian.Uint16(b[4:]))
	if size == 0 || claimHead+size > len(b) || binary.LittleEndian.Uint32(b) != crc32.ChecksumIEEE(b[4:claimHead+size]) {
		return n, false
	}
	f := fields{rest: b[claimHead : claimHead+size]}
	for f.next() {
		switch f.field {
		case cfID:
			n.Execution = hayate.ExecutionID(f.id())
		case cfVersion:
			n.version = f.n
		case cfAttempt:
			n.attempt = int(f.n)
		case cfAt:
			n.At = f.time()
		case cfUntil:
			n.Until = f.time()
		case cfWorker:
			n.Worker = f.text()
		}
	}
	return n, f.err == nil && n.Execution != ""
}

// noteClaim writes down a claim that is in memory only, so that the attempt is known
// when this process is killed.
func (s *Store) noteClaim(x *hayate.Execution, c router.Claim) {
	first, err := s.notes.note(claimNote{Claim: c, version: x.Version, attempt: x.Attempt}, s.live.isVolatile)
	if first {
		s.log.Warn("attempts will be numbered anew if this process is killed", "err", err)
	}
}

// recoverClaims makes those claims hold that the process before had in memory, and
// that nothing in the tables contradicts. Whoever is to settle lost attempts finds
// them.
func (s *Store) recoverClaims(notes []claimNote) error {
	for _, n := range notes {
		r, err := scanRow(s.rd.execution.QueryRow(idBytes(n.Execution)))
		if err != nil {
			if errors.Is(err, sql.ErrNoRows) {
				continue // purged
			}
			return fmt.Errorf("read execution %s: %w", n.Execution, sqlError(err))
		}
		if !r.Idempotent || r.Version+1 != n.version || r.Attempt+1 != n.attempt || record.Claim(&r.Execution, n.Claim) != nil {
			continue // it went on from there
		}
		r.volatile = true
		s.live.recall(r)
	}
	return nil
}
