package shell

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
)

// The marks by which an attempt's processes are known: every process inherits
// them with its environment.
const (
	markExecution  = "HAYATE_EXECUTION_ID"
	markAttempt    = "HAYATE_ATTEMPT"
	markStackStorm = "ST2_ACTION_EXECUTION_ID"
)

// maxPassword bounds sudo's password, so that writing it never waits.
const maxPassword = 4096

// strictOptions make bash fail with any member of a pipeline and with unset variables.
var strictOptions = []string{"-o", "pipefail", "-o", "nounset"}

// strictPrelude does the same for a shell that may not know pipefail; it stands
// before the command, on its first line.
const strictPrelude = `(set -o pipefail) 2>/dev/null || { echo "hayate: this action runs with pipefail, ` +
	`which needs bash; bash is not installed and /bin/sh does not know pipefail: install bash, or set pipefail: false on the action" >&2; exit 127; }; ` +
	`set -o pipefail; set -u; `

// plan is what is to be started.
type plan struct {
	argv    []string
	dir     string // "" for this process's own
	env     []string
	stdin   string // sudo's password with a newline, or ""
	timeout time.Duration
	sudo    bool     // argv begins with sudo
	marks   []string // "NAME=value" pairs that all processes of the attempt carry
	user    string   // for whom sudo asks a password
}

// plan decides what to start; an error is the task's mistake.
func (r *Runner) plan(t hayate.Task, s settings) (plan, error) {
	p := plan{dir: s.Cwd, timeout: s.bound(t), user: "unknown"}
	if s.Cwd != "" {
		switch fi, err := os.Stat(s.Cwd); {
		case errors.Is(err, os.ErrNotExist):
			return p, fmt.Errorf("cwd %q: no such directory", s.Cwd)
		case err != nil:
			return p, fmt.Errorf("cwd: %v", err)
		case !fi.IsDir():
			return p, fmt.Errorf("cwd %q: not a directory", s.Cwd)
		}
	}
	env, err := r.environment(t, s)
	if err != nil {
		return p, err
	}
	p.env = env
	p.marks = env[len(env)-2:]

	var argv []string
	var text string // the same for a shell
	if t.Action.Runner == Script {
		argv, err = r.script(t, s)
		text = "exec " + quoteAll(argv)
	} else {
		argv, text, err = r.command(t, s)
	}
	if err != nil {
		return p, err
	}
	p.argv = argv
	if s.Sudo {
		return r.withSudo(p, t, s, text)
	}
	return p, nil
}

// command is how local-shell-cmd runs: as arguments, and as a text for sudo's shell.
func (r *Runner) command(t hayate.Task, s settings) (argv []string, text string, err error) {
	if t.Action.EntryPoint != "" {
		return nil, "", fmt.Errorf("entry_point %q: %s takes none, its command is the parameter cmd; use %s to run a script",
			t.Action.EntryPoint, Command, Script)
	}
	if s.Cmd == nil {
		return nil, "", errors.New("cmd: the runner parameter is missing")
	}
	if strings.IndexByte(*s.Cmd, 0) >= 0 {
		return nil, "", errors.New("cmd: contains a NUL character")
	}
	switch {
	case !t.Pipefail:
		return []string{r.c.Shell, "-c", *s.Cmd}, *s.Cmd, nil
	case r.c.Bash != "":
		argv = append([]string{r.c.Bash}, strictOptions...)
		return append(argv, "-c", *s.Cmd), *s.Cmd, nil
	default:
		return []string{r.c.Shell, "-c", strictPrelude + *s.Cmd}, strictPrelude + *s.Cmd, nil
	}
}

// withSudo wraps the text as StackStorm does: sudo [-S] -E -- bash -c text.
func (r *Runner) withSudo(p plan, t hayate.Task, s settings, text string) (plan, error) {
	bash := []string{"bash"}
	if t.Pipefail && t.Action.Runner != Script {
		bash = append(bash, strictOptions...)
	}
	bash = append(bash, "-c", text)
	if r.c.Sudo == "" {
		if os.Geteuid() != 0 {
			return p, errors.New("sudo: this action runs with sudo, which is not installed on this host")
		}
		// Root needs no sudo to become root; bash is looked for as sudo would.
		if r.c.Bash == "" {
			return p, errors.New("sudo: this action runs with sudo and bash, and neither is installed on this host")
		}
		bash[0] = r.c.Bash
		p.argv = bash
		return p, nil
	}
	p.sudo = true
	p.argv = []string{r.c.Sudo, "-E", "--"}
	if s.SudoPassword != "" {
		if len(s.SudoPassword) > maxPassword || strings.ContainsAny(s.SudoPassword, "\n\x00") {
			return p, errors.New("sudo_password: is not one line of at most 4096 bytes")
		}
		p.argv = []string{r.c.Sudo, "-S", "-E", "--"}
		p.stdin = s.SudoPassword + "\n"
		// The prompt is not part of the command's stderr.
		p.env = append([]string{"SUDO_PROMPT="}, p.env...)
		if u, err := user.Current(); err == nil {
			p.user = u.Username
		}
	}
	p.argv = append(p.argv, bash...)
	return p, nil
}

// environment is the service's, then the parameter env, then the task's, which
// wins, then the marks.
func (r *Runner) environment(t hayate.Task, s settings) ([]string, error) {
	env := append(make([]string, 0, len(r.c.Env)+len(s.Env)+len(t.Env)+3), r.c.Env...)
	names := make([]string, 0, len(s.Env))
	for name := range s.Env {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v, err := value.Decode(s.Env[name])
		if err != nil {
			return nil, fmt.Errorf("env: %s: %v", name, err)
		}
		text := ""
		if v != nil {
			text = value.Str(v)
		}
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.IndexByte(text, 0) >= 0 {
			return nil, fmt.Errorf("env: %q is not an environment variable: the name may not be empty or contain =, neither may contain NUL", name)
		}
		env = append(env, name+"="+text)
	}
	env = append(env, t.Env...)
	return append(env, markExecution+"="+string(t.Execution), markAttempt+"="+strconv.Itoa(t.Attempt)), nil
}

// quoteAll quotes arguments for a shell.
func quoteAll(argv []string) string {
	quoted := make([]string, len(argv))
	for i, a := range argv {
		quoted[i] = quote(a)
	}
	return strings.Join(quoted, " ")
}

// quote quotes a text for a shell.
func quote(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'"'"'`) + "'"
}
