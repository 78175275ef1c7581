package embedded

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// keyFilter tells without a read that an event's key is not known, which is so for
// nearly every event: a Bloom filter of all keys, read from the table when the store
// is opened, and again, larger, when it has become too full. Until it is complete it
// knows nothing. Keys that are purged stay in it: they are asked of the table.
type keyFilter struct {
	ready   atomic.Pointer[keyBits] // nil: not complete
	filling atomic.Pointer[keyBits]
	again   chan struct{} // holds one: to be made larger

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// keyBits is one filter. Its size is a power of two.
type keyBits struct {
	bits []uint64
	n    atomic.Int64 // keys added
}

const (
	minKeyBits = 1 << 22 // half a mebibyte
	maxKeyBits = 1 << 28
	perKey     = 12 // bits; one key in a hundred is asked of the table for nothing
	keyHashes  = 4
	// keyPage is how many keys are read at once.
	keyPage = 2000
)

func newKeyBits(keys int64) *keyBits {
	size := minKeyBits
	for int64(size) < keys*perKey*2 && size < maxKeyBits {
		size *= 2
	}
	return &keyBits{bits: make([]uint64, size/64)}
}

// places are those of a key, which is a hash already.
func (k *keyBits) places(key *uidKey) [keyHashes]uint64 {
	a, b := binary.LittleEndian.Uint64(key[:8]), binary.LittleEndian.Uint64(key[8:])|1
	var at [keyHashes]uint64
	for i := range at {
		at[i] = (a + uint64(i)*b) & uint64(len(k.bits)*64-1)
	}
	return at
}

func (k *keyBits) add(key *uidKey) {
	for _, at := range k.places(key) {
		atomic.OrUint64(&k.bits[at/64], 1<<(at%64))
	}
	k.n.Add(1)
}

func (k *keyBits) full() bool {
	return k.n.Load()*perKey > int64(len(k.bits))*64 && len(k.bits)*64 < maxKeyBits
}

// absent says that a key is certainly not known.
func (f *keyFilter) absent(key *uidKey) bool {
	k := f.ready.Load()
	if k == nil {
		return false
	}
	for _, at := range k.places(key) {
		if atomic.LoadUint64(&k.bits[at/64])&(1<<(at%64)) == 0 {
			return true
		}
	}
	return false
}

// add is told the keys of a commit, before it is answered.
func (f *keyFilter) add(events []*eventRow) {
	if len(events) == 0 {
		return
	}
	for _, k := range []*keyBits{f.ready.Load(), f.filling.Load()} {
		if k == nil {
			continue
		}
		for _, e := range events {
			k.add(&e.key)
		}
	}
	if k := f.ready.Load(); k != nil && k.full() && f.filling.Load() == nil {
		select {
		case f.again <- struct{}{}:
		default:
		}
	}
}

// start fills the filter beside everything else, until stopped.
func (f *keyFilter) start(s *Store) {
	ctx, stop := context.WithCancel(context.Background())
	f.stop, f.again = stop, make(chan struct{}, 1)
	f.wg.Go(func() {
		for {
			if err := f.fill(ctx, s); err != nil && ctx.Err() == nil {
				s.log.Warn("keys not read; each event's is looked for in the store", "err", err)
			}
			select {
			case <-f.again:
			case <-ctx.Done():
				return
			}
		}
	})
}

// fill reads all keys. Those of commits that are kept from now on are added by the
// writer; those of earlier ones are in the table once all is settled.
func (f *keyFilter) fill(ctx context.Context, s *Store) error {
	k := newKeyBits(s.w.shown.Load().keys)
	f.filling.Store(k)
	defer f.filling.Store(nil)
	if err := s.settled(ctx); err != nil {
		return err
	}
	after := []byte{}
	for {
		keys, err := readKeys(ctx, s.read, after)
		if err != nil {
			return fmt.Errorf("read keys: %w", sqlError(err))
		}
		for i := range keys {
			k.add(&keys[i])
		}
		if len(keys) < keyPage {
			f.ready.Store(k)
			return nil
		}
		after = keys[len(keys)-1][:]
	}
}

func readKeys(ctx context.Context, db *sql.DB, after []byte) ([]uidKey, error) {
	rows, err := db.QueryContext(ctx, "SELECT hash FROM keys WHERE hash>? ORDER BY hash LIMIT ?", after, keyPage)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // its Err is returned
	keys := make([]uidKey, 0, keyPage)
	for rows.Next() {
		var raw sql.RawBytes
		if err := rows.Scan(&raw); err != nil {
			return nil, err
		}
		var key uidKey
		copy(key[:], raw)
		keys = append(keys, key)
	}
	return keys, rows.Err()
}

func (f *keyFilter) close() {
	if f.stop != nil {
		f.stop()
		f.wg.Wait()
	}
}
