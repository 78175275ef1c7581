package normalize

import (
	"encoding/base64"
	"fmt"
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/charset"
)

// readBody turns the body into JSON, by its media type and, where that is absent
// or known to be unreliable, by its first byte. It returns the JSON text and
// the parsed document.
func readBody(r *Request) (value, error) {
	mediaType, params := contentType(r)
	body, err := charset.Decode(r.Body, params["charset"])
	if err != nil {
		return value{}, fmt.Errorf("content-type: %v: %w", err, hayate.ErrInvalid)
	}
	if isBlank(body) {
		return readFields(withoutCredentials(r.Query), r.depth())
	}
	_, sub, _ := strings.Cut(mediaType, "/")
	switch {
	case sub == "json" || strings.HasSuffix(sub, "+json"):
		return parse(body, r.depth())
	case sub == "xml" || strings.HasSuffix(sub, "+xml"):
		return readXML(body, params["charset"] != "", r.depth())
	case sub == "x-www-form-urlencoded":
		// Command line tools name this type by default, whatever they send.
		if v, err := parse(body, r.depth()); err == nil && (v.isObject() || v.isArray()) {
			return v, nil
		}
		return readForm(r.Body, params["charset"], r.depth())
	case mediaType == "multipart/form-data":
		return readMultipart(body, params["boundary"], r.depth())
	case mediaType == "" && (firstByte(body) == '{' || firstByte(body) == '['):
		return parse(body, r.depth())
	case mediaType == "" && firstByte(body) == '<':
		if v, err := readXML(body, false, r.depth()); err == nil {
			return v, nil
		}
		return readText(body, r.depth())
	case mediaType == "", strings.HasPrefix(mediaType, "text/"), sub == "octet-stream":
		// Amazon SNS sends JSON as text/plain.
		if v, err := parse(body, r.depth()); err == nil && (v.isObject() || v.isArray()) {
			return v, nil
		}
		return readText(body, r.depth())
	}
	return value{}, fmt.Errorf("content-type: %q cannot be read; send JSON, XML, a form or text: %w", mediaType, hayate.ErrInvalid)
}

// contentType is the media type in lower case with its parameters; a media type
// that cannot be parsed counts as far as its first semicolon.
func contentType(r *Request) (string, map[string]string) {
	text := r.ContentType
	if text == "" {
		text = r.header("Content-Type")
	}
	if text == "application/json" { // what most requests say, and cheaper so
		return text, nil
	}
	mt, params, err := mime.ParseMediaType(text)
	if err != nil {
		mt, _, _ = strings.Cut(text, ";")
		mt = strings.ToLower(strings.TrimSpace(mt))
	}
	return mt, params
}

func isBlank(b []byte) bool {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return false
		}
	}
	return true
}

func firstByte(b []byte) byte {
	for _, c := range b {
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c
		}
	}
	return 0
}

// readText is {"text": …}. Bytes that are not UTF-8 are kept beside it.
func readText(body []byte, depth int) (value, error) {
	out := appendString([]byte(`{"text":`), string(body))
	if !utf8.Valid(body) {
		out = append(out, `,"base64":"`...)
		out = base64.StdEncoding.AppendEncode(out, body)
		out = append(out, '"')
	}
	return parse(append(out, '}'), depth)
}

// text8 is s with what is not UTF-8 replaced.
func text8(s string) string { return strings.ToValidUTF8(s, "\ufffd") }

// readXML maps XML to JSON: the root element is the only member; attributes are
// "@name", text beside attributes or elements is "#text", repeated elements are
// arrays, empty ones null. Prefixes and namespaces are dropped.
func readXML(body []byte, decoded bool, depth int) (value, error) {
	out, err := xmlJSON(body, decoded, depth)
	if err != nil {
		return value{}, fmt.Errorf("body: not XML: %w", err)
	}
	return parse(out, depth+2)
}
