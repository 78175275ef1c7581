package yaql_test

import (
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/expr/yaql"
)

// BenchmarkTemplate is the expression that workflows use most, compiled once.
func BenchmarkTemplate(b *testing.B) {
	vars := value.MapOf("a", value.MapOf("b", int64(7)), "c", "d")
	benchmarks := []struct{ name, text string }{
		{"ctx", `<% ctx(a).b %>`},
		{"compare", `<% ctx(a).b > 3 and ctx(c) = 'd' %>`},
		{"text", `value: <% ctx(c) %>`},
		{"select", `<% range(100).where($ mod 2 = 0).select($ * 2).sum() %>`},
	}
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			t := yaql.NewTemplate(bm.text)
			env := &yaql.Workflow{Vars: vars}
			b.ReportAllocs()
			for b.Loop() {
				c := yaql.Context{Functions: allFunctions, Env: env}
				if _, err := t.Eval(&c, yaql.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
