package embedded

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
)

// seen tells without a read that an identifier is new, in nearly all cases: it
// carries the second in which its root came to be, so one of a later second than
// any in the tables when the store was opened is there only if this process put
// it there, and those are in a Bloom filter. Only the writer uses it.
type seen struct {
	// since is the newest second of which the tables have identifiers that are not
	// in the filter.
	since  uint32
	newest uint32 // second of all added
	n      int    // added
	bits   []uint64
	seed   maphash.Seed
}

const (
	// seenBits is the size of the filter: 1.25 MiB. With seenMost identifiers one
	// question in a hundred is answered by a read for nothing; then it begins anew.
	seenBits = 10 << 20
	seenMost = 1 << 20
	seenKeys = 4
)

// second is what an identifier carries; ok is false where it is none of the usual form.
func second(id []byte) (uint32, bool) {
	if len(id) != 12 {
		return 0, false
	}
	return binary.BigEndian.Uint32(id), true
}

// begin reads the newest identifiers in the tables.
func (f *seen) begin(db *sql.DB) error {
	f.seed = maphash.MakeSeed()
	for _, table := range []string{"executions", "runs"} {
		// Identifiers of another form than the usual begin with 0xff.
		var newest []byte
		err := db.QueryRow("SELECT id FROM " + table + " WHERE id<x'ff' ORDER BY id DESC LIMIT 1").Scan(&newest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the newest of %s: %w", table, sqlError(err))
		}
		at, _ := second(newest)
		f.since = max(f.since, at)
	}
	f.newest = f.since
	return nil
}

// isNew says that an identifier of a kind is certainly not there.
func (f *seen) isNew(kind byte, id []byte) bool {
	at, ok := second(id)
	if !ok || at <= f.since {
		return false
	}
	if f.bits == nil {
		return true
	}
	a, b := f.hash(kind, id)
	for i := range uint64(seenKeys) {
		if k := (a + i*b) % seenBits; f.bits[k/64]&(1<<(k%64)) == 0 {
			return true
		}
	}
	return false
}

// add notes an identifier that is about to be there.
func (f *seen) add(kind byte, id []byte) {
	at, ok := second(id)
	if !ok || at <= f.since {
		return
	}
	f.newest = max(f.newest, at)
	if f.n++; f.n > seenMost {
		// All that were added are of this second at the latest.
		f.since, f.n, f.bits = f.newest, 0, nil
		return
	}
	if f.bits == nil {
		f.bits = make([]uint64, seenBits/64)
	}
	a, b := f.hash(kind, id)
	for i := range uint64(seenKeys) {
		k := (a + i*b) % seenBits
		f.bits[k/64] |= 1 << (k % 64)
	}
}

func (f *seen) hash(kind byte, id []byte) (a, b uint64) {
	h := maphash.Bytes(f.seed, id) + uint64(kind)*0x9e3779b97f4a7c15
	return h, h>>33 | 1
}

// The kinds of identifiers.
const (
	seenExecution byte = iota
	seenRun
)
