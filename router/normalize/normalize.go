package normalize

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// The bounds that apply where a Request names none.
const (
	DefaultMaxDepth  = 100
	DefaultMaxEvents = 1000
)

// maxUnwrap is how many envelopes may lie in each other: an HTTP request in a
// Lambda event, or a notification in a message in a record, and some to spare.
const maxUnwrap = 6

// Request is what a source sent, and what the world outside adds to it. Nothing
// in it is changed, and the events may share the memory of Body.
type Request struct {
	// Hint is what the address says about the source: the <name> of
	// /v1/webhooks/<name>. It decides between sources that look alike, and names
	// the type of a body that nothing recognises. May be empty.
	Hint string
	// Header returns a header's first value, whatever the case of its name.
	// Nil means that there are none.
	Header func(name string) string
	// ContentType is the media type with its parameters; empty means that of
	// Header.
	ContentType string
	Query       url.Values // counts only where the body is empty
	Body        []byte
	// Now is the time of receipt. It becomes the event's time where an adapter
	// of the CloudEvents specification says "current time".
	Now time.Time
	// NewID returns a fresh identifier, for events that carry none. Required.
	NewID func() string

	// Check, where it is set, is asked about each source that is recognised before
	// its events are made ("" for the generic form), once for each request: the
	// whole, or the HTTP request in a Lambda event. An error of it is that of
	// Events. A payload that was unwrapped from an envelope comes as a request
	// without headers; if it is refused, it stays in its envelope. So nothing
	// that must be signed comes in unsigned by being wrapped.
	Check func(source string, r *Request) error

	MaxDepth  int // of nested containers in the body; 0 means DefaultMaxDepth
	MaxEvents int // of one request; 0 means DefaultMaxEvents

	wrapper *draft // what a request of Lambda is called if nothing recognises it
}

func (r *Request) header(name string) string {
	if r.Header == nil {
		return ""
	}
	return r.Header(name)
}

func (r *Request) depth() int {
	if r.MaxDepth > 0 {
		return r.MaxDepth
	}
	return DefaultMaxDepth
}

// Recognize names the source that the request comes from, as the table of
// sources calls it, and "" where only the generic form fits or the body cannot
// be read.
func Recognize(r *Request) string {
	doc, err := readBody(r)
	if err != nil {
		return ""
	}
	if s := newInput(r, doc, sources[:], nil).recognize(); s != nil {
		return s.name
	}
	return ""
}

// Events returns the events that a request holds, in their order, each of them
// valid. A source may send requests that are no event: then there are none. The
// same request gives events with the same ids, whenever it comes, except
// where docs/reference/sources.md says otherwise.
//
// An error names the offending part first. It is of kind ErrInvalid, and
// ErrTooLarge where the request holds more events than allowed.
func Events(r *Request) ([]hayate.Event, error) {
	doc, err := readBody(r)
	if err != nil {
		return nil, err
	}
	out := &output{limit: r.MaxEvents}
	if out.limit <= 0 {
		out.limit = DefaultMaxEvents
	}
	in := newInput(r, doc, sources[:], out)
	if err := in.run(); err != nil {
		return nil, err
	}
	out.separate()
	return out.events, nil
}

// output collects the events of a request and of everything unwrapped from it.
type output struct {
	events []hayate.Event
	limit  int
	size   int // bytes of data so far

	checked map[checkOf]error // what Request.Check has said
}

// checkOf is a question to Request.Check.
type checkOf struct {
	request *Request
	source  string
}

// maxOutput bounds the data of all events of a request, in bytes: what a batch
// has in common is copied into each of its events.
const maxOutput = 32 << 20

// add appends an event within the bounds.
func (o *output) add(e hayate.Event) error {
	if len(o.events) >= o.limit {
		return fmt.Errorf("body: more than %d events in one request: %w", o.limit, hayate.ErrTooLarge)
	}
	if o.size += len(e.Data); o.size > maxOutput {
		return fmt.Errorf("body: its events have more than %d bytes of data together: %w", maxOutput, hayate.ErrTooLarge)
	}
	o.events = append(o.events, e)
	return nil
}

// separate gives different events of one request different ids, should a
// source have given them the same: identity is source and id, and the second
// would be taken for a repetition of the first.
func (o *output) separate() {
	if len(o.events) < 2 {
		return
	}
	type identity struct{ source, id string }
	seen := make(map[identity]int, len(o.events))
	for i := range o.events {
		e := &o.events[i]
		k := identity{e.Source, e.ID}
		n, again := seen[k]
		seen[k] = n + 1
		if again {
			e.ID += "." + strconv.Itoa(n)
		}
	}
}

// input is a request, or what was unwrapped from one, with its body read.
type input struct {
	*Request
	doc   value
	table []source
	out   *output

	level    int    // how many envelopes it came out of
	fallback string // id for an event without one: the envelope's
	via      string // the envelopes' own names, outermost first, joined by commas
}

// newInput is the input that a request is. The table comes in because the
// sources of the table unwrap others of it.
func newInput(r *Request, doc value, table []source, out *output) *input {
	in := &input{Request: r, doc: doc, table: table, out: out}
	if r.wrapper != nil {
		in.fallback = r.wrapper.id
	}
	return in
}

func (in *input) now() time.Time { return in.Now.UTC() }

// run emits the events of the input.
func (in *input) run() error {
	if s := in.recognize(); s != nil {
		if err := in.check(s.name); err != nil {
			return err
		}
		return s.events(in)
	}
	if in.doc.isArray() && in.doc.len() > 0 {
		if child := in.child(in.doc.first()); child.recognize() != nil {
			for e := range in.doc.items() {
				if err := in.child(e).run(); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if err := in.check(""); err != nil {
		return err
	}
	return genericEvents(in)
}

// check asks Request.Check about a source, once.
func (in *input) check(source string) error {
	if in.Check == nil {
		return nil
	}
	question := checkOf{in.Request, source}
	err, known := in.out.checked[question]
	if !known {
		err = in.Check(source, in.Request)
		if in.out.checked == nil {
			in.out.checked = map[checkOf]error{}
		}
		in.out.checked[question] = err
	}
	return err
}

// recognize finds the source of the input: what the hint names if it looks like
// it, else what it looks like, else what the hint names if that is lenient. Nil
// means that none of the table fits.
func (in *input) recognize() *source {
	if !in.doc.isObject() {
		return nil
	}
	hinted := in.hinted()
	if hinted != nil && hinted.is(in) {
		return hinted
	}
	for i := range in.table {
		if s := &in.table[i]; s != hinted && s.is(in) {
			return s
		}
	}
	if hinted != nil && hinted.lenient {
		return hinted
	}
	return nil
}

func (in *input) hinted() *source {
	if in.Hint == "" {
		return nil
	}
	hint, _, _ := strings.Cut(strings.Trim(strings.ToLower(in.Hint), "/"), "/")
	for i := range in.table {
		s := &in.table[i]
		if s.name == hint {
			return s
		}
		for _, alias := range s.aliases {
			if alias == hint {
				return s
			}
		}
	}
	return nil
}

// child is a part of the input, as if it had come alone.
func (in *input) child(doc value) *input {
	c := *in
	c.doc = doc
	return &c
}

// envelope says what an unwrapped payload came in.
type envelope struct {
	id   string // stable id of the envelope
	name string // the envelope's own name: an ARN, a queue
}

// unwrap emits the events of a payload that is JSON of a source that is
// recognised by its looks, and says whether it was.
func (in *input) unwrap(payload []byte, env envelope) (bool, error) {
	if in.level >= maxUnwrap || firstByte(payload) != '{' {
		return false, nil
	}
	doc, err := parse(payload, in.depth())
	if err != nil {
		return false, nil // not JSON: the envelope's own event carries it as it is
	}
	bare := *in.Request
	bare.Header, bare.Hint, bare.Body, bare.wrapper = noHeader, "", payload, nil
	c := &input{Request: &bare, doc: doc, table: in.table, out: in.out, level: in.level + 1,
		fallback: firstOf(env.id, in.fallback), via: joined(",", in.via, env.name)}
	s := c.recognize()
	if s == nil || c.check(s.name) != nil {
		return false, nil
	}
	before := *in.out
	err = s.events(c)
	if errors.Is(err, hayate.ErrInvalid) {
		// One bad payload must not keep a whole batch from being accepted.
		*in.out = before
		return false, nil
	}
	return true, err
}

func noHeader(string) string { return "" }

// draft is an event as a source describes it. Everything but typ may be empty.
type draft struct {
	typ, subject string
	source       string // any text; what may not stand in a URI reference is encoded
	id           string
	// same declares that requests with equal bodies are the same event: their
	// hash is the id where there is no other. With within it is the same event
	// only if received in the same stretch of that length.
	same        bool
	within      time.Duration
	time        time.Time
	correlation string
	data        []byte // JSON; nil means the whole input
	extensions  map[string]any
}

// emit finishes a draft and adds it to the output.
func (in *input) emit(d draft) error {
	if d.data == nil {
		d.data = in.doc.raw()
	}
	e := hayate.Event{
		Type:            clean(d.typ),
		Source:          reference(clean(d.source)),
		Subject:         clean(d.subject),
		Time:            d.time,
		DataContentType: "application/json",
		Data:            d.data,
		Extensions:      d.extensions,
	}
	if e.Type == "" {
		e.Type = genericType(in.Hint)
	}
	if e.Source == "" {
		e.Source = in.defaultSource()
	}
	e.ID = clean(d.id)
	switch {
	case e.ID != "" && len(d.id) <= maxAttribute:
	case e.ID != "":
		e.ID = digest(d.id)
	case d.same:
		e.ID = digest(e.Type, e.Source, string(d.data))
	case in.fallback != "":
		e.ID = clean(in.fallback)
	case d.within > 0:
		e.ID = digest(e.Type, e.Source, string(d.data), in.now().Truncate(d.within).Format(time.RFC3339))
	default:
		e.ID = clean(in.NewID())
	}
	e.SetExtension(hayate.ExtCorrelation, clean(d.correlation))
	e.SetExtension("via", clean(in.via))
	return in.out.add(e)
}

// defaultSource names where an event came in, for sources that do not say.
func (in *input) defaultSource() string {
	hint := strings.Trim(in.Hint, "/")
	if hint == "" {
		return "/webhooks"
	}
	return reference("/webhooks/" + clean(hint))
}
