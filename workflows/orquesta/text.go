package orquesta

import (
	"regexp"
	"strings"
)

// The languages of expressions.
const (
	langYAQL  = "yaql"
	langJinja = "jinja"
)

var (
	yaqlDelimited  = regexp.MustCompile(`<%.*?%>`)
	jinjaDelimited = regexp.MustCompile(`\{\{.*?\}\}`)
	jinjaBlock     = regexp.MustCompile(`\{%.*?%\}`)
)

// hasYAQL and hasJinja say whether a text holds an expression of the language.
// Expressions that go over a line's end are not seen as such.
func hasYAQL(s string) bool { return strings.Contains(s, "<%") && yaqlDelimited.MatchString(s) }

func hasJinja(s string) bool {
	return strings.Contains(s, "{") && (jinjaDelimited.MatchString(s) || jinjaBlock.MatchString(s))
}

// languageOf tells which language evaluates a text, "" for none: YAQL goes first.
func languageOf(s string) string {
	switch {
	case hasYAQL(s):
		return langYAQL
	case hasJinja(s):
		return langJinja
	}
	return ""
}

// expressionsIn returns the delimited expressions of a text.
func expressionsIn(s, language string) []string {
	if language == langYAQL {
		return yaqlDelimited.FindAllString(s, -1)
	}
	return jinjaDelimited.FindAllString(s, -1)
}

// fault is an expression that cannot be read.
type fault struct{ language, expression, message string }

// checkText returns the expressions of a text that cannot be read.
func checkText(s string) []fault {
	yaql, jinja := hasYAQL(s), hasJinja(s)
	switch {
	case yaql && jinja:
		return []fault{{"", s, "Expression with multiple types is not supported."}}
	case yaql:
		return checkYAQL(s)
	case jinja:
		return checkJinja(s)
	}
	return nil
}
