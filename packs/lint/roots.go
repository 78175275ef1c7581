package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/yamldoc"
)

// What templates may look at beside an action's parameters: contextRoots in the
// parameters of a rule's actions (StackStorm: util/param.py), keyRoots in when.per
// and guard.per.
var (
	contextRoots = []string{"trigger", "st2kv", "system", "action_context", "config_context"}
	keyRoots     = []string{"trigger", "event"}
	storeScopes  = []string{"system", "user"}
)

// storeScope finds the scope of a key in a template: st2kv.system.
var storeScope = regexp.MustCompile(`\bst2kv\s*\.\s*([A-Za-z_]\w*)`)

// roots notes names in the templates below a node that lead nowhere. all says that
// known are all there are; otherwise only what is nearly one of them is noted.
func (l *linter) roots(file string, way []string, n *yamldoc.Node, known []string, all bool) {
	switch n.Kind() {
	case yamldoc.String:
		l.root(file, way, n.Text(), known, all)
	case yamldoc.Sequence:
		for i, it := range n.Items() {
			l.roots(file, append(slices.Clip(way), strconv.Itoa(i)), it, known, all)
		}
	case yamldoc.Mapping:
		for _, e := range n.Entries() {
			l.roots(file, append(slices.Clip(way), e.Name()), e.Value, known, all)
		}
	}
}

func (l *linter) root(file string, way []string, text string, known []string, all bool) {
	if !isTemplate(text) {
		return
	}
	t, err := jinjaEnv.Compile(text)
	if err != nil {
		return // templates notes it
	}
	names := t.Undeclared()
	for _, name := range names {
		if near := yamldoc.Nearest(name, known); !slices.Contains(known, name) && (all || near != "") {
			hint := "; known are " + strings.Join(known, ", ")
			switch {
			case near != "":
				hint = yamldoc.Suggest(name, known)
			case slices.Contains(known, "st2kv"):
				hint = "; known are " + strings.Join(contextRoots, ", ") + " and the action's parameters"
			}
			l.warn(file, way, "unknown-name", "the template names %q, which there is not%s", name, hint)
		}
	}
	if !slices.Contains(names, "st2kv") || !slices.Contains(known, "st2kv") {
		return
	}
	for _, m := range storeScope.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(storeScopes, m[1]) {
			hint := yamldoc.Suggest(m[1], storeScopes)
			if hint == "" {
				hint = "; write st2kv.system." + m[1]
			}
			l.warn(file, way, "unknown-name", "st2kv has system and user, and no %q%s", m[1], hint)
		}
	}
}

// past looks at what a rule says about its past: names in keys, and times without
// a unit.
func (l *linter) past(file string, doc *yamldoc.Node) {
	for _, way := range [][]string{{"when", "per"}, {"when", "both", "per"}, {"guard", "per"}} {
		l.roots(file, way, follow(doc, way), keyRoots, true)
	}
	for _, part := range []string{"when", "guard"} {
		l.units(file, []string{part}, doc.Get(part))
	}
}

// spans are the keys of when and guard whose values are times.
var spans = []string{"cooldown", "within", "every", "open", "once"}

// units notes times that are bare numbers: they are seconds, and minutes are meant
// as often.
func (l *linter) units(file string, way []string, n *yamldoc.Node) {
	for _, e := range n.Entries() {
		at := append(slices.Clip(way), e.Name())
		switch e.Value.Kind() {
		case yamldoc.Mapping:
			if e.Name() != "criteria" && e.Name() != "pattern" && e.Name() != "trigger" {
				l.units(file, at, e.Value)
			}
		case yamldoc.Int:
			if slices.Contains(spans, e.Name()) {
				l.warn(file, at, "no-unit", "%s is %[2]s seconds; write %[2]ss, or %[2]sm where minutes are meant", strings.Join(at, "."), e.Value.Text())
			}
		}
	}
}
