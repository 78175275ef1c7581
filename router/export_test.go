package router

// Stale is how stale the set of rules in effect is.
func (r *Router) Stale() float64 { return r.cat.Load().set.Stale() }
