package router

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/cron"
)

// Timers tick in one process at a time: the one that holds the lease. Exactness
// does not rest on it. A tick is an event whose id is made of the timer and the
// scheduled time, so a second process that takes itself for the holder, or one
// that repeats what it did before a crash, only meets events that are known. The
// lease spares that work, and its token keeps an overtaken process from writing
// what it remembers over what the next one does.
//
// What is durable when: a timer's state is written before its first tick, and
// after each round of ticks. A crash in between repeats ticks, which are known.

const (
	timerLeaseName = "timers"
	// timerLease and timerTry bound a failover: 14 s when the holder dies right
	// after it has extended the lease.
	timerLease = 12 * time.Second
	timerTry   = 2 * time.Second
	// timerLook is how long a change of the clock can go unnoticed.
	timerLook = time.Second
	// timerRetry is the pause after a tick that could not be accepted.
	timerRetry = time.Second
	// timersAtOnce bounds the timers that fire at the same time.
	timersAtOnce = 8
)

// ticker is what the process that ticks knows.
type ticker struct {
	r      *Router
	token  int64 // 0: the lease is not held
	until  time.Time
	cat    *catalog // that states and next are of
	states map[string]TimerState
	next   map[string]time.Time // when to look at a timer; absent: never
	seen   time.Time            // the clock when timers were looked at last
}

// pokeTimers tells the loop that timers may have come or gone.
func (r *Router) pokeTimers() {
	select {
	case r.timersChanged <- struct{}{}:
	default: // it has been told
	}
}

// timerLoop lets timers tick until ctx ends.
func (r *Router) timerLoop(ctx context.Context) error {
	if !r.hasTimers() {
		<-ctx.Done()
		return ctx.Err()
	}
	tk := &ticker{r: r}
	defer tk.release(ctx)
	for {
		wait, err := tk.beat(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, hayate.ErrConflict):
			r.log.Warn("another process looks after the timers", "err", err)
			wait = tk.lose()
		default:
			r.log.Error("timers do not tick", "err", err)
			wait = tk.lose()
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		case <-r.timersChanged:
		case <-t.C:
		}
		t.Stop()
	}
}

func (r *Router) hasTimers() bool { return r.cfg.Timers != nil }

// TickTimers fires, within the call, every tick that is due, and says how many
// events that made. It is for processes that run only now and then, such as a
// function that is called every minute; Grace must be longer than the pause
// between two calls. Nothing is done where another process looks after the timers.
func (r *Router) TickTimers(ctx context.Context) (int, error) {
	if !r.hasTimers() {
		return 0, fmt.Errorf("tick timers: the router has no Timers: %w", hayate.ErrInvalid)
	}
	tk := &ticker{r: r}
	defer tk.release(ctx)
	total := 0
	for {
		err := tk.hold(ctx)
		if err == nil && tk.token == 0 {
			return total, nil
		}
		if err == nil {
			err = tk.reconcile(ctx, r.cat.Load())
		}
		n := 0
		if err == nil {
			n, err = tk.fire(ctx)
		}
		if total += n; err != nil {
			return total, fmt.Errorf("tick timers: %w", err)
		}
		if n == 0 {
			return total, nil
		}
	}
}

// beat does what is to be done now, and says when to look again.
func (tk *ticker) beat(ctx context.Context) (time.Duration, error) {
	cat := tk.r.cat.Load()
	if tk.token == 0 && len(cat.timers) == 0 {
		// Where there is nothing to tick, and nothing to forget, nothing is written.
		states, err := tk.r.cfg.Timers.TimerStates(ctx)
		if err != nil || len(states) == 0 {
			return time.Minute, err
		}
	}
	if err := tk.hold(ctx); err != nil {
		return 0, err
	}
	if tk.token == 0 {
		return timerTry, nil
	}
	if err := tk.reconcile(ctx, cat); err != nil {
		return 0, err
	}
	if tk.cat != nil && len(cat.timers) == 0 {
		tk.release(ctx)
		return time.Minute, nil
	}
	if _, err := tk.fire(ctx); err != nil {
		return 0, err
	}
	now := tk.r.now()
	wait := timerLook
	for _, at := range tk.next {
		wait = min(wait, at.Sub(now))
	}
	return max(wait, 0), nil
}

// hold takes the lease, or extends it where a third of it has passed. token is 0
// where another process holds it. Where nobody else can be, there is no lease.
func (tk *ticker) hold(ctx context.Context) error {
	if tk.alone() {
		tk.token = max(tk.token, 1)
		return nil
	}
	now := tk.r.now()
	// A lease that ends too late was taken before the clock was set back.
	left := tk.until.Sub(now)
	if tk.token != 0 && left > timerLease*2/3 && left <= timerLease {
		return nil
	}
	token, err := tk.r.cfg.Leases.Acquire(ctx, timerLeaseName, tk.r.cfg.Worker, now, now.Add(timerLease))
	switch {
	case errors.Is(err, hayate.ErrConflict):
		if tk.token != 0 {
			tk.r.log.Warn("another process looks after the timers now", "err", err)
		}
		tk.token, tk.cat = 0, nil
		return nil
	case err != nil:
		return fmt.Errorf("hold the lease of the timers: %w", err)
	}
	if token != tk.token {
		tk.cat = nil // what others did meanwhile is read anew
	}
	tk.token, tk.until = token, now.Add(timerLease)
	return nil
}

// lose forgets what this process knew as the holder, and says when to try again.
func (tk *ticker) lose() time.Duration {
	tk.token, tk.cat = 0, nil
	return timerRetry
}

// alone says that no other process can tick.
func (tk *ticker) alone() bool { return tk.r.cfg.SoleOwner || tk.r.cfg.Leases == nil }

func (tk *ticker) release(ctx context.Context) {
	if tk.token == 0 || tk.alone() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timerTry)
	defer cancel()
	if err := tk.r.cfg.Leases.Release(ctx, timerLeaseName, tk.r.cfg.Worker); err != nil {
		tk.r.log.Warn("lease of the timers not released, it runs out", "err", err)
	}
	tk.lose()
}

// reconcile makes the states those of the timers that rules wait for: new ones
// begin now, those of no rule are forgotten.
func (tk *ticker) reconcile(ctx context.Context, cat *catalog) error {
	if tk.cat == cat {
		return nil
	}
	if !cat.loaded {
		return nil // no packs have been read: that no rule waits is not known yet
	}
	stored, err := tk.r.cfg.Timers.TimerStates(ctx)
	if err != nil {
		return err
	}
	now := tk.r.now()
	states, next := make(map[string]TimerState, len(cat.timers)), make(map[string]time.Time, len(cat.timers))
	var gone []string
	for _, st := range stored {
		if tk.alone() {
			tk.token = max(tk.token, st.Token) // written while there were others
		}
		if cat.timers[st.ID] == nil {
			gone = append(gone, st.ID)
			continue
		}
		states[st.ID] = st
	}
	var begun []TimerState
	for _, t := range sortedTimers(cat.timers) {
		if _, ok := states[t.id]; !ok {
			st := TimerState{ID: t.id, Token: tk.token, Anchor: now.Truncate(time.Second), Done: now}
			begun, states[t.id] = append(begun, st), st
		}
	}
	if len(begun) > 0 {
		if err := tk.r.cfg.Timers.PutTimers(ctx, begun...); err != nil {
			return err
		}
	}
	if len(gone) > 0 {
		if err := tk.r.cfg.Timers.DropTimers(ctx, tk.token, gone...); err != nil {
			return err
		}
	}
	tk.cat, tk.states, tk.next = cat, states, next
	tk.rewind(now)
	if len(begun)+len(gone) > 0 {
		tk.r.log.Info("timers changed", "timers", len(states), "begun", len(begun), "ended", len(gone))
	}
	return nil
}

// fire fires what is due, and says how many events that made.
func (tk *ticker) fire(ctx context.Context) (int, error) {
	if tk.cat == nil {
		return 0, nil
	}
	now := tk.r.now()
	if now.Before(tk.seen) {
		tk.rewind(now)
	}
	tk.seen = now
	var ids []string
	for id, at := range tk.next {
		if !at.After(now) {
			ids = append(ids, id)
		}
	}
	var mu sync.Mutex // guards what follows, and next
	var changed []TimerState
	made := 0
	var g errgroup.Group
	g.SetLimit(timersAtOnce)
	for _, id := range ids {
		t, st := tk.cat.timers[id], tk.states[id]
		g.Go(func() error {
			n, moved, err := tk.ticks(ctx, t, &st, now)
			mu.Lock()
			defer mu.Unlock()
			made += n
			if moved {
				changed = append(changed, st)
			}
			tk.plan(t, &st, now, err)
			return nil
		})
	}
	_ = g.Wait() // none fails: what could not be accepted is tried again
	if len(changed) == 0 {
		return made, nil
	}
	for i := range changed {
		changed[i].Token = tk.token
		tk.states[changed[i].ID] = changed[i]
	}
	return made, tk.r.cfg.Timers.PutTimers(ctx, changed...)
}

// rewind lets ticks begin anew at a time that the clock was set back to. Those
// that come again are known as events.
func (tk *ticker) rewind(now time.Time) {
	for id, st := range tk.states {
		if st.Done.After(now) {
			st.Done = now
			tk.states[id] = st
		}
		tk.next[id] = now
	}
}

// ticks fires what is due of one timer, and notes in its state how far that went.
// The error says that the rest must be tried again.
func (tk *ticker) ticks(ctx context.Context, t *timer, st *TimerState, now time.Time) (made int, moved bool, err error) {
	r := tk.r
	d := t.due(st, now, r.cfg.TimerGrace, r.cfg.TimerMisfire)
	if d.lost {
		r.log.Warn("ticks of a timer missed", "timer", t.id, "rule", t.rules[0], "since", st.Done, "come_late", len(d.ticks))
	}
	for _, tick := range d.ticks {
		if !tk.alone() && !r.now().Before(tk.until) {
			return made, moved, errLeaseOver
		}
		if r.cat.Load().timers[t.id] == nil {
			return made, moved, nil // its rules were switched off meanwhile
		}
		e, err := t.event(tick, r.now())
		var rc Receipt
		if err == nil {
			rc, err = r.Accept(ctx, e)
		}
		switch {
		case errors.Is(err, hayate.ErrInvalid), errors.Is(err, hayate.ErrTooLarge):
			r.log.Error("tick refused", "timer", t.id, "rule", t.rules[0], "err", err) // and will be, however often
		case err != nil:
			r.log.Warn("tick not accepted, will repeat", "timer", t.id, "rule", t.rules[0], "err", err)
			return made, moved, err
		case !rc.Duplicate:
			made++
		}
		st.Done, st.Last, moved = tick.UTC(), tick.UTC(), true
	}
	if d.lost && len(d.ticks) == 0 {
		st.Done, moved = d.done, true
	}
	return made, moved, nil
}

var errLeaseOver = errors.New("the lease of the timers is over")

// plan notes when a timer is to be looked at again.
func (tk *ticker) plan(t *timer, st *TimerState, now time.Time, err error) {
	switch {
	case errors.Is(err, errLeaseOver):
		return // at once, once the lease is held again
	case err != nil:
		tk.next[t.id] = now.Add(timerRetry)
		return
	}
	if next := t.next(st.Anchor, st.Done, 1); len(next) == 1 {
		tk.next[t.id] = next[0]
	} else {
		delete(tk.next, t.id) // it never ticks again
	}
}

// Timer is a timer as it is shown.
type Timer struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	Parameters json.RawMessage `json:"parameters"`
	Schedule   string          `json:"schedule"` // the parameters, told to people
	Zone       string          `json:"timezone"`
	Misfire    cron.Misfire    `json:"misfire"`
	Rules      []hayate.Ref    `json:"rules"` // enabled ones that wait for it, by reference
	// Last is the newest tick that became an event.
	Last time.Time `json:"last,omitzero"`
	// Next are the ticks to come, in the timer's zone.
	Next []time.Time `json:"next"`
}

// Timers returns the timers that enabled rules wait for, ordered by type and
// schedule, each with at most n ticks to come.
func (r *Router) Timers(ctx context.Context, n int) ([]Timer, error) {
	known := map[string]TimerState{}
	if r.hasTimers() {
		states, err := r.cfg.Timers.TimerStates(ctx)
		if err != nil {
			return nil, fmt.Errorf("list timers: %w", err)
		}
		for _, st := range states {
			known[st.ID] = st
		}
	}
	timers := sortedTimers(r.cat.Load().timers)
	slices.SortStableFunc(timers, func(a, b *timer) int {
		return cmp.Or(cmp.Compare(a.trigger, b.trigger), cmp.Compare(a.text(), b.text()))
	})
	out := make([]Timer, len(timers))
	for i, t := range timers {
		out[i] = r.showTimer(t, known, n)
	}
	return out, nil
}

// Timer returns one timer: ErrNotFound where no enabled rule waits for it.
func (r *Router) Timer(ctx context.Context, id string, n int) (Timer, error) {
	all, err := r.Timers(ctx, n)
	if err != nil {
		return Timer{}, err
	}
	for _, t := range all {
		if t.ID == id {
			return t, nil
		}
	}
	return Timer{}, fmt.Errorf("timer %s: %w", id, hayate.ErrNotFound)
}

func (r *Router) showTimer(t *timer, known map[string]TimerState, n int) Timer {
	policy := t.schedule.Misfire()
	if policy == "" {
		policy = r.cfg.TimerMisfire
	}
	out := Timer{ID: t.id, Type: t.trigger, Parameters: json.RawMessage(t.params), Schedule: t.text(), Zone: t.schedule.Zone().String(),
		Misfire: policy, Rules: slices.Clone(t.rules), Next: []time.Time{}}
	if t.params == "" {
		out.Parameters = json.RawMessage("{}")
	}
	st, ok := known[t.id]
	if ok {
		out.Last = st.Last
	}
	// An interval is counted from when the timer was begun, which its first look notes.
	if ok || !t.schedule.Anchored() {
		out.Next = t.next(st.Anchor, r.now(), n)
	}
	return out
}
