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
func (p pos) place() pos {
	return p
}

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

// children calls f for everything directly below a node, in the order of the text.
func children(n any, f func(any)) {
	c := below{f}
	switch n := n.(type) {
	case expr:
		c.expression(n)
	case stmt:
		c.statement(n)
	}
}

// below calls a function for the parts of nodes.
type below struct{ f func(any) }

func (c below) exprs(xs ...expr) {
	for _, x := range xs {
		if x != nil {
			c.f(x)
		}
	}
}

func (c below) stmts(ss []stmt) {
	for _, s := range ss {
		c.f(s)
	}
}

func (c below) args(a *arguments) {
	c.exprs(a.pos...)
	c.exprs(a.named...)
	c.exprs(a.star, a.more)
}

func (c below) expression(n expr) {
	switch n := n.(type) {
	case *tupleExpr:
		c.exprs(n.items...)
	case *listExpr:
		c.exprs(n.items...)
	case *dictExpr:
		for i := range n.keys {
			c.exprs(n.keys[i], n.vals[i])
		}
	case *condExpr:
		c.exprs(n.yes, n.test, n.no)
	case *boolExpr:
		c.exprs(n.l, n.r)
	case *notExpr:
		c.exprs(n.x)
	case *compareExpr:
		c.exprs(n.first)
		c.exprs(n.rest...)
	case *arithExpr:
		c.exprs(n.l, n.r)
	case *concatExpr:
		c.exprs(n.items...)
	case *signExpr:
		c.exprs(n.x)
	case *attrExpr:
		c.exprs(n.x)
	case *itemExpr:
		c.exprs(n.x, n.key)
	case *sliceExpr:
		c.exprs(n.from, n.to, n.step)
	case *callExpr:
		c.exprs(n.fn)
		c.args(&n.args)
	case *filterExpr:
		c.exprs(n.x)
		c.args(&n.args)
	case *testExpr:
		c.exprs(n.x)
		c.args(&n.args)
	}
}

func (c below) statement(n stmt) {
	switch n := n.(type) {
	case *outStmt:
		c.exprs(n.x)
	case *setStmt:
		c.exprs(n.x, n.target)
	case *setBlock:
		c.exprs(n.filter, n.target)
		c.stmts(n.body)
	case *ifStmt:
		for i := range n.tests {
			c.exprs(n.tests[i])
			c.stmts(n.bodies[i])
		}
		c.stmts(n.other)
	case *forStmt:
		c.exprs(n.iter, n.target, n.test)
		c.stmts(n.body)
		c.stmts(n.other)
	case *withStmt:
		c.exprs(n.values...)
		c.exprs(n.targets...)
		c.stmts(n.body)
	case *macroStmt:
		c.exprs(n.defaults...)
		c.stmts(n.body)
	case *callStmt:
		c.f(n.call)
		c.f(n.macro)
	case *filterStmt:
		c.exprs(n.filter)
		c.stmts(n.body)
	case *scopeStmt:
		c.exprs(n.expr)
		c.stmts(n.body)
	case *doStmt:
		c.exprs(n.x)
	case *loadStmt:
		c.exprs(n.x)
	}
}
