// Package docs_test runs the commands of the documents, and notices when a page
// that is made from the code is stale.
//
// A block of commands (```sh) is marked by a comment on the line before it:
//
//	<!-- test -->              it is run
//	<!-- test: background -->  it is run in the background, as in another terminal,
//	                           until the document ends; what follows waits for the server
//	<!-- untested: REASON -->  it is not run
//	<!-- output -->            marks any other block: the commands before must have printed
//	                           its lines in this order; … stands for any text
//
// All blocks of one document run in one shell and one fresh folder.
package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const root = "../.."

// defaultAddress is where documents say that the server is. The tests serve on a
// port that the system picks.
const defaultAddress = "127.0.0.1:9101"

// patience bounds the commands of one document.
const patience = 2 * time.Minute

// block is a fenced block of a document and how it is marked.
type block struct {
	line           int
	language, mark string
	text           string
}

var comment = regexp.MustCompile(`^<!-- (.*) -->$`)

func readBlocks(text string) []block {
	var out []block
	var b *block
	mark, fence := "", ""
	for i, line := range strings.Split(text, "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case b != nil && trimmed == fence:
			out = append(out, *b)
			b, mark = nil, ""
		case b != nil:
			b.text += line + "\n"
		case strings.HasPrefix(trimmed, "```"):
			fence = trimmed[:strings.LastIndex(trimmed, "`")+1]
			b = &block{line: i + 1, language: trimmed[len(fence):], mark: mark}
		case trimmed != "":
			mark = ""
			if m := comment.FindStringSubmatch(trimmed); m != nil {
				mark = m[1]
			}
		}
	}
	return out
}

func documents(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "CONTRIBUTING.md", "SECURITY.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(p string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(p, ".md") {
			out = append(out, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// binary builds hayate as make build does, or takes the one that HAYATE_BIN names.
func binary(t *testing.T) string {
	t.Helper()
	if b := os.Getenv("HAYATE_BIN"); b != "" {
		return b
	}
	out := filepath.Join(t.TempDir(), "hayate")
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version=test", "-o", out, "./functions/hayate")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build hayate: %v\n%s", err, said)
	}
	return out
}

func TestCommandsInDocumentsWork(t *testing.T) {
	bin := binary(t)
	for _, name := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		blocks := readBlocks(string(text))
		for _, b := range blocks {
			if b.language == "sh" && !strings.HasPrefix(b.mark, "test") && !strings.HasPrefix(b.mark, "untested: ") {
				t.Errorf("%s:%d: commands that are neither run nor said to be untested", name, b.line)
			}
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			runDocument(t, bin, name, blocks)
		})
	}
}

// step separates the output of one block from the next.
const step = "\x1e"

func runDocument(t *testing.T, bin, name string, blocks []block) {
	var tested []block
	for _, b := range blocks {
		if strings.HasPrefix(b.mark, "test") || b.mark == "output" {
			tested = append(tested, b)
		}
	}
	if len(tested) == 0 {
		return
	}
	dir := t.TempDir()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte(scriptOf(tested, freeAddress(t))), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", script)
	cmd.Dir = dir
	repository, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(environment(), "PATH="+filepath.Dir(bin)+":"+os.Getenv("PATH"), "HOME="+dir, "TMPDIR="+t.TempDir(), "HAYATE_REPOSITORY="+repository)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err = cmd.Run()
	parts := strings.Split(said.String(), step)
	if err != nil {
		t.Fatalf("%s:%d: %v, having printed\n%s", name, commandBlock(tested, len(parts)-2).line, errors.Join(err, ctx.Err()), parts[len(parts)-1])
	}
	checkOutputs(t, name, tested, parts)
}

// commandBlock is the i-th block of commands.
func commandBlock(bs []block, i int) block {
	for _, b := range bs {
		if b.mark == "output" {
			continue
		}
		if i <= 0 {
			return b
		}
		i--
	}
	return bs[len(bs)-1]
}

// environment is the tests' own without what would lead hayate elsewhere.
func environment() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "HAYATE_") && !strings.HasPrefix(e, "PATH=") && !strings.HasPrefix(e, "HOME=") {
			out = append(out, e)
		}
	}
	return out
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func scriptOf(blocks []block, addr string) string {
	var s strings.Builder
	// What runs in the background is asked to end, and waited for.
	s.WriteString("set -euo pipefail\ntrap 'trap - EXIT; for p in $(jobs -p); do kill $p 2>/dev/null || true; done; wait' EXIT\nexport HAYATE_LISTEN=" + addr + "\n")
	for _, b := range blocks {
		if b.mark == "output" {
			continue
		}
		text := strings.ReplaceAll(b.text, defaultAddress, addr)
		fmt.Fprintf(&s, "printf '%s'\n", step)
		if b.mark != "test: background" {
			s.WriteString(text)
			continue
		}
		fmt.Fprintf(&s, "(\nset -e\n%s) >\"$TMPDIR/server.log\" 2>&1 &\n", strings.Replace(text, "hayate up", "exec hayate up", 1))
		fmt.Fprintf(&s, "until curl -sf http://%s/readyz >/dev/null; do kill -0 $! || { cat \"$TMPDIR/server.log\"; exit 1; }; sleep 0.05; done\n", addr)
	}
	return s.String()
}

// checkOutputs compares what commands printed with the blocks that show it.
func checkOutputs(t *testing.T, name string, blocks []block, parts []string) {
	n := 0
	for _, b := range blocks {
		if b.mark != "output" {
			n++
			continue
		}
		if n >= len(parts) {
			t.Fatalf("%s:%d: output of nothing", name, b.line)
		}
		rest := strings.Split(parts[n], "\n")
		for _, want := range strings.Split(strings.TrimSpace(b.text), "\n") {
			found := -1
			for i, got := range rest {
				if alike(want, got) {
					found = i
					break
				}
			}
			if found < 0 {
				t.Errorf("%s:%d: no line like %q in what was printed:\n%s", name, b.line, want, parts[n])
				break
			}
			rest = rest[found+1:]
		}
	}
}

// alike compares a line of a document, in which … stands for any text, with one
// that was printed. White space counts as one space, and as nothing beside ….
func alike(want, got string) bool {
	pieces := strings.Split(strings.Join(strings.Fields(want), " "), "…")
	for i := range pieces {
		pieces[i] = regexp.QuoteMeta(strings.TrimSpace(pieces[i]))
	}
	ok, err := regexp.MatchString("^"+strings.Join(pieces, ".*")+"$", strings.Join(strings.Fields(got), " "))
	return err == nil && ok
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

func TestLinksInDocumentsLeadSomewhere(t *testing.T) {
	for _, name := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: %s leads nowhere", name, m[1])
			}
		}
	}
}

func TestReadmeIsShort(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n > 150 {
		t.Errorf("README.md has %d lines, want at most 150", n)
	}
}
