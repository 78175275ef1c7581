// Package seal encrypts texts with keys from a ring: AES-256-GCM under a key
// that is derived for each text, so that any number of texts may be sealed with
// one key. It also reads and writes StackStorm's format of encrypted datastore
// values (stackstorm.go). It keeps no files and knows no randomness: both come
// from the caller.
package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrInvalid says that a text or a key is not what it should be.
var ErrInvalid = errors.New("invalid")

// prefix begins every sealed text: hayate:v1:<key id>:<base64url of salt and box>.
const prefix = "hayate:v1:"

const (
	keySize  = 32
	saltSize = 24
)

// Key is a secret key and the name by which sealed texts refer to it.
type Key struct {
	ID     string
	Secret []byte // 32 bytes
}

// NewKey makes a key of random bytes. Its id is derived from it.
func NewKey(random io.Reader) (Key, error) {
	secret := make([]byte, keySize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	sum := sha256.Sum256(append([]byte("hayate key id"), secret...))
	return Key{hex.EncodeToString(sum[:6]), secret}, nil
}

// Ring is a list of keys: the first seals, all open. It is immutable.
type Ring struct {
	keys []Key
}

// NewRing returns a ring of at least one key.
func NewRing(keys ...Key) (*Ring, error) {
	if len(keys) == 0 {
		return nil, fmt.Errorf("a ring without a key: %w", ErrInvalid)
	}
	seen := map[string]bool{}
	for i, k := range keys {
		switch {
		case k.ID == "" || strings.Contains(k.ID, ":"):
			return nil, fmt.Errorf("key %d: the id %q is not one: %w", i+1, k.ID, ErrInvalid)
		case len(k.Secret) != keySize:
			return nil, fmt.Errorf("key %s has %d bytes, want %d: %w", k.ID, len(k.Secret), keySize, ErrInvalid)
		case seen[k.ID]:
			return nil, fmt.Errorf("key %s is there twice: %w", k.ID, ErrInvalid)
		}
		seen[k.ID] = true
	}
	return &Ring{append([]Key(nil), keys...)}, nil
}

// Rotated returns a ring that seals with a new key and still opens with the old ones.
func (r *Ring) Rotated(k Key) (*Ring, error) {
	return NewRing(append([]Key{k}, r.keys...)...)
}

// IDs are the ids of the keys, the sealing one first.
func (r *Ring) IDs() []string {
	ids := make([]string, len(r.keys))
	for i, k := range r.keys {
		ids[i] = k.ID
	}
	return ids
}

// IsSealed says whether a text looks like one that Seal gave.
func IsSealed(text string) bool { return strings.HasPrefix(text, prefix) }

// Seal encrypts a text. With good randomness two calls give different results.
func (r *Ring) Seal(random io.Reader, plain string) (string, error) {
	k := r.keys[0]
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	head := prefix + k.ID + ":"
	box, nonce, err := k.box(salt)
	if err != nil {
		return "", fmt.Errorf("seal: %w", err)
	}
	return head + base64.RawURLEncoding.EncodeToString(box.Seal(salt, nonce, []byte(plain), []byte(head))), nil
}

// box returns the cipher and nonce for one text.
func (k Key) box(salt []byte) (cipher.AEAD, []byte, error) {
	derived, err := hkdf.Key(sha256.New, k.Secret, salt, "hayate seal v1", keySize+12)
	if err != nil {
		return nil, nil, err
	}
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		return nil, nil, err
	}
	gcm, err := cipher.NewGCM(block)
	return gcm, derived[keySize:], err
}

// Open decrypts what Seal gave, or returns ErrInvalid.
func (r *Ring) Open(sealed string) (string, error) {
	rest, ok := strings.CutPrefix(sealed, prefix)
	id, text, found := strings.Cut(rest, ":")
	if !ok || !found {
		return "", fmt.Errorf("open: the text is not sealed: %w", ErrInvalid)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) < saltSize {
		return "", fmt.Errorf("open: the sealed text is damaged: %w", ErrInvalid)
	}
	for _, k := range r.keys {
		if k.ID != id {
			continue
		}
		box, nonce, err := k.box(raw[:saltSize])
		if err != nil {
			return "", fmt.Errorf("open: %w", err)
		}
		plain, err := box.Open(nil, nonce, raw[saltSize:], []byte(prefix+id+":"))
		if err != nil {
			return "", fmt.Errorf("open: the sealed text is damaged or was sealed with another key %s: %w", id, ErrInvalid)
		}
		return string(plain), nil
	}
	return "", fmt.Errorf("open: the key %s is not known: %w", id, ErrInvalid)
}

type ringJSON struct {
	Keys []keyJSON `json:"keys"`
}

type keyJSON struct {
	ID  string `json:"id"`
	Key string `json:"key"` // base64url
}

// MarshalJSON writes the ring as a key file holds it.
func (r *Ring) MarshalJSON() ([]byte, error) {
	var out ringJSON
	for _, k := range r.keys {
		out.Keys = append(out.Keys, keyJSON{k.ID, base64.RawURLEncoding.EncodeToString(k.Secret)})
	}
	return json.Marshal(out)
}

// ParseRing reads what MarshalJSON wrote, or returns ErrInvalid.
func ParseRing(b []byte) (*Ring, error) {
	var in ringJSON
	if err := json.Unmarshal(b, &in); err != nil {
		// The cause could quote a part of a key.
		return nil, fmt.Errorf("it is not a list of keys in JSON: %w", ErrInvalid)
	}
	keys := make([]Key, len(in.Keys))
	for i, k := range in.Keys {
		secret, err := base64.RawURLEncoding.DecodeString(k.Key)
		if err != nil {
			return nil, fmt.Errorf("key %d is not base64url: %w", i+1, ErrInvalid)
		}
		keys[i] = Key{k.ID, secret}
	}
	return NewRing(keys...)
}
