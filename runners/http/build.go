package http

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/pyliteral"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// build makes the request of the parameters.
func (r *Runner) build(ctx context.Context, t hayate.Task, s settings, u *url.URL) (*http.Request, error) {
	header := http.Header{}
	host := ""
	err := each(s.Headers, func(name string, value json.RawMessage) error {
		text, err := plain(value)
		switch {
		case err != nil:
			return err
		case string(value) == "null", strings.EqualFold(name, "Content-Length"):
			return nil // the length is that of the body
		case strings.EqualFold(name, "Host"):
			host = text
		default:
			header.Set(name, strings.TrimSpace(text))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("headers: %v", err)
	}
	content, contentType, err := s.content(header.Get("Content-Type"))
	if err != nil {
		return nil, err
	}
	method := s.Method
	if method == "" {
		method = http.MethodGet
		if truthy(s.Body) || (s.FileName != "" && s.FileContent != "") {
			method = http.MethodPost
		}
	}
	var body io.Reader
	if len(content) > 0 {
		body = bytes.NewReader(content)
	}
	req, err := http.NewRequestWithContext(ctx, strings.ToUpper(method), u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("method %q: %v", method, err)
	}
	req.Header = header
	if host != "" {
		req.Host = host
	}
	if contentType != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", contentType)
	}
	if header.Get("Accept") == "" {
		header.Set("Accept", "*/*")
	}
	if header.Get("Accept-Encoding") == "" {
		header.Set("Accept-Encoding", "gzip, deflate")
	}
	header.Set("User-Agent", "hayate/"+r.c.Version)
	header.Set("X-Stanley-Action", t.Action.Name)
	if err := s.addCookies(header); err != nil {
		return nil, err
	}
	return req, s.authenticate(header)
}

// content is the body and the content type that goes with it where the caller
// names none.
func (s settings) content(contentType string) (body []byte, typ string, err error) {
	isJSON := contentType == "application/json" // exactly, as StackStorm compares
	if s.FileName != "" && s.FileContent != "" {
		if isJSON {
			return nil, "", errors.New("a file cannot be sent as application/json: leave the header Content-Type out")
		}
		return s.multipart()
	}
	if len(s.Body) == 0 || string(s.Body) == "null" || string(s.Body) == `""` {
		return nil, "", nil
	}
	var text string
	isText := json.Unmarshal(s.Body, &text) == nil
	switch {
	case isJSON && isText:
		raw, err := fromText(text)
		if err != nil {
			return nil, "", fmt.Errorf("body: can't be parsed as JSON, nor as a Python literal: %v", err)
		}
		return raw, "", nil
	case isJSON:
		return compact(s.Body), "", nil
	case isText:
		return []byte(text), "", nil
	case s.Body[0] == '{':
		encoded, err := form(s.Body)
		if err != nil {
			return nil, "", fmt.Errorf("body: %v", err)
		}
		return []byte(encoded), "application/x-www-form-urlencoded", nil
	}
	text, err = plain(s.Body)
	return []byte(text), "", err
}

// fromText reads a body's text as JSON, or else as a Python literal.
func fromText(text string) ([]byte, error) {
	if json.Valid([]byte(text)) {
		return compact([]byte(text)), nil
	}
	v, err := pyliteral.Parse(text)
	if err != nil {
		return nil, err
	}
	return value.Encode(v)
}

// multipart is a form with the file and the members of the body.
func (s settings) multipart() ([]byte, string, error) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if truthy(s.Body) && s.Body[0] != '{' {
		return nil, "", errors.New("body: must be an object of form fields beside a file")
	}
	err := each(s.Body, func(name string, value json.RawMessage) error {
		text, err := plain(value)
		if err != nil || string(value) == "null" {
			return err
		}
		return w.WriteField(name, text)
	})
	if err != nil {
		return nil, "", fmt.Errorf("body: %v", err)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "%0D", "\n", "%0A").Replace(s.FileName)
	h := textproto.MIMEHeader{}
	h.Set("Content-Disposition", fmt.Sprintf(`form-data; name="%s"; filename="%s"`, quoted, quoted))
	if s.FileContentType != "" {
		if strings.ContainsAny(s.FileContentType, "\r\n") {
			return nil, "", errors.New("file_content_type: is not a media type")
		}
		h.Set("Content-Type", s.FileContentType)
	}
	part, err := w.CreatePart(h)
	if err == nil {
		_, err = io.WriteString(part, s.FileContent)
	}
	err = errors.Join(err, w.Close())
	return b.Bytes(), w.FormDataContentType(), err
}

func (s settings) addCookies(header http.Header) error {
	var list []string
	if given := header.Get("Cookie"); given != "" {
		list = append(list, given)
	}
	err := each(s.Cookies, func(name string, value json.RawMessage) error {
		text, err := plain(value)
		if err != nil || string(value) == "null" {
			return err
		}
		if name == "" || strings.ContainsAny(name, "=;, \t\r\n") || strings.ContainsAny(text, ";\r\n") {
			return fmt.Errorf("%q is not a cookie", name)
		}
		list = append(list, name+"="+text)
		return nil
	})
	if err != nil {
		return fmt.Errorf("cookies: %v", err)
	}
	if len(list) > 0 {
		header.Set("Cookie", strings.Join(list, "; "))
	}
	return nil
}

// authenticate adds basic authentication: username and password, or else the
// parameter auth as "user:password", [user, password] or {username, password}.
func (s settings) authenticate(header http.Header) error {
	user, password := s.Username, s.Password
	if user == "" && password == "" && truthy(s.Auth) {
		var pair []string
		var named struct{ Username, Password string }
		var text string
		switch {
		case json.Unmarshal(s.Auth, &text) == nil:
			var ok bool
			if user, password, ok = strings.Cut(text, ":"); !ok {
				return errors.New("auth: want user:password")
			}
		case json.Unmarshal(s.Auth, &pair) == nil && len(pair) == 2:
			user, password = pair[0], pair[1]
		case json.Unmarshal(s.Auth, &named) == nil && named.Username != "":
			user, password = named.Username, named.Password
		default:
			return errors.New("auth: want user:password, [user, password] or {username, password}")
		}
	}
	if user != "" || password != "" {
		header.Set("Authorization", "Basic "+basic(user, password))
	}
	return nil
}

func basic(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
}

// form encodes an object as a query or form: lists repeat their name, null is
// left out. A text stands as it is.
func form(raw json.RawMessage) (string, error) {
	var text string
	if len(raw) == 0 || json.Unmarshal(raw, &text) == nil {
		return escapeQuery(text), nil
	}
	var pairs []string
	err := each(raw, func(name string, value json.RawMessage) error {
		values := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &values); err != nil {
				return err
			}
		}
		for _, v := range values {
			text, err := plain(v)
			if err != nil {
				return err
			}
			if string(v) != "null" {
				pairs = append(pairs, url.QueryEscape(name)+"="+url.QueryEscape(text))
			}
		}
		return nil
	})
	return strings.Join(pairs, "&"), err
}

// each calls do with the members of a JSON object in their order; absent and
// null are empty objects.
func each(raw json.RawMessage, do func(name string, value json.RawMessage) error) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("want an object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		if err := do(name.(string), value); err != nil {
			return err
		}
	}
	return nil
}

// plain is the text of a value: Python's for booleans, JSON for lists and objects.
func plain(raw json.RawMessage) (string, error) {
	var text string
	switch {
	case json.Unmarshal(raw, &text) == nil:
		return text, nil
	case string(raw) == "true":
		return "True", nil
	case string(raw) == "false":
		return "False", nil
	case !json.Valid(raw):
		return "", errors.New("not JSON")
	}
	return string(compact(raw)), nil
}

func compact(raw []byte) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil { // it was checked before
		return raw
	}
	return b.Bytes()
}

// truthy is Python's bool() of a JSON value; absent is null.
func truthy(raw json.RawMessage) bool {
	switch string(compact(raw)) {
	case "", "null", "false", `""`, "0", "0.0", "{}", "[]":
		return false
	}
	return true
}
