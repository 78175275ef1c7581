package render

import (
	"encoding/json"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/pyliteral"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// noneText is what the use_none filter emits; the caster turns it into null
// (StackStorm: st2common/expressions/functions/data.py).
const noneText = "%*****__%NONE%__*****%"

// cast turns a rendered value into the type its schema asks for, as StackStorm's
// util/casts.py does: a text that reads as JSON or as a Python literal becomes
// what it reads as; nothing else is converted.
func cast(x *param, v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	if s, ok := v.(string); ok && s == noneText {
		return nil, nil
	}
	switch x.castType {
	case "string":
		if _, ok := v.(string); !ok {
			return nil, castError(x, v, "a string")
		}
		return v, nil
	case "integer":
		return castInteger(x, v)
	case "number":
		return castNumber(x, v)
	case "boolean":
		return castBoolean(x, v)
	case "array":
		return castContainer(x, v, "an array")
	case "object":
		return castContainer(x, v, "an object")
	}
	return v, nil
}

func castError(x *param, v any, want string) error {
	return Errorf(Cast, "Parameter %q must be %s, found %s %s", x.Name, want, value.Type(v), shorten(value.Repr(v)))
}

func shorten(s string) string {
	if len(s) > 120 {
		return strings.ToValidUTF8(s[:120], "") + "…"
	}
	return s
}

func castInteger(x *param, v any) (any, error) {
	switch v := v.(type) {
	case bool:
		if v {
			return int64(1), nil
		}
		return int64(0), nil
	case int64, *big.Int:
		return v, nil
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return nil, castError(x, v, "an integer")
		}
		i, _ := big.NewFloat(v).Int(nil)
		return normal(i), nil
	case string:
		i, ok := new(big.Int).SetString(strings.ReplaceAll(strings.TrimSpace(v), "_", ""), 10)
		if !ok {
			return nil, castError(x, v, "an integer")
		}
		return normal(i), nil
	}
	return nil, castError(x, v, "an integer")
}

func normal(i *big.Int) any {
	if i.IsInt64() {
		return i.Int64()
	}
	return i
}

func castNumber(x *param, v any) (any, error) {
	switch v := v.(type) {
	case float64:
		return v, nil
	case bool:
		if v {
			return 1.0, nil
		}
		return 0.0, nil
	case int64:
		return float64(v), nil
	case *big.Int:
		f, _ := new(big.Float).SetInt(v).Float64()
		return f, nil
	case string:
		f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return nil, castError(x, v, "a number")
		}
		return f, nil
	}
	return nil, castError(x, v, "a number")
}

// castBoolean reads a text as the Python literal its capitalised form is: "true"
// is True, "1" is the integer 1 (which the schema then refuses), "yes" an error.
func castBoolean(x *param, v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "none":
		return nil, nil
	}
	if i, ok := new(big.Int).SetString(strings.TrimSpace(s), 10); ok {
		return normal(i), nil
	}
	return nil, castError(x, v, "a boolean (true or false)")
}

// castContainer reads a text as JSON, then as a Python literal.
func castContainer(x *param, v any, want string) (any, error) {
	s, ok := v.(string)
	if !ok {
		return v, nil
	}
	if json.Valid([]byte(s)) {
		if d, err := value.Decode([]byte(s)); err == nil {
			return d, nil
		}
	}
	d, err := pyliteral.Parse(s)
	if err != nil {
		return nil, castError(x, v, want)
	}
	if set, ok := d.(*value.Set); ok {
		return set.Items(), nil
	}
	return d, nil
}
