package mongotest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// Fault is what a ReplicaSet does to one command.
type Fault int

// The faults, each of what a network or a primary that steps down does.
const (
	// NoFault passes the command and its answer on.
	NoFault Fault = iota
	// CutBefore ends the connection before the server has seen the command.
	CutBefore
	// CutAfter ends the connection once the server has carried the command out, but
	// before its answer.
	CutAfter
	// Swallow has the command carried out, and never answers.
	Swallow
	// Late answers after the client's time-out has passed.
	Late
	// Twice has the server see the command twice and passes the second answer on.
	Twice
	// NotPrimary answers NotWritablePrimary instead of the server.
	NotPrimary
	// SteppedDown has the command carried out and answers that the primary stepped
	// down meanwhile.
	SteppedDown
)

// Faults are all of them.
var Faults = []Fault{CutBefore, CutAfter, Swallow, Late, Twice, NotPrimary, SteppedDown}

// String names a fault for messages.
func (f Fault) String() string {
	names := []string{"none", "cut before", "cut after", "swallow", "late", "twice", "not primary", "stepped down"}
	if f < 0 || int(f) >= len(names) {
		return fmt.Sprintf("fault %d", int(f))
	}
	return names[f]
}

// ReplicaSet stands on the wire between a client and a single MongoDB server, and
// presents that as the primary of a replica set: the client sends retryable
// writes, and one that is sent again is answered with what the first came to, as
// a member of a set does from its record of transactions.
type ReplicaSet struct {
	// URI names the database through the set.
	URI string
	// Delay is by how much Late delays an answer.
	Delay time.Duration

	target, addr string

	mu      sync.Mutex
	count   int
	choose  func(n int, command string) Fault
	answers map[string]bson.Raw // of retryable writes, by session and number
	retried int                 // writes that were answered from the record
	conns   map[net.Conn]bool
	down    bool
}

// NewReplicaSet returns a set in front of the server of a URI. It ends with the
// test, which is skipped where the server is a real set or has a password.
// options are added to the URI: timeoutMS=2000.
func NewReplicaSet(t testing.TB, uri, options string) *ReplicaSet {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(u.Host, ",") || u.Scheme != "mongodb" || u.User != nil || u.Query().Get("replicaSet") != "" {
		t.Skip("the set is played in front of one server without a password only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ReplicaSet{target: u.Host, addr: l.Addr().String(), answers: map[string]bson.Raw{}, conns: map[net.Conn]bool{}}
	u.Host = s.addr
	u.RawQuery = "replicaSet=rs0&" + options
	s.URI = u.String()
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		s.Down()
		wg.Wait()
	})
	return s
}

// Plan makes the set ask f about each command from now on, which is counted from
// 1; nil means no faults. Commands that drivers send by themselves are not counted.
func (s *ReplicaSet) Plan(f func(n int, command string) Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count, s.choose = 0, f
}

// Seen says how many commands there were since Plan.
func (s *ReplicaSet) Seen() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Retried says how many writes came again and were answered from the record.
func (s *ReplicaSet) Retried() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.retried
}

// Down ends all connections and lets none stand until Up.
func (s *ReplicaSet) Down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = true
	for c := range s.conns {
		c.Close()
	}
}

// Up lets clients in again.
func (s *ReplicaSet) Up() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = false
}

func (s *ReplicaSet) enter(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *ReplicaSet) leave(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

func (s *ReplicaSet) serve(c net.Conn) {
	defer c.Close()
	if !s.enter(c) {
		return
	}
	defer s.leave(c)
	server, err := net.Dial("tcp", s.target)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		msg, err := readMessage(c)
		if err != nil {
			return
		}
		if !s.handle(c, server, msg) {
			return
		}
	}
}

// handle answers one message; false ends the connection.
func (s *ReplicaSet) handle(c, server net.Conn, msg []byte) bool {
	command := commandOf(msg)
	if command == "" || strings.EqualFold(command, "ismaster") || command == "hello" {
		answer, err := exchange(server, msg)
		if err != nil {
			return false
		}
		answer, err = s.asPrimary(answer)
		if err != nil {
			return false
		}
		_, err = c.Write(answer)
		return err == nil
	}
	m, err := readCommand(msg)
	if err != nil {
		return false
	}
	switch s.fault(command) {
	case CutBefore:
		return false
	case CutAfter:
		_, _ = s.perform(server, m) // whatever it came to, nobody is told
		return false
	case Swallow:
		_, err := s.perform(server, m)
		return err == nil && waitForEnd(c)
	case Late:
		answer, err := s.perform(server, m)
		if err != nil {
			return false
		}
		time.Sleep(s.Delay)
		return m.answer(c, answer) == nil
	case Twice:
		if _, err := s.perform(server, m); err != nil {
			return false
		}
	case NotPrimary:
		return m.answer(c, refused(10107, "NotWritablePrimary", "not primary")) == nil
	case SteppedDown:
		if _, err := s.perform(server, m); err != nil {
			return false
		}
		return m.answer(c, refused(11602, "InterruptedDueToReplStateChange", "operation was interrupted")) == nil
	}
	answer, err := s.perform(server, m)
	return err == nil && m.answer(c, answer) == nil
}

// waitForEnd holds a connection until the client gives it up.
func waitForEnd(c net.Conn) bool {
	_, _ = io.Copy(io.Discard, c) // ends with the connection
	return false
}

// fault counts a command and says what is to be done about it.
func (s *ReplicaSet) fault(command string) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch command {
	case "ping", "endSessions", "buildInfo":
		return NoFault
	}
	s.count++
	if s.choose == nil {
		return NoFault
	}
	return s.choose(s.count, command)
}

// perform has the server carry a command out, unless it is a write that it has
// carried out before.
func (s *ReplicaSet) perform(server net.Conn, m *message) (bson.Raw, error) {
	if m.key != "" {
		s.mu.Lock()
		old := s.answers[m.key]
		if old != nil {
			s.retried++
		}
		s.mu.Unlock()
		if old != nil {
			return old, nil
		}
	}
	raw, err := exchange(server, m.forServer)
	if err != nil {
		return nil, err
	}
	got, err := readCommand(raw)
	if err != nil {
		return nil, err
	}
	if ok, found := got.body.Lookup("ok").AsFloat64OK(); m.key != "" && found && ok == 1 {
		s.mu.Lock()
		s.answers[m.key] = got.body
		s.mu.Unlock()
	}
	return got.body, nil
}

func exchange(server net.Conn, msg []byte) ([]byte, error) {
	if _, err := server.Write(msg); err != nil {
		return nil, err
	}
	return readMessage(server)
}

// refused is a command's answer that the driver knows as a change of the primary.
func refused(code int32, name, text string) bson.Raw {
	b, err := bson.Marshal(bson.D{{Key: "ok", Value: 0.0}, {Key: "errmsg", Value: text}, {Key: "code", Value: code}, {Key: "codeName", Value: name},
		{Key: "errorLabels", Value: bson.A{"RetryableWriteError"}}})
	if err != nil {
		panic(err) // texts and numbers
	}
	return b
}

// Where the parts of messages lie.
const (
	opReply, opMsg = 1, 2013
	headSize       = 16
	replyDocuments = headSize + 20
	msgSections    = headSize + 4
)

// message is an OP_MSG.
type message struct {
	id        uint32
	body      bson.Raw
	key       string // of a retryable write: session and number
	forServer []byte // without what only members of a set understand
}

func readCommand(msg []byte) (*message, error) {
	if binary.LittleEndian.Uint32(msg[12:]) != opMsg {
		return nil, fmt.Errorf("message of the kind %d", binary.LittleEndian.Uint32(msg[12:]))
	}
	m := &message{id: binary.LittleEndian.Uint32(msg[4:])}
	var rest []byte // further sections, as they came
	for at := msgSections; at < len(msg); {
		kind := msg[at]
		size := int(binary.LittleEndian.Uint32(msg[at+1:]))
		if kind == 0 {
			m.body = bson.Raw(msg[at+1 : at+1+size])
		} else {
			rest = append(rest, msg[at:at+1+size]...)
		}
		at += 1 + size
	}
	elements, err := m.body.Elements()
	if err != nil {
		return nil, err
	}
	var body bson.D
	number, session := "", ""
	for _, e := range elements {
		switch e.Key() {
		case "txnNumber":
			number = e.Value().String()
		case "lsid":
			session = e.Value().String()
		case "$readPreference", "$clusterTime":
		default:
			body = append(body, bson.E{Key: e.Key(), Value: e.Value()})
		}
	}
	if number != "" {
		m.key = session + number
	}
	raw, err := bson.Marshal(body)
	if err != nil {
		return nil, err
	}
	m.forServer = frame(m.id, binary.LittleEndian.Uint32(msg[8:]), binary.LittleEndian.Uint32(msg[headSize:]), raw, rest)
	return m, nil
}

// frame makes an OP_MSG.
func frame(id, to, flags uint32, body, rest []byte) []byte {
	out := make([]byte, msgSections, msgSections+1+len(body)+len(rest))
	binary.LittleEndian.PutUint32(out[4:], id)
	binary.LittleEndian.PutUint32(out[8:], to)
	binary.LittleEndian.PutUint32(out[12:], opMsg)
	binary.LittleEndian.PutUint32(out[headSize:], flags)
	out = append(append(append(out, 0), body...), rest...)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out
}

func (m *message) answer(c net.Conn, body bson.Raw) error {
	_, err := c.Write(frame(0, m.id, 0, body, nil))
	return err
}

// asPrimary makes a server's answer to hello that of a primary; other answers
// stay what they are.
func (s *ReplicaSet) asPrimary(answer []byte) ([]byte, error) {
	at := msgSections + 1
	if binary.LittleEndian.Uint32(answer[12:]) == opReply {
		at = replyDocuments
	}
	var d bson.D
	if err := bson.Unmarshal(answer[at:], &d); err != nil {
		return nil, err
	}
	hello := false
	kept := bson.D{}
	for _, e := range d {
		switch e.Key {
		case "ismaster", "isWritablePrimary":
			hello = true
		case "msg", "setName", "hosts", "logicalSessionTimeoutMinutes", "topologyVersion":
		default:
			kept = append(kept, e)
		}
	}
	if !hello {
		return answer, nil
	}
	kept = append(kept, bson.E{Key: "ismaster", Value: true}, bson.E{Key: "isWritablePrimary", Value: true}, bson.E{Key: "secondary", Value: false},
		bson.E{Key: "setName", Value: "rs0"}, bson.E{Key: "setVersion", Value: int32(1)}, bson.E{Key: "hosts", Value: bson.A{s.addr}},
		bson.E{Key: "primary", Value: s.addr}, bson.E{Key: "me", Value: s.addr}, bson.E{Key: "logicalSessionTimeoutMinutes", Value: int32(30)})
	raw, err := bson.Marshal(kept)
	if err != nil {
		return nil, err
	}
	out := append(append([]byte{}, answer[:at]...), raw...)
	binary.LittleEndian.PutUint32(out, uint32(len(out)))
	return out, nil
}
