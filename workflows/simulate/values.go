package simulate

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// without is a JSON object without some of its members, the others in their order.
func without(raw json.RawMessage, names ...string) json.RawMessage {
	v, err := value.Decode(raw)
	if err != nil {
		return raw
	}
	m, ok := v.(*value.Map)
	if !ok {
		return raw
	}
	m = m.Clone()
	for _, name := range names {
		m.Delete(name)
	}
	b, err := value.AppendJSON(nil, m)
	if err != nil {
		return raw
	}
	return b
}

// same says whether two JSON values are equal as StackStorm compares them: whatever
// the order of their members, and 1 the same as 1.0.
func same(a, b json.RawMessage) bool {
	x, err := value.Decode(orNull(a))
	if err != nil {
		return false
	}
	y, err := value.Decode(orNull(b))
	return err == nil && value.Equal(x, y)
}

// sorted writes a value as JSON with the members of objects in order.
func sorted(v any) string {
	b, err := value.AppendJSON(nil, order(v))
	if err != nil {
		return value.Str(v)
	}
	return string(b)
}

func order(v any) any {
	switch v := v.(type) {
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = order(x)
		}
		return out
	case *value.Map:
		type member struct {
			name string
			key  any
			val  any
		}
		var ms []member
		for k, x := range v.All() {
			ms = append(ms, member{value.Str(k), k, order(x)})
		}
		slices.SortFunc(ms, func(a, b member) int { return strings.Compare(a.name, b.name) })
		out := value.NewMap(len(ms))
		for _, m := range ms {
			out.Set(m.key, m.val)
		}
		return out
	}
	return v
}
