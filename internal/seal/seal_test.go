package seal_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/seal"
)

func newRing(t testing.TB) *seal.Ring {
	t.Helper()
	k, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := seal.NewRing(k)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealedTextsOpen(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	for _, plain := range []string{"", "hunter2", "秘密", strings.Repeat("long ", 10_000)} {
		a, err := r.Seal(rand.Reader, plain)
		if err != nil {
			t.Fatalf("Seal: %v", err)
		}
		b, err := r.Seal(rand.Reader, plain)
		if err != nil || a == b || !seal.IsSealed(a) || plain != "" && strings.Contains(a, plain) {
			t.Errorf("sealing twice gave %q and %q, error %v; want two that show nothing", a, b, err)
		}
		if got, err := r.Open(a); err != nil || got != plain {
			t.Errorf("Open gave %q, error %v; want %q", got, err, plain)
		}
	}
}

func TestOnlyWhatWasSealedOpens(t *testing.T) {
	t.Parallel()
	r, other := newRing(t), newRing(t)
	good, err := r.Seal(rand.Reader, "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Seal(rand.Reader, "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	renamed := strings.Replace(foreign, other.IDs()[0], r.IDs()[0], 1)
	for _, bad := range []string{"", "hunter2", "hayate:v1:", "hayate:v1::", good[:len(good)-4], good + "AAAA", good[:len(good)-3] + "_-_", foreign, renamed, "hayate:v2" + good[9:]} {
		if got, err := r.Open(bad); !errors.Is(err, seal.ErrInvalid) || got != "" {
			t.Errorf("Open of %q gave %q, error %v; want invalid", bad, got, err)
		}
	}
}

func TestRotatedRingOpensOldTexts(t *testing.T) {
	t.Parallel()
	r := newRing(t)
	old, err := r.Seal(rand.Reader, "old")
	if err != nil {
		t.Fatal(err)
	}
	k, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := r.Rotated(k)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(next)
	if err != nil {
		t.Fatal(err)
	}
	if next, err = seal.ParseRing(b); err != nil {
		t.Fatalf("ParseRing: %v", err)
	}
	if got, err := next.Open(old); err != nil || got != "old" {
		t.Errorf("Open gave %q, error %v; want the old text", got, err)
	}
	fresh, err := next.Seal(rand.Reader, "new")
	if err != nil || !strings.HasPrefix(fresh, "hayate:v1:"+k.ID+":") {
		t.Errorf("sealed as %q, error %v; want with key %s", fresh, err, k.ID)
	}
	if _, err := r.Open(fresh); !errors.Is(err, seal.ErrInvalid) || !strings.Contains(err.Error(), k.ID) {
		t.Errorf("the old ring gives %v, want that it does not know key %s", err, k.ID)
	}
	if _, err := next.Rotated(k); !errors.Is(err, seal.ErrInvalid) {
		t.Errorf("the same key twice gives %v, want invalid", err)
	}
}

func TestRingsThatAreNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{``, `{}`, `{"keys":[]}`, `{"keys":[{"id":"a","key":"AAAA"}]}`, `{"keys":[{"id":"a","key":"!!"}]}`, `[1]`, `{"keys":[{"key":"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"}]}`} {
		if _, err := seal.ParseRing([]byte(bad)); !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("ParseRing of %q gives %v, want invalid", bad, err)
		}
	}
}

// The vector was made by StackStorm's own code: keys of the bytes 00…1f and
// 20…3f, IV 00…0f.
const (
	st2Key = `{"hmacKey": {"hmacKeyString": "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8", "size": 256},
		"aesKeyString": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "mode": "CBC", "size": 256}`
	st2Hello = "3030303030000102030405060708090A0B0C0D0E0F7FD12DAFB7E9599D0B849AD8C2E3C21F12DAA8974717A5389F02DCCFAD0EEC0290FF626C"
)

func TestStackStormVector(t *testing.T) {
	t.Parallel()
	k, err := seal.ParseSymmetricKey([]byte(st2Key))
	if err != nil {
		t.Fatalf("ParseSymmetricKey: %v", err)
	}
	if got, err := k.Decrypt(st2Hello); err != nil || got != "hello" {
		t.Errorf("Decrypt gave %q, error %v; want hello", got, err)
	}
	iv := make([]byte, 16)
	for i := range iv {
		iv[i] = byte(i)
	}
	if got, err := k.Encrypt(bytes.NewReader(iv), "hello"); err != nil || got != st2Hello {
		t.Errorf("Encrypt gave %s, error %v; want %s", got, err, st2Hello)
	}
	for _, plain := range []string{"", "0123456789abcdef", "秘密の値"} {
		sealed, err := k.Encrypt(rand.Reader, plain)
		if err != nil {
			t.Fatalf("Encrypt: %v", err)
		}
		if got, err := k.Decrypt(sealed); err != nil || got != plain {
			t.Errorf("Decrypt gave %q, error %v; want %q", got, err, plain)
		}
	}
	b, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	again, err := seal.ParseSymmetricKey(b)
	if err != nil || !bytes.Equal(again.AES, k.AES) || !bytes.Equal(again.HMAC, k.HMAC) {
		t.Errorf("the key read again differs, error %v", err)
	}
}

func TestStackStormRefusesDamage(t *testing.T) {
	t.Parallel()
	k, err := seal.ParseSymmetricKey([]byte(st2Key))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(st2Hello) / 2 {
		bad := st2Hello[:2*i] + "EE" + st2Hello[2*i+2:]
		if _, err := k.Decrypt(bad); !errors.Is(err, seal.ErrInvalid) {
			t.Fatalf("byte %d changed gives %v, want invalid", i, err)
		}
	}
	for _, bad := range []string{"", "zz", "30", st2Hello[:len(st2Hello)-2], st2Hello + "00"} {
		if _, err := k.Decrypt(bad); !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("Decrypt of %q gives %v, want invalid", bad, err)
		}
	}
	for _, bad := range []string{``, `{}`, strings.Replace(st2Key, "CBC", "GCM", 1), strings.Replace(st2Key, "AAECAwQF", "AAEC", 1), strings.Replace(st2Key, `"mode": "CBC", "size": 256`, `"mode": "CBC", "size": 128`, 1)} {
		if _, err := seal.ParseSymmetricKey([]byte(bad)); !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("ParseSymmetricKey of %q gives %v, want invalid", bad, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := newRing(f)
	k, err := seal.ParseSymmetricKey([]byte(st2Key))
	if err != nil {
		f.Fatal(err)
	}
	good, err := r.Seal(rand.Reader, "x")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(st2Hello)
	f.Add(st2Key)
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := r.Open(s); err != nil && !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("Open: %v", err)
		}
		if _, err := k.Decrypt(s); err != nil && !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("Decrypt: %v", err)
		}
		if _, err := seal.ParseSymmetricKey([]byte(s)); err != nil && !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("ParseSymmetricKey: %v", err)
		}
		if _, err := seal.ParseRing([]byte(s)); err != nil && !errors.Is(err, seal.ErrInvalid) {
			t.Errorf("ParseRing: %v", err)
		}
	})
}

func ExampleSymmetricKey_Decrypt() {
	k, err := seal.ParseSymmetricKey([]byte(st2Key))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(k.Decrypt(st2Hello))
	// Output: hello <nil>
}
