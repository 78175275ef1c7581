package convert_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/convert"
	"github.com/hayate-run/hayate/workflows/simulate"
)

// convertOne converts a workflow and reads the result, which must inspect clean.
func convertOne(t testing.TB, dialect string, text []byte) (convert.Workflow, *workflows.Definition) {
	t.Helper()
	all, problems := convert.Convert(dialect, text)
	if len(problems) > 0 || len(all) == 0 {
		t.Fatalf("not converted: %v\n%s", problems, text)
	}
	def, problems := workflows.Parse(workflows.Orquesta, "converted", all[0].YAML, workflows.Options{Known: []string{"st2", "parent"}, MaxEntries: 200})
	if len(problems) > 0 || def == nil {
		t.Fatalf("the result has problems: %+v\n%s\nof\n%s", problems, all[0].YAML, text)
	}
	return all[0], def
}

// has says whether there is a note with a text.
func has(w convert.Workflow, text string) bool {
	return slices.ContainsFunc(w.Notes, func(n convert.Note) bool { return strings.Contains(n.Message, text) })
}

// tasks of a run by name, as often as they ran, in the words of the result.
func ran(r *simulate.Report) string {
	var names []string
	for _, t := range r.Tasks {
		if t.Name != "continue" && t.Name != "fail" && t.Name != "noop" && t.Name != "start" && t.Name != "" && len(t.Tries) > 0 {
			names = append(names, t.Name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// plain are the variables of an output that are set, as text.
func plain(t testing.TB, raw json.RawMessage) map[string]string {
	t.Helper()
	v, err := value.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	m, _ := v.(*value.Map)
	for k, x := range m.All() {
		if x != nil {
			out[value.Str(k)] = value.Str(x)
		}
	}
	return out
}

// compare runs source and result on the same outcomes. It returns what differs.
func compare(t testing.TB, source, result *workflows.Definition, w convert.Workflow, p simulate.Plan) string {
	t.Helper()
	a, err := simulate.Run(source, p)
	if err != nil {
		t.Fatalf("source: %v", err)
	}
	for i := range p.Outcomes {
		p.Outcomes[i].Task = w.Tasks[p.Outcomes[i].Task]
	}
	b, err := simulate.Run(result, p)
	if err != nil {
		t.Fatalf("result: %v\n%s", err, w.YAML)
	}
	if n := len(a.Tasks); n > 150 && b.Status == hayate.StatusFailed {
		return "" // both went in circles until they were stopped
	}
	if a.Status == hayate.StatusFailed && has(w, "before anything set it") {
		return "" // as was noted
	}
	if a.Status != b.Status {
		return fmt.Sprintf("status: source %s %s, result %s %s", a.Status, a.Errors, b.Status, b.Errors)
	}
	early := a.Status == hayate.StatusFailed && (has(w, "at once") || has(w, "depends on the engine"))
	for i, x := range a.Tasks {
		a.Tasks[i].Name = w.Tasks[x.Name]
	}
	if x, y := ran(&a), ran(&b); x != y && !early {
		return fmt.Sprintf("tasks: source %s, result %s", x, y)
	}
	if a.Status == hayate.StatusSucceeded {
		x, y := fmt.Sprint(plain(t, a.Output)), fmt.Sprint(plain(t, b.Output))
		if has(w, "publishes text") { // as was noted: what is text in one may be a value in the other
			quotes := strings.NewReplacer(`'`, "", `"`, "", `\`, "")
			x, y = quotes.Replace(x), quotes.Replace(y)
		}
		if x != y {
			return fmt.Sprintf("output: source %v, result %v", x, y)
		}
	}
	return ""
}

// outcomes lets tasks fail and succeed by chance, with results that most expressions
// find something in.
func outcomes(r *rand.Rand, g workflows.Graph) []simulate.Outcome {
	var out []simulate.Outcome
	for _, n := range g.Nodes {
		o := simulate.Outcome{Task: n.Name, Result: json.RawMessage(fmt.Sprintf(`{"stdout":"out %s","stderr":"","result":{"a":%d},"n":%d,"succeeded":true}`, n.Name, r.IntN(3), r.IntN(3)))}
		if r.IntN(3) == 0 {
			o.Status = hayate.StatusFailed
		}
		out = append(out, o)
	}
	return out
}

// inputs gives every input of a workflow a value.
func inputs(t testing.TB, text []byte) json.RawMessage {
	t.Helper()
	root, diags := yamldoc.Parse(text, yamldoc.Options{})
	if yamldoc.HasErrors(diags) {
		t.Fatal(diags)
	}
	out := map[string]any{}
	for _, n := range root.Get("input").Items() {
		if n.Kind() == yamldoc.String {
			out[n.Text()] = []any{"a", "b"}
		}
	}
	b, err := json.Marshal(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// generated is a Mistral workflow by chance, of what both languages can say.
func generated(r *rand.Rand) string {
	n := 2 + r.IntN(5)
	var b strings.Builder
	b.WriteString("version: '2.0'\np.w:\n  input: [{lim: 1}]\n  output:\n    v: <% $.get(v) %>\n    w: <% $.get(w) %>\n  tasks:\n")
	for i := range n {
		fmt.Fprintf(&b, "    t%d:\n      action: x.t%d n=%d\n", i, i, i)
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "      publish: {v: <%% task(t%d).result.n %%>, w: <%% $.get(v) %%>}\n", i)
		}
		if r.IntN(4) == 0 {
			b.WriteString("      publish-on-error: {v: bad}\n")
		}
		if r.IntN(5) == 0 {
			fmt.Fprintf(&b, "      retry: {count: %d, delay: 1}\n", 1+r.IntN(2))
		}
		if r.IntN(5) == 0 {
			b.WriteString("      wait-before: 2\n")
		}
		// Only downwards, to one task each, so that nothing runs side by side.
		to := func() string { return fmt.Sprintf("t%d", i+1+r.IntN(n-i-1)) }
		if i == n-1 {
			continue
		}
		switch r.IntN(4) {
		case 0:
			fmt.Fprintf(&b, "      on-success: %s\n", to())
		case 1:
			a := to()
			fmt.Fprintf(&b, "      on-success:\n        - %s: <%% task(t%d).result.n > $.lim %%>\n        - %s: <%% not task(t%d).result.n > $.lim %%>\n", a, i, to(), i)
		case 2:
			fmt.Fprintf(&b, "      on-success: [%s]\n      on-error: [%s]\n", to(), to())
		case 3:
			fmt.Fprintf(&b, "      on-complete: %s\n", to())
		}
		if r.IntN(6) == 0 {
			b.WriteString("      keep-result: true\n")
		}
	}
	return b.String()
}

func TestGeneratedWorkflowsDoTheSame(t *testing.T) {
	t.Parallel()
	compared, strict := 0, 0
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 5))
		text := generated(r)
		source, problems := workflows.Parse(workflows.Mistral, "source", []byte(text), workflows.Options{MaxEntries: 200})
		if len(problems) > 0 {
			t.Fatalf("%+v\n%s", problems, text)
		}
		w, result := convertOne(t, workflows.Mistral, []byte(text))
		for range 6 {
			p := simulate.Plan{Inputs: json.RawMessage(`{"lim":1}`), Outcomes: outcomes(r, source.Graph())}
			compared++
			if !has(w, "at once") {
				strict++
			}
			if d := compare(t, source, result, w, p); d != "" {
				t.Fatalf("seed %d: %s\noutcomes %+v\n%s\nbecame\n%s\nnotes %+v", seed, d, p.Outcomes, text, w.YAML, w.Notes)
			}
		}
	}
	t.Logf("%d runs compared, %d of them task by task whatever failed", compared, strict)
}

// TestCorpusConverts converts every Mistral workflow and ActionChain of real packs,
// and runs source and result on outcomes by chance.
func TestCorpusConverts(t *testing.T) {
	t.Parallel()
	dir := sharedtest.Corpus(t)
	mistral := regexp.MustCompile(`(?m)^version: *['"]?2\.0['"]? *$`)
	files, clean, runs := 0, 0, 0
	err := filepath.WalkDir(filepath.Join(dir, "packs"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(p) != ".yaml" || filepath.Base(p) == "pack.yaml" {
			return err
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		dialect := workflows.Mistral
		if !mistral.Match(text) {
			if dialect = workflows.ActionChain; workflows.Detect(text) != dialect {
				return nil
			}
		}
		source, problems := workflows.Parse(dialect, p, text, workflows.Options{MaxEntries: 200})
		if len(problems) > 0 {
			t.Logf("%s cannot be run: %v", p, problems[0].Message)
			return nil
		}
		files++
		w, result := convertOne(t, dialect, text)
		for _, n := range w.Notes {
			if n.Kind == convert.Lost {
				t.Logf("%s:%d: %s: %s", p, n.Line, n.Kind, n.Message)
				return nil
			}
		}
		clean++
		for seed := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, 9))
			plan := simulate.Plan{Outcomes: outcomes(r, source.Graph()), Inputs: inputs(t, w.YAML)}
			runs++
			if d := compare(t, source, result, w, plan); d != "" {
				t.Errorf("%s, seed %d: %s\nnotes %+v\nbecame\n%s", p, seed, d, w.Notes, w.YAML)
				break
			}
		}
		return nil
	})
	if err != nil || files == 0 {
		t.Skipf("no workflows in %s: %v", dir, err)
	}
	t.Logf("%d workflows converted, %d of them without loss, %d runs compared", files, clean, runs)
}

func TestNothingIsDroppedInSilence(t *testing.T) {
	t.Parallel()
	text := `version: '2.0'
p.w:
  output-on-error: {e: 1}
  tasks:
    odd-name:
      action: std.echo output=hi
      wait-after: 5
      timeout: 7
      pause-before: true
      fail-on: <% true %>
      safe-rerun: true
      target: host1
      on-success: [succeed, pause, {fail msg='no': <% env().x %>}]
    j: {join: one, action: x.j}
`
	w, _ := convertOne(t, workflows.Mistral, []byte(text))
	for want, line := range map[string]int{"output of its own for failures": 3, `called "odd_name"`: 5, "the action std.echo": 6, "wait-after": 7, "timeout": 8, "pause-before": 9,
		"fail-on": 10, "safe-rerun": 11, "target": 12, "the command succeed": 13, "the command pause": 13, "the message of the command fail": 13, "env()": 13, "runs again": 14} {
		i := slices.IndexFunc(w.Notes, func(n convert.Note) bool { return strings.Contains(n.Message, want) })
		if i < 0 {
			t.Errorf("no note says %q: %+v", want, w.Notes)
		} else if w.Notes[i].Line != line {
			t.Errorf("%q is noted at line %d, want %d", want, w.Notes[i].Line, line)
		}
	}
}

func TestExpressionsAreRewritten(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"<% $.a %>":                                    "<% ctx().a %>",
		"<% $.l.where($.x > $.y).len() %>":             "<% ctx().l.where($.x > $.y).len() %>",
		"a <% $.a %> b <% $ %>":                        "a <% ctx().a %> b <% ctx() %>",
		"<% $.get(k) %>":                               "<% ctx().get(k) %>",
		"{{ _.a.b | upper }} _.c":                      "{{ ctx().a.b | upper }} _.c",
		"{{ '_.a' ~ _.b }}":                            "{{ '_.a' ~ ctx().b }}",
		"{{ st2kv.system.key | decrypt_kv }}":          "{{ st2kv('system.key', decrypt=true) }}",
		"<% env().st2_execution_id %>":                 "<% ctx().st2.action_execution_id %>",
		"<% task(t).result.stdout %>":                  "<% task('t').result.stdout %>",
		"plain $.a":                                    "plain $.a",
		"<% task(t).result.rows.select($.id + $.n) %>": "<% task('t').result.rows.select($.id + $.n) %>",
	} {
		quoted, err := json.Marshal(source)
		if err != nil {
			t.Fatal(err)
		}
		all, problems := convert.Convert(workflows.Mistral, []byte("version: '2.0'\nw:\n  input: [a, b, l]\n  tasks:\n    t: {action: x.t, on-success: u}\n    u: {action: x.u, input: {v: "+string(quoted)+"}}\n"))
		if len(problems) > 0 {
			t.Errorf("%s: %v", source, problems)
			continue
		}
		if !strings.Contains(strings.ReplaceAll(string(all[0].YAML), "''", "'"), want) {
			t.Errorf("%s became\n%s\nwant %s", source, all[0].YAML, want)
		}
	}
}

func TestConditionsSeeWhatIsPublishedWithThem(t *testing.T) {
	t.Parallel()
	w, def := convertOne(t, workflows.Mistral, []byte(`version: '2.0'
w:
  tasks:
    a:
      action: x.a
      publish: {n: <% task(a).result.n %>}
      on-success: [{b: <% $.n > 1 %>}, {c: <% $.n <= 1 %>}]
    b: {action: x.b}
    c: {action: x.c}
`))
	if !strings.Contains(string(w.YAML), "<% succeeded() and ((result().n) > 1) %>") {
		t.Errorf("%s", w.YAML)
	}
	r, err := simulate.Run(def, simulate.Plan{Outcomes: []simulate.Outcome{{Task: "a", Result: json.RawMessage(`{"n":5}`)}}})
	if err != nil || ran(&r) != "a b" {
		t.Errorf("ran %s, %v", ran(&r), err)
	}
}

func TestWorkbooksBecomeSeveral(t *testing.T) {
	t.Parallel()
	all, problems := convert.Convert(workflows.Mistral, []byte(`version: '2.0'
name: p.book
workflows:
  sub: {tasks: {s: {action: x.s}}}
  main: {tasks: {a: {workflow: sub}}}
`))
	if len(problems) > 0 || len(all) != 2 || all[0].Name != "main" {
		t.Fatalf("%v %v", all, problems)
	}
	if !strings.Contains(string(all[0].YAML), "action: p.book_sub") || !has(all[0], "register the workflow") {
		t.Errorf("%s %+v", all[0].YAML, all[0].Notes)
	}
}

func TestOrquestaIsNotConverted(t *testing.T) {
	t.Parallel()
	if _, problems := convert.Convert(workflows.Orquesta, []byte("version: 1.0\ntasks: {a: {action: core.noop}}\n")); len(problems) != 1 {
		t.Errorf("problems %v", problems)
	}
}

func ExampleConvert() {
	all, _ := convert.Convert(workflows.Mistral, []byte(`
version: '2.0'
ops.restart:
  input: [host]
  output: {said: <% $.said %>}
  tasks:
    restart:
      action: core.remote cmd="systemctl restart httpd" hosts=<% $.host %>
      publish: {said: <% task(restart).result.stdout %>}
      on-success: report
    report: {action: core.noop, timeout: 5}
`))
	fmt.Print(string(all[0].YAML))
	for _, n := range all[0].Notes {
		fmt.Printf("%d: %s: %s\n", n.Line, n.Kind, n.Message)
	}
	// Output:
	// version: 1.0
	// input:
	//   - host
	// tasks:
	//   restart:
	//     action: core.remote
	//     input:
	//       cmd: systemctl restart httpd
	//       hosts: <% ctx().host %>
	//     next:
	//       - when: <% succeeded() %>
	//         publish:
	//           - said: <% result().stdout %>
	//         do: report
	//
	//   report:
	//     action: core.noop
	// output:
	//   - said: <% ctx().said %>
	// 11: not converted: timeout: Orquesta has no time limit for a task; give its action one (the parameter timeout, where it has that)
}

func FuzzConvert(f *testing.F) {
	for seed := range uint64(20) {
		f.Add([]byte(generated(rand.New(rand.NewPCG(seed, 5)))), false)
	}
	f.Add([]byte("chain:\n  - {name: a b, ref: x.a, params: {p: '{{ c.d }}'}, publish: {v: '{{ e }}'}, on-success: c}\n  - {name: c, ref: x.c}\n"), true)
	f.Fuzz(func(t *testing.T, text []byte, chain bool) {
		dialect := workflows.Mistral
		if chain {
			dialect = workflows.ActionChain
		}
		if all, problems := convert.Convert(dialect, text); len(problems) == 0 && len(all) == 0 {
			t.Errorf("neither a workflow nor a problem: %q", text)
		}
	})
}
