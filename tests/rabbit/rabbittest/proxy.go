package rabbittest

import (
	"net"
	"strings"
	"sync"
	"testing"
)

// Proxy stands on the wire before a node, and can cut it: nothing passes in either
// direction then, and nobody is told, as when a cable is pulled.
type Proxy struct {
	addr, target string

	mu    sync.Mutex
	pass  chan struct{} // closed while bytes pass
	conns map[net.Conn]bool
	done  bool
}

// NewProxy returns a proxy before the node. It ends with the test.
func (n *Node) NewProxy(t testing.TB) *Proxy {
	t.Helper()
	n.need(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{addr: l.Addr().String(), target: n.Addr(), pass: make(chan struct{}), conns: map[net.Conn]bool{}}
	close(p.pass)
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
		p.mu.Lock()
		p.done = true
		p.mu.Unlock()
		p.Heal()
		wg.Wait()
	})
	return p
}

// URL is that of the node, through the proxy.
func (p *Proxy) URL(url string) string { return strings.Replace(url, p.target, p.addr, 1) }

// Cut stops all bytes.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.pass = make(chan struct{})
}

// Heal lets bytes pass again. Connections from before are gone, as they are when a
// cut outlasts them.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
	clear(p.conns)
	select {
	case <-p.pass:
	default:
		close(p.pass)
	}
}

func (p *Proxy) open() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pass
}

// keep notes a connection; false says that the proxy has ended.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.done {
		c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	if !p.keep(c) {
		return
	}
	<-p.open()
	s, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer s.Close()
	if !p.keep(s) {
		return
	}
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, s}, {s, c}} {
		wg.Go(func() {
			defer way[0].Close()
			defer way[1].Close()
			buf := make([]byte, 32<<10)
			for {
				n, err := way[0].Read(buf)
				<-p.open()
				if n > 0 {
					if _, err := way[1].Write(buf[:n]); err != nil {
						return
					}
				}
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
}
