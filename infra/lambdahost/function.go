package lambdahost

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
)

// The bounds of Lambda.
const (
	maxPayload  = 6 << 20 // of a synchronous invocation, and of its answer
	initTimeout = 10 * time.Second
	// stopTimeout is how long a process may take to end after SIGTERM. Lambda
	// gives a function without external extensions 500 ms.
	stopTimeout = 500 * time.Millisecond
	// maxTries bounds how many processes may end, one after the other, without
	// taking an invocation.
	maxTries = 3
)

// Config is what a Function needs. Command is required.
type Config struct {
	Name    string   // default "function"
	Command []string // the binary that Lambda would call bootstrap, and arguments
	Dir     string   // where it runs, and LAMBDA_TASK_ROOT; default: this process's
	Env     []string // added to what Lambda sets; this process's own is not passed on
	Memory  int      // in MB; only told; default 128
	// Timeout bounds an invocation; default 3 s.
	Timeout time.Duration
	// Concurrency is the most processes at once; default 1.
	Concurrency int
	// Log takes what the function writes to its standard output and error;
	// default: nowhere.
	Log io.Writer
}

// Function is a Lambda function. Its methods may be called from many goroutines.
type Function struct {
	c     Config
	slots chan struct{} // one for each process that may be

	mu     sync.Mutex
	idle   []*environment
	all    map[*environment]bool
	closed bool
	starts int
	inits  []time.Duration
}

// The ends of an invocation that the function itself has not reported.
var (
	// ErrTimeout says that the function did not answer before its deadline.
	ErrTimeout = errors.New("the function timed out")
	// ErrExited says that the function's process ended before it answered.
	ErrExited = errors.New("the function's process ended before it answered")
)

// FunctionError is an error that the function has reported.
type FunctionError struct {
	Type    string          `json:"errorType"`
	Message string          `json:"errorMessage"`
	Body    json.RawMessage `json:"-"` // as reported
}

func (e *FunctionError) Error() string { return "the function failed: " + e.Type + ": " + e.Message }

// New returns a function. It starts nothing.
func New(c Config) (*Function, error) {
	if len(c.Command) == 0 {
		return nil, fmt.Errorf("lambda function %s: Command is missing: %w", c.Name, hayate.ErrInvalid)
	}
	if c.Name == "" {
		c.Name = "function"
	}
	if c.Memory == 0 {
		c.Memory = 128
	}
	if c.Timeout == 0 {
		c.Timeout = 3 * time.Second
	}
	if c.Concurrency == 0 {
		c.Concurrency = 1
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	c.Log = &locked{w: c.Log}
	return &Function{c: c, slots: make(chan struct{}, c.Concurrency), all: map[*environment]bool{}}, nil
}

// locked lets several processes write to one log.
type locked struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// Invoke calls the function with a payload and returns its answer. It waits while
// as many invocations as allowed are under way, and starts a process where none
// is idle. After a time-out, or when ctx ends, the process is killed; the next
// invocation has a new one. Errors are ErrTimeout, ErrExited, *FunctionError,
// ErrBusy after Close, or why the process could not be started.
func (f *Function) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	if len(payload) > maxPayload {
		return nil, fmt.Errorf("invoke %s: the payload has %d bytes, the limit is %d: %w", f.c.Name, len(payload), maxPayload, hayate.ErrTooLarge)
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return nil, fmt.Errorf("invoke %s: %w", f.c.Name, ctx.Err())
	}
	for try := 1; ; try++ {
		e, err := f.take(ctx)
		if err != nil {
			return nil, fmt.Errorf("invoke %s: %w", f.c.Name, err)
		}
		answer, err := e.invoke(ctx, payload, f.c.Timeout)
		f.giveBack(e)
		switch {
		case err == nil:
			return answer, nil
		case errors.Is(err, errNotTaken) && try < maxTries: // it was on its way out
		default:
			return nil, fmt.Errorf("invoke %s: %w", f.c.Name, err)
		}
	}
}

// take returns an idle process, or a new one that has asked for work.
func (f *Function) take(ctx context.Context) (*environment, error) {
	f.mu.Lock()
	for len(f.idle) > 0 {
		e := f.idle[len(f.idle)-1]
		f.idle = f.idle[:len(f.idle)-1]
		if e.alive() {
			f.mu.Unlock()
			return e, nil
		}
		delete(f.all, e)
	}
	if f.closed {
		f.mu.Unlock()
		return nil, fmt.Errorf("the function is closed: %w", hayate.ErrBusy)
	}
	began := time.Now()
	e, err := start(&f.c)
	if err == nil {
		f.all[e] = true
		f.starts++
	}
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if err := e.ready(ctx); err != nil {
		e.kill()
		f.giveBack(e)
		return nil, err
	}
	f.mu.Lock()
	if len(f.inits) < maxInits {
		f.inits = append(f.inits, time.Since(began))
	}
	f.mu.Unlock()
	return e, nil
}

// giveBack keeps a process for the next invocation, if it lives.
func (f *Function) giveBack(e *environment) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !e.alive() || f.closed {
		delete(f.all, e)
		if f.closed {
			e.kill()
		}
		return
	}
	f.idle = append(f.idle, e)
}

// maxInits bounds how many initialisations are remembered.
const maxInits = 1000

// Inits are how long processes took from their start until they asked for work,
// oldest first.
func (f *Function) Inits() []time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.inits)
}

// Starts says how many processes were started so far: cold starts.
func (f *Function) Starts() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.starts
}

// Kill kills every process of the function at once, as a crash of its host does.
// Invocations under way end with ErrExited; the next one has a new process.
func (f *Function) Kill() {
	f.mu.Lock()
	list := make([]*environment, 0, len(f.all))
	for e := range f.all {
		list = append(list, e)
	}
	f.mu.Unlock()
	for _, e := range list {
		e.kill()
	}
}

// Close ends the function's processes: SIGTERM, and SIGKILL half a second later.
// It waits until they are gone. Twice is fine.
func (f *Function) Close() error {
	f.mu.Lock()
	f.closed = true
	list := make([]*environment, 0, len(f.all))
	for e := range f.all {
		list = append(list, e)
	}
	f.mu.Unlock()
	var wg sync.WaitGroup
	for _, e := range list {
		wg.Go(e.stop)
	}
	wg.Wait()
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// requestID is in the form of Lambda's: a UUID.
func requestID() string {
	h := randomHex(16)
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}
