package architecture_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/hayate-run/hayate"

// source is one Go file of the tree.
type source struct {
	file    string // path in the tree
	pkg     string // its folder, "" for the root
	test    bool
	imports []use
	uses    []use // names of other packages as time.Now, and go for the statement
}

// use is something a file says, and where.
type use struct {
	what string
	line int
}

// readTree parses every Go file below the root of a tree, whatever its build
// constraints, leaving out what the go command leaves out.
func readTree(tree fs.FS) ([]source, error) {
	var out []source
	err := fs.WalkDir(tree, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != "." && (name == "testdata" || name == "node_modules" || name[0] == '.' || name[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		s, err := readSource(tree, p)
		out = append(out, s)
		return err
	})
	return out, err
}

func readSource(tree fs.FS, p string) (source, error) {
	text, err := fs.ReadFile(tree, p)
	if err != nil {
		return source{}, err
	}
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, p, text, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	s := source{file: p, pkg: path.Dir(p), test: strings.HasSuffix(p, "_test.go")}
	if s.pkg == "." {
		s.pkg = ""
	}
	at := func(n ast.Node) int { return files.Position(n.Pos()).Line }
	names := map[string]string{} // of a package in this file: its import path
	for _, i := range f.Imports {
		imp, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			return source{}, fmt.Errorf("%s: %w", p, err)
		}
		s.imports = append(s.imports, use{imp, at(i)})
		name := path.Base(imp)
		if len(name) > 1 && name[0] == 'v' && strings.Trim(name[1:], "0123456789") == "" {
			name = path.Base(path.Dir(imp)) // math/rand/v2 is rand
		}
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = imp
	}
	ast.Inspect(f, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			s.uses = append(s.uses, use{"go", at(n)})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && names[x.Name] != "" {
				s.uses = append(s.uses, use{names[x.Name] + "." + n.Sel.Name, at(n)})
			}
		}
		return true
	})
	return s, nil
}

// check holds a tree against the rules and says what breaks them, in the order
// of the files.
func check(b *ruleBook, tree []source) []string {
	var out []string
	for _, s := range tree {
		out = append(out, b.checkImports(s)...)
		if !s.test {
			out = append(out, b.checkUses(s)...)
		}
	}
	out = append(out, circles(tree)...)
	out = append(out, b.checkLinks(tree)...)
	for _, e := range b.except {
		if !e.used {
			out = append(out, fmt.Sprintf("rules.txt:%d: nothing needs this exception any more", e.number))
		}
	}
	return out
}

func (b *ruleBook) checkImports(s source) []string {
	name := s.pkg
	if name == "" {
		name = "root"
	}
	l, own := b.ruleFor(name)
	if l == nil {
		return []string{fmt.Sprintf("%s: no rule speaks of %s; a new folder is a decision, and a line of rules.txt", s.file, name)}
	}
	var out []string
	for _, i := range s.imports {
		imp, inTree := strings.CutPrefix(i.what, module+"/")
		if i.what == module {
			imp, inTree = "", true
		}
		if b.permits(l, own, imp, inTree) || b.excepted(name, imp) || s.test && b.testMay(s, imp, inTree) {
			continue
		}
		shown := imp
		if shown == "" {
			shown = "the root package"
		}
		out = append(out, fmt.Sprintf("%s:%d: %s may not import %s (rules.txt:%d allows %s)", s.file, i.line, name, shown, l.number, strings.Join(l.what, " ")))
	}
	return out
}

// testMay says what test files may import beyond what their package may: the
// standard library, the tree but for entry points, and the libraries of the tests
// line. Who depends on whom is decided by what is shipped.
func (b *ruleBook) testMay(s source, imp string, inTree bool) bool {
	if inTree {
		return imp == s.pkg || !strings.HasPrefix(imp, "functions/")
	}
	return standard(imp) || anyCovers(b.tests, imp)
}

func (b *ruleBook) checkUses(s source) []string {
	name := s.pkg
	if name == "" {
		name = "root"
	}
	var out []string
	for _, l := range b.never {
		if _, ok := covers(l.pattern, name); !ok {
			continue
		}
		for _, u := range s.uses {
			if slices.Contains(l.what, u.what) {
				out = append(out, fmt.Sprintf("%s:%d: %s may not use %s (rules.txt:%d)", s.file, u.line, name, u.what, l.number))
			}
		}
	}
	return out
}

// checkLinks follows the imports of the lean packages through the tree.
func (b *ruleBook) checkLinks(tree []source) []string {
	imports := map[string][]string{} // by package, of shipped files
	for _, s := range tree {
		if s.test {
			continue
		}
		for _, i := range s.imports {
			imports[s.pkg] = append(imports[s.pkg], i.what)
		}
	}
	var out []string
	for _, l := range b.lean {
		seen := map[string]bool{}
		var visit func(pkg string, way []string)
		visit = func(pkg string, way []string) {
			for _, i := range imports[pkg] {
				imp, inTree := strings.CutPrefix(i, module+"/")
				if seen[imp] || i == module {
					continue
				}
				seen[imp] = true
				if anyCovers(l.what, imp) {
					out = append(out, fmt.Sprintf("rules.txt:%d: %s links %s, through %s", l.number, l.pattern, imp, strings.Join(way, " → ")))
				}
				if inTree {
					visit(imp, append(way[:len(way):len(way)], imp))
				}
			}
		}
		visit(l.pattern, []string{l.pattern})
	}
	return out
}

// circles finds folders that import each other in a circle. At every level the
// folders beside each other are looked at as wholes, with all that is below
// them: the compiler sees packages only.
func circles(tree []source) []string {
	edges := map[string]map[string]bool{} // folder to folder, both with the same parent
	for _, s := range tree {
		if s.test {
			continue
		}
		for _, i := range s.imports {
			imp, ok := strings.CutPrefix(i.what, module+"/")
			if !ok {
				continue
			}
			from, to := part(s.pkg, imp)
			if from == "" || to == "" {
				continue
			}
			if edges[from] == nil {
				edges[from] = map[string]bool{}
			}
			edges[from][to] = true
		}
	}
	return walkCircles(edges)
}

// part returns the first folders in which two paths differ; "" where one of
// them is above the other.
func part(a, b string) (string, string) {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := 0; i < len(as) && i < len(bs); i++ {
		if as[i] != bs[i] {
			return strings.Join(as[:i+1], "/"), strings.Join(bs[:i+1], "/")
		}
	}
	return "", ""
}

func walkCircles(edges map[string]map[string]bool) []string {
	var out []string
	const onPath, done = 1, 2
	state := map[string]int{}
	var way []string
	var visit func(string)
	visit = func(f string) {
		state[f] = onPath
		way = append(way, f)
		for _, to := range sorted(edges[f]) {
			switch state[to] {
			case onPath:
				i := slices.Index(way, to)
				out = append(out, "folders import each other in a circle: "+strings.Join(append(slices.Clone(way[i:]), to), " → "))
			case done:
			default:
				visit(to)
			}
		}
		way = way[:len(way)-1]
		state[f] = done
	}
	for _, f := range sorted(edges) {
		if state[f] == 0 {
			visit(f)
		}
	}
	return out
}

func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
