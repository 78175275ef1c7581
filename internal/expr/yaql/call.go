package yaql

import (
	"math/big"
	"strings"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// overload is one way to call a function.
type overload struct {
	name     string
	function bool // can be called as f(x)
	method   bool // can be called as x.f()
	noKwargs bool // key => value is an argument, not a name
	params   []param
	rest     *param // takes further positional arguments
	named    *param // takes further named arguments
	do       func(*frame) (any, error)
}

// param is a parameter of an overload.
type param struct {
	name string // by which it can be given
	typ  ptype
	opt  bool
	def  any
}

// frame is one call of an overload: an argument for each parameter, nil for a
// lambda left out.
type frame struct {
	ev    *evaluator
	sc    *scope
	args  []any
	rest  []any
	named []namedArg
}

type namedArg struct {
	name string
	val  any // node or value
}

// given returns the named argument of a name.
func given(args []namedArg, name string) (any, bool) {
	for i := range args {
		if args[i].name == name {
			return args[i].val, true
		}
	}
	return nil, false
}

// call calls a function, or with a receiver a method. Arguments are nodes, which
// are evaluated as the chosen overload wants them, or values.
func (ev *evaluator) call(name string, recv any, args []any, named []namedArg, sc *scope) (any, error) {
	if ev.depth >= maxDepth {
		return nil, &Error{Kind: "RecursionError", Message: "maximum recursion depth exceeded", Err: value.ErrLimit}
	}
	r := resolution{ev: ev, name: name, recv: recv, sc: sc, named: named}
	var levels [4][]*overload
	candidates := ev.collectLevels(levels[:0], strings.TrimRight(name, "_"), recv == any(skipped), sc)
	if len(candidates) == 0 {
		if recv == any(skipped) {
			return nil, unknownFunction(name)
		}
		return nil, unknownMethod(name, recv)
	}
	var room [4]any
	r.args = room[:0]
	if recv != any(skipped) {
		r.args = append(r.args, recv)
	}
	r.args = append(r.args, args...)
	ev.depth++
	v, err := r.resolve(candidates)
	ev.depth--
	return v, err
}

// collectLevels returns the overloads of a name that can be called as functions,
// or as methods, the innermost level first.
func (ev *evaluator) collectLevels(levels [][]*overload, name string, function bool, sc *scope) [][]*overload {
	if ev.defs && function {
		for s := sc; s != nil; s = s.parent {
			if o := s.defs[name]; o != nil {
				levels = append(levels, []*overload{o})
			}
		}
	}
	if lib := ev.ctx.Functions; lib != nil && function {
		if o := lib.byName[name]; o != nil {
			levels = append(levels, o)
		}
	}
	group := ev.std[name]
	if function && len(group.functions) > 0 {
		levels = append(levels, group.functions)
	} else if !function && len(group.methods) > 0 {
		levels = append(levels, group.methods)
	}
	return levels
}

// resolution is the choice of an overload for one call.
type resolution struct {
	ev    *evaluator
	name  string
	recv  any
	sc    *scope
	args  []any
	named []namedArg
	lazy  laziness
}

// laziness tells which arguments stay unevaluated.
type laziness struct {
	positions uint64 // the first 63, and in the last bit all others
	names     string // named ones, in order, each followed by a space
}

func (l laziness) position(i int) bool { return l.positions&(1<<min(i, 63)) != 0 }

// candidate is an overload whose parameters fit the arguments in number and name.
type candidate struct {
	o     *overload
	level int
}

// resolve chooses among the candidates and calls the one chosen. The rules are
// those of Python's yaql: overloads that could take the arguments, judging
// constants only, must agree on which of them are lazy; the others are
// evaluated; the innermost level with an overload that takes the values wins.
func (r *resolution) resolve(levels [][]*overload) (any, error) {
	var room [6]candidate
	fitting := room[:0]
	for level, overloads := range levels {
		for _, o := range overloads {
			if level == 0 && o == overloads[0] {
				if err := r.translate(o.noKwargs); err != nil {
					return nil, err
				}
			} else if o.noKwargs != levels[0][0].noKwargs {
				return nil, ambiguous(r.name, r.recv)
			}
			lazy, ok := r.fits(o)
			if !ok {
				continue
			}
			if len(fitting) > 0 && lazy != r.lazy {
				return nil, ambiguous(r.name, r.recv)
			}
			r.lazy = lazy
			fitting = append(fitting, candidate{o, level})
		}
	}
	if len(fitting) == 0 {
		return nil, noMatch(r.name, r.recv)
	}
	if err := r.evaluate(); err != nil {
		return nil, err
	}
	var winner *overload
	winning := 0
	var f *frame
	for _, c := range fitting {
		if winner != nil && c.level != winning {
			break
		}
		g := r.bind(c.o)
		if g == nil {
			continue
		}
		if winner != nil {
			if special(winner, c.o, len(r.args)) {
				continue
			}
			if !special(c.o, winner, len(r.args)) {
				return nil, ambiguous(r.name, r.recv)
			}
		}
		winner, winning, f = c.o, c.level, g
	}
	if winner == nil {
		return nil, noMatch(r.name, r.recv)
	}
	if err := f.charge(); err != nil {
		return nil, err
	}
	return winner.do(f)
}

// charge takes steps for what is long, since functions walk over it.
func (f *frame) charge() error {
	steps := 0
	for _, args := range [2][]any{f.args, f.rest} {
		for _, v := range args {
			switch v := v.(type) {
			case string:
				steps += len(v) / 256
			case *big.Int:
				steps += v.BitLen() / 64
			case *value.Set:
				steps += v.Len() / 16
			}
		}
	}
	if steps == 0 {
		return nil
	}
	return f.ev.budget.Step(steps)
}

// translate splits the arguments into positional and named ones.
func (r *resolution) translate(noKwargs bool) error {
	if noKwargs {
		if len(r.named) > 0 {
			return &Error{Kind: "ArgumentException", Message: "Invalid argument " + r.named[0].name}
		}
		return nil
	}
	first := -1
	for i, a := range r.args {
		if _, ok := a.(*ruleNode); ok {
			first = i
			break
		}
	}
	if first < 0 {
		return nil
	}
	outer := r.named
	r.named = nil
	positional := append([]any(nil), r.args[:first]...)
	for _, a := range r.args[first:] {
		rule, ok := a.(*ruleNode)
		if !ok {
			positional = append(positional, a)
			continue
		}
		key, ok := rule.key.(*constNode)
		if !ok || !key.keyword {
			return &Error{Kind: "MappingTranslationException", Message: "Cannot convert mapping to keyword argument"}
		}
		r.name1(key.val.(string), rule.val)
	}
	for _, n := range outer {
		r.name1(n.name, n.val)
	}
	r.args = positional
	return nil
}

// name1 adds a named argument; a later one replaces an earlier one.
func (r *resolution) name1(name string, v any) {
	for i := range r.named {
		if r.named[i].name == name {
			r.named[i].val = v
			return
		}
	}
	r.named = append(r.named, namedArg{name, v})
}

// fits says whether an overload takes so many arguments of such names, and
// constants of such types, and which of them it wants unevaluated.
func (r *resolution) fits(o *overload) (lazy laziness, ok bool) {
	taken := 0
	var lazyNames []string
	for i := range o.params {
		p := &o.params[i]
		v, isNamed := given(r.named, p.name)
		switch {
		case i < len(r.args) && r.args[i] != any(skipped):
			if isNamed || !p.typ.accepts(r.args[i]) {
				return lazy, false
			}
		case isNamed:
			taken++
			if p.typ.lazy() {
				lazyNames = append(lazyNames, p.name)
			}
			_ = v
			continue
		case !p.opt:
			return lazy, false
		case i < len(r.args):
			if !p.typ.accepts(p.def) {
				return lazy, false
			}
		default:
			continue
		}
		if p.typ.lazy() {
			lazy.positions |= 1 << min(i, 63)
		}
	}
	if taken < len(r.named) {
		if o.named == nil {
			return lazy, false
		}
		for _, n := range r.named {
			if o.hasParam(n.name) {
				continue
			}
			if !o.named.typ.accepts(n.val) {
				return lazy, false
			}
			if o.named.typ.lazy() {
				lazyNames = append(lazyNames, n.name)
			}
		}
	}
	for i := len(o.params); i < len(r.args); i++ {
		if o.rest == nil || !o.rest.typ.accepts(r.args[i]) {
			return lazy, false
		}
		if o.rest.typ.lazy() {
			lazy.positions |= 1 << min(i, 63)
		}
	}
	if len(lazyNames) > 0 {
		lazy.names = strings.Join(lazyNames, " ") + " "
	}
	return lazy, true
}

func (o *overload) hasParam(name string) bool {
	for i := range o.params {
		if o.params[i].name == name {
			return true
		}
	}
	return false
}

// evaluate evaluates the arguments that are not lazy. Constants stay what they
// are, for the sake of their types.
func (r *resolution) evaluate() error {
	for i, a := range r.args {
		n, ok := a.(node)
		if !ok || r.lazy.position(i) {
			continue
		}
		if _, ok := a.(*constNode); ok {
			continue
		}
		v, err := r.ev.eval(n, r.sc)
		if err != nil {
			return err
		}
		r.args[i] = v
	}
	var named []namedArg
	for i, a := range r.named {
		n, ok := a.val.(node)
		if !ok || r.lazy.names != "" && strings.Contains(" "+r.lazy.names, " "+a.name+" ") {
			continue
		}
		if _, ok := a.val.(*constNode); ok {
			continue
		}
		v, err := r.ev.eval(n, r.sc)
		if err != nil {
			return err
		}
		if named == nil {
			named = append([]namedArg(nil), r.named...)
		}
		named[i].val = v
	}
	if named != nil {
		r.named = named
	}
	return nil
}

// bind makes the frame of an overload, or nil where it does not take the values.
func (r *resolution) bind(o *overload) *frame {
	f := &frame{ev: r.ev, sc: r.sc}
	f.args = make([]any, len(o.params))
	taken := 0
	for i := range o.params {
		p := &o.params[i]
		var v any
		if i < len(r.args) && r.args[i] != any(skipped) {
			v = r.args[i]
		} else if n, ok := given(r.named, p.name); ok {
			v = n
			taken++
		} else if p.opt {
			v = p.def
			if p.typ.lazy() {
				continue
			}
		} else {
			return nil
		}
		if !p.typ.accepts(v) {
			return nil
		}
		f.args[i] = r.convert(p.typ, v)
	}
	for i := len(o.params); i < len(r.args); i++ {
		if o.rest == nil || !o.rest.typ.accepts(r.args[i]) {
			return nil
		}
		f.rest = append(f.rest, r.convert(o.rest.typ, r.args[i]))
	}
	if taken < len(r.named) {
		if o.named == nil {
			return nil
		}
		for _, n := range r.named {
			if o.hasParam(n.name) {
				continue
			}
			if !o.named.typ.accepts(n.val) {
				return nil
			}
			f.named = append(f.named, namedArg{n.name, r.convert(o.named.typ, n.val)})
		}
	}
	return f
}

// convert gives an argument the form in which functions get it.
func (r *resolution) convert(t ptype, v any) any {
	switch t {
	case tLambda:
		return &lambda{ev: r.ev, n: v, sc: r.sc}
	case tLazyRule:
		return v
	}
	if c, ok := v.(*constNode); ok {
		v = c.val
	}
	if t == tDate {
		if d, ok := v.(*datetime); ok && d.zone == zoneNone {
			return &datetime{us: d.us, zone: zoneUTC}
		}
	}
	return v
}

// special says whether overload a is more special than b in one of the first n
// parameters and not less so in any.
func special(a, b *overload, n int) bool {
	more := false
	for i := 0; i < n; i++ {
		x, y := a.typeOf(i), b.typeOf(i)
		switch {
		case y.under(x):
			return false
		case x.under(y):
			more = true
		}
	}
	return more
}

func (o *overload) typeOf(i int) ptype {
	if i < len(o.params) {
		return o.params[i].typ
	}
	if o.rest != nil {
		return o.rest.typ
	}
	return tAny
}
