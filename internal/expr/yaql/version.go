package yaql

import (
	"math/big"
	"strings"
)

// version is a semantic version.
type version struct {
	numbers    [3]*big.Int
	prerelease string
	build      string
}

func invalidVersion(s string) error {
	return Raise("ValueError", "%s is not valid SemVer string", s)
}

// parseVersion reads MAJOR.MINOR.PATCH[-pre][+build].
func parseVersion(s string) (version, error) {
	var v version
	rest, build, hasBuild := strings.Cut(s, "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 || len(s) > 256 {
		return v, invalidVersion(s)
	}
	for i, n := range numbers {
		if !isNumeric(n) || len(n) > 1 && n[0] == '0' {
			return v, invalidVersion(s)
		}
		v.numbers[i], _ = new(big.Int).SetString(n, 10)
	}
	if hasPre && !identifiers(pre, true) || hasBuild && !identifiers(build, false) {
		return v, invalidVersion(s)
	}
	v.prerelease, v.build = pre, build
	return v, nil
}

func isNumeric(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// identifiers says whether s is a list of dotted identifiers; those of a
// pre-release are no numbers with leading zeroes.
func identifiers(s string, prerelease bool) bool {
	for _, id := range strings.Split(s, ".") {
		if id == "" || prerelease && isNumeric(id) && len(id) > 1 && id[0] == '0' {
			return false
		}
		for i := 0; i < len(id); i++ {
			c := id[i]
			if c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				return false
			}
		}
	}
	return true
}

// compare orders two versions; the build does not count.
func (v version) compare(w version) int {
	for i := range v.numbers {
		if c := v.numbers[i].Cmp(w.numbers[i]); c != 0 {
			return c
		}
	}
	switch {
	case v.prerelease == w.prerelease:
		return 0
	case v.prerelease == "":
		return 1
	case w.prerelease == "":
		return -1
	}
	a, b := strings.Split(v.prerelease, "."), strings.Split(w.prerelease, ".")
	for i := range min(len(a), len(b)) {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp(int64(len(a)), int64(len(b)))
}

func compareIdentifiers(a, b string) int {
	switch x, y := isNumeric(a), isNumeric(b); {
	case x && y:
		i, _ := new(big.Int).SetString(a, 10)
		j, _ := new(big.Int).SetString(b, 10)
		return i.Cmp(j)
	case x:
		return -1
	case y:
		return 1
	}
	return strings.Compare(a, b)
}

// bumped is the next version: part 0 is major, 1 minor, 2 patch.
func (v version) bumped(part int) string {
	out := make([]string, 3)
	for i, n := range v.numbers {
		switch {
		case i == part:
			n = new(big.Int).Add(n, big.NewInt(1))
		case i > part:
			n = new(big.Int)
		}
		out[i] = n.String()
	}
	return strings.Join(out, ".")
}

func versionFunctions() map[string]Function {
	one := []Param{{Name: "value"}}
	two := []Param{{Name: "value"}, {Name: "pattern"}}
	is := func(want int) Function {
		return Function{Params: two, Call: func(c *Call) (any, error) {
			n, err := compareVersions(c)
			return n == want, err
		}}
	}
	bump := func(part int) Function {
		return Function{Params: one, Call: func(c *Call) (any, error) {
			v, err := versionArg(c, 0)
			if err != nil {
				return nil, err
			}
			return v.bumped(part), nil
		}}
	}
	return map[string]Function{
		"version_compare": {Params: two, Call: func(c *Call) (any, error) {
			n, err := compareVersions(c)
			return int64(n), err
		}},
		"version_more_than":  is(1),
		"version_less_than":  is(-1),
		"version_equal":      is(0),
		"version_match":      {Params: two, Call: callVersionMatch},
		"version_bump_major": bump(0),
		"version_bump_minor": bump(1),
		"version_bump_patch": bump(2),
		"version_strip_patch": {Params: one, Call: func(c *Call) (any, error) {
			v, err := versionArg(c, 0)
			if err != nil {
				return nil, err
			}
			return v.numbers[0].String() + "." + v.numbers[1].String(), nil
		}},
	}
}

func versionArg(c *Call, i int) (version, error) {
	s, ok := c.Args[i].(string)
	if !ok {
		return version{}, Raise("TypeError", "not expecting type '<class '%s'>'", className(c.Args[i]))
	}
	return parseVersion(s)
}

func compareVersions(c *Call) (int, error) {
	v, err := versionArg(c, 0)
	if err != nil {
		return 0, err
	}
	if _, isMap := asMap(c.Args[1]); isMap || isSequence(c.Args[1]) {
		return 0, Raise("TypeError", "not expecting type '<class '%s'>'", className(c.Args[1]))
	}
	w, err := versionArg(c, 1)
	if err != nil {
		return 0, err
	}
	return v.compare(w), nil
}

// callVersionMatch compares with one comparator and version: >=1.2.0. A version
// alone means ==.
func callVersionMatch(c *Call) (any, error) {
	v, err := versionArg(c, 0)
	if err != nil {
		return nil, err
	}
	match, ok := c.Args[1].(string)
	if !ok {
		return nil, Raise("TypeError", "'%s' object is not subscriptable", shortClass(c.Args[1]))
	}
	op, text := "", match
	switch {
	case len(match) >= 2 && strings.Contains("<= >= == !=", match[:2]) && match[1] == '=':
		op, text = match[:2], match[2:]
	case match != "" && (match[0] == '<' || match[0] == '>'):
		op, text = match[:1], match[1:]
	case match != "" && match[0] >= '0' && match[0] <= '9':
		op = "=="
	default:
		return nil, Raise("ValueError", "match_expr parameter should be in format <op><ver>, where <op> is one of ['<', '>', '==', '<=', '>=', '!=']. You provided: %s", repr(match))
	}
	w, err := parseVersion(text)
	if err != nil {
		return nil, err
	}
	n := v.compare(w)
	switch op {
	case "<":
		return n < 0, nil
	case "<=":
		return n <= 0, nil
	case ">":
		return n > 0, nil
	case ">=":
		return n >= 0, nil
	case "!=":
		return n != 0, nil
	}
	return n == 0, nil
}
