package normalize

import (
	"encoding/base64"
	"fmt"
	"mime"
	"net/url"
	"strconv"
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
	return value{}, fmt.Errorf("content-type: %q cannot be read; send JSON, XML, a URL-encoded form or text: %w", mediaType, hayate.ErrInvalid)
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

// readForm reads a URL-encoded form. A form whose only field is "payload" and
// holds a JSON object is that object: GitHub's and Slack's way of sending JSON.
func readForm(body []byte, encoding string, depth int) (value, error) {
	fields, err := formFields(strings.TrimSpace(string(body)), encoding)
	if err != nil {
		return value{}, fmt.Errorf("body: not a URL-encoded form: %v: %w", err, hayate.ErrInvalid)
	}
	if len(fields) == 1 && fields[0].name == "payload" {
		if v, err := parse([]byte(fields[0].value), depth); err == nil && v.isObject() {
			return v, nil
		}
	}
	return readFields(fields, depth)
}

// readFields is the object that the fields describe.
func readFields(fields []field, depth int) (value, error) {
	for _, f := range fields {
		if strings.Count(f.name, "[") >= depth {
			return value{}, fmt.Errorf("body: field %.40q: nested too deeply: %w", f.name, hayate.ErrInvalid)
		}
	}
	return parse(formJSON(fields), depth)
}

// field is one field of a form, in the order of sending.
type field struct{ name, value string }

// formFields splits a form. The charset is that of the bytes behind the percent
// signs.
func formFields(form, encoding string) ([]field, error) {
	var fields []field
	for pair := range strings.SplitSeq(form, "&") {
		if pair == "" {
			continue
		}
		var text [2]string
		text[0], text[1], _ = strings.Cut(pair, "=")
		for i, t := range text {
			t, err := url.QueryUnescape(t)
			if err != nil {
				return nil, err
			}
			decoded, err := charset.Decode([]byte(t), encoding)
			if err != nil {
				return nil, err
			}
			text[i] = text8(string(decoded))
		}
		fields = append(fields, field{text[0], text[1]})
	}
	return fields, nil
}

// withoutCredentials lists the query parameters in a fixed order, without those
// by which a sender proves who it is.
func withoutCredentials(q url.Values) []field {
	var fields []field
	for _, name := range sortedKeys(q) {
		switch strings.ToLower(name) {
		case "access_token", "st2-api-key", "st2-auth-token", "x-auth-token":
			continue
		}
		for _, v := range q[name] {
			fields = append(fields, field{text8(name), text8(v)})
		}
	}
	return fields
}

// formJSON is the object that the fields describe. Names with brackets nest, as
// most web frameworks read them: a[b]=1 is a member, a[]=1 and a repeated name
// are elements.
func formJSON(fields []field) []byte {
	root := &builder{fields: map[string]*builder{}}
	for _, f := range fields {
		name, rest, nested := strings.Cut(f.name, "[")
		if name == "" || nested && !strings.HasSuffix(rest, "]") {
			root.field(f.name).put(f.value)
			continue
		}
		at := root.field(name)
		for nested {
			var key string
			key, rest, _ = strings.Cut(rest, "]")
			rest, nested = strings.CutPrefix(rest, "[")
			at = at.step(key)
		}
		at.put(f.value)
	}
	return root.appendJSON(nil)
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

// number reads a decimal number, 0 where it is none.
func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0
	}
	return n
}
