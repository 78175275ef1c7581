package value

import (
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
)

// FromGo turns Go's own data into a value: integers and floats of any width,
// json.Number, json.RawMessage, []any, []string, map[string]any (keys sorted, for
// Go's maps have no order), map[string]string. Values stay as they are.
func FromGo(v any) (any, error) { return fromGo(v, 0) }

func fromGo(v any, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, fmt.Errorf("convert a value nested deeper than %d: %w", MaxDepth, ErrLimit)
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string, *big.Int, List, Tuple, *Array, *Map, *Set, Bytes, Object:
		return v, nil
	case int:
		return int64(v), nil
	case int32:
		return int64(v), nil
	case int16:
		return int64(v), nil
	case int8:
		return int64(v), nil
	case uint8:
		return int64(v), nil
	case uint16:
		return int64(v), nil
	case uint32:
		return int64(v), nil
	case uint:
		return BigInt(new(big.Int).SetUint64(uint64(v))), nil
	case uint64:
		return BigInt(new(big.Int).SetUint64(v)), nil
	case float32:
		return float64(v), nil
	case json.Number:
		return DecodeString(string(v))
	case json.RawMessage:
		if v == nil {
			return nil, nil
		}
		return Decode(v)
	case []byte:
		return Bytes(v), nil
	case []string:
		l := make(List, len(v))
		for i, s := range v {
			l[i] = s
		}
		return l, nil
	case []any:
		l := make(List, len(v))
		for i, x := range v {
			y, err := fromGo(x, depth+1)
			if err != nil {
				return nil, err
			}
			l[i] = y
		}
		return l, nil
	case map[string]string:
		m := NewMap(len(v))
		for _, k := range sortedKeys(v) {
			m.Set(k, v[k])
		}
		return m, nil
	case map[string]any:
		m := NewMap(len(v))
		for _, k := range sortedKeys(v) {
			y, err := fromGo(v[k], depth+1)
			if err != nil {
				return nil, err
			}
			m.Set(k, y)
		}
		return m, nil
	}
	return nil, fmt.Errorf("convert %T: not a value", v)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Plain returns v with every tuple and array made a List, as JSON would bring
// it back; parts without any are shared with v. Sets and objects stay.
func Plain(v any) any {
	n := maxParts
	return plainValue(v, 0, &n)
}

func plainValue(v any, depth int, left *int) any {
	*left--
	if depth > MaxDepth || *left < 0 {
		return nil
	}
	switch v := v.(type) {
	case List:
		return plainItems(v, depth, left)
	case Tuple:
		return plainItems(v, depth, left)
	case *Array:
		return plainItems(v.Items, depth, left)
	case *Map:
		c := NewMap(v.Len())
		for k, x := range v.All() {
			c.Set(k, plainValue(x, depth+1, left))
		}
		return c
	}
	return v
}

func plainItems(items []any, depth int, left *int) List {
	l := make(List, len(items))
	for i, x := range items {
		l[i] = plainValue(x, depth+1, left)
	}
	return l
}
