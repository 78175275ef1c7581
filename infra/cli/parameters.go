package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
)

// parameters reads NAME=VALUE arguments as the action's schema wants them.
func (a *app) parameters(ctx context.Context, ref string, args []string) (map[string]any, error) {
	out := map[string]any{}
	var view struct {
		Parameters map[string]struct {
			Type string `json:"type"`
		} `json:"parameters"`
	}
	if err := a.get(ctx, "/api/v1/actions/views/parameters/"+url.PathEscape(ref), nil, &view); err != nil {
		return nil, err
	}
	for _, arg := range args {
		name, v, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, usage("%q is not NAME=VALUE", arg)
		}
		p, known := view.Parameters[name]
		if !known {
			names := make([]string, 0, len(view.Parameters))
			for n := range view.Parameters {
				names = append(names, n)
			}
			return nil, usage("action %s takes no parameter %q%s", ref, name, hint(name, names))
		}
		val, err := converted(p.Type, v)
		if err != nil {
			return nil, usage("parameter %s: %v", name, err)
		}
		out[name] = val
	}
	return out, nil
}

// converted reads a parameter's text by its type, as StackStorm's client does.
func converted(typ, v string) (any, error) {
	if strings.HasPrefix(v, "@") && typ != "integer" && typ != "number" {
		b, err := os.ReadFile(v[1:])
		if err != nil {
			return nil, err
		}
		v = string(b)
	}
	if strings.Contains(v, "{{") {
		return v, nil
	}
	switch typ {
	case "integer":
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a whole number", v)
		}
		return n, nil
	case "number":
		n, err := strconv.ParseFloat(v, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", v)
		}
		return n, nil
	case "boolean":
		switch strings.ToLower(v) {
		case "true", "1", "yes":
			return true, nil
		case "false", "0", "no":
			return false, nil
		}
		return nil, fmt.Errorf("%q is neither true nor false", v)
	case "array":
		return convertArray(v)
	case "object":
		return convertObject(v)
	}
	return v, nil
}

func convertArray(v string) (any, error) {
	var list []any
	if strings.HasPrefix(strings.TrimSpace(v), "[") {
		if err := json.Unmarshal([]byte(v), &list); err != nil {
			return nil, fmt.Errorf("not a JSON array: %v", err)
		}
		return list, nil
	}
	list = []any{}
	if v == "" {
		return list, nil
	}
	for _, part := range strings.Split(v, ",") {
		list = append(list, strings.TrimSpace(part))
	}
	return list, nil
}

func convertObject(v string) (any, error) {
	obj := map[string]any{}
	if strings.HasPrefix(strings.TrimSpace(v), "{") {
		if err := json.Unmarshal([]byte(v), &obj); err != nil {
			return nil, fmt.Errorf("not a JSON object: %v", err)
		}
		return obj, nil
	}
	for _, pair := range strings.Split(v, ",") {
		k, x, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, fmt.Errorf("%q is not k=v", pair)
		}
		obj[strings.TrimSpace(k)] = x
	}
	return obj, nil
}
