package docs_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/infra/cli"
	"github.com/hayate-run/hayate/infra/settings"
)

var update = flag.Bool("update", false, "write the generated pages")

// current compares a page with what it is made from, or writes it.
func current(t *testing.T, page, want string) {
	t.Helper()
	file := filepath.Join(root, "docs/reference", page)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("docs/reference/%s is stale: run make docs and read the difference", page)
	}
}

func TestReferenceOfSettingsIsCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Settings\n\n" +
		"<!-- Made from infra/settings by make docs. -->\n\n" +
		"Every setting is a flag of `hayate up` and `hayate demo`, a variable of the environment, and a key of the configuration file\n" +
		"(`--config FILE`; without it `hayate.yaml` in the working directory, where there is one). Flags win over the environment, the\n" +
		"environment over the file. An unknown key is refused with the nearest known one; all mistakes are reported together. Durations are\n" +
		"written as `30s`, `5m`, `12h` or `30d`, sizes as `65536`, `64KiB` or `1MiB`, lists with commas, or as a YAML list in the file.\n\n" +
		"| flag | environment | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, s := range settings.List() {
		value := ""
		if s.Default != "" {
			value = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| `--%s` | `%s` | %s | %s |\n", s.Name, s.Env(), value, strings.ReplaceAll(s.Help, "|", `\|`))
	}
	b.WriteString("\nThe key in the file is the flag without its dashes. One key has no flag: `webhooks`, a mapping from a source, the last part of\n" +
		"`/v1/webhooks/…`, to how its requests are authenticated. [Secure the API](../how-to/secure-the-api.md) shows it.\n\n" +
		"| key | meaning |\n| --- | --- |\n" +
		"| `kind` | `github`, `gitea`, `gitlab`, `bitbucket`, `circleci`, `pagerduty`, `slack`, `standard` (standardwebhooks.com), `token`, `hmac` |\n" +
		"| `secret-file` | file that holds the secret; relative to the configuration file |\n" +
		"| `header` | for `token` and `hmac`: the header that carries it |\n" +
		"| `hash` | for `hmac`: `sha1`, `sha256` (default), `sha512` |\n" +
		"| `prefix` | for `hmac`: what stands before the digest, such as `sha256=` |\n" +
		"| `encoding` | for `hmac`: `hex` (default) or `base64` |\n\n" +
		"The command line itself reads `HAYATE_SERVER` (address of the server), `HAYATE_TOKEN` (access token) and `HAYATE_DATA` (where the\n" +
		"server wrote its address), besides `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE`.\n")
	current(t, "settings.md", b.String())
}

// help is what the command line says of a command.
func help(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(context.Background(), cli.World{
		Args: append(args, "--help"), Getenv: func(string) string { return "" }, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Version: "VERSION",
	})
	if code != 0 {
		t.Fatalf("hayate %s --help ended with %d: %s", strings.Join(args, " "), code, errs.String())
	}
	return out.String()
}

var subcommand = regexp.MustCompile(`(?m)^  ([a-z][a-z-]*) +\S`)

// subcommands are the commands that a help lists.
func subcommands(text string) []string {
	_, list, ok := strings.Cut(text, "\nAvailable Commands:\n")
	if !ok {
		return nil
	}
	list, _, _ = strings.Cut(list, "\n\n")
	var out []string
	for _, m := range subcommand.FindAllStringSubmatch(list, -1) {
		if m[1] != "help" && m[1] != "completion" {
			out = append(out, m[1])
		}
	}
	return out
}

func TestReferenceOfTheCommandLineIsCurrent(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Command line\n\n<!-- Made from the commands' own help by make docs. -->\n\n" +
		"Data goes to standard output, everything else to standard error. Nothing is coloured where nobody watches. The exit codes are in\n" +
		"[exit-codes.md](exit-codes.md), what the flags of `hayate up` mean in [settings.md](settings.md).\n\n" +
		"`hayate completion bash|zsh|fish|powershell` prints a script that completes commands, flags, and the names of rules and actions.\n")
	var write func(path []string)
	write = func(path []string) {
		text := help(t, path...)
		name := strings.Join(append([]string{"hayate"}, path...), " ")
		level := strings.Repeat("#", min(len(path)+2, 3))
		// The flags that all commands share stand once, with hayate itself.
		shown, _, _ := strings.Cut(text, "\nGlobal Flags:\n")
		shown, _, _ = strings.Cut(shown, "\nUse \"hayate ")
		fmt.Fprintf(&b, "\n%s `%s`\n\n```text\n%s\n```\n", level, name, strings.TrimSpace(shown))
		for _, sub := range subcommands(text) {
			write(append(path[:len(path):len(path)], sub))
		}
	}
	write(nil)
	if n := strings.Count(b.String(), "\n### "); n < 20 {
		t.Fatalf("found %d commands below others, this cannot be all", n)
	}
	current(t, "cli.md", b.String())
}

// Every exit code and every route in the code is in its page.

func mentions(t *testing.T, source, pattern, page string, least int) {
	t.Helper()
	code, err := os.ReadFile(filepath.Join(root, source))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "docs/reference", page))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(pattern).FindAllSubmatch(code, -1)
	if len(found) < least {
		t.Fatalf("found %d things in %s, want at least %d: does it still look as it did?", len(found), source, least)
	}
	for _, m := range found {
		if !bytes.Contains(text, []byte("`"+string(m[1])+"`")) {
			t.Errorf("docs/reference/%s does not speak of `%s`, which is in %s", page, m[1], source)
		}
	}
}

func TestReferenceOfExitCodesIsWhole(t *testing.T) {
	mentions(t, "infra/cli/cli.go", `(?m)^\s+exit[A-Z]\w+\s*= (\d+)`, "exit-codes.md", 7)
}

func TestReferenceOfTheAPIIsWhole(t *testing.T) {
	mentions(t, "infra/httpapi/server.go", `(?:h|HandleFunc)\("([A-Z]+ /[^"]*)"`, "api.md", 40)
}

// Each module that the tree imports is in the note on dependencies, and each in
// the note is imported.
func TestNoteOnDependenciesIsWhole(t *testing.T) {
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	note, err := os.ReadFile(filepath.Join(root, "docs/explanation/decisions/0005-dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	imports := strings.Join(importsOfTheTree(t), "\n") + "\n"
	for _, m := range regexp.MustCompile(`(?m)^\s*(?:require )?(\S+\.\S+/\S+) v\d`).FindAllSubmatch(mod, -1) {
		module := string(m[1])
		imported := strings.Contains(imports, module+"\n") || strings.Contains(imports, module+"/")
		explained := bytes.Contains(note, []byte("| `"+module+"` |"))
		switch {
		case imported && !explained:
			t.Errorf("0005-dependencies.md has no row for %s", module)
		case explained && !imported:
			t.Errorf("0005-dependencies.md has a row for %s, which nothing imports", module)
		}
	}
}

// importsOfTheTree lists what the packages import, tests included.
func importsOfTheTree(t *testing.T) []string {
	t.Helper()
	list := exec.Command("go", "list", "-f", `{{join .Imports "\n"}}{{"\n"}}{{join .TestImports "\n"}}{{"\n"}}{{join .XTestImports "\n"}}`, "./...")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("list the imports: %v", err)
	}
	return strings.Fields(string(out))
}
