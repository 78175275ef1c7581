//go:build unix

package shell_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/shell"
)

const show = "#!/bin/sh\nfor a in \"$@\"; do printf '<%s>' \"$a\"; done\n"

func TestScriptArguments(t *testing.T) {
	// The last type is that of p1 at position 1: positions need not follow the
	// order of the document, nor begin at 0.
	positional := func(types ...string) hayate.Parameters {
		var ps hayate.Parameters
		for i, typ := range types {
			at := len(types) - i
			ps = append(ps, hayate.Parameter{Name: "p" + string(rune('0'+at)), Type: typ, Position: &at})
		}
		return ps
	}
	tests := []struct {
		name   string
		params hayate.Parameters
		values string
		op     any
		want   string
	}{
		{"named", nil, `{"b":"x y","a":5}`, nil, "<--b=x y><--a=5>"},
		{"named with another operator", nil, `{"b":"x"}`, "-", "<-b=x>"},
		{"named with no operator", nil, `{"b":"x"}`, "", "<b=x>"},
		{"null and empty text are left out", nil, `{"a":null,"b":"","c":0}`, nil, "<--c=0>"},
		{"booleans are flags", nil, `{"on":true,"off":false}`, nil, "<--on>"},
		{"numbers", nil, `{"a":1.0,"b":1e3,"c":1e16,"d":0.00001,"e":-2}`, nil, "<--a=1.0><--b=1000.0><--c=1e+16><--d=1e-05><--e=-2>"},
		{"lists and objects", nil, `{"l":[1,"it's",null,true,"日本"],"o":{"k":"v\n","n":{}},"e":[]}`, nil,
			`<--l=[1, "it's", None, True, '日本']><--o={'k': 'v\n', 'n': {}}><--e=[]>`},
		{"both quotes", nil, `{"l":["'\"\\","\u0001\u00a0"]}`, nil, `<--l=['\'"\\', '\x01\xa0']>`},
		{"quoting", nil, `{"q":"'; rm -rf / #$HOME` + "`id`" + `"}`, nil, "<--q='; rm -rf / #$HOME`id`>"},
		{"positions", positional("string", "string", "string"), `{"p1":"one","p2":"two words","p3":"three"}`, nil, "<one><two words><three>"},
		{"missing ones keep the slot", positional("string", "integer", "string"), `{"p3":"three"}`, nil, "<><><three>"},
		{"named before positional", positional("string"), `{"p1":"x","n":"y"}`, nil, "<--n=y><x>"},
		{"positional booleans", positional("boolean", "boolean", "boolean"), `{"p1":true,"p2":false,"p3":null}`, nil, "<1><0><>"},
		{"positional array", positional("array", "array"), `{"p1":["a",1,true,null],"p2":[]}`, nil, "<a,1,True,None><>"},
		{"positional object", positional("object", "object"), `{"p1":{"b":1,"a":[ 2 ],"c":"<日>"},"p2":{}}`, nil, `<{"b":1,"a":[2],"c":"<日>"}><>`},
		{"positional numbers", positional("number", "integer", "integer"), `{"p1":5,"p2":0,"p3":0.5}`, nil, "<5><><0.5>"},
		{"positional without a type", positional("", ""), `{"p1":0,"p2":"x"}`, nil, "<><x>"},
		{"nothing", nil, `{}`, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			task := script(t, show, 0o755)
			task.Action.Parameters = tt.params
			task.Parameters = json.RawMessage(tt.values)
			if tt.op != nil {
				task.RunnerParameters = object(t, "kwarg_op", tt.op)
			}
			status, v := run(t, shell.Config{}, task)
			if status != hayate.StatusSucceeded || v.stdout() != tt.want {
				t.Errorf("%s: arguments %q, want %q (%s)", tt.values, v.stdout(), tt.want, status)
			}
		})
	}
}

func TestInterpreters(t *testing.T) {
	tests := []struct {
		name, content string
		mode          os.FileMode
		need          string
		want          string
	}{
		{"sh", "#!/bin/sh\necho \"sh $1\"", 0o755, "sh", "sh --a=b"},
		{"bash through env", "#!/usr/bin/env bash\necho \"bash ${BASH_VERSION:+yes} $1\"", 0o755, "bash", "bash yes --a=b"},
		{"python", "#!/usr/bin/env python3\nimport sys\nprint('python', sys.argv[1])", 0o755, "python3", "python --a=b"},
		{"with an argument", "#!/bin/sh -e\nfalse\necho no", 0o755, "sh", ""},
		{"no first line", "echo \"none $1\"", 0o755, "sh", "none --a=b"},
		{"no execute bit", "#!/bin/sh\necho \"set $1\"", 0o644, "sh", "set --a=b"},
		{"line ends of another system", "#!/bin/sh\r\necho crlf\n", 0o755, "sh", "crlf"},
		{"empty", "", 0o755, "sh", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(tt.need); err != nil {
				t.Skipf("%s is not installed", tt.need)
			}
			task := script(t, tt.content, tt.mode)
			task.Parameters = json.RawMessage(`{"a":"b"}`)
			if _, v := run(t, shell.Config{}, task); v.stdout() != tt.want {
				t.Errorf("stdout %q, want %q (%+v)", v.stdout(), tt.want, v)
			}
		})
	}
}

func TestCompiledProgramAsScript(t *testing.T) {
	echo, err := os.ReadFile("/bin/echo")
	if err != nil {
		t.Skip("no /bin/echo")
	}
	task := script(t, string(echo), 0o755)
	task.Parameters = json.RawMessage(`{"a":"b"}`)
	if _, v := run(t, shell.Config{}, task); v.stdout() != "--a=b" {
		t.Errorf("stdout %q, want %q (%+v)", v.stdout(), "--a=b", v)
	}
}

func TestStrictScripts(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("bash is not installed")
	}
	for _, first := range []string{"#!/bin/sh\n", "#!/bin/sh -e\n", "#!/bin/bash\n", "#!/bin/bash -\n", "#!/usr/bin/env bash\n", ""} {
		for _, strict := range []bool{true, false} {
			task := script(t, first+"false | true\n", 0o755)
			task.Pipefail = strict
			want := hayate.StatusSucceeded
			if strict {
				want = hayate.StatusFailed
			}
			if status, v := run(t, shell.Config{}, task); status != want {
				t.Errorf("%q with pipefail %v: %s, want %s (%+v)", first, strict, status, want, v)
			}
		}
	}
	task := script(t, "#!/usr/bin/env python3\nimport os\nos.system('false | true')\n", 0o755)
	task.Pipefail = true
	if status, v := run(t, shell.Config{}, task); status != hayate.StatusSucceeded {
		t.Errorf("another interpreter: %s, %+v", status, v)
	}
}

func TestEntryPointMistakes(t *testing.T) {
	set := func(change func(*hayate.Task)) hayate.Task {
		task := script(t, show, 0o755)
		change(&task)
		return task
	}
	link := set(func(*hayate.Task) {})
	if err := os.Symlink("/bin/echo", filepath.Join(link.PackDir, "actions", "link")); err != nil {
		t.Fatal(err)
	}
	link.Action.EntryPoint = "link"
	tests := []struct {
		name string
		task hayate.Task
		want string
	}{
		{"none", set(func(x *hayate.Task) { x.Action.EntryPoint = "" }), "entry_point: missing"},
		{"no such file", set(func(x *hayate.Task) { x.Action.EntryPoint = "no.sh" }), "no such file"},
		{"a folder", set(func(x *hayate.Task) { x.Action.EntryPoint = "." }), "not a file"},
		{"out of the pack", set(func(x *hayate.Task) { x.Action.EntryPoint = "../../../../bin/echo" }), "leads out of the pack"},
		{"absolute out of the pack", set(func(x *hayate.Task) { x.Action.EntryPoint = "/bin/echo" }), "leads out of the pack"},
		{"link out of the pack", link, "leads out of the pack"},
		{"no pack here", set(func(x *hayate.Task) { x.PackDir = "" }), "not on this host"},
		{"a pack that is gone", set(func(x *hayate.Task) { x.PackDir += "/gone" }), "folder of pack"},
		{"another revision", set(func(x *hayate.Task) { x.RunnerParameters = object(t, "content_version", "v1") }), "content_version"},
		{"missing interpreter", script(t, "#!/no/such/interpreter\n", 0o755), "/no/such/interpreter is not installed"},
		{"NUL in an argument", set(func(x *hayate.Task) { x.Parameters = object(t, "a", "b\x00c") }), "NUL"},
		{"parameters that are no object", set(func(x *hayate.Task) { x.Parameters = json.RawMessage(`[1]`) }), "want a JSON object"},
	}
	for _, tt := range tests {
		status, v := run(t, shell.Config{}, tt.task)
		if status != hayate.StatusFailed || !strings.Contains(v.Error, tt.want) || v.stdout() != "" {
			t.Errorf("%s: %s, error %q, want it to say %q", tt.name, status, v.Error, tt.want)
		}
	}
}

func TestEntryPointElsewhereInThePack(t *testing.T) {
	task := script(t, show, 0o755)
	lib := filepath.Join(task.PackDir, "lib")
	if err := os.Mkdir(lib, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(lib, "x.sh"), []byte("#!/bin/sh\necho lib"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, entry := range []string{"../lib/x.sh", filepath.Join(lib, "x.sh")} {
		task.Action.EntryPoint = entry
		if _, v := run(t, shell.Config{}, task); v.stdout() != "lib" {
			t.Errorf("%s: %+v", entry, v)
		}
	}
}
