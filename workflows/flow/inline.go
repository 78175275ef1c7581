package flow

import (
	"regexp"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

var (
	inlineName  = regexp.MustCompile(`^\s*(<%.*?%>|\{\{.*?\}\}|[^\s=("']+)`)
	inlineParam = regexp.MustCompile(`([-\w]+)=("(?:[^"\\]|\\.)*"|'[^']*'|\[[^\]]*\]|\{[^{}]*\}|<%.*?%>|\{\{.*?\}\}|[^\s,]+)`)
)

// Inline takes a call that is written in one text apart, "std.http url='x'": what is
// called, which may be an expression, and the parameters, nil where there are none.
func Inline(s string) (string, *value.Map) {
	name := strings.TrimSpace(inlineName.FindString(s))
	rest := strings.TrimPrefix(strings.TrimSpace(s), name)
	var m *value.Map
	for _, p := range inlineParam.FindAllStringSubmatch(rest, -1) {
		if m == nil {
			m = &value.Map{}
		}
		m.Set(p[1], inlineValue(p[2]))
	}
	return name, m
}

func inlineValue(s string) any {
	if len(s) > 1 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	switch strings.ToLower(s) {
	case "true":
		return true
	case "false":
		return false
	}
	if v, err := value.DecodeString(s); err == nil {
		return v
	}
	return s
}
