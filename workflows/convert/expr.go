package convert

import (
	"regexp"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// lang is the language of a text: the first of which there is an expression.
func lang(s string) string {
	switch {
	case len(yaql.Spans(s)) > 0:
		return "yaql"
	case strings.Contains(s, "{{") || strings.Contains(s, "{%"):
		return "jinja"
	}
	return ""
}

// scope is where an expression stands: what its names mean.
type scope struct {
	*notes
	at    *yamldoc.Node
	path  string
	names *names
	task  string   // the task whose result result() is; "" outside of transitions
	items []string // variables of the items; of a single one the item itself
	// fresh are expressions of variables published in the same step, by name: a
	// condition sees them, where Orquesta publishes after it.
	fresh map[string]any
	// suffix is, by task, where its result lies below that of the action it becomes.
	suffix map[string]string
	// null gives a variable the value null to begin with.
	null func(name string)
}

func (c *scope) lost(format string, args ...any) { c.add(Lost, c.at, c.path, format, args...) }

// value rewrites the expressions in a value.
func (c *scope) value(v any) any {
	switch v := v.(type) {
	case string:
		return c.text(v)
	case value.List:
		out := make(value.List, len(v))
		for i, x := range v {
			out[i] = c.value(x)
		}
		return out
	case *value.Map:
		out := value.NewMap(v.Len())
		for k, x := range v.All() {
			if s, ok := k.(string); ok {
				k = c.text(s)
			}
			out.Set(k, c.value(x))
		}
		return out
	}
	return v
}

// text rewrites the expressions in a text.
func (c *scope) text(s string) string {
	switch lang(s) {
	case "yaql":
		if strings.Contains(s, "{{") {
			c.add(Differs, c.at, c.path, "a text with both YAQL and Jinja: only the YAQL is evaluated")
		}
		var b strings.Builder
		last := 0
		for _, span := range yaql.Spans(s) {
			b.WriteString(s[last : span[0]+2])
			b.WriteString(" " + c.yaql(strings.TrimSpace(s[span[0]+2:span[1]-2])) + " ")
			b.WriteString(s[span[1]-2 : span[1]])
			last = span[1]
		}
		return b.String() + s[last:]
	case "jinja":
		return c.jinja(s)
	}
	return s
}

var (
	attribute = regexp.MustCompile(`^\$\.([A-Za-z_]\w*)(\(?)`)
	getCall   = regexp.MustCompile(`^\$\.get\(\s*'?([A-Za-z_]\w*)'?\s*\)`)
	taskCall  = regexp.MustCompile(`^task\(\s*(?:'([^']*)'|"([^"]*)"|([\w-]*))\s*\)(?:\.(\w+))?`)
	envCall   = regexp.MustCompile(`^env\(\)\.(?:st2_(execution_id|liveaction_id|action_api_url)|get\('?st2_(execution_id|liveaction_id|action_api_url)'?\))`)
)

// yaql rewrites one expression: $ is the context, of items the item; task(t).result
// of the current task is result().
func (c *scope) yaql(expr string) string {
	ms, into, err := yaql.Outline(expr)
	if err != nil {
		c.lost("the expression %s cannot be read: %v", expr, err)
		return expr
	}
	if into {
		c.add(Differs, c.at, c.path, "the expression %s passes on its context with ->; look at it", expr)
	}
	var b strings.Builder
	last := 0
	put := func(from, to int, text string) {
		b.WriteString(expr[last:from] + text)
		last = to
	}
	for _, m := range ms {
		rest := expr[m.At:]
		switch {
		case m.At < last || m.Inner && m.Name == "":
		case m.Name == "":
			a, g := attribute.FindStringSubmatch(rest), getCall.FindStringSubmatch(rest)
			switch {
			case g != nil && c.isFresh(g[1]):
				put(m.At, m.At+len(g[0]), c.variable(g[1], "yaql"))
			case a == nil || a[2] == "(":
				if g == nil {
					c.readsAll()
				}
				put(m.At, m.At+1, "ctx()")
			default:
				put(m.At, m.At+2+len(a[1]), c.variable(a[1], "yaql"))
			}
		case m.Name == "task":
			a := taskCall.FindStringSubmatch(rest)
			if a == nil {
				c.lost("task() of a name that is computed: %s", expr)
				continue
			}
			put(m.At, m.At+len(a[0]), c.taskCall(a[1]+a[2]+a[3], a[4], a[0]))
		case m.Name == "env":
			if a := envCall.FindStringSubmatch(rest); a != nil {
				put(m.At, m.At+len(a[0]), envName(a[1]+a[2]))
				continue
			}
			c.lost("env() in %s", expr)
		case m.Name == "execution" || m.Name == "global" || m.Name == "json_pp" || m.Name == "tasks":
			c.lost("the function %s() in %s", m.Name, expr)
		}
	}
	return b.String() + expr[last:]
}

func (c *scope) isFresh(name string) bool {
	_, ok := c.fresh[name]
	return ok
}

// readsAll notes that an expression reads the context as a whole: what was published
// in the same step is not in it yet.
func (c *scope) readsAll() {
	for name, v := range c.fresh {
		if p, ok := v.(probe); ok {
			*p.found = true
			continue
		}
		c.add(Differs, c.at, c.path, "the condition sees %q as it was before this task published it", name)
	}
}

// variable is how a variable is read.
func (c *scope) variable(name, language string) string {
	for _, item := range c.items {
		if item != name {
			continue
		}
		switch {
		case len(c.items) == 1:
			return "item()"
		case language == "jinja":
			return "item('" + name + "')"
		}
		return "item(" + name + ")"
	}
	if v, ok := c.fresh[name]; ok {
		if s, ok := c.literal(v, language); ok {
			return s
		}
		c.add(Differs, c.at, c.path, "the condition sees %q as it was before this task published it, since what is published cannot be written into the condition", name)
	}
	if strings.HasPrefix(name, "__") {
		c.lost("the private variable %q", name)
	}
	return "ctx()." + name
}

// literal is a published value inside an expression of a language: what its whole
// expression is, or a plain value.
func (c *scope) literal(v any, language string) (string, bool) {
	outer := *c
	outer.fresh = nil
	s, isText := v.(string)
	if l := lang(s); isText && l != "" {
		spans := yaql.Spans(s)
		switch {
		case l != language:
			return "", false
		case l == "yaql" && len(spans) == 1 && spans[0][0] == 0 && spans[0][1] == len(s):
			return "(" + outer.yaql(strings.TrimSpace(s[2:len(s)-2])) + ")", true
		case l == "jinja" && strings.HasPrefix(s, "{{") && strings.HasSuffix(s, "}}") && strings.Count(s, "{{") == 1:
			inner := outer.jinja(s)
			return "(" + strings.TrimSpace(inner[2:len(inner)-2]) + ")", true
		}
		return "", false
	}
	switch v := v.(type) {
	case probe:
		*v.found = true
	case string:
		if strings.ContainsAny(v, `'\`) || strings.Contains(v, "%>") || strings.Contains(v, "}}") {
			return "", false
		}
		return "'" + v + "'", true
	case nil:
		if language == "jinja" {
			return "none", true
		}
		return "null", true
	case bool, int64, float64:
		return strings.ToLower(value.Str(v)), true
	}
	return "", false
}

// taskCall is how task(name).what is asked.
func (c *scope) taskCall(name, what, whole string) string {
	own := name == "" || name == c.task
	if what == "result" && own && c.task != "" {
		return "result()" + c.suffix[c.task]
	}
	to := c.names.of[name]
	switch {
	case name == "" || to == "":
		c.lost("%s: which task it is is not known here", whole)
		return whole
	case what == "result":
		c.add(Differs, c.at, c.path, "%s of a task that did not run is null in Mistral, and fails in Orquesta", whole)
		return "task('" + to + "').result" + c.suffix[name]
	case what == "name":
		return "'" + name + "'"
	}
	c.lost("%s: Orquesta has other words for what a task came to; see task_status('%s')", whole, to)
	return whole
}

func envName(what string) string {
	if what == "action_api_url" {
		return "ctx().st2.api_url"
	}
	return "ctx().st2.action_execution_id"
}

var (
	jinjaName = regexp.MustCompile(`^_\.([A-Za-z_]\w*)(\(?)`)
	jinjaItem = regexp.MustCompile(`^_\[\s*(?:'([^']*)'|"([^"]*)")\s*\]`)
	jinjaKV   = regexp.MustCompile(`^st2kv\.(system|user)\.([\w.-]+)(\s*\|\s*decrypt_kv)?`)
	jinjaEnv  = regexp.MustCompile(`^env\(\)(?:\.|\.get\(['"])st2_(execution_id|liveaction_id|action_api_url)(?:['"]\))?`)
)

// definedTest asks whether the name before it is defined.
var definedTest = regexp.MustCompile(`^\s+is\s+(not\s+)?(un)?defined\b`)

// notNone is that question about a variable that is null where it was not set.
func notNone(a []string) string {
	if (a[1] != "") != (a[2] != "") {
		return " is none"
	}
	return " is not none"
}

// jinja rewrites what is between the delimiters of a text.
func (c *scope) jinja(s string) string {
	return inDelimiters(s, func(code string) string {
		return outsideQuotes(code, func(rest string) (string, int) {
			if a := jinjaKV.FindStringSubmatch(rest); a != nil {
				key := a[2]
				if a[1] == "system" {
					key = "system." + key
				}
				if a[3] != "" {
					return "st2kv('" + key + "', decrypt=true)", len(a[0])
				}
				return "st2kv('" + key + "')", len(a[0])
			}
			if a := jinjaName.FindStringSubmatch(rest); a != nil {
				if a[2] == "(" {
					c.readsAll()
					return "ctx().", 2
				}
				v := c.variable(a[1], "jinja")
				if d := definedTest.FindStringSubmatch(rest[2+len(a[1]):]); d != nil && c.null != nil && strings.HasPrefix(v, "ctx().") {
					c.null(a[1])
					return v + notNone(d), 2 + len(a[1]) + len(d[0])
				}
				return v, 2 + len(a[1])
			}
			if a := jinjaItem.FindStringSubmatch(rest); a != nil {
				return c.variable(a[1]+a[2], "jinja"), len(a[0])
			}
			if a := taskCall.FindStringSubmatch(rest); a != nil {
				return c.taskCall(a[1]+a[2]+a[3], a[4], a[0]), len(a[0])
			}
			if a := jinjaEnv.FindStringSubmatch(rest); a != nil {
				return envName(a[1]), len(a[0])
			}
			for _, f := range []string{"env(", "execution(", "global(", "json_pp("} {
				if strings.HasPrefix(rest, f) {
					c.lost("the function %s) in %s", f, strings.TrimSpace(code))
				}
			}
			if strings.HasPrefix(rest, "_") && (len(rest) == 1 || !isWord(rest[1])) {
				c.readsAll()
				return "ctx()", 1
			}
			return "", 0
		})
	})
}

func isWord(b byte) bool {
	return b == '_' || b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b > 127
}

// inDelimiters rewrites the code between {{ }} and {% %}.
func inDelimiters(s string, f func(code string) string) string {
	var b strings.Builder
	for {
		i := strings.Index(s, "{{")
		end := "}}"
		if k := strings.Index(s, "{%"); k >= 0 && (i < 0 || k < i) {
			i, end = k, "%}"
		}
		if i < 0 {
			return b.String() + s
		}
		j := strings.Index(s[i+2:], end)
		if j < 0 {
			return b.String() + s
		}
		b.WriteString(s[:i+2] + f(s[i+2:i+2+j]) + end)
		s = s[i+2+j+2:]
	}
}

// outsideQuotes calls f where a word begins outside of quoted texts; it returns what
// stands there instead, and of how many bytes; 0 leaves the word.
func outsideQuotes(code string, f func(rest string) (string, int)) string {
	var b strings.Builder
	for i := 0; i < len(code); {
		c := code[i]
		switch {
		case c == '\'' || c == '"':
			j := i + 1
			for j < len(code) && code[j] != c {
				if code[j] == '\\' {
					j++
				}
				j++
			}
			j = min(j+1, len(code))
			b.WriteString(code[i:j])
			i = j
			continue
		case isWord(c) && (i == 0 || !isWord(code[i-1]) && code[i-1] != '.'):
			if text, n := f(code[i:]); n > 0 {
				b.WriteString(text)
				i += n
				continue
			}
		}
		b.WriteByte(c)
		i++
	}
	return b.String()
}

// reads says whether a value reads a variable of the context.
func reads(v any, name string) bool {
	found := false
	c := &scope{notes: &notes{}, names: &names{of: map[string]string{}}, fresh: map[string]any{name: probe{&found}}}
	c.value(v)
	return found
}

// probe stands for a published value that nothing can be written for.
type probe struct{ found *bool }

var stackstorm = jinja.New(jinja.StackStormOptions(jinja.Hooks{}, false))
