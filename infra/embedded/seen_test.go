package embedded

import (
	"encoding/binary"
	"path/filepath"
	"testing"
)

// TestSeenNeverForgets adds more identifiers than the filter holds.
func TestSeenNeverForgets(t *testing.T) {
	t.Parallel()
	s, err := Open(Config{Dir: filepath.Join(t.TempDir(), "store")})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // nothing was written
	f := &seen{}
	if err := f.begin(s.w.db); err != nil {
		t.Fatal(err)
	}
	id := func(second uint32, n uint64) []byte {
		b := binary.BigEndian.AppendUint32(nil, second)
		return binary.BigEndian.AppendUint64(b, n*0x9e3779b97f4a7c15)
	}
	if !f.isNew(seenExecution, id(1000, 1)) || f.isNew(seenExecution, []byte("other")) {
		t.Error("in an empty store an identifier of a second is new, and one without is not certainly so")
	}
	wrong := 0
	const n = seenMost + 1000
	for i := range uint64(n) {
		if i == seenMost/2 && !f.isNew(seenRun, id(1000+uint32(i/2000), i-1)) {
			t.Error("another kind's identifier is taken for this one's")
		}
		at := 1000 + uint32(i/2000)
		if !f.isNew(seenExecution, id(at, i)) {
			wrong++
		}
		f.add(seenExecution, id(at, i))
		if f.isNew(seenExecution, id(at, i)) {
			t.Fatalf("identifier %d was added and is new", i)
		}
	}
	for i := range uint64(n) {
		if f.isNew(seenExecution, id(1000+uint32(i/2000), i)) {
			t.Fatalf("identifier %d was added and is new", i)
		}
	}
	if wrong > n/50 {
		t.Errorf("%d of %d were not told to be new", wrong, n)
	}
	if !f.isNew(seenExecution, id(3000, 1)) {
		t.Error("begun anew, the filter knows what was never added")
	}
}
