package remote

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"fmt"

	"github.com/hayate-run/hayate"
)

// newKey makes a pair of keys for one claim.
func newKey() (*ecdh.PrivateKey, error) {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return k, nil
}

// sealFor encrypts a text so that only who has the private key of the public one
// can read it: an ephemeral key, its agreement hashed with both public keys,
// AES-256-GCM. The key is used once, so the nonce may be zero.
func sealFor(public, plain []byte) ([]byte, error) {
	to, err := ecdh.X25519().NewPublicKey(public)
	if err != nil {
		return nil, fmt.Errorf("the key of the claim: %v: %w", err, hayate.ErrInvalid)
	}
	own, err := newKey()
	if err != nil {
		return nil, err
	}
	box, err := agreed(own, to, own.PublicKey(), to)
	if err != nil {
		return nil, err
	}
	out := own.PublicKey().Bytes()
	return box.Seal(out, make([]byte, box.NonceSize()), plain, nil), nil
}

// openWith decrypts what sealFor made.
func openWith(own *ecdh.PrivateKey, sealed []byte) ([]byte, error) {
	n := len(own.PublicKey().Bytes())
	if len(sealed) < n {
		return nil, fmt.Errorf("the grant is too short: %w", hayate.ErrInvalid)
	}
	from, err := ecdh.X25519().NewPublicKey(sealed[:n])
	if err != nil {
		return nil, fmt.Errorf("the key of the grant: %v: %w", err, hayate.ErrInvalid)
	}
	box, err := agreed(own, from, from, own.PublicKey())
	if err != nil {
		return nil, err
	}
	plain, err := box.Open(nil, make([]byte, box.NonceSize()), sealed[n:], nil)
	if err != nil {
		return nil, fmt.Errorf("the grant is sealed for another claim: %w", hayate.ErrInvalid)
	}
	return plain, nil
}

// agreed is the cipher of two keys; sender and receiver are their public parts.
func agreed(own *ecdh.PrivateKey, other, sender, receiver *ecdh.PublicKey) (cipher.AEAD, error) {
	secret, err := own.ECDH(other)
	if err != nil {
		return nil, fmt.Errorf("agree on a key: %v: %w", err, hayate.ErrInvalid)
	}
	h := sha256.New()
	h.Write([]byte("hayate grant"))
	h.Write(secret)
	h.Write(sender.Bytes())
	h.Write(receiver.Bytes())
	block, err := aes.NewCipher(h.Sum(nil))
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
