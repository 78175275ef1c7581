package render

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Path renders the path of a file from the parameters that a task's runner gets.
// A relative path is below the action's working directory, where it has one. A
// secret has no place in a path and is not known to the template.
func Path(template string, t *hayate.Task) (string, error) {
	vars := jinja.Values{}
	dir := ""
	for _, params := range []json.RawMessage{t.RunnerParameters, t.Parameters} {
		var m map[string]json.RawMessage
		if len(params) > 0 {
			if err := json.Unmarshal(params, &m); err != nil {
				return "", fmt.Errorf("read the parameters: %w", err)
			}
		}
		for name, raw := range m {
			v, err := value.Decode(raw)
			if err != nil {
				return "", fmt.Errorf("read parameter %s: %w", name, err)
			}
			if s, ok := v.(string); ok && name == "cwd" {
				dir = s
			}
			vars[name] = v
		}
	}
	for name := range vars {
		if p := t.Action.Parameters.Get(name); p != nil && p.Secret {
			delete(vars, name)
		}
	}
	path := template
	if strings.Contains(template, "{{") {
		c, err := jinja.New(jinja.StackStormOptions(jinja.Hooks{}, true)).Compile(template)
		if err != nil {
			return "", err
		}
		if path, err = c.Render(vars); err != nil {
			return "", err
		}
	}
	if !filepath.IsAbs(path) && dir != "" {
		path = filepath.Join(dir, path)
	}
	return path, nil
}
