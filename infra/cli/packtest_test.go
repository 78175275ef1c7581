package cli_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/infra/cli"
)

func TestPackTest(t *testing.T) {
	run := func(args ...string) (int, string) {
		var out, errs bytes.Buffer
		rc := cli.Run(context.Background(), cli.World{Args: append([]string{"pack", "test"}, args...), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }})
		return rc, out.String() + errs.String()
	}
	if rc, out := run("../../packs/samples"); rc != 0 || !strings.HasSuffix(out, "\n7 passed, 0 failed\n") {
		t.Errorf("samples: exit %d, %s", rc, out)
	}
	if rc, out := run("--run", "^a push to main", "../../packs/samples"); rc != 0 || !strings.HasSuffix(out, "\n1 passed, 0 failed\n") {
		t.Errorf("--run: exit %d, %s", rc, out)
	}
	if rc, out := run("--run", "^no such case$", "../../packs/samples"); rc != 2 || !strings.Contains(out, "nothing was tested") {
		t.Errorf("nothing to test: exit %d, %s", rc, out)
	}
	if rc, out := run("--junit", "/nonexistent/j.xml", "../../packs/samples"); rc != 2 || !strings.Contains(out, "there is no folder /nonexistent") || strings.Contains(out, "passed") {
		t.Errorf("--junit: exit %d, %s", rc, out)
	}
	for arg, want := range map[string]string{"nope": "nope does not exist", "../../packs/samples/pack.yaml": "is a file: name its pack, ", "../../packs/samples/rules": "is a folder inside a pack: name the pack, "} {
		if rc, out := run(arg); rc != 2 || !strings.Contains(out, want) {
			t.Errorf("%s: exit %d, %s", arg, rc, out)
		}
	}
	dir := filepath.Join(t.TempDir(), "samples")
	if err := os.CopyFS(dir, os.DirFS("../../packs/samples")); err != nil {
		t.Fatal(err)
	}
	wrong := "- name: dev\n  events: [{type: com.github.push, data: {ref: refs/heads/dev}}]\n  expect: [{rule: samples.deploy_on_push}]\n"
	if err := os.WriteFile(filepath.Join(dir, "tests", "rules", "wrong.yaml"), []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	if rc, out := run(dir); rc != 1 || !strings.HasSuffix(out, "\n7 passed, 1 failed\n") || !strings.Contains(out, `found "refs/heads/dev"`) {
		t.Errorf("a failing case: exit %d, %s", rc, out)
	}
}
