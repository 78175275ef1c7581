// Package mongotest gives tests a MongoDB server: the one that
// HAYATE_TEST_MONGODB_URI names, or else a server in memory that lives as long
// as the test process and that tests/mongo/build.sh builds (HAYATE_TEST_MONGO_JAR
// names another place for its jar). Where there is neither, tests are skipped;
// with HAYATE_REQUIRE_SERVERS=1, they fail.
package mongotest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The environment variables that the package reads.
const (
	EnvURI     = "HAYATE_TEST_MONGODB_URI"
	EnvJar     = "HAYATE_TEST_MONGO_JAR"
	EnvRequire = "HAYATE_REQUIRE_SERVERS"
)

// startTimeout bounds how long a server may take until it answers.
const startTimeout = 60 * time.Second

// Server is a server that is started when it is first needed. A test package has
// one, as a variable of TestMain, and stops it when its tests have run. Its
// methods may be called from many goroutines.
type Server struct {
	once  sync.Once
	uri   string
	err   error
	skip  error // why there is none
	cmd   *exec.Cmd
	stdin io.Closer
}

// Database returns a URI that names a database of the test's own. The test is
// skipped where there is no server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	s.once.Do(s.start)
	switch {
	case s.err != nil:
		t.Fatalf("start a MongoDB server: %v", s.err)
	case s.skip != nil && os.Getenv(EnvRequire) == "1":
		t.Fatalf("no MongoDB server, and %s=1 demands one: %v", EnvRequire, s.skip)
	case s.skip != nil:
		t.Skipf("no MongoDB server: %v", s.skip)
	}
	b := make([]byte, 8)
	rand.Read(b) // never fails
	u, err := url.Parse(s.uri)
	if err != nil {
		t.Fatalf("%s is no URI: %v", EnvURI, err)
	}
	u.Path = "/hayate_test_" + hex.EncodeToString(b)
	return u.String()
}

// Own says whether the server is the one in memory: it forgets what it is told
// when it stops, and has no more than one node.
func (s *Server) Own() bool { return s.cmd != nil }

func (s *Server) start() {
	if uri := os.Getenv(EnvURI); uri != "" {
		s.uri = uri
		return
	}
	jar, err := findJar()
	if err != nil {
		s.skip = err
		return
	}
	java, err := exec.LookPath("java")
	if err != nil {
		s.skip = fmt.Errorf("java is not installed, and %s is not set: %w", EnvURI, err)
		return
	}
	s.err = s.launch(java, jar)
}

// findJar returns the jar's place.
func findJar() (string, error) {
	jar := os.Getenv(EnvJar)
	if jar == "" {
		root, err := moduleRoot()
		if err != nil {
			return "", err
		}
		jar = filepath.Join(root, "tests", "mongo", "target", "mongo-server.jar")
	}
	if _, err := os.Stat(jar); err != nil {
		return "", fmt.Errorf("%w; run tests/mongo/build.sh, or set %s", err, EnvURI)
	}
	return jar, nil
}

// moduleRoot is the folder with go.mod, at or above the one a test runs in.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above")
		}
		dir = up
	}
}

// launch starts the server and waits until it answers. It ends with its standard
// input, so that it does not outlive this process, however this one ends.
func (s *Server) launch(java, jar string) error {
	cmd := exec.Command(java, "-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", jar)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.stdin = cmd, in
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Kill() // it did not answer; the read below ends
	})
	defer stop()
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the server ended, or did not answer within %s: %w", startTimeout, err)
	}
	addr := net.JoinHostPort("127.0.0.1", strings.TrimSpace(port))
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	s.uri = "mongodb://" + addr
	return conn.Close()
}

// Stop ends the server, if one was started.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.stdin.Close()          // it ends with it; killing makes sure
	_ = s.cmd.Process.Kill() // it may have ended already
	_ = s.cmd.Wait()         // killed: the error says so
}

// Pause stops the server's process where it stands, as a host that hangs does;
// Continue lets it go on. Both fail the test where the server is not this
// process's own.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if s.cmd == nil {
		t.Fatal("the server is not this test's own")
	}
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%s the server: %v", sig, err)
	}
}
