package orquesta

func compileJinja(s string) program { return jinjaText{s} }

type jinjaText struct{ s string }

func (j jinjaText) run(e *env) (any, error) {
	return nil, raise("JinjaEvaluationException", "not linked: %s", j.s)
}

func checkJinja(s string) []fault { return nil }
