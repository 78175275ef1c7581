package rules

import (
	"fmt"
	"strings"
)

// template is a pattern with {{ }}.
type template struct{ text string }

// newTemplate returns nil where the text has no template.
func newTemplate(text string) *template {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") && !strings.Contains(text, "{#") {
		return nil
	}
	return &template{text}
}

func (t *template) render(ev *evaluation) (any, error) {
	return nil, fmt.Errorf("pattern %s is a template", quote(t.text))
}
