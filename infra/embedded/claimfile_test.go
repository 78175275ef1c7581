package embedded

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

func claimOf(n int) claimNote {
	at := time.Date(2026, 1, 1, 0, 0, n, 0, time.UTC)
	return claimNote{
		Claim:   router.Claim{Execution: hayate.RuleExecutionID(at, "/test e", "p.r", n), Worker: "w", At: at, Until: at.Add(time.Minute)},
		version: int64(2*n + 1), attempt: n + 1,
	}
}

func openClaims(t *testing.T, dir string) (*claimFile, map[hayate.ExecutionID]claimNote) {
	t.Helper()
	var c claimFile
	notes, err := c.open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() }) // closed by the test, or only read
	m := map[hayate.ExecutionID]claimNote{}
	for _, n := range notes {
		m[n.Execution] = n
	}
	return &c, m
}

func TestClaimsAreReadAsTheyWereNotedAndSlotsAreUsedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, _ := openClaims(t, dir)
	const held, all = 20, 5000
	for n := range all {
		isHeld := func(id hayate.ExecutionID) bool {
			for m := max(0, n-held); m < n; m++ {
				if claimOf(m).Execution == id {
					return true
				}
			}
			return false
		}
		if _, err := c.note(claimOf(n), isHeld); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if size := fileSize(filepath.Join(dir, claimsFile)); size > 4*claimSlots*claimSlot {
		t.Errorf("the file has %d bytes after %d claims of which %d were held at once", size, all, held)
	}
	_, got := openClaims(t, dir)
	for n := all - held; n < all; n++ {
		if want := claimOf(n); got[want.Execution] != want {
			t.Errorf("claim %d is read as %+v, want %+v", n, got[want.Execution], want)
		}
	}
}

func TestGarbledClaimIsSkippedAndTheOthersAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, _ := openClaims(t, dir)
	for n := range 3 {
		if _, err := c.note(claimOf(n), func(hayate.ExecutionID) bool { return true }); err != nil {
			t.Fatal(err)
		}
	}
	at := c.slots[claimOf(1).Execution]
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, claimsFile)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at*claimSlot+claimHead+3] ^= 1
	b = append(b, 7, 7, 7) // torn
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	_, got := openClaims(t, dir)
	if _, there := got[claimOf(1).Execution]; there || len(got) != 2 {
		t.Errorf("read %d claims, the garbled one among them: %t; want the two others", len(got), there)
	}
}

func FuzzReadClaim(f *testing.F) {
	f.Add(appendClaim(nil, claimOf(0)))
	f.Add(make([]byte, claimSlot))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := readClaim(b)
		if !ok {
			return
		}
		again, ok := readClaim(appendClaim(nil, n))
		if !ok || again != n {
			t.Errorf("%+v is read as %+v (%t) from %x", n, again, ok, bytes.TrimRight(b, "\x00"))
		}
	})
}
