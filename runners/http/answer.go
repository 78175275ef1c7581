package http

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/charset"
	"golang.org/x/text/encoding/charmap"
)

// answer reads the response as {status_code, body, parsed, headers}.
func (r *Runner) answer(resp *http.Response) (json.RawMessage, error) {
	raw, more, err := r.read(resp)
	if err != nil {
		return nil, fmt.Errorf("read the response (status %d): %w", resp.StatusCode, err)
	}
	contentType := resp.Header.Get("Content-Type")
	text := decode(raw, contentType)
	var body json.RawMessage
	parsed := false
	switch trimmed := strings.TrimSpace(text); {
	case more:
		body = jsonText(fmt.Sprintf("%s\n[hayate: the response is longer than %d bytes; the rest is left out]", text, r.c.MaxBody))
	case mediaType(contentType) == "application/json" && json.Valid([]byte(trimmed)) && hayate.CheckJSON([]byte(trimmed)) == nil:
		body, parsed = json.RawMessage(trimmed), true
	default:
		body = jsonText(text)
	}
	b := append(make([]byte, 0, len(body)+512), `{"status_code":`...)
	b = strconv.AppendInt(b, int64(resp.StatusCode), 10)
	b = append(append(b, `,"body":`...), body...)
	b = strconv.AppendBool(append(b, `,"parsed":`...), parsed)
	b = append(b, `,"headers":{`...)
	names := make([]string, 0, len(resp.Header))
	for name := range resp.Header {
		names = append(names, name)
	}
	sort.Strings(names)
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, jsonText(name)...), ':')
		b = append(b, jsonText(strings.Join(resp.Header[name], ", "))...)
	}
	return append(b, "}}"...), nil
}

// mediaType is what stands before the parameters of a content type.
func mediaType(contentType string) string {
	mt, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(mt))
}

// read returns the decompressed body, at most MaxBody bytes of it, and whether
// there is more.
func (r *Runner) read(resp *http.Response) (body []byte, more bool, err error) {
	rd, err := decompressed(resp)
	if err != nil {
		return nil, false, err
	}
	body, err = io.ReadAll(io.LimitReader(rd, r.c.MaxBody+1))
	if err != nil {
		return nil, false, err
	}
	if int64(len(body)) <= r.c.MaxBody {
		return body, false, nil
	}
	body = body[:r.c.MaxBody]
	// A cut may fall into a character; what is left of it goes.
	for n := 1; n < utf8.UTFMax && n <= len(body); n++ {
		if b := body[len(body)-n]; utf8.RuneStart(b) {
			if b >= utf8.RuneSelf && !utf8.FullRune(body[len(body)-n:]) {
				body = body[:len(body)-n]
			}
			break
		}
	}
	return body, true, nil
}

// decompressed undoes the content encoding. An encoding that nobody asked for
// leaves the bytes as they are.
func decompressed(resp *http.Response) (io.Reader, error) {
	in := bufio.NewReader(resp.Body)
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return in, nil // nothing, as after HEAD
	}
	switch strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))) {
	case "gzip", "x-gzip":
		return gzip.NewReader(in)
	case "deflate":
		// Some servers send the bare stream instead of zlib's.
		if head, err := in.Peek(2); err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
			return zlib.NewReader(in)
		}
		return flate.NewReader(in), nil
	}
	return in, nil
}

// decode makes the body text: by the charset that the content type names; else
// UTF-8 where it is that; else ISO 8859-1 for text/…, as HTTP once had it. What
// then is not a character becomes U+FFFD.
func decode(raw []byte, contentType string) string {
	_, params, err := mime.ParseMediaType(contentType)
	if err == nil && params["charset"] != "" {
		if out, err := charset.Decode(raw, params["charset"]); err == nil {
			raw = out
		}
	} else if !utf8.Valid(raw) && strings.HasPrefix(mediaType(contentType), "text/") {
		if out, err := charmap.ISO8859_1.NewDecoder().Bytes(raw); err == nil {
			raw = out
		}
	}
	raw = bytes.TrimPrefix(raw, []byte("\ufeff"))
	return strings.ToValidUTF8(string(raw), "�")
}
