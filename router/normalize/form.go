package normalize

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/charset"
)

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

// readMultipart reads the form that browsers and tools send when there may be
// files. A file is an object with its name, its type and its content as text or
// base64.
func readMultipart(body []byte, boundary string, depth int) (value, error) {
	wrong := func(err error) (value, error) {
		return value{}, fmt.Errorf("body: not a multipart form: %v: %w", err, hayate.ErrInvalid)
	}
	if boundary == "" {
		return wrong(errors.New("content-type names no boundary"))
	}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	var fields []field
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return wrong(err)
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return wrong(err)
		}
		name := text8(part.FormName())
		if part.FileName() == "" {
			fields = append(fields, field{name, text8(string(content))})
			continue
		}
		fields = append(fields, field{name + "[filename]", text8(part.FileName())},
			field{name + "[content_type]", text8(part.Header.Get("Content-Type"))})
		if utf8.Valid(content) {
			fields = append(fields, field{name + "[text]", string(content)})
		} else {
			fields = append(fields, field{name + "[base64]", base64.StdEncoding.EncodeToString(content)})
		}
	}
	return readFields(fields, depth)
}
