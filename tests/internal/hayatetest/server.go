package hayatetest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// readyWait bounds how long a server may take to serve, on a busy machine.
const readyWait = 30 * time.Second

// stopWait bounds how long a server may take to stop.
const stopWait = 30 * time.Second

// Options say how a server is started.
type Options struct {
	Data  string   // default: a fresh directory
	Packs string   // default: no packs but the shipped ones
	Args  []string // further flags of "up"
	Env   []string // further environment
	// Wrap is put before the command, as strace is.
	Wrap []string
	// Attr are the process's attributes: another user, another root.
	Attr *syscall.SysProcAttr
	// Bin is another path of the binary, for a process with another root.
	Bin string
}

// Server is a running hayate.
type Server struct {
	Options
	Addr    string        // host:port
	URL     string        // http://host:port
	Startup time.Duration // from starting the process to its saying that it serves
	Token   string        // sent with each request, where it is not empty

	cmd    *exec.Cmd
	client *http.Client
	out    lockedBuffer
	done   chan struct{} // closed when the process has been waited for
	err    error         // of Wait; read it after done
}

// lockedBuffer collects what a process prints.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Start starts a server and returns once it is ready. The test's end stops it.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := TryStart(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// At is a server that somebody else has started.
func At(url, token string) *Server {
	return &Server{URL: strings.TrimRight(url, "/"), Token: token, client: newClient()}
}

// TryStart is Start for a server that may refuse: the error holds all it printed.
func TryStart(t testing.TB, o Options) (*Server, error) {
	t.Helper()
	if o.Data == "" {
		o.Data = filepath.Join(t.TempDir(), "data")
	}
	args := []string{"up", "--data", o.Data, "--listen", "127.0.0.1:0"}
	if o.Packs != "" {
		args = append(args, "--packs", o.Packs)
	}
	args = append(args, o.Args...)
	bin := o.Bin
	if bin == "" {
		bin = Binary(t)
	}
	argv := append(append(append([]string(nil), o.Wrap...), bin), args...)
	s := &Server{Options: o, cmd: exec.Command(argv[0], argv[1:]...), client: newClient(), done: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), o.Env...)
	s.cmd.SysProcAttr = o.Attr
	if o.Attr == nil || o.Attr.Chroot == "" {
		s.cmd.Dir = t.TempDir()
	}
	s.cmd.Stderr = &s.out
	stdout, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start hayate: %w", err)
	}
	addr := make(chan string, 1)
	go s.watch(stdout, addr)
	t.Cleanup(func() { s.end(t) })
	over := time.NewTimer(readyWait)
	defer over.Stop()
	select {
	case s.Addr = <-addr:
		s.Startup = time.Since(begun)
	case <-s.done:
		return nil, fmt.Errorf("hayate up ended: %v\n%s", s.err, s.Log())
	case <-over.C:
		s.Kill()
		return nil, fmt.Errorf("hayate up did not serve within %s\n%s", readyWait, s.Log())
	}
	s.URL = "http://" + s.Addr
	return s, s.awaitReady(t)
}

// watch reads standard output, where the address is announced, to its end and
// waits for the process.
func (s *Server) watch(stdout io.Reader, addr chan<- string) {
	sc := bufio.NewScanner(stdout)
	for sc.Scan() {
		fmt.Fprintln(&s.out, sc.Text())
		if _, at, ok := strings.Cut(sc.Text(), " serves on http://"); ok {
			select {
			case addr <- at:
			default:
			}
		}
	}
	s.err = s.cmd.Wait()
	close(s.done)
}

func (s *Server) awaitReady(t testing.TB) error {
	over := time.Now().Add(readyWait)
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		res, err := s.client.Get(s.URL + "/readyz")
		if err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.done:
			return fmt.Errorf("hayate ended before it was ready: %v\n%s", s.err, s.Log())
		case <-tick.C:
			if time.Now().After(over) {
				return fmt.Errorf("hayate was not ready within %s: %v\n%s", readyWait, err, s.Log())
			}
		}
	}
}

// Again starts a server with the same options, on the same directory. The one
// before must have ended.
func (s *Server) Again(t testing.TB) *Server {
	t.Helper()
	return Start(t, s.Options)
}

// PID is the number of the server's process.
func (s *Server) PID() int { return s.cmd.Process.Pid }

// Log is all that the server has printed so far.
func (s *Server) Log() string { return s.out.String() }

// Kill ends the process with SIGKILL and waits until it is gone. Twice is fine.
func (s *Server) Kill() {
	s.client.CloseIdleConnections()
	_ = s.cmd.Process.Kill() // an error says that it has ended already
	<-s.done
}

// Stop asks the process to end (SIGTERM) and waits for it: an error says that it
// did not end well.
func (s *Server) Stop() error {
	s.client.CloseIdleConnections()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop hayate: %w", err)
	}
	over := time.NewTimer(stopWait)
	defer over.Stop()
	select {
	case <-s.done:
		return s.err
	case <-over.C:
		s.Kill()
		return fmt.Errorf("hayate did not stop within %s\n%s", stopWait, s.Log())
	}
}

// end is the test's end: the process goes, and a failed test shows its log.
func (s *Server) end(t testing.TB) {
	s.Kill()
	if t.Failed() {
		log := s.Log()
		if n := len(log); n > 8192 {
			log = "…" + log[n-8192:]
		}
		t.Logf("log of the server on %s:\n%s", s.Addr, log)
	}
}

// RSS is the resident memory of the process in bytes.
func (s *Server) RSS(t testing.TB) int64 {
	t.Helper()
	NeedLinux(t)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	t.Fatalf("/proc/%d/status names no VmRSS", s.PID())
	return 0
}

// CPU is the CPU time that the process has used.
func (s *Server) CPU(t testing.TB) time.Duration {
	t.Helper()
	NeedLinux(t)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.PID()))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	f := strings.Fields(rest)
	if len(f) < 13 {
		t.Fatalf("/proc/%d/stat is short: %s", s.PID(), b)
	}
	ticks := 0
	for _, v := range f[11:13] { // utime and stime, in hundredths of a second
		n, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks*10) * time.Millisecond
}

// CLI runs one command of the command line against the server.
func (s *Server) CLI(t testing.TB, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return Run(t, append([]string{"HAYATE_SERVER=" + s.URL, "HAYATE_TOKEN=" + s.Token}, s.Env...), args...)
}
