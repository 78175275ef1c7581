package lambdahost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// environment is one process of a function with the Runtime API it talks to,
// which has an address of its own. It has one invocation at a time.
type environment struct {
	name string // of the function
	cmd  *exec.Cmd
	srv  *http.Server

	initOnce  sync.Once
	initDone  chan struct{}    // closed when the process first asks for work
	initError chan error       // what it reported instead
	work      chan *invocation // to the process, when it asks
	exited    chan struct{}    // closed when the process has ended
	exit      error            // why; set before exited is closed

	mu      sync.Mutex
	current *invocation
}

// invocation is one call on its way.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan outcome // room for one
}

type outcome struct {
	body []byte
	err  error
}

// errNotTaken says that the process ended, after the invocation before, without
// asking for this one.
var errNotTaken = fmt.Errorf("%w: it did not ask for more work", ErrExited)

// start starts a process of the function.
func start(c *Config) (*environment, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("serve the Runtime API: %w", err)
	}
	e := &environment{name: c.Name, initDone: make(chan struct{}), initError: make(chan error, 1), work: make(chan *invocation), exited: make(chan struct{})}
	e.srv = &http.Server{Handler: e.api(), ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go func() { _ = e.srv.Serve(l) }() // ends when wait closes the server, and says just that

	cmd := exec.Command(c.Command[0], c.Command[1:]...)
	cmd.Dir = c.Dir
	cmd.Stdout, cmd.Stderr = c.Log, c.Log
	cmd.Env = append(variables(c, l.Addr().String()), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = stopTimeout // a grandchild that keeps the log open does not hold us
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", c.Command[0], err), e.srv.Close())
	}
	e.cmd = cmd
	go e.wait()
	return e, nil
}

// variables are what Lambda sets for every function.
func variables(c *Config, addr string) []string {
	dir := c.Dir
	if dir == "" {
		dir, _ = os.Getwd() // "" where there is none, as Lambda cannot be
	}
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + addr,
		"AWS_LAMBDA_FUNCTION_NAME=" + c.Name,
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=" + strconv.Itoa(c.Memory),
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/" + c.Name,
		"AWS_LAMBDA_LOG_STREAM_NAME=local",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
		"AWS_EXECUTION_ENV=AWS_Lambda_provided.al2023",
		"AWS_REGION=us-east-1",
		"AWS_DEFAULT_REGION=us-east-1",
		"LAMBDA_TASK_ROOT=" + dir,
		"LAMBDA_RUNTIME_DIR=" + dir,
		"_HANDLER=bootstrap",
		"TZ=:UTC",
		"LANG=en_US.UTF-8",
		"PATH=" + os.Getenv("PATH"),
	}
}

// wait notes the end of the process, and ends what served it.
func (e *environment) wait() {
	e.exit = ErrExited
	if err := e.cmd.Wait(); err != nil {
		e.exit = fmt.Errorf("%w: %v", ErrExited, err) // a process's exit is no kind of error
	}
	close(e.exited)
	e.srv.Close() // it listens on loopback only; nothing is left to serve
}

func (e *environment) alive() bool {
	select {
	case <-e.exited:
		return false
	default:
		return true
	}
}

// ready waits until the process has asked for work the first time.
func (e *environment) ready(ctx context.Context) error {
	t := time.NewTimer(initTimeout)
	defer t.Stop()
	select {
	case <-e.initDone:
		return nil
	case err := <-e.initError:
		return err
	case <-e.exited:
		select {
		case err := <-e.initError: // reported just before it ended
			return err
		default:
			return e.exit
		}
	case <-t.C:
		return fmt.Errorf("initialise: %w", ErrTimeout)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invoke hands a payload to the process and waits for what it makes of it.
func (e *environment) invoke(ctx context.Context, payload []byte, timeout time.Duration) ([]byte, error) {
	inv := &invocation{id: requestID(), payload: payload, deadline: time.Now().Add(timeout), answer: make(chan outcome, 1)}
	e.mu.Lock()
	e.current = inv
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.current = nil
		e.mu.Unlock()
	}()
	t := time.NewTimer(timeout)
	defer t.Stop()
	work := e.work
	for {
		select {
		case work <- inv:
			work = nil
		case out := <-inv.answer:
			return out.body, out.err
		case <-e.exited:
			select {
			case out := <-inv.answer: // given just before the end
				return out.body, out.err
			default:
			}
			if work != nil {
				return nil, errNotTaken
			}
			return nil, e.exit
		case <-t.C:
			e.kill()
			return nil, ErrTimeout
		case <-ctx.Done():
			e.kill()
			return nil, ctx.Err()
		}
	}
}

// kill ends the process and what it has started, at once, and waits for it.
func (e *environment) kill() {
	e.signal(syscall.SIGKILL)
	<-e.exited
}

// stop asks the process to end, and makes it.
func (e *environment) stop() {
	e.signal(syscall.SIGTERM)
	t := time.NewTimer(stopTimeout)
	defer t.Stop()
	select {
	case <-e.exited:
	case <-t.C:
		e.kill()
	}
}

// signal signals the process's group, of which it is the leader.
func (e *environment) signal(s syscall.Signal) {
	if e.alive() {
		_ = syscall.Kill(-e.cmd.Process.Pid, s) // gone already: that is what was wanted
	}
}
