package shell

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// arguments are a script's: the named ones first, in the order of the
// parameters, then the positional ones by position, as StackStorm formats them.
// Position and type are read from the action's metadata alone.
func arguments(a hayate.Action, parameters []byte, kwargOp string) ([]string, error) {
	given := value.NewMap(0)
	if len(parameters) > 0 {
		v, err := value.Decode(parameters)
		if err != nil {
			return nil, fmt.Errorf("read parameters: %v", err)
		}
		m, ok := v.(*value.Map)
		if !ok && v != nil {
			return nil, errors.New("read parameters: want a JSON object")
		}
		if ok {
			given = m
		}
	}
	positional, names := positions(a.Parameters)
	var args []string
	for k, v := range given.All() {
		name := value.Str(k)
		if names[name] {
			continue
		}
		switch v {
		case nil, "", false:
		case true:
			args = append(args, kwargOp+name)
		default:
			args = append(args, kwargOp+name+"="+value.Str(v))
		}
	}
	for _, p := range positional {
		v, _ := given.Str(p.Name) // an absent one keeps its slot
		text, err := positionalText(p.Type, v)
		if err != nil {
			return nil, fmt.Errorf("parameter %s: %w", p.Name, err)
		}
		args = append(args, text)
	}
	for _, a := range args {
		if strings.IndexByte(a, 0) >= 0 {
			return nil, errors.New("parameters: an argument contains a NUL character")
		}
	}
	return args, nil
}

// positions are the positional parameters in their order, and the names of all
// that have a position. Of several at one position the last counts.
func positions(ps hayate.Parameters) (ordered []hayate.Parameter, names map[string]bool) {
	at := map[int]hayate.Parameter{}
	for _, p := range ps {
		if p.Position != nil {
			at[*p.Position] = p
		}
	}
	names = map[string]bool{}
	for _, p := range at {
		ordered = append(ordered, p)
		names[p.Name] = true
	}
	sort.Slice(ordered, func(i, j int) bool { return *ordered[i].Position < *ordered[j].Position })
	return ordered, names
}

// positionalText is a positional argument of that type; nothing, zero and empty
// lists and objects are an empty text.
func positionalText(typ string, v any) (string, error) {
	if v == nil || typ == "null" {
		return "", nil
	}
	switch typ {
	case "string", "number", "float":
		return value.Str(v), nil
	case "boolean":
		if value.Truth(v) {
			return "1", nil
		}
		return "0", nil
	}
	if !value.Truth(v) {
		return "", nil
	}
	switch l, isList := v.(value.List); {
	case isList && (typ == "array" || typ == "list"):
		items := make([]string, len(l))
		for i, x := range l {
			items[i] = value.Str(x)
		}
		return strings.Join(items, ","), nil
	case typ == "object":
		b, err := value.Encode(v)
		return string(b), err
	}
	return value.Str(v), nil
}
