package jinja

import (
	"path"
	"strings"
	"sync"
	"time"

	"github.com/hayate-run/hayate/internal/expr/jsonpath"
	"github.com/hayate-run/hayate/internal/expr/pyre"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// Hooks are what StackStorm's filters need from outside.
type Hooks struct {
	// ParseYAML reads one YAML document, as PyYAML's safe_load does. Without it
	// from_yaml_string is an error.
	ParseYAML func(text string) (any, error)
	// Decrypt opens a value of the datastore. Without it decrypt_kv is an error.
	Decrypt func(ciphertext string) (string, error)
}

// NoneMarker stands for null in rendered text; the caster of parameters turns it
// back (filter use_none).
const NoneMarker = "%*****__%NONE%__*****%"

// SharedFunctions returns the functions that StackStorm adds to Orquesta's YAQL
// and Jinja, where they are also filters. The same ones, with decrypt_kv and
// to_complex, are StackStorm's own filters.
func SharedFunctions(h Hooks) map[string]Function {
	seen := &patterns{regexps: map[regexpKey]*pyre.Regexp{}, paths: map[string]*jsonpath.Path{}}
	m := map[string]Function{
		"from_json_string":           from("from_json_string", value.Loads),
		"from_yaml_string":           from("from_yaml_string", h.ParseYAML),
		"to_json_string":             toJSONString,
		"to_yaml_string":             toYAMLString,
		"json_escape":                jsonEscape,
		"jsonpath_query":             seen.jsonpathQuery,
		"regex_match":                seen.regexTest("regex_match", (*pyre.Regexp).Starts),
		"regex_search":               seen.regexTest("regex_search", (*pyre.Regexp).Found),
		"regex_replace":              seen.regexReplace,
		"regex_substring":            seen.regexSubstring,
		"to_human_time_from_seconds": humanTime,
		"use_none":                   useNone,
		"basename":                   onPath("basename", baseName),
		"dirname":                    onPath("dirname", dirName),
		"version_compare":            versionCompare("version_compare", func(c int) any { return int64(c) }),
		"version_more_than":          versionCompare("version_more_than", func(c int) any { return c == 1 }),
		"version_less_than":          versionCompare("version_less_than", func(c int) any { return c == -1 }),
		"version_equal":              versionCompare("version_equal", func(c int) any { return c == 0 }),
		"version_match":              versionMatch,
		"version_bump_major":         onVersion("version_bump_major", func(v version) string { return version{major: v.major + 1}.String() }),
		"version_bump_minor":         onVersion("version_bump_minor", func(v version) string { return version{major: v.major, minor: v.minor + 1}.String() }),
		"version_bump_patch":         onVersion("version_bump_patch", func(v version) string { return version{major: v.major, minor: v.minor, patch: v.patch + 1}.String() }),
		"version_strip_patch":        onVersion("version_strip_patch", version.short),
	}
	m["json_parse"], m["yaml_parse"] = m["from_json_string"], m["from_yaml_string"]
	m["json_dump"], m["yaml_dump"] = m["to_json_string"], m["to_yaml_string"]
	return m
}

// StackStormOptions returns the Options of StackStorm's own rendering: sandbox,
// trimmed blocks, its filters; strict says whether undefined variables are errors.
func StackStormOptions(h Hooks, strict bool) Options {
	filters := SharedFunctions(h)
	for _, alias := range []string{"json_parse", "yaml_parse", "json_dump", "yaml_dump"} {
		delete(filters, alias)
	}
	filters["decrypt_kv"] = decryptKV(h)
	filters["to_complex"] = func(c *Call) (any, error) {
		a, err := c.Bind("to_complex", 1, "value")
		if err != nil {
			return nil, err
		}
		return value.Dumps(plain(a[0], c.Budget()), value.DumpOptions{Indent: -1}, c.Budget())
	}
	return Options{Strict: strict, TrimBlocks: true, LstripBlocks: true, Filters: filters}
}

// OrquestaOptions returns the Options of Orquesta's Jinja; functions, such as ctx
// and those of SharedFunctions, become globals and filters.
func OrquestaOptions(functions map[string]Function) Options {
	return Options{Strict: true, TrimBlocks: true, LstripBlocks: true, Functions: functions, Filters: functions}
}

// patterns remembers the expressions and paths that were compiled last. It may be
// used by many goroutines at once.
type patterns struct {
	mu      sync.Mutex
	regexps map[regexpKey]*pyre.Regexp
	paths   map[string]*jsonpath.Path
}

type regexpKey struct {
	pattern string
	flags   pyre.Flags
}

// maxPatterns bounds each of them; beyond, all are forgotten.
const maxPatterns = 512

func (ps *patterns) regexp(pattern string, flags pyre.Flags) (*pyre.Regexp, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	k := regexpKey{pattern, flags}
	if re := ps.regexps[k]; re != nil {
		return re, nil
	}
	re, err := pyre.Compile(pattern, flags)
	if err != nil {
		return nil, err
	}
	if len(ps.regexps) >= maxPatterns {
		clear(ps.regexps)
	}
	ps.regexps[k] = re
	return re, nil
}

func (ps *patterns) path(text string) (*jsonpath.Path, error) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.paths[text]; p != nil {
		return p, nil
	}
	p, err := jsonpath.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(ps.paths) >= maxPatterns {
		clear(ps.paths)
	}
	ps.paths[text] = p
	return p, nil
}

func decryptKV(h Hooks) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind("decrypt_kv", 1, "value")
		if err != nil {
			return nil, err
		}
		t, err := c.Str(a[0])
		if err != nil {
			return nil, err
		}
		if t == "" {
			return nil, value.ValueErrorf("Referenced datastore item doesn't exist or it contains an empty string.")
		}
		if h.Decrypt == nil {
			return nil, value.ValueErrorf("decryption is not available here")
		}
		return h.Decrypt(t)
	}
}

// from makes a function that reads a text.
func from(name string, parse func(string) (any, error)) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind(name, 1, "value")
		if err != nil {
			return nil, err
		}
		t, err := c.Str(a[0])
		if err != nil {
			return nil, err
		}
		if err := c.Budget().Grow(8 * len(t)); err != nil {
			return nil, err
		}
		if parse == nil {
			return nil, value.ValueErrorf("%s is not available here", name)
		}
		v, err := parse(t)
		if e, ok := err.(*value.SyntaxError); ok {
			return nil, value.Raise("JSONDecodeError", "%s", e.Error())
		}
		return v, err
	}
}

// dumpIndent reads the argument indent of json.dumps: None, a number.
func dumpIndent(v any) (int, error) {
	if !given(v) {
		return -1, nil
	}
	n, err := integer(v, 0)
	return min(max(n, 0), 1000), err
}

func toJSONString(c *Call) (any, error) {
	a, err := c.Bind("to_json_string", 1, "value", "indent", "sort_keys", "separators")
	if err != nil {
		return nil, err
	}
	o := value.DumpOptions{ItemSeparator: ",", KeySeparator: ": ", SortKeys: flag(a[2])}
	if o.Indent, err = dumpIndent(a[1]); err != nil {
		return nil, err
	}
	if a[3] == nil {
		o.ItemSeparator, o.KeySeparator = "", ""
	} else if sep, ok := value.Items(a[3]); ok && len(sep) == 2 {
		o.ItemSeparator, o.KeySeparator = value.Str(sep[0]), value.Str(sep[1])
	}
	return dumps(c, a[0], o)
}

func dumps(c *Call, v any, o value.DumpOptions) (any, error) {
	if u, ok := v.(*Undefined); ok && u.Strict {
		return nil, u.err()
	}
	return value.Dumps(plain(v, c.Budget()), o, c.Budget())
}

func toYAMLString(c *Call) (any, error) {
	a, err := c.Bind("to_yaml_string", 1, "value", "indent", "allow_unicode")
	if err != nil {
		return nil, err
	}
	indent := 2
	if given(a[1]) {
		if indent, err = integer(a[1], 2); err != nil {
			return nil, err
		}
	}
	return DumpYAML(plain(a[0], c.Budget()), indent, a[2] == (Absent{}) || value.Truth(a[2]), c.Budget())
}

func jsonEscape(c *Call) (any, error) {
	a, err := c.Bind("json_escape", 1, "value")
	if err != nil {
		return nil, err
	}
	t, err := dumps(c, a[0], value.DumpOptions{Indent: -1})
	if err != nil {
		return nil, err
	}
	return strings.Trim(t.(string), `"`), nil
}

func (ps *patterns) jsonpathQuery(c *Call) (any, error) {
	a, err := c.Bind("jsonpath_query", 2, "value", "query")
	if err != nil {
		return nil, err
	}
	query, err := c.Str(a[1])
	if err != nil {
		return nil, err
	}
	p, err := ps.path(query)
	if err != nil {
		return nil, err
	}
	found, err := p.Find(a[0], c.Budget())
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return value.List(found), c.Budget().Grow(16 * len(found))
}

// regexArgs reads value, pattern and flags of the regex functions.
func (ps *patterns) regexArgs(c *Call, v, pattern, ignorecase any) (string, *pyre.Regexp, error) {
	t, err := c.Str(v)
	if err != nil {
		return "", nil, err
	}
	p, ok := asText(pattern)
	if !ok {
		return "", nil, value.TypeErrorf("first argument must be string or compiled pattern")
	}
	var flags pyre.Flags
	if flag(ignorecase) {
		flags = pyre.IgnoreCase
	}
	re, err := ps.regexp(p, flags)
	if e, ok := err.(*pyre.Error); ok {
		return "", nil, value.Raise("error", "%s", e.Message)
	}
	return t, re, err
}

func (ps *patterns) regexTest(name string, test func(*pyre.Regexp, string) (bool, error)) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind(name, 2, "value", "pattern", "ignorecase")
		if err != nil {
			return nil, err
		}
		t, re, err := ps.regexArgs(c, a[0], a[1], a[2])
		if err != nil {
			return nil, err
		}
		return test(re, t)
	}
}

func (ps *patterns) regexReplace(c *Call) (any, error) {
	a, err := c.Bind("regex_replace", 3, "value", "pattern", "replacement", "ignorecase")
	if err != nil {
		return nil, err
	}
	t, re, err := ps.regexArgs(c, a[0], a[1], a[3])
	if err != nil {
		return nil, err
	}
	repl, ok := asText(a[2])
	if !ok {
		return nil, value.TypeErrorf("decoding to str: need a bytes-like object, %s found", value.Type(a[2]))
	}
	out, err := re.Sub(repl, t, 0, c.Budget())
	if e, ok := err.(*pyre.Error); ok {
		return nil, value.Raise("error", "%s", e.Message)
	}
	return out, err
}

// regexSubstring is re.findall(…)[index]: the match, or its groups.
func (ps *patterns) regexSubstring(c *Call) (any, error) {
	a, err := c.Bind("regex_substring", 2, "value", "pattern", "result_index", "ignorecase")
	if err != nil {
		return nil, err
	}
	t, re, err := ps.regexArgs(c, a[0], a[1], a[3])
	if err != nil {
		return nil, err
	}
	var found []any
	err = re.All(t, func(m *pyre.Match) bool {
		groups := value.Tuple{}
		for g := range re.Groups() {
			s, _ := m.Group(g + 1)
			groups = append(groups, s)
		}
		whole, _ := m.Group(0)
		switch len(groups) {
		case 0:
			found = append(found, whole)
		case 1:
			found = append(found, groups[0])
		default:
			found = append(found, groups)
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	at := any(int64(0))
	if a[2] != (Absent{}) {
		at = a[2]
	}
	i, ok := index(at, len(found))
	if !ok {
		return nil, value.Raise("IndexError", "list index out of range")
	}
	return found[i], nil
}

// humanTime writes a time as 1h2m5s. Days are counted within the month, as the
// original does: 40 days are 9d0h0m0s.
func humanTime(c *Call) (any, error) {
	a, err := c.Bind("to_human_time_from_seconds", 1, "seconds")
	if err != nil {
		return nil, err
	}
	if !value.IsNumber(a[0]) {
		return nil, value.Raise("AssertionError", "")
	}
	f, err := value.ToFloat(a[0])
	switch {
	case err != nil:
		return nil, err
	case f == 0:
		return "0s", nil
	case f < 1:
		return value.Str(a[0]) + "μs", nil
	case f >= 9999*365*86400:
		return nil, value.Raise("OverflowError", "date value out of range")
	}
	at := time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(value.Round(f, 0))/86400).
		Add(time.Duration(int64(value.Round(f, 0))%86400) * time.Second)
	parts := []int{at.Year() - 1, at.Day() - 1, at.Hour(), at.Minute(), at.Second()}
	var b strings.Builder
	for i, p := range parts {
		if p == 0 && b.Len() == 0 {
			continue
		}
		b.WriteString(value.Str(int64(p)))
		b.WriteByte("ydhms"[i])
	}
	if b.Len() == 0 {
		return "0s", nil
	}
	return b.String(), nil
}

func useNone(c *Call) (any, error) {
	a, err := c.Bind("use_none", 1, "value")
	if err != nil {
		return nil, err
	}
	if a[0] == nil {
		return NoneMarker, nil
	}
	return a[0], nil
}

func onPath(name string, f func(string) string) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind(name, 1, "path")
		if err != nil {
			return nil, err
		}
		t, ok := asText(a[0])
		if !ok {
			if u, ok := a[0].(*Undefined); ok {
				return nil, u.err()
			}
			return nil, value.TypeErrorf("expected str, bytes or os.PathLike object, not %s", value.Type(a[0]))
		}
		return f(t), nil
	}
}

func baseName(p string) string {
	_, file := path.Split(p)
	return file
}

func dirName(p string) string {
	dir, _ := path.Split(p)
	if trimmed := strings.TrimRight(dir, "/"); trimmed != "" {
		return trimmed
	}
	return dir
}
