package architecture_test

import (
	"bufio"
	"fmt"
	"slices"
	"strings"
)

// ruleBook is rules.txt, read.
type ruleBook struct {
	impure []string
	allow  []line
	except []line
	never  []line
	lean   []line
	tests  []string
}

// line is a rule about the packages that a pattern names.
type line struct {
	number  int
	pattern string
	what    []string
	used    bool // of an except: something needed it
}

func parseRules(text string) (*ruleBook, error) {
	b := &ruleBook{}
	sc := bufio.NewScanner(strings.NewReader(text))
	for n := 1; sc.Scan(); n++ {
		code, comment, _ := strings.Cut(sc.Text(), "#")
		words := strings.Fields(code)
		if len(words) == 0 {
			continue
		}
		verb, rest := words[0], words[1:]
		if len(rest) == 0 {
			return nil, fmt.Errorf("rules.txt:%d: %s says nothing", n, verb)
		}
		l := line{number: n, pattern: rest[0], what: rest[1:]}
		switch verb {
		case "impure":
			b.impure = append(b.impure, rest...)
		case "tests":
			b.tests = append(b.tests, rest...)
		case "allow":
			b.allow = append(b.allow, l)
		case "never":
			b.never = append(b.never, l)
		case "lean":
			b.lean = append(b.lean, l)
		case "except":
			if strings.TrimSpace(comment) == "" {
				return nil, fmt.Errorf("rules.txt:%d: an exception without a reason", n)
			}
			b.except = append(b.except, l)
		default:
			return nil, fmt.Errorf("rules.txt:%d: unknown word %q", n, verb)
		}
	}
	return b, sc.Err()
}

// covers says whether a pattern (a/b, a/*, a/...) names a path, and which part
// of the path it names without what /... adds.
func covers(pattern, path string) (own string, ok bool) {
	want, below := strings.CutSuffix(pattern, "/...")
	ws, ps := strings.Split(want, "/"), strings.Split(path, "/")
	if len(ps) < len(ws) || (len(ps) > len(ws) && !below) {
		return "", false
	}
	for i, w := range ws {
		if w != "*" && w != ps[i] {
			return "", false
		}
	}
	return strings.Join(ps[:len(ws)], "/"), true
}

// ruleFor finds the allow line that decides about a package: the one whose
// pattern names most parts of its path, and of those the one with fewest stars.
func (b *ruleBook) ruleFor(pkg string) (l *line, own string) {
	best := -1
	for i := range b.allow {
		part, ok := covers(b.allow[i].pattern, pkg)
		if !ok {
			continue
		}
		weight := 10 * (1 + strings.Count(part, "/"))
		if !strings.HasSuffix(b.allow[i].pattern, "/...") {
			weight += 5
		}
		weight -= strings.Count(b.allow[i].pattern, "*")
		if weight > best {
			best, l, own = weight, &b.allow[i], part
		}
	}
	return l, own
}

// standard says whether an import is of the standard library: its first part
// has no dot.
func standard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".")
}

func anyCovers(patterns []string, path string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { _, ok := covers(p, path); return ok })
}

// permits says whether an allow line lets a package import something. imp is a
// path of the tree ("" is the root package) when inTree, else an import path.
func (b *ruleBook) permits(l *line, own, imp string, inTree bool) bool {
	ok := false
	for _, w := range l.what {
		switch {
		case strings.HasPrefix(w, "-"):
			if _, taken := covers(w[1:], imp); taken && !inTree {
				return false
			}
		case w == "root":
			ok = ok || inTree && imp == ""
		case w == "self":
			ok = ok || inTree && (imp == own || strings.HasPrefix(imp, own+"/"))
		case w == "std":
			ok = ok || !inTree && standard(imp)
		case w == "pure":
			ok = ok || !inTree && standard(imp) && !anyCovers(b.impure, imp)
		case w == "any":
			ok = ok || !inTree || !strings.HasPrefix(imp, "functions/") && !strings.HasPrefix(imp, "tests/")
		default:
			_, named := covers(w, imp)
			ok = ok || named
		}
	}
	return ok
}

// excepted says whether an except line lets pkg import imp.
func (b *ruleBook) excepted(pkg, imp string) bool {
	for i := range b.except {
		e := &b.except[i]
		if _, ok := covers(e.pattern, pkg); ok && anyCovers(e.what, imp) {
			e.used = true
			return true
		}
	}
	return false
}
