package rabbittest_test

import (
	"net"
	"os"
	"testing"

	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

var node rabbittest.Node

func TestMain(m *testing.M) {
	code := m.Run()
	node.Stop()
	os.Exit(code)
}

func TestANodeComesBackOnItsPort(t *testing.T) {
	url := node.VirtualHost(t)
	node.Kill()
	if c, err := net.Dial("tcp", node.Addr()); err == nil {
		c.Close()
		t.Fatal("a killed node answers")
	}
	node.Start(t)
	if again := node.URL(t); url == again {
		t.Errorf("the virtual host %s is not the test's own", url)
	}
}
