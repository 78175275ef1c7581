package router

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
)

// registryToken is the kind under which access tokens are registered. The
// reference is the SHA-256 of the token; the token itself is not stored.
const registryToken = "token"

// Token is an access token of the API.
type Token struct {
	ID      string    `json:"id"` // the first 16 digits of its hash, to name it by
	User    string    `json:"user"`
	Note    string    `json:"note,omitempty"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
}

// CreateToken makes a token for a user and returns it in clear, this once.
func (r *Router) CreateToken(ctx context.Context, user, note string, ttl time.Duration) (string, Token, error) {
	return CreateToken(ctx, r.registry, r.now(), user, note, ttl)
}

// CreateToken is Router.CreateToken for a registry that no router serves: the
// first token of a server that is not started yet.
func CreateToken(ctx context.Context, registry Registry, now time.Time, user, note string, ttl time.Duration) (string, Token, error) {
	if user == "" {
		return "", Token{}, fmt.Errorf("create token: the user is empty: %w", hayate.ErrInvalid)
	}
	secret := "hyt_" + randomHex(24)
	hash := tokenHash(secret)
	t := Token{ID: hash[:16], User: user, Note: note, Created: now}
	if ttl > 0 {
		t.Expires = t.Created.Add(ttl)
	}
	body, err := json.Marshal(t)
	if err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	if _, err := registry.Put(ctx, Document{DocumentKey: DocumentKey{Kind: registryToken, Ref: hash}, Body: body}); err != nil {
		return "", Token{}, fmt.Errorf("create token: %w", err)
	}
	return secret, t, nil
}

func tokenHash(secret string) string {
	sum := sha256.Sum256([]byte("hayate token " + secret))
	return hex.EncodeToString(sum[:])
}

// Tokens lists the tokens, by time of creation.
func (r *Router) Tokens(ctx context.Context) ([]Token, error) {
	docs, _, err := r.registry.List(ctx, registryToken, 0)
	if err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	ts := make([]Token, 0, len(docs))
	for _, d := range docs {
		var t Token
		if err := json.Unmarshal(d.Body, &t); err != nil {
			return nil, fmt.Errorf("read token %.16s: %w", d.Ref, err)
		}
		ts = append(ts, t)
	}
	return ts, nil
}

// DeleteToken revokes a token by its ID: ErrNotFound where there is none.
func (r *Router) DeleteToken(ctx context.Context, id string) error {
	docs, _, err := r.registry.List(ctx, registryToken, 0)
	if err != nil {
		return fmt.Errorf("delete token %s: %w", id, err)
	}
	for _, d := range docs {
		if len(d.Ref) >= 16 && d.Ref[:16] == id {
			_, err := r.registry.Delete(ctx, d.DocumentKey)
			return err
		}
	}
	return fmt.Errorf("token %s: %w", id, hayate.ErrNotFound)
}

// CheckToken returns the user of a token: ErrDenied for one that is unknown or
// has expired.
func (r *Router) CheckToken(ctx context.Context, secret string) (string, error) {
	hash := tokenHash(secret)
	docs, _, err := r.registry.List(ctx, registryToken, 0)
	if err != nil {
		return "", fmt.Errorf("check token: %w", err)
	}
	for _, d := range docs {
		if d.Ref != hash {
			continue
		}
		var t Token
		if err := json.Unmarshal(d.Body, &t); err != nil {
			return "", fmt.Errorf("check token: %w", err)
		}
		if !t.Expires.IsZero() && !r.now().Before(t.Expires) {
			return "", fmt.Errorf("the token expired at %s: %w", t.Expires.Format(time.RFC3339), hayate.ErrDenied)
		}
		return t.User, nil
	}
	return "", fmt.Errorf("the token is unknown or was revoked: %w", hayate.ErrDenied)
}

// AdmitToken registers a token that was made elsewhere and is given to this
// process as a setting, in place of the one that was admitted under the same note
// before. Admitted already, it costs one read.
func (r *Router) AdmitToken(ctx context.Context, secret, user, note string) error {
	const shortest = 16
	if len(secret) < shortest || user == "" || note == "" {
		return fmt.Errorf("admit token: it needs a user, a note and at least %d characters: %w", shortest, hayate.ErrInvalid)
	}
	hash := tokenHash(secret)
	docs, _, err := r.registry.List(ctx, registryToken, 0)
	if err != nil {
		return fmt.Errorf("admit token: %w", err)
	}
	var old []DocumentKey
	for _, d := range docs {
		if d.Ref == hash {
			return nil
		}
		var t Token
		if json.Unmarshal(d.Body, &t) == nil && t.Note == note {
			old = append(old, d.DocumentKey)
		}
	}
	body, err := json.Marshal(Token{ID: hash[:16], User: user, Note: note, Created: r.now()})
	if err != nil {
		return fmt.Errorf("admit token: %w", err)
	}
	if _, err := r.registry.Put(ctx, Document{DocumentKey: DocumentKey{Kind: registryToken, Ref: hash}, Body: body}); err != nil {
		return fmt.Errorf("admit token: %w", err)
	}
	if _, err := r.registry.Delete(ctx, old...); err != nil {
		return fmt.Errorf("admit token: revoke the one before: %w", err)
	}
	return nil
}
