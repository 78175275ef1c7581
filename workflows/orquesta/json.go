package orquesta

import (
	"strconv"

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

// storable replaces what JSON cannot hold.
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
