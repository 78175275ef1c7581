package embedded

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

func TestKeyFilterKnowsWhatIsInTheTable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() // twice is fine
	none := func(context.Context, *hayate.Event) (router.Decision, error) { return router.Decision{}, nil }
	e := func(n int) hayate.Event {
		return hayate.Event{ID: fmt.Sprint(n), Source: "/s", Type: "t", AcceptedAt: time.Unix(int64(n), 0)}
	}
	for n := range 50 {
		if _, err := s.Accept(t.Context(), e(n), none); err != nil {
			t.Fatal(err)
		}
	}
	// A filter that is filled while events come in.
	f := &s.filter
	if err := f.fill(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for n := 50; n < 60; n++ {
		if _, err := s.Accept(t.Context(), e(n), none); err != nil {
			t.Fatal(err)
		}
	}
	for n := range 60 {
		ev := e(n)
		key := uidHash(ev.UID())
		if f.absent(&key) {
			t.Errorf("the key of event %d is taken for unknown", n)
		}
	}
	wrong := 0
	for n := 1000; n < 2000; n++ {
		ev := e(n)
		key := uidHash(ev.UID())
		if !f.absent(&key) {
			wrong++
		}
	}
	if wrong > 20 {
		t.Errorf("%d of 1000 keys that are not there are not told to be absent", wrong)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(Config{Dir: dir}); err != nil {
		t.Fatal(err)
	}
	defer s.Close() // nothing is written any more
	for n := range 60 {
		if rc, err := s.Accept(t.Context(), e(n), none); err != nil || !rc.Duplicate {
			t.Errorf("event %d is accepted again, error %v", n, err)
		}
	}
}

func TestKeyFilterGrows(t *testing.T) {
	t.Parallel()
	k := newKeyBits(0)
	f := &keyFilter{again: make(chan struct{}, 1)}
	f.ready.Store(k)
	for n := range minKeyBits/perKey + 2 {
		sum := sha256.Sum256([]byte(fmt.Sprint(n)))
		f.add([]*eventRow{{key: uidKey(sum[:16])}})
	}
	select {
	case <-f.again:
	default:
		t.Error("a full filter does not ask for a larger one")
	}
	if larger := newKeyBits(k.n.Load()); len(larger.bits) <= len(k.bits) {
		t.Errorf("the next filter has %d words, this one %d", len(larger.bits), len(k.bits))
	}
}
