package jinja

import (
	"strconv"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// version is a semantic version (2.0.0).
type version struct {
	major, minor, patch uint64
	pre, build          string
}

func (v version) String() string {
	return v.short() + "." + strconv.FormatUint(v.patch, 10)
}

func (v version) short() string {
	return strconv.FormatUint(v.major, 10) + "." + strconv.FormatUint(v.minor, 10)
}

func parseVersion(t string) (version, error) {
	bad := func() (version, error) { return version{}, value.ValueErrorf("%s is not valid SemVer string", t) }
	var v version
	rest, build, hasBuild := strings.Cut(t, "+")
	core, pre, hasPre := strings.Cut(rest, "-")
	parts := strings.Split(core, ".")
	if len(parts) != 3 || hasBuild && !identifiers(build, false) || hasPre && !identifiers(pre, true) {
		return bad()
	}
	for i, dst := range []*uint64{&v.major, &v.minor, &v.patch} {
		if !isNumeric(parts[i]) {
			return bad()
		}
		n, err := strconv.ParseUint(parts[i], 10, 64)
		if err != nil {
			return bad()
		}
		*dst = n
	}
	v.pre, v.build = pre, build
	return v, nil
}

// isNumeric says whether t is a number without leading zeroes.
func isNumeric(t string) bool {
	return t != "" && strings.Trim(t, "0123456789") == "" && (t == "0" || t[0] != '0')
}

func identifiers(t string, numbers bool) bool {
	for _, p := range strings.Split(t, ".") {
		if p == "" || strings.IndexFunc(p, func(r rune) bool { return r != '-' && (r > 127 || !isAlnum(r)) }) >= 0 {
			return false
		}
		if numbers && strings.Trim(p, "0123456789") == "" && !isNumeric(p) {
			return false
		}
	}
	return true
}

// compareVersions orders two versions; what stands behind a plus sign does not count.
func compareVersions(a, b version) int {
	for _, p := range [][2]uint64{{a.major, b.major}, {a.minor, b.minor}, {a.patch, b.patch}} {
		switch {
		case p[0] < p[1]:
			return -1
		case p[0] > p[1]:
			return 1
		}
	}
	switch {
	case a.pre == b.pre:
		return 0
	case a.pre == "":
		return 1
	case b.pre == "":
		return -1
	}
	x, y := strings.Split(a.pre, "."), strings.Split(b.pre, ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		if c := comparePre(x[i], y[i]); c != 0 {
			return c
		}
	}
	return len(x) - len(y)
}

func comparePre(a, b string) int {
	switch na, nb := isNumeric(a), isNumeric(b); {
	case na && nb && len(a) != len(b):
		return len(a) - len(b)
	case na && !nb:
		return -1
	case nb && !na:
		return 1
	}
	return strings.Compare(a, b)
}

func sign(i int) int { return max(-1, min(1, i)) }

// versionArg reads an argument that must be a version.
func versionArg(v any) (version, error) {
	t, ok := asText(v)
	if !ok {
		if u, ok := v.(*Undefined); ok {
			return version{}, u.err()
		}
		return version{}, value.TypeErrorf("expected string or bytes-like object, got '%s'", value.Type(v))
	}
	return parseVersion(t)
}

func versionCompare(name string, answer func(c int) any) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind(name, 2, "value", "pattern")
		if err != nil {
			return nil, err
		}
		x, err := versionArg(a[0])
		if err != nil {
			return nil, err
		}
		y, err := versionArg(a[1])
		if err != nil {
			return nil, err
		}
		return answer(sign(compareVersions(x, y))), nil
	}
}

func onVersion(name string, f func(version) string) Function {
	return func(c *Call) (any, error) {
		a, err := c.Bind(name, 1, "value")
		if err != nil {
			return nil, err
		}
		v, err := versionArg(a[0])
		if err != nil {
			return nil, err
		}
		return f(v), nil
	}
}

// versionMatch compares by an operator that the pattern begins with.
func versionMatch(c *Call) (any, error) {
	a, err := c.Bind("version_match", 2, "value", "pattern")
	if err != nil {
		return nil, err
	}
	pattern, ok := asText(a[1])
	if !ok {
		return nil, value.TypeErrorf("expected string or bytes-like object, got '%s'", value.Type(a[1]))
	}
	op := ""
	for _, o := range []string{">=", "<=", "==", "!=", ">", "<"} {
		if strings.HasPrefix(pattern, o) {
			op = o
			break
		}
	}
	if op == "" {
		return nil, value.ValueErrorf("match_expr parameter should be in format <op><ver>, where <op> is one of ['<', '>', '==', '<=', '>=', '!=']. You provided: %s", value.Repr(pattern))
	}
	x, err := versionArg(a[0])
	if err != nil {
		return nil, err
	}
	y, err := parseVersion(pattern[len(op):])
	if err != nil {
		return nil, err
	}
	d := compareVersions(x, y)
	switch op {
	case "==":
		return d == 0, nil
	case "!=":
		return d != 0, nil
	case "<":
		return d < 0, nil
	case "<=":
		return d <= 0, nil
	case ">":
		return d > 0, nil
	}
	return d >= 0, nil
}
