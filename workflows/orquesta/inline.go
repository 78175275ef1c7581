package orquesta

import (
	"regexp"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// inlineParam finds name=value in a line. The order of the alternatives decides:
// a list runs to the last bracket of the line; a word that is none of these is
// not seen at all.
var inlineParam = regexp.MustCompile(`([\p{L}\p{N}_]+)=(\[.*\]|"[^"]*"|'[^']*'|-?\d*\.\d+|-?\d+|(?i:true|false)|null|<%.*?%>|\{\{.*?\}\})`)

// param is one name=value.
type param struct {
	name string
	val  any
}

// parseInline reads the parameters that a text holds, in order.
func parseInline(s string) []param {
	if !strings.Contains(s, "=") {
		return nil
	}
	var out []param
	for _, m := range inlineParam.FindAllStringSubmatch(s, -1) {
		out = append(out, param{m[1], inlineValue(m[2])})
	}
	return out
}

func inlineValue(s string) any {
	quoted := false
	if n := len(s); n >= 2 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		s, quoted = s[1:n-1], true
	}
	if quoted && !(strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}")) {
		return s
	}
	if !quoted {
		switch strings.ToLower(s) {
		case "true":
			return true
		case "false":
			return false
		}
		if s[0] == '[' && strings.ContainsAny(s, `"'`) {
			return s
		}
	}
	if v, err := value.DecodeString(s); err == nil {
		return v
	}
	return s
}

// inlineAction splits "core.echo message=…" into the action and its input; params
// is nil where the text holds none.
func inlineAction(s string) (action string, params []param) {
	params = parseInline(s)
	if params == nil {
		return s, nil
	}
	i := strings.IndexByte(s, ' ')
	if i < 0 {
		return s, params
	}
	return s[:i], params
}
