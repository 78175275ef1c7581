package orquesta

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows/flow"
)

// chain is a workflow of n tasks, one after the other, each publishing.
func chain(n int) string {
	var b strings.Builder
	b.WriteString("version: 1.0\nvars: [{n: 0}]\ntasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "  t%d: {action: core.noop, next: [{when: <%% succeeded() %%>, publish: [{n: <%% ctx(n) + 1 %%>}], do: t%d}]}\n", i, i+1)
	}
	fmt.Fprintf(&b, "  t%d: {action: core.noop}\noutput: [{n: <%% ctx(n) %%>}]\n", n)
	return b.String()
}

const loop = `
version: 1.0
vars: [{n: 0}]
tasks:
  lead: {action: core.noop, next: [{do: work}]}
  work:
    action: core.echo message=<% ctx(n) %>
    next:
      - when: <% succeeded() and ctx(n) < 1000000 %>
        publish: [{n: <% ctx(n) + 1 %>}]
        do: work
`

// BenchmarkStep measures a step of a loop after a history of so many tasks.
func BenchmarkStep(b *testing.B) {
	for _, history := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("history=%d", history), func(b *testing.B) {
			def, _ := Parse([]byte(loop), "x", flow.Options{MaxEntries: 1 << 30})
			w := newWorld(b, def).start("{}").drain(history, nil)
			s := w.waiting[0]
			at := time.Now()
			b.ReportAllocs()
			bytes := 0
			for b.Loop() {
				d, commands, err := w.run.Step(flow.Fact{Kind: flow.ChildChanged, At: at, Child: flow.Child{Task: s.Task, Entry: s.Entry, Item: -1, Status: succeeded, Result: []byte(`{"stdout":"x"}`)}})
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(d.Head)
				for _, e := range d.Entries {
					bytes += len(e)
				}
				s = commands[0].Start
			}
			b.ReportMetric(float64(bytes)/float64(b.N), "B-stored/op")
		})
	}
}

const many = `
version: 1.0
input: [items]
tasks:
  each:
    with: {items: i in <% ctx(items) %>, concurrency: %s}
    action: core.echo message=<% item(i) %>
    next: [{publish: [{r: <% result() %>}]}]
output: [{n: <% ctx(r).len() %>}]
`

func manyItems(n int) string {
	var b strings.Builder
	b.WriteString(`{"items":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, i)
	}
	return b.String() + "]}"
}

// BenchmarkItems measures a task of 10 000 items from start to output.
func BenchmarkItems(b *testing.B) {
	for _, concurrency := range []string{"0", "10", "10000"} {
		b.Run("concurrency="+concurrency, func(b *testing.B) {
			def, problems := Parse([]byte(strings.ReplaceAll(many, "%s", concurrency)), "x", flow.Options{})
			if def == nil {
				b.Fatal(problems)
			}
			inputs := manyItems(10_000)
			for b.Loop() {
				w := newWorld(b, def)
				w.perform = func(flow.Start) (hayate.Status, string) { return succeeded, `{"stdout":"x"}` }
				if end := w.start(inputs).drain(20_000, nil).ended(); string(end.Output) != `{"n":10000}` {
					b.Fatalf("output %s, errors %s", end.Output, end.Errors)
				}
				b.ReportMetric(float64(w.bytes), "B-stored")
			}
		})
	}
}

// BenchmarkJoin measures a hundred parallel tasks and a join.
func BenchmarkJoin(b *testing.B) {
	var s strings.Builder
	s.WriteString("version: 1.0\ntasks:\n  a:\n    next:\n      - do:\n")
	for i := range 100 {
		fmt.Fprintf(&s, "          - t%d\n", i)
	}
	for i := range 100 {
		fmt.Fprintf(&s, "  t%d: {action: core.noop, next: [{do: j}]}\n", i)
	}
	s.WriteString("  j: {join: all, action: core.noop}\n")
	def, problems := Parse([]byte(s.String()), "x", flow.Options{})
	if def == nil {
		b.Fatal(problems)
	}
	for b.Loop() {
		newWorld(b, def).start("{}").drain(1000, nil).ended()
	}
}

// BenchmarkParse measures reading a definition of 1 000 tasks.
func BenchmarkParse(b *testing.B) {
	text := []byte(chain(1000))
	for b.Loop() {
		if def, problems := Parse(text, "x", flow.Options{}); def == nil || len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}
