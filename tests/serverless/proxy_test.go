package serverless_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// proxy stands on the wire between a function and MongoDB. It counts the
// function's commands, and calls cut when the chosen one arrives, before or
// after the server has carried it out; the connections then end.
type proxy struct {
	uri    string // of the database, through the proxy
	target string

	mu    sync.Mutex
	count int
	at    int // the command to cut at, 0 for none
	after bool
	cut   func(command string)
}

// newProxy returns a proxy in front of the server of a URI.
func newProxy(t *testing.T, uri string) *proxy {
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
	p := &proxy{target: u.Host}
	u.Host = l.Addr().String()
	u.RawQuery = "directConnection=true"
	p.uri = u.String()
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

// arm makes the proxy cut at the n-th command from now on, before or after it.
func (p *proxy) arm(n int, after bool, cut func(string)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count, p.at, p.after, p.cut = 0, n, after, cut
}

// seen says how many commands there were since arm.
func (p *proxy) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

// due counts a command and returns what is to be called, before and after it.
func (p *proxy) due(command string) (before, after func(string)) {
	switch command {
	case "", "hello", "isMaster", "ismaster", "ping", "endSessions":
		return nil, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.count++; p.at == 0 || p.count != p.at {
		return nil, nil
	}
	if p.after {
		return nil, p.cut
	}
	return p.cut, nil
}

// serve passes messages on, one and its answer at a time, as drivers send them.
func (p *proxy) serve(c net.Conn) {
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
		before, after := p.due(command)
		if before != nil {
			before(command)
			return
		}
		if _, err := s.Write(msg); err != nil {
			return
		}
		answer, err := readMessage(s)
		if err != nil {
			return
		}
		if after != nil {
			after(command)
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
