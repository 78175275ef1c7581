package hayate

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

// Event is a CloudEvent 1.0: attributes and data as they were accepted. Two
// events with the same Source and ID are the same event, however often it is
// delivered.
type Event struct {
	ID      string
	Source  string // URI reference
	Type    string // StackStorm: the reference of the trigger, pack.trigger
	Subject string
	Time    time.Time // when it happened; zero where the source does not say

	DataContentType string // media type of Data; "" means application/json
	DataSchema      string // absolute URI
	// Extensions are further attributes. Names are [a-z0-9]+; values are string,
	// bool or int32, the attribute types that survive every encoding (binary,
	// URI and timestamp attributes are kept in their canonical text).
	Extensions map[string]any
	Data       []byte // as received; nil where the event has none

	// AcceptedAt is when hayate made the event durable, by its own clock, in UTC
	// with microseconds. It is the only time that deciding may look at. Zero
	// before acceptance.
	AcceptedAt time.Time
}

// The extension attributes that hayate itself gives a meaning.
const (
	// ExtCorrelation groups the events of one story: problem, update and recovery
	// of an alert carry the same key.
	ExtCorrelation = "correlationkey"
	// ExtLineage carries the ancestry of an event that an execution caused:
	// rule references, oldest first, joined by commas.
	ExtLineage = "hayatelineage"
	// ExtCause is the id of the execution that caused the event.
	ExtCause = "hayatecause"
	// ExtTriggerParameters carries the parameters of a parameterised trigger that
	// the event is an instance of (a webhook's url), as JSON. A rule whose trigger
	// has parameters is met only by events that carry equal ones.
	ExtTriggerParameters = "triggerparams"
	// ExtTraceParent is W3C trace context, passed on untouched.
	ExtTraceParent = "traceparent"
	// ExtTraceTag is StackStorm's trace tag.
	ExtTraceTag = "tracetag"
)

// UID identifies the event across deliveries: its source and id. A source is a
// URI reference and holds no space.
func (e *Event) UID() string { return e.Source + " " + e.ID }

// Extension returns an extension attribute in its canonical text, "" where it
// is absent.
func (e *Event) Extension(name string) string {
	v, ok := e.Extensions[name]
	if !ok {
		return ""
	}
	return AttributeText(v)
}

// SetExtension sets an extension attribute; an empty text removes it.
func (e *Event) SetExtension(name, value string) {
	if value == "" {
		delete(e.Extensions, name)
		return
	}
	if e.Extensions == nil {
		e.Extensions = map[string]any{}
	}
	e.Extensions[name] = value
}

// AttributeText is the canonical text of an attribute's value.
func AttributeText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case bool:
		if v {
			return "true"
		}
		return "false"
	default:
		return fmt.Sprint(v)
	}
}

// IsJSON says whether Data is to be read as JSON: the media type is absent, or
// its subtype is json or ends in +json (CloudEvents JSON format §3.1).
func (e *Event) IsJSON() bool { return IsJSONType(e.DataContentType) }

// IsJSONType says whether a media type names JSON; an absent one does.
func IsJSONType(contentType string) bool {
	if contentType == "" {
		return true
	}
	mt, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		mt, _, _ = strings.Cut(contentType, ";")
		mt = strings.ToLower(strings.TrimSpace(mt))
	}
	_, sub, _ := strings.Cut(mt, "/")
	return sub == "json" || strings.HasSuffix(sub, "+json")
}

// Validate reports everything that CloudEvents 1.0 forbids, together. Each error
// begins with the attribute's name and is of kind ErrInvalid.
func (e *Event) Validate() error {
	var errs []error
	bad := func(attr, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s: %s: %w", attr, fmt.Sprintf(format, args...), ErrInvalid))
	}
	need := func(attr, v string) {
		if v == "" {
			bad(attr, "must not be empty")
			return
		}
		if why := badAttributeText(v); why != "" {
			bad(attr, "%s", why)
		}
	}
	need("id", e.ID)
	need("source", e.Source)
	if strings.ContainsAny(e.Source, " \t") {
		bad("source", "is not a URI reference: it contains white space")
	}
	need("type", e.Type)
	if why := badAttributeText(e.Subject); why != "" {
		bad("subject", "%s", why)
	}
	names := make([]string, 0, len(e.Extensions))
	for n := range e.Extensions {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		if !ValidAttributeName(n) {
			bad(n, "attribute names consist of a-z and 0-9 only")
		}
		switch n {
		case "id", "source", "type", "subject", "time", "specversion", "datacontenttype", "dataschema", "data":
			bad(n, "is not an extension")
		}
		switch v := e.Extensions[n].(type) {
		case string:
			if why := badAttributeText(v); why != "" {
				bad(n, "%s", why)
			}
		case bool, int32:
		default:
			bad(n, "has the type %T; attributes are text, boolean or a 32-bit integer", v)
		}
	}
	if e.Data != nil && e.IsJSON() {
		if !json.Valid(e.Data) {
			bad("data", "is not JSON although datacontenttype says so")
		} else if err := CheckJSON(e.Data); err != nil {
			errs = append(errs, fmt.Errorf("data: %w", err))
		}
	}
	return errors.Join(errs...)
}

// ValidAttributeName says whether a name fits CloudEvents' rule for attributes.
func ValidAttributeName(n string) bool {
	if n == "" {
		return false
	}
	for i := 0; i < len(n); i++ {
		if c := n[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func badAttributeText(s string) string {
	if !utf8.ValidString(s) {
		return "is not valid UTF-8"
	}
	for _, r := range s {
		if r < 0x20 || (r >= 0x7f && r <= 0x9f) {
			return fmt.Sprintf("contains the control character U+%04X", r)
		}
	}
	return ""
}

// AppendJSON appends the event in CloudEvents' JSON format, attributes in a fixed order.
// AcceptedAt is not part of it.
func (e *Event) AppendJSON(b []byte) []byte {
	str := func(name, v string) {
		if v == "" {
			return
		}
		b = append(b, ',', '"')
		b = append(b, name...)
		b = append(b, '"', ':')
		b = appendJSONString(b, v)
	}
	b = append(b, `{"specversion":"1.0"`...)
	str("id", e.ID)
	str("source", e.Source)
	str("type", e.Type)
	str("subject", e.Subject)
	if !e.Time.IsZero() {
		str("time", e.Time.Format(time.RFC3339Nano))
	}
	str("datacontenttype", e.DataContentType)
	str("dataschema", e.DataSchema)
	if len(e.Extensions) > 0 {
		names := make([]string, 0, len(e.Extensions))
		for n := range e.Extensions {
			names = append(names, n)
		}
		sort.Strings(names)
		for _, n := range names {
			b = append(b, ',')
			b = appendJSONString(b, n)
			b = append(b, ':')
			if s, ok := e.Extensions[n].(string); ok {
				b = appendJSONString(b, s)
			} else {
				b = append(b, AttributeText(e.Extensions[n])...)
			}
		}
	}
	switch {
	case e.Data == nil:
	case e.IsJSON():
		b = append(b, `,"data":`...)
		b = append(b, e.Data...)
	case utf8.Valid(e.Data) && strings.HasPrefix(e.DataContentType, "text/"):
		b = append(b, `,"data":`...)
		b = appendJSONString(b, string(e.Data))
	default:
		b = append(b, `,"data_base64":"`...)
		b = base64.StdEncoding.AppendEncode(b, e.Data)
		b = append(b, '"')
	}
	return append(b, '}')
}

// MarshalJSON gives CloudEvents' JSON format.
func (e Event) MarshalJSON() ([]byte, error) { return e.AppendJSON(nil), nil }

// UnmarshalJSON reads CloudEvents' JSON format (specversion 1.0). It is the
// inverse of MarshalJSON and refuses what the format forbids; Validate checks
// the attributes themselves.
func (e *Event) UnmarshalJSON(b []byte) error {
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return fmt.Errorf("read event: %v: %w", err, ErrInvalid)
	}
	*e = Event{}
	if _, ok := raw["specversion"]; !ok {
		return fmt.Errorf("specversion: missing, want \"1.0\": %w", ErrInvalid)
	}
	text := map[string]*string{"id": &e.ID, "source": &e.Source, "type": &e.Type, "subject": &e.Subject,
		"datacontenttype": &e.DataContentType, "dataschema": &e.DataSchema}
	for name, v := range raw {
		if string(v) == "null" && name != "data" {
			continue
		}
		var err error
		switch name {
		case "id", "source", "type", "subject", "datacontenttype", "dataschema":
			err = json.Unmarshal(v, text[name])
		case "specversion":
			var s string
			if err = json.Unmarshal(v, &s); err == nil && s != "1.0" {
				return fmt.Errorf("specversion: found %q, want \"1.0\": %w", s, ErrInvalid)
			}
		case "time":
			var s string
			if err = json.Unmarshal(v, &s); err == nil {
				e.Time, err = time.Parse(time.RFC3339Nano, s)
			}
		case "data", "data_base64":
		default:
			err = e.readExtension(name, v)
		}
		if err != nil {
			return fmt.Errorf("%s: %v: %w", name, err, ErrInvalid)
		}
	}
	return e.readData(raw["data"], raw["data_base64"])
}

func (e *Event) readExtension(name string, v json.RawMessage) error {
	var x any
	d := json.NewDecoder(strings.NewReader(string(v)))
	d.UseNumber()
	if err := d.Decode(&x); err != nil {
		return err
	}
	switch y := x.(type) {
	case string, bool:
	case json.Number:
		n, err := y.Int64()
		if err != nil || n != int64(int32(n)) {
			return fmt.Errorf("%s is not a 32-bit integer", y)
		}
		x = int32(n)
	default:
		return errors.New("an attribute is text, a boolean or an integer")
	}
	if e.Extensions == nil {
		e.Extensions = map[string]any{}
	}
	e.Extensions[name] = x
	return nil
}

func (e *Event) readData(data, b64 json.RawMessage) error {
	if data != nil && b64 != nil {
		return fmt.Errorf("data: stands beside data_base64: %w", ErrInvalid)
	}
	if b64 != nil {
		var s string
		err := json.Unmarshal(b64, &s)
		if err == nil {
			e.Data, err = base64.StdEncoding.DecodeString(s)
		}
		if err != nil {
			return fmt.Errorf("data_base64: %v: %w", err, ErrInvalid)
		}
		return nil
	}
	if data == nil {
		return nil
	}
	var s string
	if !e.IsJSON() && json.Unmarshal(data, &s) == nil {
		e.Data = []byte(s)
		return nil
	}
	e.Data = append([]byte(nil), data...)
	return nil
}

const hexDigits = "0123456789abcdef"

// appendJSONString appends s as JSON, replacing what is not UTF-8.
func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
