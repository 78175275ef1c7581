//go:build unix

package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
	"golang.org/x/sys/unix"
)

const (
	// killWait is how long a process may take to die of SIGKILL (one in
	// uninterruptible sleep does not) before the attempt is given up.
	killWait = 10 * time.Second
	// busyTries is how often a script that somebody is still writing is tried.
	busyTries = 20
)

// The ways an attempt ends.
type ending int

const (
	byItself ending = iota
	byTimeout
	byCancel
)

// outcome is what happened.
type outcome struct {
	ended          ending
	exited         bool // the command itself had exited before it was ended
	code           int  // exit code, or minus the signal
	stdout, stderr string
	left           string // says which processes could not be ended
}

// attempt is a running command.
type attempt struct {
	r    *Runner
	cmd  *exec.Cmd
	p    plan
	done chan struct{} // closed when the command has been reaped
}

func mayExecute(path string) bool { return unix.Access(path, unix.X_OK) == nil }

// perform starts the plan and waits until everything of it is gone.
func (r *Runner) perform(ctx context.Context, p plan, m *mask.Masker, out func(hayate.Stream, string)) (outcome, error) {
	a := &attempt{r: r, p: p, done: make(chan struct{})}
	pipes, err := a.start()
	if err != nil {
		return outcome{}, err
	}
	streams, closed := a.collect(pipes, m, out)
	o := outcome{ended: a.await(ctx, closed), exited: a.reaped()}
	if o.ended != byItself || r.c.KillDetached {
		o.left = a.stop()
		// Somebody outside the attempt may hold the pipes; do not wait for them.
		for _, f := range pipes {
			_ = f.SetReadDeadline(time.Now().Add(time.Second)) // pipes take deadlines
		}
	}
	if o.left != "" && !a.reaped() {
		return a.abandonedOutcome(o, pipes, closed)
	}
	<-closed
	for _, f := range pipes {
		f.Close()
	}
	o.code = exitCode(a.cmd.ProcessState)
	o.stdout, o.stderr = streams[0].kept(), streams[1].kept()
	return o, nil
}

// collect reads the pipes and reaps the command. closed is closed when both are
// done; whoever calls it waits for that.
func (a *attempt) collect(pipes [2]*os.File, m *mask.Masker, out func(hayate.Stream, string)) (streams [2]*collector, closed <-chan struct{}) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i, name := range []hayate.Stream{hayate.Stdout, hayate.Stderr} {
		c := &collector{stream: name, out: out, mu: &mu, masker: m.Stream(),
			maxLine: a.r.c.MaxLine, maxStream: a.r.c.MaxStream, maxKept: a.r.c.MaxOutput}
		streams[i] = c
		all.Go(func() { c.copyFrom(pipes[i]) })
	}
	all.Go(func() {
		// The exit status is read from ProcessState; an error here repeats it.
		_ = a.cmd.Wait()
		close(a.done)
	})
	ended := make(chan struct{})
	go func() {
		all.Wait()
		close(ended)
	}()
	return streams, ended
}

// await waits until the command has exited and its output is closed, or until
// the attempt must be ended.
func (a *attempt) await(ctx context.Context, closed <-chan struct{}) ending {
	var expired <-chan time.Time
	if a.p.timeout > 0 {
		timer := time.NewTimer(a.p.timeout)
		defer timer.Stop()
		expired = timer.C
	}
	how := byItself
	select {
	case <-closed:
	case <-expired:
		how = byTimeout
	case <-ctx.Done():
		how = byCancel
		if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
			how = byTimeout
		}
	}
	select {
	case <-closed: // it ended just in time
		return byItself
	default:
		return how
	}
}

// reaped says whether the command itself has exited and been waited for.
func (a *attempt) reaped() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}

// abandonedOutcome is the outcome of a command that SIGKILL does not end. Its
// goroutine waits with it, since nobody else can reap it.
func (a *attempt) abandonedOutcome(o outcome, pipes [2]*os.File, closed <-chan struct{}) (outcome, error) {
	go func() {
		<-closed
		for _, f := range pipes {
			f.Close()
		}
	}()
	o.code = -9
	return o, nil
}

// start starts the command in a session of its own and returns the reading ends
// of its stdout and stderr.
func (a *attempt) start() (pipes [2]*os.File, err error) {
	var opened, ours []*os.File
	defer func() {
		for _, f := range opened {
			f.Close()
		}
		if err != nil {
			for _, f := range ours {
				f.Close()
			}
		}
	}()
	var writers [2]*os.File
	for i := range writers {
		rd, wr, err := os.Pipe()
		if err != nil {
			return pipes, err
		}
		pipes[i], writers[i] = rd, wr
		ours, opened = append(ours, rd), append(opened, wr)
	}
	var stdin *os.File
	if a.p.stdin != "" {
		rd, wr, err := os.Pipe()
		if err != nil {
			return pipes, err
		}
		opened = append(opened, rd)
		_, err = io.WriteString(wr, a.p.stdin) // fits into the pipe
		wr.Close()
		if err != nil {
			return pipes, err
		}
		stdin = rd
	}
	for try := 0; ; try++ {
		cmd := exec.Command(a.p.argv[0], a.p.argv[1:]...)
		cmd.Dir, cmd.Env = a.p.dir, a.p.env
		cmd.Stdout, cmd.Stderr = writers[0], writers[1]
		if stdin != nil {
			cmd.Stdin = stdin
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		a.cmd = cmd
		err = cmd.Start()
		if !errors.Is(err, syscall.ETXTBSY) || try == busyTries {
			return pipes, err
		}
		time.Sleep(time.Duration(try+1) * time.Millisecond)
	}
}

// exitCode is the exit code, or minus the number of the signal that ended it.
func exitCode(s *os.ProcessState) int {
	if ws, ok := s.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		return -int(ws.Signal())
	}
	return s.ExitCode()
}

// stop ends everything of the attempt: SIGTERM, and after the grace SIGKILL
// until nothing is left. It returns a complaint about what did not die.
func (a *attempt) stop() string {
	h := hunt{leader: a.cmd.Process.Pid, marks: a.p.marks, reaped: a.reaped}
	if a.p.sudo && os.Geteuid() != 0 {
		h.sudo = func(sig syscall.Signal) { a.sudoKill(sig) }
	}
	return h.run(a.r.c.Grace)
}

// sudoKillScript signals the processes of a session and those with a mark.
const sudoKillScript = `for p in /proc/[0-9]*; do
	grep -qzxF "$3" "$p/environ" 2>/dev/null && kill -s "$1" "${p#/proc/}" 2>/dev/null
done
kill -s "$1" -- "-$2" 2>/dev/null
:`

// sudoKill signals processes that belong to another user.
func (a *attempt) sudoKill(sig syscall.Signal) {
	ctx, cancel := context.WithTimeout(context.Background(), a.r.c.Grace)
	defer cancel()
	flag := "-n"
	if a.p.stdin != "" {
		flag = "-S"
	}
	name := "TERM"
	if sig == syscall.SIGKILL {
		name = "KILL"
	}
	cmd := exec.CommandContext(ctx, a.r.c.Sudo, flag, "--", a.r.c.Shell, "-c", sudoKillScript, "sh",
		name, fmt.Sprint(a.cmd.Process.Pid), a.p.marks[0])
	cmd.Stdin = strings.NewReader(a.p.stdin)
	// Whether it worked shows in what is left.
	_ = cmd.Run()
}
