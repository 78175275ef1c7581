package outpost

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/remote"
)

// tellEvery is how often the spool is looked at though nothing happened.
const tellEvery = 5 * time.Second

// maxTelling bounds the entries that are being told at once.
const maxTelling = 32

// recover ends what an earlier process of this worker left running, and makes its
// holds known. What it left in the spool is told by tellAll.
func (w *Worker) recover() {
	left, err := w.c.Spool.All()
	if err != nil {
		w.c.Log.Error("read the spool", "err", err)
	}
	for i := range left {
		if e := &left[i]; e.State == Begun {
			w.c.OnLost(e.Execution)
		}
	}
	if len(left) > 0 {
		w.c.Log.Info("an earlier process left claims and results to be told", "entries", len(left))
	}
	w.nudge()
}

func (w *Worker) nudge() {
	select {
	case w.deliver <- struct{}{}:
	default:
	}
}

// tellAll tells what is in the spool until it is answered, for as long as ctx lives.
func (w *Worker) tellAll(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	var mu sync.Mutex
	telling := map[string]bool{}
	room := make(chan struct{}, maxTelling)
	for {
		all, err := w.c.Spool.All()
		if err != nil {
			w.c.Log.Error("read the spool", "err", err)
		}
		for _, e := range all {
			if !w.due(e) {
				continue
			}
			mu.Lock()
			busy := telling[e.Claim]
			telling[e.Claim] = true
			mu.Unlock()
			if busy {
				continue
			}
			select {
			case room <- struct{}{}:
			case <-ctx.Done():
				return
			}
			wg.Go(func() {
				w.tell(ctx, e)
				mu.Lock()
				delete(telling, e.Claim)
				mu.Unlock()
				<-room
			})
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-w.deliver:
		}
	}
}

// due says whether an entry is to be told: not while this process is at it.
func (w *Worker) due(e Entry) bool {
	return e.State == Done || !w.active.has(e.Claim) && !w.claiming(e)
}

// claiming says whether a claim is being asked for by this process.
func (w *Worker) claiming(e Entry) bool {
	w.active.mu.Lock()
	defer w.active.mu.Unlock()
	return w.active.asking[e.Claim]
}

// tell says what became of a claim, and drops its entry once that was answered.
func (w *Worker) tell(ctx context.Context, e Entry) {
	hold := router.Hold{Execution: e.Execution, Attempt: e.Attempt, Worker: e.Worker}
	g := remote.Granted{Hold: hold, Claim: e.Claim, Token: e.Token}
	w.c.Client.Remember(g)
	var err error
	switch e.State {
	case Claiming:
		err = w.c.Client.Abandon(ctx, e.Execution, e.Claim, e.Token)
	case Begun:
		err = w.c.Client.Lost(ctx, hold)
	case Done:
		err = w.c.Client.Complete(ctx, router.Completion{Hold: hold, At: e.At, Result: *e.Result})
	}
	switch {
	case err == nil:
		w.c.Log.Debug("told", "execution_id", e.Execution, "attempt", e.Attempt, "state", e.State)
	case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
		w.c.Log.Debug("told, but another owns the execution, or this was told before", "execution_id", e.Execution, "state", e.State, "err", err)
	case errors.Is(err, hayate.ErrDenied), errors.Is(err, hayate.ErrInvalid), errors.Is(err, hayate.ErrTooLarge):
		w.c.Log.Error("refused for good", "execution_id", e.Execution, "attempt", e.Attempt, "state", e.State, "err", err)
	default:
		w.c.Log.Warn("not told yet, will repeat", "execution_id", e.Execution, "attempt", e.Attempt, "state", e.State, "err", err)
		return
	}
	w.c.Client.Forget(hold)
	w.active.end(e.Claim)
	w.drop(e.Claim)
}

// keepAlive extends the holds of the running attempts and hears what is asked.
func (w *Worker) keepAlive(ctx context.Context) {
	for pause(ctx, w.beatEvery()) {
		var wg sync.WaitGroup
		for _, r := range w.active.list() {
			wg.Go(func() { w.beat(ctx, r) })
		}
		wg.Wait()
	}
}

func (w *Worker) beatEvery() time.Duration {
	if lease := time.Duration(w.lease.Load()); lease > 0 {
		return min(w.c.HeartbeatEvery, max(lease/3, 100*time.Millisecond))
	}
	return min(w.c.HeartbeatEvery, time.Second) // the first lease is not known yet
}

func (w *Worker) beat(ctx context.Context, r *running) {
	ctx, cancel := context.WithTimeout(ctx, w.c.HeartbeatEvery)
	defer cancel()
	sig, err := w.c.Client.Heartbeat(ctx, r.hold, time.Time{})
	switch {
	case errors.Is(err, hayate.ErrConflict), errors.Is(err, hayate.ErrNotFound):
		r.cancel(errLost)
	case err != nil:
		w.c.Log.Warn("heartbeat not answered", "execution_id", r.hold.Execution, "err", err)
	case sig.Cancel:
		r.cancel(context.Canceled)
	}
}
