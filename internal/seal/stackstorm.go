package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The parts of StackStorm's format: upper-case hexadecimal digits of a header
// that is not read, an IV, AES-CBC with PKCS #5 padding, and HMAC-SHA1 over all
// before it (StackStorm, st2common.util.crypto).
const (
	st2Header     = "00000"
	st2HeaderSize = len(st2Header)
	st2MACSize    = sha1.Size
)

// SymmetricKey is StackStorm's datastore key.
type SymmetricKey struct {
	AES, HMAC []byte
}

type symmetricKeyJSON struct {
	HMACKey struct {
		String string `json:"hmacKeyString"`
		Size   int    `json:"size"`
	} `json:"hmacKey"`
	AES  string `json:"aesKeyString"`
	Mode string `json:"mode"`
	Size int    `json:"size"`
}

// ParseSymmetricKey reads StackStorm's key file, as
// st2-generate-symmetric-crypto-key writes it, or returns ErrInvalid.
func ParseSymmetricKey(b []byte) (*SymmetricKey, error) {
	var in symmetricKeyJSON
	if err := json.Unmarshal(b, &in); err != nil {
		// The cause could quote a part of the key.
		return nil, fmt.Errorf("it is not a StackStorm key in JSON: %w", ErrInvalid)
	}
	if in.Mode != "CBC" {
		return nil, fmt.Errorf("mode is %q, want \"CBC\": %w", in.Mode, ErrInvalid)
	}
	aesKey, err := decodeKey("aesKeyString", in.AES)
	if err != nil {
		return nil, err
	}
	hmacKey, err := decodeKey("hmacKey.hmacKeyString", in.HMACKey.String)
	if err != nil {
		return nil, err
	}
	k := &SymmetricKey{aesKey, hmacKey}
	if in.Size != 0 && in.Size != 8*len(k.AES) {
		return nil, fmt.Errorf("aesKeyString has %d bits, size says %d: %w", 8*len(k.AES), in.Size, ErrInvalid)
	}
	switch len(k.AES) {
	case 16, 24, 32:
	default:
		return nil, fmt.Errorf("aesKeyString has %d bits, want 128, 192 or 256: %w", 8*len(k.AES), ErrInvalid)
	}
	if len(k.HMAC) < 16 {
		return nil, fmt.Errorf("hmacKeyString has %d bits, want at least 128: %w", 8*len(k.HMAC), ErrInvalid)
	}
	return k, nil
}

func decodeKey(name, s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return nil, fmt.Errorf("%s is not base64url: %w", name, ErrInvalid)
	}
	return b, nil
}

// MarshalJSON writes the key as StackStorm's key file has it.
func (k *SymmetricKey) MarshalJSON() ([]byte, error) {
	out := symmetricKeyJSON{AES: base64.RawURLEncoding.EncodeToString(k.AES), Mode: "CBC", Size: 8 * len(k.AES)}
	out.HMACKey.String = base64.RawURLEncoding.EncodeToString(k.HMAC)
	out.HMACKey.Size = 8 * len(k.HMAC)
	return json.Marshal(out)
}

// Encrypt gives a text in StackStorm's format.
func (k *SymmetricKey) Encrypt(random io.Reader, plain string) (string, error) {
	block, err := aes.NewCipher(k.AES)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	out := make([]byte, st2HeaderSize+aes.BlockSize, st2HeaderSize+2*aes.BlockSize+len(plain)+st2MACSize)
	copy(out, st2Header)
	iv := out[st2HeaderSize:]
	if _, err := io.ReadFull(random, iv); err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	text := append([]byte(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	out = append(out, text...)
	out = append(out, k.mac(out)...)
	return strings.ToUpper(hex.EncodeToString(out)), nil
}

func (k *SymmetricKey) mac(b []byte) []byte {
	h := hmac.New(sha1.New, k.HMAC)
	h.Write(b)
	return h.Sum(nil)
}

// Decrypt reads a text in StackStorm's format, or returns ErrInvalid.
func (k *SymmetricKey) Decrypt(sealed string) (string, error) {
	raw, err := hex.DecodeString(sealed)
	if err != nil {
		return "", fmt.Errorf("decrypt: the text is not hexadecimal: %w", ErrInvalid)
	}
	body := len(raw) - st2HeaderSize - aes.BlockSize - st2MACSize
	if body < aes.BlockSize || body%aes.BlockSize != 0 {
		return "", fmt.Errorf("decrypt: the text has a length that no encrypted one has: %w", ErrInvalid)
	}
	signed, mac := raw[:len(raw)-st2MACSize], raw[len(raw)-st2MACSize:]
	if !hmac.Equal(mac, k.mac(signed)) {
		return "", fmt.Errorf("decrypt: the signature does not match: another key, or damage: %w", ErrInvalid)
	}
	block, err := aes.NewCipher(k.AES)
	if err != nil {
		return "", fmt.Errorf("decrypt: %w", err)
	}
	iv, text := signed[st2HeaderSize:][:aes.BlockSize], signed[st2HeaderSize+aes.BlockSize:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad == 0 || pad > aes.BlockSize || !bytes.Equal(text[len(text)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) || !utf8.Valid(text[:len(text)-pad]) {
		return "", fmt.Errorf("decrypt: the text is signed but not one of ours: %w", ErrInvalid)
	}
	return string(text[:len(text)-pad]), nil
}
