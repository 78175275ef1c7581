// Package mask keeps secrets out of text: out of whole values, out of JSON, and
// out of streams that arrive in pieces.
package mask

import (
	"bytes"
	"encoding/json"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Text stands where a secret stood. It is StackStorm's.
const Text = "********"

// minLine is the length from which one line of a secret of several lines (a
// private key) counts as a secret itself.
const minLine = 8

// Masker replaces secrets by Text. It is immutable and may be used from many
// goroutines at once; a nil Masker replaces nothing.
type Masker struct {
	byFirst [256][]string // the texts that begin with a byte, longest first
	longest int
}

// New returns a Masker for the secrets and the forms they take inside JSON
// strings, or nil where there is nothing to mask. Empty secrets are ignored, as
// is white space around a secret.
func New(secrets []string) *Masker {
	texts := map[string]bool{}
	for _, s := range secrets {
		s = strings.TrimSpace(s)
		if s == "" {
			continue
		}
		addForms(texts, s)
		if strings.ContainsAny(s, "\r\n") {
			for line := range strings.Lines(s) {
				if line = strings.TrimSpace(line); len(line) >= minLine {
					addForms(texts, line)
				}
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	m := &Masker{}
	for t := range texts {
		m.byFirst[t[0]] = append(m.byFirst[t[0]], t)
		m.longest = max(m.longest, len(t))
	}
	for _, list := range m.byFirst {
		sort.Slice(list, func(i, j int) bool {
			if len(list[i]) != len(list[j]) {
				return len(list[i]) > len(list[j])
			}
			return list[i] < list[j]
		})
	}
	return m
}

// addForms adds a secret and what encoders of JSON make of it: with and without
// escaping HTML, solidus and everything beyond ASCII.
func addForms(texts map[string]bool, s string) {
	texts[s] = true
	plain := jsonForm(s, false)
	for _, f := range []string{plain, jsonForm(s, true), asciiForm(plain), strings.ReplaceAll(plain, "/", `\/`),
		strings.ReplaceAll(asciiForm(plain), "/", `\/`)} {
		texts[f] = true
	}
}

// jsonForm is s as it stands between the quotes of a JSON string.
func jsonForm(s string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if e.Encode(s) != nil { // a string always encodes
		return s
	}
	t := strings.TrimSuffix(b.String(), "\n")
	return t[1 : len(t)-1]
}

// asciiForm writes everything beyond ASCII as \uXXXX, as Python does.
func asciiForm(s string) string {
	var b strings.Builder
	hex4 := func(r rune) {
		h := strconv.FormatInt(int64(r), 16)
		b.WriteString(`\u`)
		b.WriteString("0000"[len(h):])
		b.WriteString(h)
	}
	for _, r := range s {
		switch {
		case r < utf8.RuneSelf:
			b.WriteRune(r)
		case r < 0x10000:
			hex4(r)
		default:
			r -= 0x10000
			hex4(0xd800 + r>>10)
			hex4(0xdc00 + r&0x3ff)
		}
	}
	return b.String()
}

// String returns s with every secret replaced. Secrets that overlap are replaced
// together.
func (m *Masker) String(s string) string {
	if m == nil || s == "" {
		return s
	}
	out := (&Stream{m: m}).feed(nil, []byte(s), true)
	if string(out) == s {
		return s
	}
	return string(out)
}

// JSON returns a JSON text with the secrets inside its strings (keys too)
// replaced, however they are escaped. What is not inside a string stays, so the
// result is JSON where raw was.
func (m *Masker) JSON(raw json.RawMessage) json.RawMessage {
	if m == nil {
		return raw
	}
	var out []byte
	from := 0 // raw[:from] is in out
	for i := 0; i < len(raw); i++ {
		if raw[i] != '"' {
			continue
		}
		end := i + 1
		for end < len(raw) && raw[end] != '"' {
			if raw[end] == '\\' {
				end++
			}
			end++
		}
		if end >= len(raw) {
			break
		}
		var s string
		if json.Unmarshal(raw[i:end+1], &s) == nil {
			if t := m.String(s); t != s {
				out = append(out, raw[from:i+1]...)
				out = append(out, jsonForm(t, false)...)
				from = end
			}
		}
		i = end
	}
	if from == 0 {
		return raw
	}
	return append(out, raw[from:]...)
}

// Stream returns a masker of one text that arrives in pieces.
func (m *Masker) Stream() *Stream { return &Stream{m: m} }

// Stream masks a text that arrives in pieces. It keeps back at most one byte
// less than the longest secret, and only while what it keeps may be the
// beginning of one. It is for one goroutine.
type Stream struct {
	m       *Masker
	pending []byte // not yet decided
	covered int    // how many bytes of pending belong to a secret already written as Text
}

// Write appends to dst what is certain after the next piece.
func (s *Stream) Write(dst, piece []byte) []byte {
	if s.m == nil {
		return append(dst, piece...)
	}
	return s.feed(dst, piece, false)
}

// Close appends the rest to dst. The stream may then be used for another text.
func (s *Stream) Close(dst []byte) []byte {
	if s.m == nil {
		return dst
	}
	return s.feed(dst, nil, true)
}

func (s *Stream) feed(dst, piece []byte, final bool) []byte {
	data := piece
	if len(s.pending) > 0 {
		s.pending = append(s.pending, piece...)
		data = s.pending
	}
	i, cover := 0, s.covered // data[:cover] is hidden
	plain := i               // data[plain:i] waits to be copied
	for ; i < len(data); i++ {
		list := s.m.byFirst[data[i]]
		if list == nil && i >= cover {
			continue
		}
		n, more := longestAt(list, data[i:], final)
		if more {
			break
		}
		if n > 0 && i+n > cover {
			if i >= cover {
				dst = append(dst, data[plain:i]...)
				dst = append(dst, Text...)
			}
			cover = i + n
		}
		if i < cover {
			plain = i + 1
		}
	}
	dst = append(dst, data[min(plain, i):i]...)
	rest := data[i:]
	s.covered = max(0, cover-i)
	s.pending = append(s.pending[:0], rest...)
	return dst
}

// longestAt returns the length of the longest text that data begins with, or
// more, where a longer one might when data goes on.
func longestAt(list []string, data []byte, final bool) (n int, more bool) {
	for _, t := range list {
		if len(t) <= len(data) {
			if string(data[:len(t)]) == t {
				return len(t), false
			}
		} else if !final && t[:len(data)] == string(data) {
			return 0, true
		}
	}
	return 0, false
}
