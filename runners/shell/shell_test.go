package shell_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/shell"
)

// values are the members of a result.
type values struct {
	Failed     bool            `json:"failed"`
	Succeeded  bool            `json:"succeeded"`
	ReturnCode int             `json:"return_code"`
	Stdout     json.RawMessage `json:"stdout"`
	Stderr     json.RawMessage `json:"stderr"`
	Error      string          `json:"error"`
}

func (v values) stdout() string { return text(v.Stdout) }
func (v values) stderr() string { return text(v.Stderr) }

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	return string(raw)
}

// lines records output.
type lines struct {
	mu   sync.Mutex
	list []string
}

func (l *lines) add(s hayate.Stream, line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, string(s)+": "+line)
}

// object makes a JSON object of names and values.
func object(t testing.TB, pairs ...any) json.RawMessage {
	t.Helper()
	b := []byte{'{'}
	for i := 0; i < len(pairs); i += 2 {
		if i > 0 {
			b = append(b, ',')
		}
		v, err := json.Marshal(pairs[i+1])
		if err != nil {
			t.Fatal(err)
		}
		b = append(append(append(b, '"'), pairs[i].(string)...), `":`...)
		b = append(b, v...)
	}
	return append(b, '}')
}

var executions atomic.Int64

// newExecution returns an id that no other test uses: processes are known by it.
func newExecution() hayate.ExecutionID {
	return hayate.ExecutionID(fmt.Sprintf("5f%06x%016x", os.Getpid()&0xffffff, executions.Add(1)))
}

// command makes a task for local-shell-cmd.
func command(t testing.TB, cmd string, more ...any) hayate.Task {
	return hayate.Task{
		Execution:        newExecution(),
		Attempt:          1,
		Action:           hayate.Action{Pack: "core", Name: "local", Runner: shell.Command},
		RunnerParameters: object(t, append([]any{"cmd", cmd}, more...)...),
	}
}

// script makes a task for local-shell-script with a pack that holds the script.
func script(t testing.TB, content string, mode os.FileMode) hayate.Task {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "actions"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "actions", "run.sh"), []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return hayate.Task{
		Execution: newExecution(),
		Attempt:   1,
		PackDir:   dir,
		Action:    hayate.Action{Pack: "test", Name: "run", Runner: shell.Script, EntryPoint: "run.sh"},
	}
}

func run(t testing.TB, c shell.Config, task hayate.Task) (hayate.Status, values) {
	t.Helper()
	return runWith(t, context.Background(), c, task, nil)
}

func runWith(t testing.TB, ctx context.Context, c shell.Config, task hayate.Task, out func(hayate.Stream, string)) (hayate.Status, values) {
	t.Helper()
	res, err := shell.New(c).Run(ctx, task, out)
	if err != nil {
		t.Fatalf("Run: %v", err)
	}
	var v values
	if err := json.Unmarshal(res.Value, &v); err != nil {
		t.Fatalf("result %s: %v", res.Value, err)
	}
	if v.Succeeded != (res.Status == hayate.StatusSucceeded) || v.Failed == v.Succeeded {
		t.Errorf("status %s with failed %v and succeeded %v", res.Status, v.Failed, v.Succeeded)
	}
	if res.Verified {
		t.Error("a command that ran proves nothing, but the result is verified")
	}
	return res.Status, v
}

func TestExitStatus(t *testing.T) {
	tests := []struct {
		cmd    string
		status hayate.Status
		code   int
		err    string
	}{
		{"true", hayate.StatusSucceeded, 0, ""},
		{"exit 1", hayate.StatusFailed, 1, ""},
		{"exit 3", hayate.StatusFailed, 3, ""},
		{"exit 137", hayate.StatusFailed, 137, ""},
		{"exit 143", hayate.StatusFailed, 143, ""},
		{"no-such-command-here", hayate.StatusFailed, 127, ""},
		{"kill -9 $$", hayate.StatusTimeout, -9, "Action failed to complete in 60 seconds"},
		{"kill -15 $$", hayate.StatusAbandoned, -15, ""},
		{"kill -2 $$", hayate.StatusFailed, -2, ""},
		{"", hayate.StatusSucceeded, 0, ""},
	}
	for _, tt := range tests {
		t.Run(tt.cmd, func(t *testing.T) {
			t.Parallel()
			status, v := run(t, shell.Config{}, command(t, tt.cmd))
			if status != tt.status || v.ReturnCode != tt.code {
				t.Errorf("%q: %s with %d, want %s with %d", tt.cmd, status, v.ReturnCode, tt.status, tt.code)
			}
			if !strings.HasPrefix(v.Error, tt.err) || (tt.err == "" && v.Error != "") {
				t.Errorf("%q: error %q, want %q", tt.cmd, v.Error, tt.err)
			}
		})
	}
}

func TestOutputIsDecoded(t *testing.T) {
	tests := []struct{ cmd, want string }{
		{"echo hello", `"hello"`},
		{"echo 123", `123`},
		{"echo true", `true`},
		{"echo null", `null`},
		{`echo '{"b": 1, "a": [1.0, 12345678901234567890]}'`, `{"b": 1, "a": [1.0, 12345678901234567890]}`},
		{`echo '"quoted"'`, `"quoted"`},
		{"echo 007", `"007"`},
		{"echo True", `"True"`},
		{"echo 1e999", `"1e999"`},
		{"echo '[1'", `"[1"`},
		{"true", `""`},
		{`printf 'x\r\n'`, `"x"`},
		{`printf 'x\n\n'`, `"x\n"`},
		{`printf 'x\r\n\r\n'`, `"x\r\n"`},
		{`printf '\n'`, `""`},
		{`printf '  5 '`, `5`},
		{`printf 'こんにちは、世界'`, `"こんにちは、世界"`},
		{`printf 'a\377b\343\201'`, `"a�b��"`},
		{`printf 'a\000b'`, `"a\u0000b"`},
	}
	for _, tt := range tests {
		t.Run(tt.cmd, func(t *testing.T) {
			t.Parallel()
			status, v := run(t, shell.Config{}, command(t, tt.cmd))
			if status != hayate.StatusSucceeded || string(v.Stdout) != tt.want {
				t.Errorf("%s: %s, stdout %s, want %s", tt.cmd, status, v.Stdout, tt.want)
			}
		})
	}
}

func TestStderrIsSeparate(t *testing.T) {
	var l lines
	_, v := runWith(t, context.Background(), shell.Config{}, command(t, `echo out; echo '[1]' >&2`), l.add)
	if v.stdout() != "out" || string(v.Stderr) != "[1]" {
		t.Errorf("stdout %s, stderr %s", v.Stdout, v.Stderr)
	}
	slices.Sort(l.list)
	if want := []string{"stderr: [1]", "stdout: out"}; !slices.Equal(l.list, want) {
		t.Errorf("streamed %q, want %q", l.list, want)
	}
}

func TestEnvironment(t *testing.T) {
	c := shell.Config{Env: []string{"PATH=" + os.Getenv("PATH"), "BASE=base", "SHADOWED=base"}}
	task := command(t, `echo "$BASE $SHADOWED $NUMBER $FLAG $ST2_ACTION_PACK_NAME $HAYATE_EXECUTION_ID $HAYATE_ATTEMPT"`,
		"env", map[string]any{"SHADOWED": "param", "NUMBER": 5, "FLAG": true, "ST2_ACTION_PACK_NAME": "mine"})
	task.Env = []string{"ST2_ACTION_PACK_NAME=core"}
	_, v := run(t, c, task)
	if want := "base param 5 True core " + string(task.Execution) + " 1"; v.stdout() != want {
		t.Errorf("environment: %q, want %q", v.stdout(), want)
	}

	status, v := run(t, c, command(t, "true", "env", map[string]any{"A=B": "x"}))
	if status != hayate.StatusFailed || !strings.Contains(v.Error, `"A=B" is not an environment variable`) {
		t.Errorf("a wrong name: %s, %q", status, v.Error)
	}
}

func TestOwnSettingsAreNotInherited(t *testing.T) {
	t.Setenv("HAYATE_TOKEN", "t0ken")
	t.Setenv("NOTIFY_SOCKET", "/run/notify")
	t.Setenv("ORDINARY", "yes")
	_, v := run(t, shell.Config{}, command(t, `echo "${HAYATE_TOKEN-none} ${NOTIFY_SOCKET-none} $ORDINARY"`))
	if v.stdout() != "none none yes" {
		t.Errorf("inherited %q, want %q", v.stdout(), "none none yes")
	}
}

func TestWorkingDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, v := run(t, shell.Config{}, command(t, "pwd -P", "cwd", dir)); v.stdout() != dir {
		t.Errorf("cwd %s: ran in %s", dir, v.stdout())
	}
	if _, v := run(t, shell.Config{}, command(t, "pwd -P", "cwd", nil)); v.stdout() != own {
		t.Errorf("no cwd: ran in %s, want %s", v.stdout(), own)
	}
	status, v := run(t, shell.Config{}, command(t, "true", "cwd", dir+"/missing"))
	if status != hayate.StatusFailed || v.Error != fmt.Sprintf("cwd %q: no such directory", dir+"/missing") {
		t.Errorf("missing cwd: %s, %q", status, v.Error)
	}
	status, v = run(t, shell.Config{}, command(t, "true", "cwd", file))
	if status != hayate.StatusFailed || !strings.Contains(v.Error, "not a directory") {
		t.Errorf("a file as cwd: %s, %q", status, v.Error)
	}
}

func TestMistakesInTheTask(t *testing.T) {
	entry := command(t, "true")
	entry.Action.EntryPoint = "x.sh"
	noCmd := command(t, "true")
	noCmd.RunnerParameters = json.RawMessage(`{"timeout": 5}`)
	wrong := command(t, "true")
	wrong.RunnerParameters = json.RawMessage(`{"cmd": 5}`)
	tests := []struct {
		name string
		task hayate.Task
		want string
	}{
		{"entry point", entry, "entry_point"},
		{"no command", noCmd, "cmd"},
		{"wrong type", wrong, "read runner parameters"},
		{"NUL", command(t, "a\x00b"), "NUL"},
	}
	for _, tt := range tests {
		status, v := run(t, shell.Config{}, tt.task)
		if status != hayate.StatusFailed || !strings.Contains(v.Error, tt.want) {
			t.Errorf("%s: %s, error %q, want it to say %q", tt.name, status, v.Error, tt.want)
		}
	}
}

func TestNoShellIsAnError(t *testing.T) {
	_, err := shell.New(shell.Config{Shell: "/no/such/shell"}).Run(context.Background(), command(t, "true"), nil)
	if err == nil || !strings.Contains(err.Error(), "/no/such/shell") {
		t.Errorf("error %v, want one that names the shell", err)
	}
}

func TestPipefail(t *testing.T) {
	if _, err := os.Stat("/bin/bash"); err != nil {
		t.Skip("bash is not installed")
	}
	const missing = "cd / && grep x missing.txt | wc -l"
	tests := []struct {
		name   string
		cmd    string
		strict bool
		expect *hayate.Expect
		status hayate.Status
		err    string
	}{
		{"without it the last member decides", missing, false, nil, hayate.StatusSucceeded, ""},
		{"any member fails the pipeline", missing, true, nil, hayate.StatusFailed, `exit code 2.*missing\.txt: No such file or directory`},
		{"an unset variable fails", `echo "x$NOT_SET_ANYWHERE"`, true, nil, hayate.StatusFailed, `NOT_SET_ANYWHERE: unbound variable`},
		{"without it an unset variable is empty", `echo "x$NOT_SET_ANYWHERE"`, false, nil, hayate.StatusSucceeded, ""},
		{"a complaint fails although it exits with 0", "cat /no/such/file; true", true, nil, hayate.StatusFailed, `exit code 0, but stderr says: .*/no/such/file`},
		{"a missing command fails although it exits with 0", "no-such-command-here; true", true, nil, hayate.StatusFailed, `command not found`},
		{"without it a complaint is only output", "cat /no/such/file; true", false, nil, hayate.StatusSucceeded, ""},
		{"an expectation of stderr replaces it", "cat /no/such/file; true", true, &hayate.Expect{Stderr: "No such"}, hayate.StatusSucceeded, ""},
		{"a good pipeline succeeds", "echo a | cat | wc -l", true, nil, hayate.StatusSucceeded, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			task := command(t, tt.cmd)
			task.Pipefail, task.Action.Expect = tt.strict, tt.expect
			status, v := run(t, shell.Config{}, task)
			if status != tt.status {
				t.Errorf("%s: %s, want %s (%+v)", tt.cmd, status, tt.status, v)
			}
			if (tt.err == "") != (v.Error == "") || !regexp.MustCompile(tt.err).MatchString(v.Error) {
				t.Errorf("%s: error %q, want /%s/", tt.cmd, v.Error, tt.err)
			}
		})
	}
}

// Without bash the shell must know pipefail; if it does not, the action fails
// with a message and its command does not run.
func TestPipefailWithoutBash(t *testing.T) {
	task := command(t, "echo ran; false | true")
	task.Pipefail = true
	status, v := run(t, shell.Config{Bash: "/no/such/bash"}, task)
	if status != hayate.StatusFailed {
		t.Fatalf("%s, want failed (%+v)", status, v)
	}
	if v.ReturnCode == 127 && (v.stdout() != "" || !strings.Contains(v.stderr(), "install bash") || !strings.Contains(v.Error, "install bash")) {
		t.Errorf("a shell without pipefail: stdout %q, stderr %q, error %q", v.stdout(), v.stderr(), v.Error)
	}
	if v.ReturnCode != 127 && (v.ReturnCode != 1 || v.stdout() != "ran") {
		t.Errorf("a shell with pipefail: %+v", v)
	}
}

func TestDescribe(t *testing.T) {
	d := shell.New(shell.Config{}).Describe()
	if len(d) != 2 || d[0].Name != "local-shell-cmd" || d[1].Name != "local-shell-script" {
		t.Fatalf("Describe = %+v", d)
	}
	for _, r := range d {
		if r.NoEffect || r.Asserts || r.OutputKey != "" {
			t.Errorf("%s: no effect %v, asserts %v, output key %q", r.Name, r.NoEffect, r.Asserts, r.OutputKey)
		}
		if p := r.Parameters.Get("sudo_password"); p == nil || !p.Secret || string(p.Default) != "null" {
			t.Errorf("%s: sudo_password = %+v", r.Name, p)
		}
		if p := r.Parameters.Get("timeout"); p == nil || p.Type != "integer" || string(p.Default) != "60" {
			t.Errorf("%s: timeout = %+v", r.Name, p)
		}
		if p := r.Parameters.Get("kwarg_op"); p == nil || string(p.Default) != `"--"` {
			t.Errorf("%s: kwarg_op = %+v", r.Name, p)
		}
		if p := r.Parameters.Get("cwd"); p == nil || p.Default != nil {
			t.Errorf("%s: cwd = %+v", r.Name, p)
		}
	}
	if d[0].Parameters.Get("debug") != nil || d[1].Parameters.Get("debug") == nil || d[1].Parameters.Get("cmd") != nil {
		t.Error("cmd belongs to commands, debug to scripts")
	}
}

func TestTimeoutParameter(t *testing.T) {
	tests := []struct {
		name string
		task hayate.Task
		want string
	}{
		{"the parameter", command(t, "sleep 60", "timeout", 1), "Action failed to complete in 1 seconds"},
		{"the task's own", command(t, "sleep 60"), "Action failed to complete in 0.2 seconds"},
		{"without a parameter's bound", command(t, "sleep 60", "timeout", 0), "Action failed to complete in 0.2 seconds"},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if i > 0 {
				tt.task.Timeout = 200 * time.Millisecond
			}
			status, v := run(t, shell.Config{}, tt.task)
			if status != hayate.StatusTimeout || v.ReturnCode != -9 || v.Error != tt.want {
				t.Errorf("%s, return code %d, error %q, want timeout, -9, %q", status, v.ReturnCode, v.Error, tt.want)
			}
		})
	}
}

func ExampleRunner_Run() {
	r := shell.New(shell.Config{})
	res, err := r.Run(context.Background(), hayate.Task{
		Action:           hayate.Action{Runner: shell.Command},
		RunnerParameters: json.RawMessage(`{"cmd": "echo '{\"disk\": 81}'"}`),
	}, func(s hayate.Stream, line string) { fmt.Println(s, line) })
	fmt.Println(res.Status, string(res.Value), err)
	// Output:
	// stdout {"disk": 81}
	// succeeded {"failed":false,"succeeded":true,"return_code":0,"stdout":{"disk": 81},"stderr":""} <nil>
}

// The reference lists every parameter of every runner type.
func TestReferenceIsComplete(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/runners.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range shell.New(shell.Config{}).Describe() {
		_, section, ok := strings.Cut(string(page), "\n## `"+r.Name+"`\n")
		if !ok {
			t.Errorf("%s has no section", r.Name)
		}
		section, _, _ = strings.Cut(section, "\n## ")
		for _, p := range r.Parameters {
			row := regexp.MustCompile("(?m)^\\| `" + p.Name + "` \\| " + p.Type + `(, secret)? \| (.*?) \|`).FindStringSubmatch(section)
			switch {
			case row == nil:
				t.Errorf("%s: parameter %s (%s) is not listed", r.Name, p.Name, p.Type)
			case p.Secret != (row[1] != ""):
				t.Errorf("%s: parameter %s: secret %v is listed otherwise", r.Name, p.Name, p.Secret)
			case p.Default != nil && strings.Trim(string(p.Default), `"`) != strings.Trim(row[2], "`"):
				t.Errorf("%s: parameter %s: default %s is listed as %s", r.Name, p.Name, p.Default, row[2])
			}
		}
	}
}
