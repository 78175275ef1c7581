package orquesta

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/workflows/flow"
)

// tally counts agreement.
type tally struct {
	n, ok int
	bad   []string
}

func (c *tally) add(ok bool, format string, args ...any) {
	c.n++
	if ok {
		c.ok++
	} else if len(c.bad) < 2000 {
		c.bad = append(c.bad, fmt.Sprintf(format, args...))
	}
}

func (c *tally) report(t *testing.T, name string, least float64) {
	t.Helper()
	share := 100.0
	if c.n > 0 {
		share = 100 * float64(c.ok) / float64(c.n)
	}
	t.Logf("%s: %d cases, %d agree (%.2f %%)", name, c.n, c.ok, share)
	shown := 0
	for _, b := range c.bad {
		if shown++; shown > maxShown() {
			break
		}
		t.Logf("  %s", b)
	}
	if share < least {
		t.Errorf("%s: %.2f %% agree, want %.2f", name, share, least)
	}
}

func maxShown() int {
	if testing.Verbose() {
		return 40
	}
	return 5
}

// get follows keys into decoded JSON.
func get(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(*value.Map)
		if !ok {
			return nil
		}
		v, _ = m.Str(k)
	}
	return v
}

func text(v any) string { s, _ := v.(string); return s }

func number(v any) int {
	i, _ := v.(int64)
	return int(i)
}

func listOf(v any) value.List { l, _ := v.(value.List); return l }

// same compares a recorded value with one of ours: exactly, but for sets, which
// became lists, and for what JSON cannot hold.
func same(want, got any) bool {
	switch w := want.(type) {
	case *value.Map:
		if s, ok := w.Str("$set"); ok {
			items, _ := value.Items(got)
			return sameBag(listOf(s), items)
		}
		if f, ok := w.Str("$float"); ok {
			g, ok := got.(float64)
			return ok && strings.Contains(value.FormatFloat(g), text(f))
		}
		if s, ok := w.Str("$str"); ok && w.Has("$type") {
			return value.Str(got) == text(s)
		}
		g, ok := got.(*value.Map)
		if !ok || g.Len() != w.Len() {
			return false
		}
		for k, x := range w.All() {
			y, ok := g.Get(k)
			if !ok {
				y, ok = byText(g, value.Str(k))
			}
			if !ok || !same(x, y) {
				return false
			}
		}
		return true
	case value.List:
		g, ok := value.Items(got)
		if !ok || len(g) != len(w) {
			return false
		}
		for i := range w {
			if !same(w[i], g[i]) {
				return false
			}
		}
		return true
	}
	return value.Type(want) == value.Type(got) && value.Equal(want, got)
}

func byText(m *value.Map, key string) (any, bool) {
	for k, v := range m.All() {
		if value.Str(k) == key {
			return v, true
		}
	}
	return nil, false
}

func sameBag(want, got []any) bool {
	if len(want) != len(got) {
		return false
	}
	used := make([]bool, len(got))
next:
	for _, w := range want {
		for i, g := range got {
			if !used[i] && same(w, g) {
				used[i] = true
				continue next
			}
		}
		return false
	}
	return true
}

func show(v any) string {
	s := value.Repr(v)
	if len(s) > 700 {
		s = s[:700] + "…"
	}
	return s
}

// grades are the tiers of agreement.
type grades struct{ one, two, three tally }

// allowed says that doing better than the reference is allowed in a scenario.
func allowed(sc any) bool {
	return get(sc, "upstream_crash") != nil || get(sc, "upstream_stuck") != nil || text(get(sc, "upstream_aliasing")) == "visible"
}

func TestConformanceScenarios(t *testing.T) {
	dir := filepath.Join(sharedtest.Conformance(t), "orquesta")
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Skipf("no recorded workflows in %s", dir)
	}
	var g grades
	var apart tally
	only := os.Getenv("HAYATE_CASE")
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		if strings.HasPrefix(name, "_") {
			continue
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, err := value.Decode(data)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		scenarios := listOf(get(c, "scenarios"))
		if len(scenarios) == 0 {
			continue
		}
		def, problems := Parse([]byte(text(get(c, "workflow"))), "", flow.Options{Reevaluate: true})
		if def == nil {
			g.one.add(false, "%s: does not parse: %+v", name, problems)
			continue
		}
		for _, sc := range scenarios {
			if only != "" && !strings.Contains(name+"/"+text(get(sc, "name")), only) {
				continue
			}
			p := &replay{where: name + "/" + text(get(sc, "name"))}
			p.play(def, sc)
			if allowed(sc) {
				apart.add(p.first[0] == "", "%s: %s", p.where, p.first[0])
				continue
			}
			g.one.add(p.first[0] == "", "%s: %s", p.where, p.first[0])
			g.two.add(p.first[1] == "", "%s: %s", p.where, p.first[1])
			g.three.add(p.first[2] == "", "%s: %s", p.where, p.first[2])
		}
	}
	g.one.report(t, "tier 1: statuses, tasks, output", 100)
	g.two.report(t, "tier 2: errors", 99)
	g.three.report(t, "tier 3: sequence, routes, contexts, staged", 95)
	apart.report(t, "apart: where the reference crashed, hung or leaked", 0)
}

// replay plays one scenario and notes the first difference of each tier.
type replay struct {
	where string
	run   *Run
	head  []byte // what the steps stored
	store map[string]json.RawMessage
	leaks bool // the reference's contexts leaked into one another
	first [3]string
}

func (p *replay) differ(tier int, format string, args ...any) {
	if p.first[tier] == "" {
		p.first[tier] = fmt.Sprintf(format, args...)
	}
}

func (p *replay) play(def *Definition, sc any) {
	p.run = newRun(def)
	p.leaks = get(sc, "upstream_aliasing") != nil
	p.run.values = map[lookupKey]lookupValue{}
	if kv, ok := get(sc, "kv").(*value.Map); ok {
		for k, v := range kv.All() {
			p.run.values[lookupKey{text(k), false}] = lookupValue{value.Str(v), true}
		}
	}
	ctx, _ := get(sc, "context").(*value.Map)
	inputs, _ := get(sc, "inputs").(*value.Map)
	p.store = map[string]json.RawMessage{}
	p.run.begin()
	p.run.initialize(ctx, inputs)
	p.keep()
	for i, step := range listOf(get(sc, "steps")) {
		p.step(i, step)
	}
	p.final(get(sc, "final"))
}

// step applies a step. Datastore values that it asks for and a scenario does not
// give do not exist.
func (p *replay) step(i int, step any) {
	if text(get(step, "op")) == "checkpoint" {
		p.reload(i)
		return
	}
	was := p.first
	p.try(i, step)
	defer p.keep()
	if len(p.run.needs) == 0 {
		return
	}
	for _, k := range p.run.needs {
		p.run.values[k] = lookupValue{}
	}
	p.run.rollback()
	p.first = was
	p.try(i, step)
}

// keep stores what the last step changed.
func (p *replay) keep() {
	d := p.run.delta()
	p.head = d.Head
	maps.Copy(p.store, d.Entries)
}

// reload rebuilds the run from what was stored.
func (p *replay) reload(i int) {
	r, err := Load(p.run.def, p.head, p.store)
	if err != nil {
		p.differ(0, "step %d checkpoint: %v", i, err)
		return
	}
	r.values = p.run.values
	p.run = r
}

func (p *replay) try(i int, step any) {
	r := p.run
	out := get(step, "out")
	op := text(get(step, "op"))
	before := len(r.errors)
	r.begin()
	var err error
	at := fmt.Sprintf("step %d %s", i, op)
	switch op {
	case "status":
		err = r.request(hayate.Status(text(get(step, "status"))))
	case "next":
		p.handouts(at, listOf(get(out, "tasks")), r.next())
	case "event":
		err = p.event(at, step, out)
	case "rerun":
		var reqs []rerunRequest
		for _, q := range listOf(get(step, "tasks")) {
			reset, _ := get(q, "reset_items").(bool)
			reqs = append(reqs, rerunRequest{text(get(q, "task_id")), number(get(q, "route")), reset})
		}
		err = r.rerun(reqs)
	case "output":
		r.renderOutput()
		if want := get(out, "output"); !same(want, r.output) {
			p.differ(0, "%s: output %s, want %s", at, show(r.output), show(want))
		}
	}
	want := get(out, "raises")
	switch {
	case err != nil:
		r.rollback()
		ours, _ := err.(*Error)
		if ours == nil {
			ours = &Error{fmt.Sprintf("%T", err), err.Error()}
		}
		if want == nil {
			p.differ(0, "%s: error %v", at, err)
		} else if text(get(want, "type")) != ours.Class || text(get(want, "message")) != ours.Message {
			p.differ(1, "%s: error %v, want %s", at, err, show(want))
		}
	case want != nil:
		p.differ(1, "%s: no error, want %s", at, show(want))
	}
	if got, want := statusText(r.status), text(get(out, "wf_status")); got != want {
		p.differ(0, "%s %s: workflow is %s, want %s", at, text(get(step, "task")), got, want)
	}
	if err == nil {
		p.failures(at+" "+text(get(step, "task")), r.errors[min(before, len(r.errors)):], listOf(get(out, "errors_added")))
	}
}

func (p *replay) event(at string, step, out any) error {
	r := p.run
	n := r.def.graph.names[text(get(step, "task"))]
	if n == nil {
		return raise("InvalidTask", `Task "%s" does not exist.`, text(get(step, "task")))
	}
	ev := event{status: hayate.Status(text(get(step, "status"))), result: get(step, "result"), item: -1}
	if item, ok := get(step, "item_id").(int64); ok {
		ev.item = int(item)
	}
	if all, ok := get(step, "accumulated_result").(value.List); ok {
		ev.all = all
	} else if n.task != nil && n.task.with != nil {
		ev.all = value.List{}
	}
	route := number(get(step, "route"))
	if err := r.update(n, route, ev); err != nil {
		return err
	}
	if want := get(out, "task_status"); want != nil {
		e := r.latest(spot{n, route})
		if e == nil || statusText(e.status) != text(want) {
			p.differ(0, "%s: task %s is %v, want %s", at, n.name, e, text(want))
		}
	}
	return nil
}

func (p *replay) handouts(at string, want value.List, got []handout) {
	if len(want) != len(got) {
		p.differ(0, "%s: %d tasks handed out, want %d: %s", at, len(got), len(want), show(want))
		return
	}
	for i, h := range got {
		m := value.MapOf("id", h.node.name, "route", int64(h.route))
		var actions value.List
		for _, a := range h.actions {
			x := value.MapOf("action", a.ref, "input", a.input)
			if a.item >= 0 {
				x.Set("item_id", int64(a.item))
			}
			actions = append(actions, x)
		}
		m.Set("actions", actions)
		if h.delay != nil {
			m.Set("delay", h.delay)
		}
		if h.itemized {
			m.Set("items_count", int64(h.items))
			m.Set("concurrency", h.concurrency)
		}
		if !same(want[i], m) {
			p.differ(0, "%s: handed out %s, want %s", at, show(m), show(want[i]))
		}
	}
}

func failureValue(f *failure) any {
	v, err := value.Decode(f.appendJSON(nil))
	if err != nil {
		return nil
	}
	return v
}

func (p *replay) failures(at string, got []*failure, want value.List) {
	var g value.List
	for _, f := range got {
		if !f.gone {
			g = append(g, failureValue(f))
		}
	}
	if !sameBag(want, g) {
		p.differ(1, "%s: errors %s, want %s", at, show(g), show(want))
	}
}

func (p *replay) final(want any) {
	r := p.run
	if got := statusText(r.status); got != text(get(want, "status")) {
		p.differ(0, "final: workflow is %s, want %s", got, text(get(want, "status")))
	}
	if !same(get(want, "output"), r.output) {
		p.differ(0, "final: output %s, want %s", show(r.output), show(get(want, "output")))
	}
	p.failures("final", r.errors, listOf(get(want, "errors")))
	got := exported(r)
	for _, key := range []string{"task_sequence", "routes", "contexts", "staged", "tasks", "reruns"} {
		w, g := get(want, key), get(got, key)
		if key == "contexts" && p.leaks {
			continue
		}
		if key == "staged" {
			if !sameBag(listOf(w), listOf(g)) {
				p.differ(2, "final: staged %s, want %s", show(g), show(w))
			}
			continue
		}
		if !same(w, g) {
			p.differ(2, "final: %s %s", key, firstDifference(w, g))
		}
	}
}

// firstDifference shows where two lists part.
func firstDifference(want, got any) string {
	w, g := listOf(want), listOf(got)
	for i := 0; i < len(w) && i < len(g); i++ {
		if !same(w[i], g[i]) {
			return fmt.Sprintf("[%d] %s, want %s", i, show(g[i]), show(w[i]))
		}
	}
	return fmt.Sprintf("%d long, want %d", len(g), len(w))
}

func ints(is []int) value.List {
	l := make(value.List, len(is))
	for i, x := range is {
		l[i] = int64(x)
	}
	return l
}

// exported shows a run as StackStorm's conductor shows itself.
func exported(r *Run) *value.Map {
	seq := value.List{}
	for _, e := range r.seq {
		seq = append(seq, exportedEntry(e))
	}
	routes := value.List{}
	for i := range r.routes {
		routes = append(routes, value.List(anyList(r.path(i))))
	}
	contexts := make(value.List, r.contexts)
	for _, l := range r.lists {
		if l.base == nil {
			contexts[0] = any(l.delta)
		} else if l.delta != nil {
			contexts[l.index] = any(l.delta)
		}
	}
	st := value.List{}
	for _, s := range r.stagedInOrder() {
		st = append(st, exportedStaged(s))
	}
	tasks := &value.Map{}
	var spots []spot
	for at := range r.newest {
		spots = append(spots, at)
	}
	sort.Slice(spots, func(i, j int) bool { return r.newest[spots[i]] < r.newest[spots[j]] })
	for _, at := range spots {
		tasks.Set(fmt.Sprintf("%s__r%d", at.node.name, at.route), int64(r.newest[at]))
	}
	reruns := value.List{}
	for _, is := range r.reruns {
		reruns = append(reruns, ints(is))
	}
	return value.MapOf("task_sequence", seq, "routes", routes, "contexts", contexts, "staged", st, "tasks", tasks, "reruns", reruns)
}

func prevOf(l *list) *value.Map {
	var chain []*list
	for ; l != nil; l = l.left {
		chain = append(chain, l)
	}
	m := &value.Map{}
	for i := len(chain) - 1; i >= 0; i-- {
		if chain[i].edge != nil {
			m.Set(chain[i].edge.back, int64(chain[i].from))
		}
	}
	return m
}

func retryValue(re *retryState) any {
	m := value.MapOf("count", int64(re.count), "delay", re.delay, "tally", int64(re.tally), "when", nil)
	if re.when != "" {
		m.Set("when", re.when)
	}
	if re.commanded {
		m.Delete("delay")
	}
	return m
}

func exportedEntry(e *entry) any {
	ctxs := value.MapOf("in", ints(e.in.indexes()))
	if e.outEdge != nil {
		ctxs.Set("out", value.MapOf(e.outEdge.id, int64(e.out)))
	}
	next := &value.Map{}
	for i, v := range e.next {
		if v != unasked {
			next.Set(e.node.out[i].id, v == taken)
		}
	}
	m := value.MapOf("id", e.node.name, "route", int64(e.route), "ctxs", ctxs, "prev", prevOf(e.in), "next", next)
	if e.status != "" {
		m.Set("status", string(e.status))
	}
	if e.term {
		m.Set("term", true)
	}
	if e.retry != nil {
		m.Set("retry", retryValue(e.retry))
	}
	return m
}

func exportedStaged(s *staged) any {
	m := value.MapOf("id", s.node.name, "route", int64(s.route), "ctxs", value.MapOf("in", ints(s.in.indexes())), "prev", prevOf(s.in), "ready", s.ready)
	if s.set != nil {
		items := make(value.List, s.set.len())
		for i, st := range s.set.status {
			items[i] = value.MapOf("status", statusText(itemStatuses[st]))
		}
		m.Set("items", items)
	}
	if s.completed {
		m.Set("completed", true)
	}
	if s.retry != nil {
		m.Set("retry", retryValue(s.retry))
	}
	if s.runOnFail {
		m.Set("run_on_fail", true)
	}
	return m
}
