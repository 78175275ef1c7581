package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// hostile are workflows that would harm a server that set no bounds: what runs them,
// how they end, and a text that their result holds.
func hostile() []struct{ name, runner, text, status, says string } {
	var long strings.Builder
	long.WriteString("version: 1.0\ntasks:\n")
	const tasks = 99_990
	for i := range tasks {
		fmt.Fprintf(&long, "  t%d: {next: [{do: t%d}]}\n", i, i+1)
	}
	fmt.Fprintf(&long, "  t%d: {action: core.noop}\n", tasks)
	laughs := "x0: &x0 [lol]\n"
	for i := 1; i < 12; i++ {
		laughs += fmt.Sprintf("x%d: &x%d [%s]\n", i, i, strings.Repeat(fmt.Sprintf("*x%d, ", i-1), 9)+fmt.Sprintf("*x%d", i-1))
	}
	echo := func(message string) string {
		b, err := json.Marshal(message)
		if err != nil {
			panic(err) // a text
		}
		return "version: 1.0\ntasks:\n  a: {action: core.echo, input: {message: " + string(b) + "}}\n"
	}
	deep := strings.Repeat("(", 20_000) + "1" + strings.Repeat(")", 20_000)
	return []struct{ name, runner, text, status, says string }{
		{"circle", "orquesta", "version: 1.0\ntasks:\n  s: {next: [{do: a}]}\n  a: {next: [{do: b}]}\n  b: {next: [{do: a}]}\n", "failed", "a loop without end"},
		{"mistral_circle", "mistral-v2", "version: '2.0'\nbad.mistral_circle:\n  tasks: {s: {on-success: a}, a: {on-success: b}, b: {on-success: a}}\n", "failed", "a loop without end"},
		{"long", "orquesta", long.String(), "succeeded", ""},
		{"laughs", "orquesta", "version: 1.0\n" + laughs + "tasks: {a: {action: core.noop}}\n", "failed", "once its aliases are expanded"},
		{"deep_yaml", "orquesta", "version: 1.0\ntasks: {a: {action: core.echo, input: {message: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}}\n", "failed", "nested deeper than"},
		{"deep_yaql", "orquesta", echo("<% " + deep + " %>"), "failed", "nested deeper than"},
		{"deep_jinja", "orquesta", echo("{{ " + deep + " }}"), "failed", "nested too deeply"},
		{"yaql_steps", "orquesta", echo("<% range(1000000000).select($ * $).sum() %>"), "failed", "evaluation limit exceeded"},
		{"yaql_endless", "orquesta", echo("<% generate(0, true, $ + 1).len() %>"), "failed", "evaluation limit exceeded"},
		{"yaql_memory", "orquesta", echo("<% 'x' * 1000000000 %>"), "failed", "evaluation limit exceeded"},
		{"jinja_steps", "orquesta", echo("{% for i in range(100000) %}{% for j in range(100000) %}x{% endfor %}{% endfor %}"), "failed", "evaluation limit exceeded"},
		{"regex", "orquesta", echo("<% str(regex('^(a+)+$').matches('" + strings.Repeat("a", 60) + "!')) %>"), "succeeded", ""},
		{"items", "orquesta", "version: 1.0\ntasks:\n  a: {with: <% range(1000000) %>, action: core.noop}\n", "failed", "more than the 100000 allowed"},
		{"itself", "orquesta", "version: 1.0\ntasks:\n  a: {action: bad.itself, next: [{when: <% failed() %>, publish: [{why: \"<% switch(result().get(error) != null => result().error, true => result().output.why) %>\"}], do: fail}]}\noutput: [{why: <% ctx().get(why) %>}]\n", "failed", "nested deeper than 100"},
		{"swelling", "orquesta", "version: 1.0\ninput: [n]\ntasks:\n  a: {action: bad.swelling, input: {n: <% ctx(n) + 1 %>}, next: [{when: <% failed() %>, publish: [{why: <% str(result()) %>}], do: fail}]}\noutput: [{why: <% ctx().get(why) %>}]\n",
			"failed", "allowed. Give it an output that is smaller"},
		{"result", "orquesta", "version: 1.0\ntasks:\n  a: {action: core.local, input: {cmd: \"head -c 52428800 /dev/zero | tr '\\\\0' x\", timeout: 50}, next: [{publish: [{n: <% result().stdout.len() %>}]}]}\noutput: [{n: <% ctx(n) %>}]\n",
			"succeeded", `"n"`},
	}
}

// TestPathologicalWorkflows: each is refused or bounded, with a message, and the server
// goes on.
func TestPathologicalWorkflows(t *testing.T) {
	t.Parallel()
	files := map[string]string{}
	cases := hostile()
	for _, c := range cases {
		files["actions/"+c.name+".yaml"] = "name: " + c.name + "\nrunner_type: " + c.runner + "\nentry_point: workflows/" + c.name + ".yaml\nenabled: true\nparameters: {n: {type: integer, default: 0}}\n"
		files["actions/workflows/"+c.name+".yaml"] = c.text
	}
	packs := t.TempDir()
	hayatetest.WritePack(t, packs, "bad", files)
	s := hayatetest.Start(t, hayatetest.Options{Packs: packs})
	for _, c := range cases {
		id := s.Start(t, "bad."+c.name, nil)
		x := s.AwaitEnd(t, id, 2*time.Minute)
		b, err := json.Marshal(x.Result)
		if err != nil {
			t.Fatal(err)
		}
		result := string(b)
		if x.Status != c.status || !strings.Contains(result, c.says) {
			t.Errorf("%s ended %s, want %s saying %q: %.600s", c.name, x.Status, c.status, c.says, result)
		}
		if len(result) > 9<<20 {
			t.Errorf("%s: the result has %d bytes", c.name, len(result))
		}
		if r := s.Do(t, http.MethodGet, "/readyz", nil); r.Status != http.StatusOK {
			t.Fatalf("after %s the server is not ready: %d %s", c.name, r.Status, r.Body)
		}
	}
	if x := s.AwaitEnd(t, s.Start(t, "core.noop", nil), time.Minute); x.Status != "succeeded" {
		t.Errorf("an action after all that ended %s", x.Status)
	}
}

// TestLargeAnswerIsBounded: an HTTP response of 50 MB leaves neither the result nor the
// server large.
func TestLargeAnswerIsBounded(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := strings.Repeat("x", 1<<20)
		for range 50 {
			if _, err := io.WriteString(w, block); err != nil {
				return
			}
		}
	}))
	defer site.Close()
	s := hayatetest.Start(t, hayatetest.Options{})
	x := s.AwaitEnd(t, s.Start(t, "core.http", map[string]any{"url": site.URL}), time.Minute)
	b, err := json.Marshal(x.Result)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 24<<20 {
		t.Errorf("it ended %s with a result of %d bytes", x.Status, len(b))
	}
	if x := s.AwaitEnd(t, s.Start(t, "core.noop", nil), time.Minute); x.Status != "succeeded" {
		t.Errorf("an action after it ended %s", x.Status)
	}
}
