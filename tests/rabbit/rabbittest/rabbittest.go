// Package rabbittest gives tests a RabbitMQ node of their own: a process of the
// user who runs the test, on ports that the system picks, in a folder that goes
// with the test. It needs Debian's package rabbitmq-server, 3.10 or later; where
// that is absent tests are skipped, or fail with HAYATE_REQUIRE_SERVERS=1.
package rabbittest

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// EnvRequire is the variable that makes an absent server a failure.
const EnvRequire = "HAYATE_REQUIRE_SERVERS"

// Where Debian puts the scripts that do not change the user.
const scripts = "/usr/lib/rabbitmq/bin"

// startTimeout bounds how long a node may take until it answers.
const startTimeout = 90 * time.Second

// Node is a RabbitMQ node that is started when it is first needed. A test package
// has one, as a variable of TestMain, and stops it when its tests have run; or a
// test that harms its node has one of its own. Its methods may be called from many
// goroutines; those that start and end it, by one.
type Node struct {
	// Config is further text for rabbitmq.conf; it must be set before the first use.
	Config string
	// Plugins are the plug-ins to enable, joined by commas; likewise.
	Plugins string

	once     sync.Once
	err      error
	skip     error
	dir      string
	port     int
	distPort int
	epmdPort int
	name     string
	epmd     *exec.Cmd

	mu  sync.Mutex
	cmd *exec.Cmd
}

// URL returns the address of the node's virtual host "/". The test is skipped
// where there is no RabbitMQ.
func (n *Node) URL(t testing.TB) string {
	t.Helper()
	n.need(t)
	return fmt.Sprintf("amqp://guest:guest@%s/", n.Addr())
}

// VirtualHost makes a virtual host of the test's own and returns its address.
func (n *Node) VirtualHost(t testing.TB) string {
	t.Helper()
	n.need(t)
	b := make([]byte, 6)
	rand.Read(b) // never fails
	name := "t" + hex.EncodeToString(b)
	n.Eval(t, fmt.Sprintf(`ok = rabbit_vhost:add(<<%q>>, <<"test">>), ok = rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<%q>>, <<".*">>, <<".*">>, <<".*">>, <<"test">>).`, name, name))
	return fmt.Sprintf("amqp://guest:guest@%s/%s", n.Addr(), name)
}

// Addr is the node's host and port.
func (n *Node) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

func (n *Node) need(t testing.TB) {
	t.Helper()
	n.once.Do(n.prepare)
	switch {
	case n.err != nil:
		t.Fatalf("start a RabbitMQ node: %v", n.err)
	case n.skip != nil && os.Getenv(EnvRequire) == "1":
		t.Fatalf("no RabbitMQ, and %s=1 demands one: %v", EnvRequire, n.skip)
	case n.skip != nil:
		t.Skipf("no RabbitMQ: %v", n.skip)
	}
}

// prepare finds what there is, makes the folder and starts the node.
func (n *Node) prepare() {
	if _, err := os.Stat(filepath.Join(scripts, "rabbitmq-server")); err != nil {
		n.skip = fmt.Errorf("the package rabbitmq-server is not installed: %w", err)
		return
	}
	epmd, err := exec.LookPath("epmd")
	if err != nil {
		n.skip = fmt.Errorf("erlang is not installed: %w", err)
		return
	}
	if n.dir, n.err = os.MkdirTemp("", "hayate-rabbit-"); n.err != nil {
		return
	}
	for _, p := range []*int{&n.port, &n.distPort, &n.epmdPort} {
		if *p, n.err = freePort(); n.err != nil {
			return
		}
	}
	n.name = "hayate" + strconv.Itoa(n.port) + "@localhost"
	conf := "loopback_users = none\nlog.file.level = warning\nvm_memory_high_watermark.absolute = 512MB\n" + n.Config
	if n.err = os.WriteFile(filepath.Join(n.dir, "rabbitmq.conf"), []byte(conf), 0o600); n.err != nil {
		return
	}
	if n.err = os.WriteFile(filepath.Join(n.dir, "plugins"), []byte("["+n.Plugins+"].\n"), 0o600); n.err != nil {
		return
	}
	n.epmd = exec.Command(epmd, "-port", strconv.Itoa(n.epmdPort), "-address", "127.0.0.1")
	if n.err = n.epmd.Start(); n.err == nil {
		n.err = n.start()
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return 0, errors.New("the listener has no TCP address")
	}
	return addr.Port, nil
}

func (n *Node) env() []string {
	return append(os.Environ(),
		"HOME="+n.dir,
		"RABBITMQ_NODENAME="+n.name,
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		"RABBITMQ_NODE_PORT="+strconv.Itoa(n.port),
		"RABBITMQ_DIST_PORT="+strconv.Itoa(n.distPort),
		"ERL_EPMD_PORT="+strconv.Itoa(n.epmdPort),
		"ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}",
		"RABBITMQ_MNESIA_BASE="+filepath.Join(n.dir, "data"),
		"RABBITMQ_LOG_BASE="+filepath.Join(n.dir, "log"),
		"RABBITMQ_CONFIG_FILE="+filepath.Join(n.dir, "rabbitmq.conf"),
		"RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(n.dir, "plugins"),
		"RABBITMQ_PID_FILE="+filepath.Join(n.dir, "pid"),
	)
}

// start starts the node and waits until it answers.
func (n *Node) start() error {
	cmd := exec.Command(filepath.Join(scripts, "rabbitmq-server"))
	cmd.Env, cmd.Dir = n.env(), n.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	n.mu.Lock()
	n.cmd = cmd
	n.mu.Unlock()
	gone := make(chan error, 1)
	go func() { gone <- cmd.Wait() }()
	over := time.NewTimer(startTimeout)
	defer over.Stop()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		// The listener opens last, so that who can connect is served.
		c, err := net.DialTimeout("tcp", n.Addr(), time.Second)
		if err == nil {
			return c.Close()
		}
		select {
		case err := <-gone:
			log, _ := os.ReadFile(filepath.Join(n.dir, "log", n.name+".log")) // what there is of it
			return fmt.Errorf("the node ended: %v\n%.4000s", err, log)
		case <-over.C:
			n.Kill()
			return fmt.Errorf("the node did not answer within %s: %w", startTimeout, err)
		case <-tick.C:
		}
	}
}

// Eval evaluates an Erlang expression on the node, as an operator's tool does.
func (n *Node) Eval(t testing.TB, expr string) string {
	t.Helper()
	return n.Ctl(t, "eval", expr)
}

// Ctl runs the control tool, as an operator does.
func (n *Node) Ctl(t testing.TB, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(scripts, "rabbitmqctl"), append([]string{"-q", "-n", n.name}, args...)...)
	cmd.Env, cmd.Dir = n.env(), n.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("rabbitmqctl %v: %v\n%s", args, err, out)
	}
	return string(out)
}

// Log is what the node has logged, from warnings on.
func (n *Node) Log() string {
	log, err := os.ReadFile(filepath.Join(n.dir, "log", n.name+".log"))
	if err != nil {
		return err.Error()
	}
	return string(log)
}

// Kill ends the node with SIGKILL.
func (n *Node) Kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cmd == nil {
		return
	}
	_ = syscall.Kill(-n.cmd.Process.Pid, syscall.SIGKILL) // it may have ended
	n.awaitClosed()
	n.cmd = nil
}

// Shutdown ends the node as an operator does.
func (n *Node) Shutdown(t testing.TB) {
	t.Helper()
	n.Ctl(t, "shutdown", "--timeout", "60")
	n.mu.Lock()
	defer n.mu.Unlock()
	n.awaitClosed()
	n.cmd = nil
}

// awaitClosed waits until the node's port is free again.
func (n *Node) awaitClosed() {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for range 500 {
		c, err := net.DialTimeout("tcp", n.Addr(), time.Second)
		if err != nil {
			return
		}
		_ = c.Close() // asked for nothing
		<-tick.C
	}
}

// Start starts the node again on what it left.
func (n *Node) Start(t testing.TB) {
	t.Helper()
	if err := n.start(); err != nil {
		t.Fatalf("start the RabbitMQ node again: %v", err)
	}
}

// Stop ends the node and removes what it left.
func (n *Node) Stop() {
	n.Kill()
	if n.epmd != nil && n.epmd.Process != nil {
		_ = n.epmd.Process.Kill() // it may have ended
		_ = n.epmd.Wait()         // killed: the error says so
	}
	if n.dir != "" {
		_ = os.RemoveAll(n.dir) // a folder for temporary files
	}
}
