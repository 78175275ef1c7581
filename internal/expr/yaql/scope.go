package yaql

// scope is a context of YAQL: variables and functions over those of its parent.
type scope struct {
	parent *scope
	n      int    // how many of first are set
	first  [2]any // $1, $2
	more   []binding
	defs   map[string]*overload
}

// binding is a variable that is not in scope.first.
type binding struct {
	name string
	val  any
}

// PyType is the name of the class in Python.
func (*scope) PyType() string { return "Context" }

// PyRepr is a text without the address that Python would show.
func (*scope) PyRepr() string { return "<yaql.language.contexts.Context object>" }

// set sets a variable by its name, with or without $; the empty name is $1.
func (s *scope) set(name string, v any) {
	if len(name) > 0 && name[0] == '$' {
		name = name[1:]
	}
	if name == "" {
		name = "1"
	}
	i := varIndex(name)
	switch {
	case i > 0 && i <= s.n:
		s.first[i-1] = v
		return
	case i == s.n+1 && i <= len(s.first):
		if b := s.bound(name); b == nil {
			s.first[i-1] = v
			s.n = i
			return
		}
	}
	if b := s.bound(name); b != nil {
		b.val = v
		return
	}
	s.more = append(s.more, binding{name, v})
}

func (s *scope) bound(name string) *binding {
	for i := range s.more {
		if s.more[i].name == name {
			return &s.more[i]
		}
	}
	return nil
}

// get returns a variable; those that are not set are null.
func (s *scope) get(v *varNode) any {
	for ; s != nil; s = s.parent {
		if v.index > 0 && v.index <= s.n {
			return s.first[v.index-1]
		}
		if len(s.more) > 0 {
			if b := s.bound(v.name); b != nil {
				return b.val
			}
		}
	}
	return nil
}

// child returns a scope below s.
func (s *scope) child() *scope { return &scope{parent: s} }

// numbered sets $1, $2, … to the items.
func (s *scope) numbered(items []any) {
	for i, v := range items {
		s.set(itoa(i+1), v)
	}
}
