package packs_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/runners"
)

func TestShippedPacksHaveNoMistakes(t *testing.T) {
	t.Parallel()
	entries, err := fs.ReadDir(packs.Shipped(), ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		p := read(t, packs.Shipped(), e.Name())
		if p.Ref != e.Name() || p.Digest == "" {
			t.Errorf("%s: got the reference %s and digest %q", e.Name(), p.Ref, p.Digest)
		}
		for _, a := range p.Actions {
			if a.Pipefail == nil || !*a.Pipefail {
				t.Errorf("%s does not fail with its pipelines", a.Ref())
			}
			if a.EntryPoint != "" {
				if _, err := fs.Stat(packs.Shipped(), e.Name()+"/actions/"+a.EntryPoint); err != nil {
					t.Errorf("%s: %v", a.Ref(), err)
				}
			}
		}
	}
}

func TestCoreIsComplete(t *testing.T) {
	t.Parallel()
	p := read(t, packs.Shipped(), "core")
	var actions, triggers, idempotent []string
	for _, a := range p.Actions {
		actions = append(actions, a.Name)
		if a.Idempotent {
			idempotent = append(idempotent, a.Name)
		}
	}
	for _, tt := range p.TriggerTypes {
		triggers = append(triggers, string(tt.Ref()))
	}
	slices.Sort(triggers)
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"actions", actions, []string{"announcement", "ask", "echo", "error", "http", "inject_trigger", "local", "local_sudo", "noop", "pause", "remote", "remote_sudo", "sendmail", "uuid"}},
		{"idempotent actions", idempotent, []string{"echo", "error", "inject_trigger", "noop", "pause", "uuid"}},
		{"triggers", triggers, []string{"core.hayate.deadline_near", "core.hayate.deadline_passed", "core.st2.CronTimer", "core.st2.DateTimer", "core.st2.IntervalTimer", "core.st2.action.file_written",
			"core.st2.generic.actiontrigger", "core.st2.generic.inquiry", "core.st2.generic.notifytrigger", "core.st2.key_value_pair.create",
			"core.st2.key_value_pair.delete", "core.st2.key_value_pair.update", "core.st2.key_value_pair.value_change",
			"core.st2.sensor.process_exit", "core.st2.sensor.process_spawn", "core.st2.webhook",
			"hayate.rule.absent", "hayate.rule.breaker", "hayate.rule.resumed"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s: got %v, want %v", c.what, c.got, c.want)
		}
	}
}

func TestRunners(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(runners.Descriptions(), "*/runner.yaml")
	if err != nil || len(files) < 4 {
		t.Fatalf("got the files %v, %v", files, err)
	}
	for _, f := range append(files, "runners.yaml") {
		raw, err := fs.ReadFile(runners.Descriptions(), f)
		if err != nil {
			t.Fatal(err)
		}
		if _, found := yamldoc.Parse(raw, yamldoc.Options{File: f, RefuseDuplicates: true}); len(found) > 0 {
			t.Error(found)
		}
	}
	byName := map[string]hayate.Runner{}
	for _, r := range packs.Runners() {
		byName[r.Name] = r
		for _, p := range r.Parameters {
			if p.Type == "" || p.Description == "" {
				t.Errorf("%s: the parameter %s lacks a type or a description", r.Name, p.Name)
			}
		}
	}
	for alias, name := range map[string]string{"run-local": "local-shell-cmd", "run-local-script": "local-shell-script", "run-remote": "remote-shell-cmd",
		"run-remote-script": "remote-shell-script", "run-python": "python-script", "run-http": "http-request", "orchestra": "orquesta"} {
		if !slices.Contains(byName[name].Aliases, alias) {
			t.Errorf("%s is no alias of %s", alias, name)
		}
	}
	if !byName["noop"].NoEffect || byName["local-shell-cmd"].NoEffect || !byName["http-request"].Asserts || byName["orquesta"].OutputKey != "output" {
		t.Errorf("got %+v", byName)
	}
	if got := string(byName["local-shell-cmd"].Parameters.Get("timeout").Default); got != "60" {
		t.Errorf("got the time limit %s, want 60", got)
	}
}

// script runs a shipped script as a runner does and returns what it prints.
func script(t *testing.T, name string, env []string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip("there is no sh")
	}
	var out, errs strings.Builder
	cmd := exec.CommandContext(t.Context(), "sh", append([]string{name}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

func TestSampleRestartsAService(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "services", "web-1", "checkout.state")
	if err := os.MkdirAll(filepath.Dir(state), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(state, []byte("failed\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"DEMO_DIR=" + dir}
	out, errs, err := script(t, "samples/actions/restart_service.sh", env, "checkout", "web-1", "it's $(down)")
	if err != nil || out != "checkout on web-1 is running\n" {
		t.Fatalf("got %q, %q, %v", out, errs, err)
	}
	if got, _ := os.ReadFile(state); string(got) != "running\n" {
		t.Errorf("got the state %q", got)
	}
	if got, _ := os.ReadFile(strings.Replace(state, ".state", ".log", 1)); !strings.HasSuffix(string(got), "restarted (was failed): it's $(down)\n") {
		t.Errorf("got the log %q", got)
	}
	for _, bad := range []string{"../x", "", "a b", ".hidden"} {
		if _, _, err := script(t, "samples/actions/restart_service.sh", env, bad, "web-1", "r"); err == nil {
			t.Errorf("the service %q was taken", bad)
		}
	}
}

func TestSampleNotesAnIncidentOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		out, errs, err := script(t, "samples/actions/note_incident.sh", []string{"DEMO_DIR=" + dir}, "prod-orders/age", "Tokyo", "2025-11-24T16:12:10Z", "It is slow.")
		if err != nil || !strings.HasSuffix(out, "2025-11-24T16-12-10Z-prod-orders-age.md\n") {
			t.Fatalf("got %q, %q, %v", out, errs, err)
		}
		note, err := os.ReadFile(strings.TrimSpace(out))
		if want := "# prod-orders/age\n\n- Region: Tokyo\n- Since: 2025-11-24T16:12:10Z\n- Status: open\n\nIt is slow.\n"; err != nil || string(note) != want {
			t.Errorf("got %q, %v, want %q", note, err, want)
		}
	}
	if notes, _ := os.ReadDir(filepath.Join(dir, "incidents")); len(notes) != 1 {
		t.Errorf("got %d notes, want one", len(notes))
	}
}

func TestSamplePayloadsSatisfyTheirRules(t *testing.T) {
	t.Parallel()
	// The payload is the data of the event; a notification's is its message.
	payload := func(name string) map[string]any {
		raw, err := fs.ReadFile(packs.Shipped(), "samples/etc/"+name)
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		if text, ok := v["Message"].(string); ok {
			v = nil
			if err := json.Unmarshal([]byte(text), &v); err != nil {
				t.Fatal(err)
			}
		}
		return v
	}
	rules := map[string]string{"note_incident": "cloudwatch-alarm-sns.json", "restart_service": "zabbix-problem.json", "deploy_on_push": "github-push.json"}
	for _, r := range read(t, packs.Shipped(), "samples").Rules {
		data := payload(rules[r.Name])
		var criteria map[string]json.RawMessage
		if err := json.Unmarshal(r.Criteria, &criteria); err != nil {
			t.Fatal(err)
		}
		for key := range criteria {
			var at any = data
			for _, step := range strings.Split(strings.TrimPrefix(key, "trigger."), ".") {
				m, _ := at.(map[string]any)
				at = m[step]
			}
			if at == nil {
				t.Errorf("%s asks for %s, which its payload lacks", r.Ref(), key)
			}
		}
	}
}

func TestSendmail(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mail, program, attached := filepath.Join(dir, "mail"), filepath.Join(dir, "program"), filepath.Join(dir, "a note.txt")
	if err := os.WriteFile(program, []byte("#!/bin/sh\ncat >'"+mail+"'\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(attached, []byte("attached\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	sent := func(args ...string) string {
		t.Helper()
		os.Remove(mail) // absent the first time
		if out, errs, err := script(t, "core/actions/sendmail.sh", nil, args...); err != nil {
			t.Fatalf("got %q, %q, %v", out, errs, err)
		}
		got, _ := os.ReadFile(mail) // absent where nothing was sent
		return string(got)
	}
	long := strings.Repeat("障害", 12)
	got := sent(program, "stanley", "a@example.com\nBcc: x@example.com", long, "1", "text/plain", "Hello", attached)
	for _, want := range []string{"From: stanley@", "To: a@example.com Bcc: x@example.com\n", "Subject: =?UTF-8?B?", "?=\n =?UTF-8?B?", "boundary=\"hayate-",
		"Content-Type: text/plain; charset=UTF-8\n", "\n\nSGVsbG8K\n", "filename=\"a note.txt\"", "\nYXR0YWNoZWQK\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the mail lacks %q:\n%s", want, got)
		}
	}
	if got := sent(program, "me@example.com", "a@example.com", "plain", "1", "text/html", ""); !strings.Contains(got, "From: me@example.com\n") || !strings.Contains(got, "Subject: plain\n") {
		t.Errorf("got %s", got)
	}
	if got := sent(program, "me@example.com", "a@example.com", "plain", "0", "text/html", " \n"); got != "" {
		t.Errorf("an empty body was sent: %s", got)
	}
	if _, errs, err := script(t, "core/actions/sendmail.sh", nil, filepath.Join(dir, "none"), "a", "b", "c", "1", "text/plain", "x"); err == nil || !strings.Contains(errs, "cannot run") {
		t.Errorf("got %q, %v for a program that does not exist", errs, err)
	}
}
