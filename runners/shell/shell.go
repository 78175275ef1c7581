// Package shell runs commands and scripts on this host, as StackStorm's runners
// local-shell-cmd and local-shell-script do: parameters, results and statuses
// are theirs (spec: StackStorm 3.8, contrib/runners/local_runner).
//
// Each attempt is a session of its own, marked by its environment. When it is
// canceled or takes too long, everything that belongs to it gets SIGTERM and
// then SIGKILL: the process group, the session, marked processes that left both,
// and their descendants. Processes that a command left running on purpose, its
// output closed, outlive a command that ended by itself; that is how an action
// starts a service.
package shell

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// The runner types that a Runner serves.
const (
	Command = "local-shell-cmd"
	Script  = "local-shell-script"
)

// defaultTimeout is the runner parameter's default, StackStorm's, in seconds.
const defaultTimeout = 60

// Config says how commands are run. The zero value is usable.
type Config struct {
	// Shell runs commands. Default: /bin/sh.
	Shell string
	// Bash runs commands that must fail with any member of a pipeline. Default:
	// bash as found on PATH. Where it does not exist Shell must know
	// "set -o pipefail", or such commands fail with a message.
	Bash string
	// Sudo runs commands as another user. Default: sudo as found on PATH. Where
	// there is none, a process that is root already does without.
	Sudo string
	// Grace is the time between SIGTERM and SIGKILL. Default: 5 s.
	Grace time.Duration
	// MaxOutput bounds what is kept of stdout and stderr, each, in bytes; the
	// middle is left out. Default: 1 MiB.
	MaxOutput int
	// MaxStream bounds what is streamed of stdout and stderr, each, in bytes.
	// Default: four times MaxOutput.
	MaxStream int
	// MaxLine is where a longer line is split, in bytes. Default: 64 KiB.
	MaxLine int
	// Env is the environment to begin with. Default: this process's, without what
	// is meant for it alone (HAYATE_…, NOTIFY_SOCKET, …).
	Env []string
	// Suspicious are patterns of lines on stderr that make a command with
	// Pipefail fail although it exits with 0, unless the action has its own
	// expectation of stderr. Default: DefaultSuspicious; empty, not nil, for none.
	Suspicious []*regexp.Regexp
	// KillDetached also ends what a command that ended by itself left running.
	KillDetached bool
}

// DefaultSuspicious are the complaints of a command that lacked what it was to
// work on.
func DefaultSuspicious() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`: No such file or directory$`),
		regexp.MustCompile(`: command not found$`),
		regexp.MustCompile(`: not found$`),
	}
}

// Runner runs commands and scripts. It may be used at once from many goroutines.
type Runner struct {
	c Config
}

// New returns a Runner.
func New(c Config) *Runner {
	if c.Shell == "" {
		c.Shell = "/bin/sh"
	}
	if c.Bash == "" {
		c.Bash = find("bash")
	} else if !exists(c.Bash) {
		c.Bash = ""
	}
	if c.Sudo == "" {
		c.Sudo = find("sudo")
	}
	if c.Grace <= 0 {
		c.Grace = 5 * time.Second
	}
	if c.MaxOutput <= 0 {
		c.MaxOutput = 1 << 20
	}
	if c.MaxStream <= 0 {
		c.MaxStream = 4 * c.MaxOutput
	}
	if c.MaxLine <= 0 {
		c.MaxLine = 64 << 10
	}
	if c.Env == nil {
		c.Env = ownEnv(os.Environ())
	}
	if c.Suspicious == nil {
		c.Suspicious = DefaultSuspicious()
	}
	return &Runner{c: c}
}

// find returns the path of a program, also where PATH is unset, or "".
func find(name string) string {
	for _, p := range []string{name, "/bin/" + name, "/usr/bin/" + name, "/usr/local/bin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// ownEnv leaves out variables that configure this process and may hold its
// credentials or its link to the service manager.
func ownEnv(env []string) []string {
	var keep []string
	for _, kv := range env {
		name, _, _ := strings.Cut(kv, "=")
		switch {
		case strings.HasPrefix(name, "HAYATE_"), name == "NOTIFY_SOCKET", name == "WATCHDOG_USEC",
			name == "WATCHDOG_PID", strings.HasPrefix(name, "LISTEN_"):
		default:
			keep = append(keep, kv)
		}
	}
	return keep
}

// Describe returns the two runner types.
func (*Runner) Describe() []hayate.Runner {
	cmd := param("cmd", `{"type":"string","description":"Command to be run by /bin/sh."}`)
	common := hayate.Parameters{
		param("cwd", `{"type":"string","description":"Directory to run in."}`),
		param("env", `{"type":"object","description":"Environment variables to add."}`),
		param("kwarg_op", `{"type":"string","description":"What stands before the name of a named argument.","default":"--"}`),
		param("sudo", `{"type":"boolean","description":"Run with sudo.","default":false}`),
		param("sudo_password", `{"type":"string","description":"Password for sudo, where it asks for one.","default":null,"secret":true,"required":false}`),
		param("timeout", `{"type":"integer","description":"Seconds after which it is ended; 0 for no bound.","default":60}`),
	}
	script := hayate.Parameters{
		param("debug", `{"type":"boolean","description":"Accepted for compatibility; has no effect.","default":false,"required":false}`),
		param("content_version", `{"type":"string","description":"Revision of the pack's content.","required":false}`),
	}
	return []hayate.Runner{
		{
			Name:        Command,
			Description: "Runs a command on this host.",
			Parameters:  append(hayate.Parameters{cmd}, common...),
		}, {
			Name:        Script,
			Description: "Runs a script of the pack on this host.",
			Parameters:  append(script, common...),
		},
	}
}

// param makes a parameter of its schema.
func param(name, schema string) hayate.Parameter {
	p := hayate.Parameter{Name: name, Schema: json.RawMessage(schema)}
	if err := json.Unmarshal([]byte(schema), &p); err != nil {
		panic("shell: schema of " + name + ": " + err.Error()) // a bug of this file
	}
	var d struct {
		Default json.RawMessage `json:"default"`
	}
	_ = json.Unmarshal([]byte(schema), &d) // parsed above
	p.Name, p.Default = name, d.Default
	return p
}

// Run performs one attempt. It returns once everything of the attempt is gone,
// except what outlives its command on purpose. out is called for each line as it
// appears, from one goroutine at a time, with valid UTF-8 and no secrets. What is
// wrong with the task is a failed result; an error says that no process could be
// started.
func (r *Runner) Run(ctx context.Context, t hayate.Task, out func(hayate.Stream, string)) (hayate.Result, error) {
	s, err := readSettings(t.RunnerParameters)
	if err != nil {
		return failed(nil, -1, err.Error()), nil
	}
	m := mask.New(append([]string{s.SudoPassword}, t.Secrets...))
	p, err := r.plan(t, s)
	if err != nil {
		return failed(m, -1, err.Error()), nil
	}
	if ctx.Err() != nil {
		return result{status: hayate.StatusCanceled, code: -1, err: "Action canceled."}.build(m), nil
	}
	if out == nil {
		out = func(hayate.Stream, string) {}
	}
	o, err := r.perform(ctx, p, m, out)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("start %s: %w", p.argv[0], err)
	}
	return r.judge(t, s, p, o).build(m), nil
}

// settings are the runner parameters of both runner types.
type settings struct {
	Cmd            *string                    `json:"cmd"`
	Cwd            string                     `json:"cwd"`
	Env            map[string]json.RawMessage `json:"env"`
	KwargOp        *string                    `json:"kwarg_op"`
	Sudo           bool                       `json:"sudo"`
	SudoPassword   string                     `json:"sudo_password"`
	Timeout        *float64                   `json:"timeout"`
	ContentVersion string                     `json:"content_version"`
}

func readSettings(raw json.RawMessage) (settings, error) {
	var s settings
	if len(raw) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return s, fmt.Errorf("read runner parameters: %v", err)
	}
	return s, nil
}

// bound is the time that an attempt may take, 0 for no bound: the smaller of the
// runner parameter and the task's own.
func (s settings) bound(t hayate.Task) time.Duration {
	seconds := float64(defaultTimeout)
	if s.Timeout != nil {
		seconds = max(0, *s.Timeout)
	}
	d := time.Duration(min(seconds, 1e9) * float64(time.Second))
	if t.Timeout > 0 && (d == 0 || t.Timeout < d) {
		d = t.Timeout
	}
	return d
}
