//go:build unix

package shell

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// leftoverGrace is the time that KillLeftovers gives between SIGTERM and SIGKILL.
const leftoverGrace = 2 * time.Second

// KillLeftovers ends whatever an execution left running on this host when the
// process that ran it died: all processes that carry the execution's mark in
// their environment, and their descendants. It returns when they are gone, or
// an error that names those that did not die. With nothing to find it is cheap
// and does nothing; it may be called twice. It needs /proc.
func KillLeftovers(executionID string) error {
	if executionID == "" || strings.ContainsAny(executionID, "=\x00") {
		return errors.New("kill leftovers: no execution id")
	}
	h := hunt{marks: []string{markExecution + "=" + executionID}, reaped: func() bool { return true }}
	if left := h.run(leftoverGrace); left != "" {
		return fmt.Errorf("kill leftovers of execution %s: %s", executionID, left)
	}
	other := hunt{marks: []string{markStackStorm + "=" + executionID}, reaped: h.reaped}
	if left := other.run(leftoverGrace); left != "" {
		return fmt.Errorf("kill leftovers of execution %s: %s", executionID, left)
	}
	return nil
}

// Leftovers returns the executions of which this host has processes, each once, in
// no order: all that carry the mark of one in their environment. A process that has
// just started has begun none of them. It needs /proc, and reads it once.
func Leftovers() []string {
	self := os.Getpid()
	seen := map[string]bool{}
	var ids []string
	for _, p := range processes() {
		if p.pid == self || p.state == 'Z' || p.state == 'X' {
			continue
		}
		env, _ := environ(p.pid)
		_, rest, ok := bytes.Cut(env, []byte("\x00"+markExecution+"="))
		if !ok {
			continue
		}
		id, _, _ := strings.Cut(string(rest), "\x00")
		if id != "" && !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}

// hunt ends the processes of an attempt.
type hunt struct {
	leader int         // the session's and group's leader; 0: unknown
	marks  []string    // all of them stand in the environment of what belongs to it
	reaped func() bool // says whether the leader has been waited for
	sudo   func(syscall.Signal)
	// seen are the processes found so far and when they started: what belonged to
	// the attempt once still does when its parent has died.
	seen map[int]string
}

// run sends SIGTERM, waits, sends SIGKILL until nothing is left, and returns a
// complaint about what does not die.
func (h *hunt) run(grace time.Duration) string {
	if h.gone() {
		return ""
	}
	h.signal(syscall.SIGTERM)
	if h.wait(grace, nil) {
		return ""
	}
	if h.wait(killWait, func() { h.signal(syscall.SIGKILL) }) {
		return ""
	}
	var pids []string
	for _, p := range h.members() {
		pids = append(pids, strconv.Itoa(p.pid))
	}
	return "processes do not die of SIGKILL: " + strings.Join(pids, ", ")
}

// wait looks again and again, doing something before each look, until nothing
// is left or the time is over.
func (h *hunt) wait(limit time.Duration, do func()) bool {
	over := time.NewTimer(limit)
	defer over.Stop()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		if do != nil {
			do()
		}
		look := time.NewTimer(pause)
		select {
		case <-look.C:
			if h.gone() {
				return true
			}
		case <-over.C:
			look.Stop()
			return h.gone()
		}
	}
}

// gone says whether nothing of the attempt runs any more.
func (h *hunt) gone() bool {
	if !h.reaped() {
		return false
	}
	if h.leader != 0 && !procReadable() {
		return errors.Is(syscall.Kill(-h.leader, 0), syscall.ESRCH)
	}
	return len(h.members()) == 0
}

// signal signals the group and everything that belongs to the attempt. A stopped
// process is continued, so that it can act on SIGTERM.
func (h *hunt) signal(sig syscall.Signal) {
	members := h.members()
	grouped := !h.reaped() || !procReadable()
	for _, p := range members {
		grouped = grouped || p.group == h.leader
	}
	// A group that has ended may have left its number to somebody else.
	if h.leader != 0 && grouped {
		// Errors: it is gone, or belongs to another user; the next look tells.
		_ = syscall.Kill(-h.leader, sig)
		_ = syscall.Kill(-h.leader, syscall.SIGCONT)
	}
	for _, p := range members {
		_ = syscall.Kill(p.pid, sig)
		_ = syscall.Kill(p.pid, syscall.SIGCONT)
	}
	if h.sudo != nil && !h.gone() {
		h.sudo(sig)
	}
}

// process is a line of /proc/<pid>/stat.
type process struct {
	pid, parent, group, session int
	state                       byte
	started                     string // clock ticks since the host's start
}

func procReadable() bool {
	_, err := os.Stat("/proc/self/stat")
	return err == nil
}

// members are the living processes of the attempt: those of its session or
// group, those that carry its marks, and the descendants of either. Dead ones
// that are left to this process (when it is a container's first) are reaped.
func (h *hunt) members() []process {
	self := os.Getpid()
	all := processes()
	in := make(map[int]bool)
	for _, p := range all {
		if p.pid == self || p.pid == 1 || p.state == 'Z' || p.state == 'X' {
			continue
		}
		env, known := environ(p.pid)
		switch {
		case known && marked(env, h.marks), h.seen[p.pid] == p.started:
			in[p.pid] = true
		case h.leader != 0 && (p.session == h.leader || p.group == h.leader):
			// Another execution's mark means that the number was used again.
			in[p.pid] = !known || p.pid == h.leader || !bytes.Contains(env, []byte("\x00"+markExecution+"="))
		}
	}
	for changed := true; changed; {
		changed = false
		for _, p := range all {
			if !in[p.pid] && in[p.parent] && p.pid != self && p.state != 'Z' && p.state != 'X' {
				in[p.pid], changed = true, true
			}
		}
	}
	var members []process
	for _, p := range all {
		switch {
		case in[p.pid]:
			members = append(members, p)
			if h.seen == nil {
				h.seen = map[int]string{}
			}
			h.seen[p.pid] = p.started
		case h.leader != 0 && p.state == 'Z' && p.parent == self && p.pid != h.leader && (p.session == h.leader || p.group == h.leader):
			// Reaping what was nobody's: an error says that it is reaped.
			_, _ = syscall.Wait4(p.pid, nil, syscall.WNOHANG, nil)
		}
	}
	return members
}

// processes lists all processes of the host, none without /proc.
func processes() []process {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var all []process
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // it has ended
		}
		if p, ok := parseStat(stat); ok && p.pid == pid {
			all = append(all, p)
		}
	}
	return all
}

// parseStat reads "pid (name) state ppid pgrp session … starttime …"; the name
// may hold anything, parentheses too.
func parseStat(b []byte) (process, bool) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return process{}, false
	}
	f := strings.Fields(string(b[end+1:]))
	if len(f) < 20 || len(f[0]) != 1 || f[0][0] < 'A' || f[0][0] > 'z' {
		return process{}, false
	}
	p := process{state: f[0][0], started: f[19]}
	for _, n := range []struct {
		to   *int
		from string
	}{{&p.pid, strings.TrimSpace(string(b[:open]))}, {&p.parent, f[1]}, {&p.group, f[2]}, {&p.session, f[3]}} {
		v, err := strconv.Atoi(n.from)
		if err != nil {
			return process{}, false
		}
		*n.to = v
	}
	return p, true
}

// environ is a process's environment, each variable after a NUL; known is false
// where it may not be read.
func environ(pid int) (env []byte, known bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil, false
	}
	return append([]byte{0}, b...), true
}

func marked(env []byte, marks []string) bool {
	for _, m := range marks {
		if !bytes.Contains(env, []byte("\x00"+m+"\x00")) {
			return false
		}
	}
	return len(marks) > 0
}
