package simulate

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/hayate-run/hayate/workflows"
)

// CheckInputs compares the inputs given, a JSON object or nil, with those that a
// definition declares. Unknown are given and not declared, missing are declared
// without a default and not given. Of a dialect that declares none it finds nothing.
func CheckInputs(def *workflows.Definition, inputs json.RawMessage) (unknown, missing []string) {
	declared, known := def.Inputs()
	if !known {
		return nil, nil
	}
	given := map[string]json.RawMessage{}
	if len(inputs) > 0 && json.Unmarshal(inputs, &given) != nil {
		return nil, nil // the run refuses it
	}
	for _, in := range declared {
		if _, ok := given[in.Name]; !ok && in.Required {
			missing = append(missing, in.Name)
		}
		delete(given, in.Name)
	}
	return slices.Sorted(maps.Keys(given)), missing
}
