package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

// faultKind is one way in which the world misbehaves.
type faultKind string

const (
	errorBefore faultKind = "error before the effect"
	errorAfter  faultKind = "error after the effect"
	crashBefore faultKind = "crash before the effect"
	crashAfter  faultKind = "crash after the effect"
	slow        faultKind = "slow call"
	cut         faultKind = "process cut off"
	twice       faultKind = "delivered twice"
	late        faultKind = "delivered late"
	jump        faultKind = "clock jumps"
	restart     faultKind = "process restarted"
	kill        faultKind = "process killed"
)

// perCall are the faults that strike a call, each with how often it does in a
// seed that has it, in thousandths. twice and late strike only the queue's Put.
var perCall = []struct {
	kind faultKind
	rate int
}{{errorBefore, 60}, {errorAfter, 60}, {crashBefore, 12}, {crashAfter, 12}, {slow, 40}, {cut, 8}, {twice, 150}, {late, 150}}

const (
	faultsEnd  = 90 * time.Second // no fault strikes later
	maxCrashes = 6                // of one seed; beyond it nothing would ever get done
)

// fault is one fault that struck.
type fault struct {
	key  string // what it struck: call, object, count
	kind faultKind
	d    time.Duration
}

func (f fault) String() string {
	if f.d == 0 {
		return f.key + ": " + string(f.kind)
	}
	return fmt.Sprintf("%s: %s, %s", f.key, f.kind, f.d)
}

// plan decides which call is struck. What it decides on the nth call of a kind
// about an object depends on the seed, the kind, the object and n alone, never on
// what other goroutines did before. Its methods may be called from many goroutines.
type plan struct {
	seed    uint64
	off     map[string]bool // faults left out, by key
	quiet   bool            // no faults at all
	enabled map[faultKind]bool
	start   time.Time

	mu      sync.Mutex
	counts  map[string]int
	crashes int
	struck  []fault
}

func newPlan(seed uint64, off map[string]bool, quiet bool) *plan {
	p := &plan{seed: seed, off: off, quiet: quiet, enabled: map[faultKind]bool{}, start: time.Now(), counts: map[string]int{}}
	// Each seed has some kinds of fault only: all at once hide each other.
	rnd := p.random("kinds")
	for _, k := range perCall {
		p.enabled[k.kind] = rnd.IntN(2) == 0
	}
	for _, k := range []faultKind{jump, restart, kill} {
		p.enabled[k] = rnd.IntN(3) == 0
	}
	return p
}

// random returns the source of chance for one name.
func (p *plan) random(name string) *rand.Rand {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return rand.New(rand.NewPCG(p.seed, h))
}

// next says what strikes this call of a kind about an object.
func (p *plan) next(call, object string) (fault, *rand.Rand) {
	if p.quiet || time.Since(p.start) > faultsEnd {
		return fault{}, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	name := call + " " + object
	p.counts[name]++
	f := fault{key: fmt.Sprintf("%s #%d", name, p.counts[name])}
	rnd := p.random(f.key)
	at := rnd.IntN(1000)
	for _, k := range perCall {
		if !p.enabled[k.kind] || (k.kind == twice || k.kind == late) && call != "put" {
			continue
		}
		if at -= k.rate; at < 0 {
			f.kind = k.kind
			break
		}
	}
	switch f.kind {
	case "":
		return fault{}, nil
	case crashBefore, crashAfter:
		if p.crashes >= maxCrashes {
			return fault{}, nil
		}
	case slow, late:
		f.d = time.Duration(rnd.IntN(4000)) * time.Millisecond
		if rnd.IntN(10) == 0 {
			f.d *= 12 // longer than a lease
		}
	case cut:
		f.d = time.Duration(1+rnd.IntN(60)) * time.Second
	}
	if p.off[f.key] {
		return fault{}, nil
	}
	if f.kind == crashBefore || f.kind == crashAfter {
		p.crashes++
	}
	p.struck = append(p.struck, f)
	return f, rnd
}

// timed returns the faults of the clock's time, in the order of their time.
func (p *plan) timed(kind faultKind, slot int) []timedFault {
	if p.quiet || !p.enabled[kind] {
		return nil
	}
	rnd := p.random(fmt.Sprintf("%s %d", kind, slot))
	var list []timedFault
	var at time.Duration
	for i := range 1 + rnd.IntN(3) {
		at += time.Duration(rnd.IntN(int(faultsEnd/3/time.Millisecond))) * time.Millisecond
		f := timedFault{at: at, fault: fault{key: fmt.Sprintf("%s %d #%d", kind, slot, i+1), kind: kind}}
		if kind == jump {
			f.d = time.Duration(rnd.IntN(600)-300) * time.Second
		}
		if !p.off[f.key] {
			list = append(list, f)
		}
	}
	return list
}

func (p *plan) note(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.struck = append(p.struck, f)
}

func (p *plan) schedule() []fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]fault(nil), p.struck...)
}

type timedFault struct {
	fault
	at time.Duration // since the start
}
