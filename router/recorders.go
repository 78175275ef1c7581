package router

import "sync"

// Bounds of what is recorded beside the workers: how many results at once, and how
// many goroutines wait for the next.
const (
	maxFinishing = 1024
	maxIdle      = 256
)

// recorders are the goroutines that record results beside the workers. They are used
// again: to record means to step a workflow and to wait for a commit, which is
// deep, and the stack of a new goroutine would be copied again and again on its way
// there.
type recorders struct {
	places chan struct{} // one for each result that is being recorded
	all    sync.WaitGroup

	mu      sync.Mutex
	idle    []chan func() // each has room for one; the last to become idle is the first to be used
	stopped bool
}

func (rs *recorders) init() { rs.places, rs.stopped = make(chan struct{}, maxFinishing), true }

// begin takes results again after an end.
func (rs *recorders) begin() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.stopped = false
}

// do has record called beside the caller. It waits while too many are at it.
func (rs *recorders) do(record func()) {
	rs.places <- struct{}{}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	rs.hand(record)
}

// try is do where there is a place at once, and nobody has ended it; else it returns
// false, and the caller does it.
func (rs *recorders) try(record func()) bool {
	select {
	case rs.places <- struct{}{}:
	default:
		return false
	}
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.stopped {
		<-rs.places
		return false
	}
	rs.hand(record)
	return true
}

// hand gives record to the goroutine that became idle last, or to a new one.
func (rs *recorders) hand(record func()) {
	if n := len(rs.idle); n > 0 {
		next := rs.idle[n-1]
		rs.idle = rs.idle[:n-1]
		next <- record // has room for it
		return
	}
	rs.all.Go(func() { rs.work(record) })
}

// work records until nothing comes and enough others wait.
func (rs *recorders) work(record func()) {
	next := make(chan func(), 1)
	for ok := true; ok; record, ok = <-next {
		record()
		<-rs.places
		rs.mu.Lock()
		if rs.stopped || len(rs.idle) >= maxIdle {
			rs.mu.Unlock()
			return
		}
		rs.idle = append(rs.idle, next)
		rs.mu.Unlock()
	}
}

// end waits until all is recorded that was begun. Nothing may be begun meanwhile.
func (rs *recorders) end() {
	rs.mu.Lock()
	rs.stopped = true
	for _, next := range rs.idle {
		close(next)
	}
	rs.idle = nil
	rs.mu.Unlock()
	rs.all.Wait()
}
