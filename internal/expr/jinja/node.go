package jinja

// expr is an expression; eval gives its value.
type expr interface {
	eval(s *state) (any, error)
	place() pos
}

// stmt is a statement; exec writes what it writes.
type stmt interface {
	exec(s *state) error
}

// place is the place of a node, for embedding.
func (p pos) place() pos { return p }

type (
	constExpr struct {
		pos
		v any
	}
	nameExpr struct {
		pos
		name string
	}
	// nsExpr is ns.attr as a target of an assignment.
	nsExpr struct {
		pos
		name, attr string
	}
	tupleExpr struct {
		pos
		items []expr
	}
	listExpr struct {
		pos
		items []expr
	}
	dictExpr struct {
		pos
		keys, vals []expr
	}
	condExpr struct {
		pos
		test, yes, no expr // no may be nil
	}
	boolExpr struct { // and, or
		pos
		or   bool
		l, r expr
	}
	notExpr struct {
		pos
		x expr
	}
	compareExpr struct {
		pos
		first expr
		ops   []string // == != < <= > >= in notin
		rest  []expr
	}
	arithExpr struct {
		pos
		op   string
		l, r expr
	}
	concatExpr struct {
		pos
		items []expr
	}
	signExpr struct {
		pos
		minus bool
		x     expr
	}
	attrExpr struct {
		pos
		x    expr
		name string
	}
	itemExpr struct {
		pos
		x, key expr
	}
	sliceExpr struct {
		pos
		from, to, step expr // each may be nil
	}
	callExpr struct {
		pos
		fn   expr
		args arguments
	}
	filterExpr struct {
		pos
		x    expr // nil in {% filter %} and {% set %}…{% endset %}: the text of the block
		name string
		fn   *builtin // nil where there is none, which is an error when it is reached
		args arguments
	}
	testExpr struct {
		pos
		x    expr
		name string
		fn   *builtin
		args arguments
	}
)

// arguments are what stands in the parentheses of a call.
type arguments struct {
	pos        []expr
	names      []string
	named      []expr
	star, more expr // *x, **x
}

type (
	textStmt struct{ text string }
	outStmt  struct{ x expr }
	setStmt  struct {
		pos
		target expr
		x      expr
	}
	setBlock struct {
		pos
		target expr
		filter expr // nil, or the outermost filterExpr
		body   []stmt
	}
	ifStmt struct {
		tests  []expr
		bodies [][]stmt
		other  []stmt
	}
	forStmt struct {
		pos
		target    expr
		iter      expr
		test      expr
		recursive bool
		usesLoop  bool
		keeps     bool // a macro in the body may outlive a turn
		body      []stmt
		other     []stmt
	}
	withStmt struct {
		pos
		targets []expr
		values  []expr
		body    []stmt
	}
	macroStmt struct {
		pos
		name     string
		params   []string
		defaults []expr // of the last params
		body     []stmt
		varargs  bool // the body uses varargs
		kwargs   bool
		caller   bool
	}
	callStmt struct {
		pos
		macro *macroStmt
		call  *callExpr
	}
	filterStmt struct {
		pos
		filter expr
		body   []stmt
	}
	scopeStmt struct { // autoescape, block
		pos
		name string // of a block
		expr expr
		body []stmt
	}
	doStmt struct {
		pos
		x expr
	}
	// loadStmt is include, import, from or extends: there is nothing to load from.
	loadStmt struct {
		pos
		x expr
	}
	// jumpStmt is break or continue.
	jumpStmt struct {
		pos
		leave bool
	}
)

// visit calls f for a node and for all below it, in the order of the text; f
// returns whether to go on below. n is an expr, a stmt or nil.
func visit(n any, f func(n any) bool) {
	if !f(n) {
		return
	}
	children(n, func(c any) { visit(c, f) })
}

// children calls f for everything directly below a node.
func children(n any, f func(any)) {
	exprs := func(xs ...expr) {
		for _, x := range xs {
			if x != nil {
				f(x)
			}
		}
	}
	stmts := func(ss []stmt) {
		for _, s := range ss {
			f(s)
		}
	}
	args := func(a *arguments) {
		exprs(a.pos...)
		exprs(a.named...)
		exprs(a.star, a.more)
	}
	switch n := n.(type) {
	case *tupleExpr:
		exprs(n.items...)
	case *listExpr:
		exprs(n.items...)
	case *dictExpr:
		for i := range n.keys {
			exprs(n.keys[i], n.vals[i])
		}
	case *condExpr:
		exprs(n.yes, n.test, n.no)
	case *boolExpr:
		exprs(n.l, n.r)
	case *notExpr:
		exprs(n.x)
	case *compareExpr:
		exprs(n.first)
		exprs(n.rest...)
	case *arithExpr:
		exprs(n.l, n.r)
	case *concatExpr:
		exprs(n.items...)
	case *signExpr:
		exprs(n.x)
	case *attrExpr:
		exprs(n.x)
	case *itemExpr:
		exprs(n.x, n.key)
	case *sliceExpr:
		exprs(n.from, n.to, n.step)
	case *callExpr:
		exprs(n.fn)
		args(&n.args)
	case *filterExpr:
		exprs(n.x)
		args(&n.args)
	case *testExpr:
		exprs(n.x)
		args(&n.args)
	case *outStmt:
		exprs(n.x)
	case *setStmt:
		exprs(n.x, n.target)
	case *setBlock:
		exprs(n.filter, n.target)
		stmts(n.body)
	case *ifStmt:
		for i := range n.tests {
			exprs(n.tests[i])
			stmts(n.bodies[i])
		}
		stmts(n.other)
	case *forStmt:
		exprs(n.iter, n.target, n.test)
		stmts(n.body)
		stmts(n.other)
	case *withStmt:
		exprs(n.values...)
		exprs(n.targets...)
		stmts(n.body)
	case *macroStmt:
		exprs(n.defaults...)
		stmts(n.body)
	case *callStmt:
		f(n.call)
		f(n.macro)
	case *filterStmt:
		exprs(n.filter)
		stmts(n.body)
	case *scopeStmt:
		exprs(n.expr)
		stmts(n.body)
	case *doStmt:
		exprs(n.x)
	case *loadStmt:
		exprs(n.x)
	}
}
