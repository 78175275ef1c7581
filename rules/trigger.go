package rules

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// triggerWebhook is the trigger whose url StackStorm strips of slashes.
const triggerWebhook = "core.st2.webhook"

// TriggerParameters returns the parameters of a trigger in the form in which an
// event carries them (hayate.ExtTriggerParameters) and equal ones are equal texts:
// a rule whose trigger has parameters matches only events with the same ones. The
// form is JSON with sorted keys; "" where there are none. A
// webhook's url counts without the slashes around it. Parameters that are not a
// JSON object are returned as they are.
func TriggerParameters(trigger string, raw json.RawMessage) string {
	v, err := value.Decode(raw)
	m, ok := v.(*value.Map)
	if err != nil || !ok {
		if v == nil {
			return ""
		}
		return string(raw)
	}
	if m.Len() == 0 {
		return ""
	}
	if u, ok := m.Str("url"); ok && trigger == triggerWebhook {
		if s, ok := u.(string); ok {
			m.Set("url", strings.Trim(s, "/"))
		}
	}
	return string(encode(sorted(v)))
}

// sorted returns a value whose maps are in the order of their keys.
func sorted(v any) any {
	switch v := v.(type) {
	case value.List:
		out := make(value.List, len(v))
		for i := range v {
			out[i] = sorted(v[i])
		}
		return out
	case *value.Map:
		keys := v.Keys()
		slices.SortFunc(keys, func(a, b any) int { return strings.Compare(value.Str(a), value.Str(b)) })
		out := value.NewMap(len(keys))
		for _, k := range keys {
			x, _ := v.Get(k)
			out.Set(k, sorted(x))
		}
		return out
	}
	return v
}
