package routertest

import (
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// TestSecrets tests what seals secrets.
func TestSecrets(t *testing.T, open func(t *testing.T) router.Secrets) {
	t.Run("opens what it sealed", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		for _, plain := range []string{"", "hunter2", "秘密\n", strings.Repeat("long ", 20_000)} {
			sealed, err := s.Seal(plain)
			if err != nil {
				t.Fatalf("Seal: %v", err)
			}
			if plain != "" && strings.Contains(sealed, plain) {
				t.Errorf("the sealed text shows %q", plain)
			}
			if got, err := s.Open(sealed); err != nil || got != plain {
				t.Errorf("Open gave %q, error %v; want %q", got, err, plain)
			}
		}
	})
	t.Run("seals differently each time", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		a, err := s.Seal("hunter2")
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		if b, err := s.Seal("hunter2"); err != nil || a == b {
			t.Errorf("sealed twice as %q, error %v", b, err)
		}
	})
	t.Run("refuses everything else", func(t *testing.T) {
		t.Parallel()
		s := open(t)
		good, err := s.Seal("hunter2")
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		for _, bad := range []string{"", "hunter2", good[1:], good[:len(good)-5], good + "AAAA"} {
			_, err := s.Open(bad)
			wantKind(t, "Open of "+bad, err, hayate.ErrInvalid)
		}
	})
}
