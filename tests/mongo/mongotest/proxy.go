package mongotest

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Proxy stands on the wire between a client and MongoDB. It counts the client's
// commands, but for those that drivers send by themselves, and cuts the
// connection at the chosen one.
type Proxy struct {
	// URI names the database through the proxy.
	URI string

	target string

	mu    sync.Mutex
	count int
	cut   Cut
	dead  bool
}

// Cut says where a proxy cuts.
type Cut struct {
	At    int  // the command, counted from 1; 0 for none
	After bool // once the server has carried it out, but before its answer
	// Dead says that nothing passes from then on: to the server, it is as if the
	// client had died.
	Dead bool
	Then func(command string) // called before the connection ends; may be nil
}

// NewProxy returns a proxy in front of the server of a URI. It ends with the test,
// which is skipped where the server is more than one without a password.
func NewProxy(t testing.TB, uri string) *Proxy {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(u.Host, ",") || u.Scheme != "mongodb" || u.User != nil {
		t.Skip("the proxy stands in front of one server without a password only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: u.Host}
	u.Host = l.Addr().String()
	u.RawQuery = "directConnection=true&serverSelectionTimeoutMS=300"
	p.URI = u.String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return p
}

// Arm makes the proxy cut as told, counting from now on.
func (p *Proxy) Arm(c Cut) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.cut, p.dead = 0, c, false
}

// Seen says how many commands there were since Arm.
func (p *Proxy) Seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// due counts a command and says what is to be done about it.
func (p *Proxy) due(command string) (before, after, dead bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch command {
	case "", "hello", "isMaster", "ismaster", "ping", "endSessions":
		return false, false, p.dead
	}
	if p.dead {
		return false, false, true
	}
	p.count++
	hit := p.cut.At != 0 && p.count == p.cut.At
	p.dead = hit && p.cut.Dead && !p.cut.After
	return hit && !p.cut.After, hit && p.cut.After, false
}

// end is called at the cut.
func (p *Proxy) end(command string) {
	p.mu.Lock()
	then := p.cut.Then
	p.dead = p.cut.Dead
	p.mu.Unlock()
	if then != nil {
		then(command)
	}
}

// serve passes messages on, one and its answer at a time, as drivers send them.
func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	for {
		msg, err := readMessage(c)
		if err != nil {
			return
		}
		command := commandOf(msg)
		before, after, dead := p.due(command)
		if before {
			p.end(command)
		}
		if before || dead {
			return
		}
		if _, err := s.Write(msg); err != nil {
			return
		}
		answer, err := readMessage(s)
		if err != nil {
			return
		}
		if after {
			p.end(command)
			return
		}
		if _, err := c.Write(answer); err != nil {
			return
		}
	}
}

// readMessage reads a message of MongoDB's wire protocol.
func readMessage(r io.Reader) ([]byte, error) {
	head := make([]byte, 16)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.LittleEndian.Uint32(head))
	copy(msg, head)
	_, err := io.ReadFull(r, msg[16:])
	return msg, err
}

// commandOf returns the name of an OP_MSG's command: that of its body's first
// field, behind the header, the flags and the kind of section.
func commandOf(msg []byte) string {
	const opMsg, body = 2013, 16 + 4 + 1 + 4 + 1
	if binary.LittleEndian.Uint32(msg[12:]) != opMsg || len(msg) < body {
		return ""
	}
	name, _, _ := strings.Cut(string(msg[body:]), "\x00")
	return name
}
