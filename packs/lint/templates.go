package lint

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// jinjaEnv is StackStorm's Jinja. It only compiles here: what its functions would
// ask for is not there.
var jinjaEnv = jinja.New(jinja.StackStormOptions(jinja.Hooks{}, true))

func isTemplate(s string) bool {
	return strings.Contains(s, "{{") || strings.Contains(s, "{%")
}

// templates compiles every text below a node. StackStorm, and hayate with it, takes
// a template that cannot be read for plain text and passes it on.
func (l *linter) templates(file string, way []string, n *yamldoc.Node) {
	switch n.Kind() {
	case yamldoc.String:
		l.template(file, way, n.Text())
	case yamldoc.Sequence:
		for i, it := range n.Items() {
			l.templates(file, append(slices.Clip(way), strconv.Itoa(i)), it)
		}
	case yamldoc.Mapping:
		for _, e := range n.Entries() {
			l.templates(file, append(slices.Clip(way), e.Name()), e.Value)
		}
	}
}

func (l *linter) template(file string, way []string, text string) {
	if !isTemplate(text) {
		return
	}
	if _, err := jinjaEnv.Compile(text); err != nil {
		l.fail(file, way, "bad-template", "the template cannot be read, and would be passed on as it stands: %s", jinjaText(err))
	}
}

// jinjaText says what is wrong with a template, without Python's class, and with
// the place in the template where that helps.
func jinjaText(err error) string {
	var je *jinja.Error
	if !errors.As(err, &je) {
		return err.Error()
	}
	if je.Line > 1 {
		return je.Message + " (line " + strconv.Itoa(je.Line) + " of the text)"
	}
	return je.Message
}
