//go:build unix

package shell_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/shell"
)

// fifo makes a named pipe: a command that reads it waits for push.
func fifo(t *testing.T) (path string, push func(string)) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, func(s string) {
		if err := os.WriteFile(path, []byte(s), 0); err != nil {
			t.Error(err)
		}
	}
}

// The command goes on only once its first line has been seen.
func TestLinesAreSeenWhileRunning(t *testing.T) {
	t.Parallel()
	path, push := fifo(t)
	var l lines
	status, v := runWith(t, context.Background(), shell.Config{}, command(t, "echo 最初; cat "+path+"; printf 'last'"),
		func(s hayate.Stream, line string) {
			l.add(s, line)
			if line == "最初" {
				push("second\r\n")
			}
		})
	if want := []string{"stdout: 最初", "stdout: second", "stdout: last"}; !slices.Equal(l.list, want) {
		t.Errorf("streamed %q, want %q", l.list, want)
	}
	if status != hayate.StatusSucceeded || v.stdout() != "最初\nsecond\r\nlast" {
		t.Errorf("%s, stdout %q", status, v.stdout())
	}
}

// A secret is masked although its halves, and those of a character, are written
// at different times.
func TestSecretsAcrossPieces(t *testing.T) {
	t.Parallel()
	path, push := fifo(t)
	var l lines
	task := command(t, `printf 'begin\nx hun'; cat `+path+`; printf 'ter2 y\n{"p":"a\\"b"}\n\343\201'; cat `+path+`; printf '\202\n'; echo "hunter2 in stderr" >&2`)
	task.Secrets = []string{"hunter2", `a"b`}
	status, v := runWith(t, context.Background(), shell.Config{}, task, func(s hayate.Stream, line string) {
		l.add(s, line)
		switch line {
		case "begin", `{"p":"********"}`:
			push("")
		}
	})
	if want := "begin\nx ******** y\n{\"p\":\"********\"}\nあ"; status != hayate.StatusSucceeded || v.stdout() != want {
		t.Errorf("%s, stdout %q, want %q", status, v.stdout(), want)
	}
	if v.stderr() != "******** in stderr" {
		t.Errorf("stderr %q", v.stderr())
	}
	for _, line := range l.list {
		if strings.Contains(line, "hun") || strings.Contains(line, "ter2") {
			t.Errorf("streamed %q", line)
		}
	}
}

func TestSecretsInDecodedOutputAndErrors(t *testing.T) {
	task := command(t, `echo '{"a":"\u0068unter2","hunter2":1}'`)
	task.Secrets = []string{"hunter2"}
	if _, v := run(t, shell.Config{}, task); string(v.Stdout) != `{"a":"********","********":1}` {
		t.Errorf("decoded stdout: %s", v.Stdout)
	}
	task = command(t, "true", "cwd", "/no/hunter2")
	task.Secrets = []string{"hunter2"}
	if _, v := run(t, shell.Config{}, task); v.Error != `cwd "/no/********": no such directory` {
		t.Errorf("error: %s", v.Error)
	}
}

func TestLargeOutputIsBounded(t *testing.T) {
	t.Parallel()
	const size = 10_000_000
	var l lines
	status, v := runWith(t, context.Background(), shell.Config{},
		command(t, fmt.Sprintf(`echo first; head -c %d /dev/zero | tr '\0' x; echo; echo last`, size)), l.add)
	if status != hayate.StatusSucceeded {
		t.Fatalf("%s, error %q", status, v.Error)
	}
	out := v.stdout()
	if len(out) < 1<<20-100 || len(out) > 1<<20+200 {
		t.Errorf("%d bytes are kept, want about 1 MiB", len(out))
	}
	if !strings.HasPrefix(out, "first\nxxx") || !strings.HasSuffix(out, "xxx\nlast") {
		t.Errorf("kept %.20q … %.20q, want the beginning and the end", out, out[len(out)-20:])
	}
	note := fmt.Sprintf("\n[hayate: %d bytes are left out here, at most 1048576 bytes of stdout are kept]\n", size+12-1<<20)
	if !strings.Contains(out, note) {
		t.Errorf("the note %q is missing", note)
	}
	total := 0
	for _, line := range l.list {
		total += len(line)
		if len(line) > 64<<10+len("stdout: ") {
			t.Errorf("a line of %d bytes was streamed", len(line))
		}
	}
	if last := l.list[len(l.list)-1]; total > 4<<20+1<<17 || !strings.Contains(last, "the rest is not streamed") {
		t.Errorf("%d bytes were streamed, the last line is %.100q", total, last)
	}
}

// Cuts never fall into a character.
func TestBoundsKeepCharactersWhole(t *testing.T) {
	for kept := 20; kept < 30; kept++ {
		var l lines
		c := shell.Config{MaxOutput: kept, MaxLine: kept / 2, MaxStream: 1 << 20}
		_, v := runWith(t, context.Background(), c, command(t, `printf 'a日本語日本語日本語日本語日本語日本語'`), l.add)
		var streamed strings.Builder
		for _, line := range l.list {
			line = strings.TrimPrefix(line, "stdout: ")
			if len(line) > kept/2 || !utf8.ValidString(line) {
				t.Errorf("line %q with a bound of %d bytes", line, kept/2)
			}
			streamed.WriteString(line)
		}
		if streamed.String() != "a日本語日本語日本語日本語日本語日本語" {
			t.Errorf("streamed %q in all", streamed.String())
		}
		if out := v.stdout(); strings.Contains(out, "�") || !strings.HasPrefix(out, "a日本") || !strings.HasSuffix(out, "本語") {
			t.Errorf("kept %q with a bound of %d bytes", out, kept)
		}
	}
}

func TestExactlyAtTheBoundNothingIsLost(t *testing.T) {
	for _, n := range []int{1, 99, 100, 101} {
		want := strings.Repeat("0123456789", 11)[:n] + "."
		_, v := run(t, shell.Config{MaxOutput: 101}, command(t, "printf '%s' "+want))
		if lost := v.stdout() != want; lost != (n+1 > 101) {
			t.Errorf("%d bytes with a bound of 101: %q", n+1, v.stdout())
		}
	}
}
