package remote

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

func TestAGrantIsReadByWhoAskedOnly(t *testing.T) {
	t.Parallel()
	mine, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := sealFor(mine.PublicKey().Bytes(), []byte("s3cret"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("s3cret")) {
		t.Error("the grant shows the secret")
	}
	if plain, err := openWith(mine, sealed); err != nil || string(plain) != "s3cret" {
		t.Errorf("who asked reads %q, %v", plain, err)
	}
	if _, err := openWith(other, sealed); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("another reads it: %v", err)
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := openWith(mine, sealed); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("a changed grant is read: %v", err)
	}
	if _, err := sealFor([]byte("short"), nil); !errors.Is(err, hayate.ErrInvalid) {
		t.Errorf("a key that is none seals: %v", err)
	}
}

func TestRefusalsKeepTheirKindOnTheWay(t *testing.T) {
	t.Parallel()
	for _, kind := range []error{hayate.ErrConflict, hayate.ErrNotFound, hayate.ErrInvalid, hayate.ErrDenied, hayate.ErrTooLarge} {
		a := refuse("1", kind)
		if !errors.Is(a.Err(), kind) || !a.Final() {
			t.Errorf("%v arrives as %v, final %t", kind, a.Err(), a.Final())
		}
	}
	if a := refuse("1", errors.New("the store is away")); !errors.Is(a.Err(), hayate.ErrBusy) || a.Final() {
		t.Errorf("an unknown outcome arrives as %v, final %t", a.Err(), a.Final())
	}
	var later *router.LaterError
	if a := refuse("1", &router.LaterError{After: time.Minute}); !errors.As(a.Err(), &later) || later.After != time.Minute || !a.Final() {
		t.Errorf("what a policy holds arrives as %v", a.Err())
	}
	if a := (Reply{}); a.Err() != nil || !a.Final() {
		t.Errorf("an answer is the error %v", a.Err())
	}
}

func FuzzReadRequest(f *testing.F) {
	f.Add([]byte(`{"kind":"claim","id":"1","worker":"w","token":"t","execution":"65f0c1a0b1c2d3e4f5a6b7c8","key":"AAAA"}`))
	f.Add([]byte(`{"kind":"complete","worker":"w","result":{"Status":"succeeded","Value":{}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		q, err := ReadRequest(body)
		if err == nil && (q.Kind == "" || q.Worker == "") {
			t.Errorf("%q is read as %+v", body, q)
		}
		if err != nil && !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%q: %v is not of kind invalid", body, err)
		}
	})
}
