package orquesta

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func appendInt(b []byte, i int) []byte { return strconv.AppendInt(b, int64(i), 10) }

// appendValue appends a value as JSON; what JSON cannot hold is appended as the
// text that Python shows for it.
func appendValue(b []byte, v any) []byte {
	out, err := value.AppendJSON(b, v)
	if err == nil {
		return out
	}
	if out, err = value.AppendJSON(b, storable(v)); err == nil {
		return out
	}
	return append(b, "null"...)
}

// storable replaces what JSON cannot hold by its text.
func storable(v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case *value.Map:
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			m.Set(k, storable(x))
		}
		return m
	case *value.Set:
		return storable(v.Items())
	}
	if items, ok := value.Items(v); ok {
		l := make(value.List, len(items))
		for i, x := range items {
			l[i] = storable(x)
		}
		return l
	}
	if _, err := value.AppendJSON(nil, v); err != nil {
		return value.Str(v)
	}
	return v
}

// floatKey marks a float that JSON lacks, in what is stored of a run: {"$float":
// "inf"}. A map of the user's that looks like a mark gets a second $.
const floatKey = "$float"

// appendStored appends a value so that readStored gives it back.
func appendStored(b []byte, v any) []byte {
	out, err := value.AppendJSON(b, v)
	if err == nil && !bytes.Contains(out[len(b):], []byte(floatKey+`"`)) {
		return out
	}
	return appendValue(b, marked(v))
}

func marked(v any) any {
	switch v := v.(type) {
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return value.MapOf(floatKey, value.FormatFloat(v))
		}
	case *value.Map:
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			if s, ok := k.(string); ok && strings.HasSuffix(s, floatKey) {
				k = "$" + s
			}
			m.Set(k, marked(x))
		}
		return m
	case value.List:
		l := make(value.List, len(v))
		for i, x := range v {
			l[i] = marked(x)
		}
		return l
	}
	return v
}

// readStored reads what appendStored wrote.
func readStored(raw []byte) (any, error) {
	v, err := value.Decode(raw)
	if err == nil && bytes.Contains(raw, []byte(floatKey+`"`)) {
		v = unmarked(v)
	}
	return v, err
}

func unmarked(v any) any {
	switch v := v.(type) {
	case *value.Map:
		if s, ok := v.Str(floatKey); ok && v.Len() == 1 {
			text, _ := s.(string)
			if f, err := value.ParseFloat(text); err == nil {
				return f
			}
		}
		m := value.NewMap(v.Len())
		for k, x := range v.All() {
			if s, ok := k.(string); ok && strings.HasSuffix(s, "$"+floatKey) {
				k = s[1:]
			}
			m.Set(k, unmarked(x))
		}
		return m
	case value.List:
		l := make(value.List, len(v))
		for i, x := range v {
			l[i] = unmarked(x)
		}
		return l
	}
	return v
}
