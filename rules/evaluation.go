package rules

import (
	"math"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// evaluation is what evaluating criteria of one event needs. Values are made
// from the event's bytes only when something asks for them.
type evaluation struct {
	view   *view
	values map[string]string
	now    time.Time

	data    any // the whole payload
	decoded bool
	dataErr error
	root    *value.Map // {trigger: data}

	item    any // inside search
	inItem  bool
	inner   []error // of children that could not be evaluated
	noData  bool
	checked bool
}

func (ev *evaluation) begin(v *view, values map[string]string) {
	*ev = evaluation{view: v, values: values, now: v.event.AcceptedAt, inner: ev.inner[:0]}
}

// empty says whether the payload is false to Python: absent, null, false, 0,
// "", [] or {}.
func (ev *evaluation) empty() bool {
	if ev.checked {
		return ev.noData
	}
	ev.checked = true
	e := ev.view.event
	if !e.IsJSON() {
		ev.noData = len(e.Data) == 0
		return ev.noData
	}
	b := e.Data
	i := skipSpace(b, 0)
	if i == len(b) {
		ev.noData = true
		return true
	}
	switch b[i] {
	case '{', '[':
		i = skipSpace(b, i+1)
		ev.noData = i < len(b) && (b[i] == '}' || b[i] == ']')
	case '"':
		ev.noData = i+1 < len(b) && b[i+1] == '"'
	case 'n', 'f':
		ev.noData = true
	case 't':
	default:
		x, _ := parseNumber(b[i:skipScalar(b, i)])
		ev.noData = x == 0 && !math.Signbit(math.Abs(x))
	}
	return ev.noData
}

// payload returns the event's data as a value; data that is not JSON is a
// string, or bytes where it is not UTF-8.
func (ev *evaluation) payload() (any, error) {
	if ev.decoded {
		return ev.data, ev.dataErr
	}
	ev.decoded = true
	e := ev.view.event
	switch {
	case !e.IsJSON() && utf8.Valid(e.Data):
		ev.data = string(e.Data)
	case !e.IsJSON():
		ev.data = value.Bytes(e.Data)
	case len(e.Data) > 0:
		ev.data, ev.dataErr = value.Decode(e.Data)
	}
	return ev.data, ev.dataErr
}

// context is what keys and templates see: {trigger: payload}, inside search
// {item: item}.
func (ev *evaluation) context() (*value.Map, error) {
	if ev.inItem {
		return value.MapOf("item", ev.item), nil
	}
	if ev.root != nil {
		return ev.root, nil
	}
	d, err := ev.payload()
	if err != nil {
		return nil, err
	}
	ev.root = value.MapOf("trigger", d)
	return ev.root, nil
}

// fieldValue returns the value at a place as criteria see it.
func (ev *evaluation) fieldValue(p pathID) (any, error) {
	f := ev.view.plain(p)
	if f == nil {
		return nil, nil
	}
	switch f.kind {
	case kindTrue:
		return true, nil
	case kindFalse:
		return false, nil
	case kindString:
		return string(f.val), nil
	case kindNull:
		return nil, nil
	}
	return value.Decode(f.val)
}

// walk follows names through objects; what is not there is nil.
func (ev *evaluation) walk(root string, names []string) (any, error) {
	ctx, err := ev.context()
	if err != nil {
		return nil, err
	}
	at, _ := ctx.Str(root)
	for _, n := range names {
		m, ok := at.(*value.Map)
		if !ok {
			return nil, nil
		}
		at, _ = m.Str(n)
	}
	return at, nil
}

// stored returns a datastore value, nil where the key is unknown.
func (ev *evaluation) stored(key string) (any, error) {
	s, ok := ev.values[key]
	if !ok {
		return nil, needError{[]string{key}}
	}
	if s == "" {
		return nil, nil
	}
	return s, nil
}

// outer is an evaluation's state around an item.
type outer struct {
	item   any
	inItem bool
}

// enter evaluates for an item of search from here on.
func (ev *evaluation) enter(item any) outer {
	o := outer{ev.item, ev.inItem}
	ev.item, ev.inItem = item, true
	return o
}

func (ev *evaluation) leave(o outer) { ev.item, ev.inItem = o.item, o.inItem }

// maxInner bounds the errors that are kept of a search's children.
const maxInner = 8

func (ev *evaluation) innerFailed(err error) {
	if len(ev.inner) < maxInner {
		ev.inner = append(ev.inner, err)
	}
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// newlines are what Jinja turns into \n.
var newlines = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// plainTemplate is what StackStorm's template engine makes of a text without
// templates: line ends become \n, and one at the end is dropped.
func plainTemplate(s string) string {
	return strings.TrimSuffix(newlines.Replace(s), "\n")
}
