package simulation_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// users is the workload of a seed.
func users(w *world, g *sync.WaitGroup) {
	rnd := w.plan.random("workload")
	moment := func() time.Duration { return time.Duration(rnd.IntN(20_000)) * time.Millisecond }
	for i := range 1 + rnd.IntN(3) {
		id, flow, n := fmt.Sprintf("event-%d", i), flowNames[rnd.IntN(len(flowNames))], rnd.IntN(50)
		for range 1 + rnd.IntN(3) {
			at, number := moment(), rnd.IntN(2)
			g.Go(func() {
				time.Sleep(at)
				w.send(id, flow, n, number)
			})
		}
	}
	for range rnd.IntN(3) {
		ref := hayate.NewRef("sim", flowNames[rnd.IntN(len(flowNames))])
		at, later, n, what, number := moment(), moment()/2, rnd.IntN(50), rnd.IntN(3), rnd.IntN(2)
		g.Go(func() {
			time.Sleep(at)
			id := w.start(ref, n, number)
			time.Sleep(later)
			switch {
			case id == "":
			case what == 0:
				w.cancel(id, number+1)
			case what == 1:
				w.rerun(id, number+1)
			}
		})
	}
	for _, t := range allThemes {
		if does := themeUsers[t]; w.themes[t] && does != nil {
			does(w, g, w.plan.random("users of "+string(t)))
		}
	}
}

// themeUsers are those of a theme.
var themeUsers = map[theme]func(*world, *sync.WaitGroup, *rand.Rand){
	pauses: pausingUsers, questions: answeringUsers, crowds: crowdingUsers, agains: continuingUsers, windows: pulsingUsers, timers: switchingUsers,
}

func upTo(rnd *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(rnd.Int64N(int64(most/time.Millisecond))) * time.Millisecond
}

// pausingUsers pause a workflow, or one of its tasks that is one, and let it go on.
func pausingUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	names := []string{"outer", "outer", "sequence", "fan", "items", "loop", "retry", "keeps"}
	for range 1 + rnd.IntN(3) {
		ref := hayate.NewRef("sim", names[rnd.IntN(len(names))])
		at, later, held, n, number := upTo(rnd, 20*time.Second), upTo(rnd, 12*time.Second), upTo(rnd, 40*time.Second), rnd.IntN(50), rnd.IntN(2)
		task, again, ends := rnd.IntN(4) == 0, rnd.IntN(3) == 0, rnd.IntN(6) == 0
		g.Go(func() {
			time.Sleep(at)
			id := w.start(ref, n, number)
			if id == "" {
				return
			}
			time.Sleep(later)
			target := id
			if task {
				target = w.flowBelow(id, number)
			}
			w.pause(target, number+1)
			time.Sleep(held / 2)
			if again {
				w.resume(target, number)
				w.pause(target, number)
			}
			time.Sleep(held / 2)
			if ends {
				w.cancel(id, number)
				return
			}
			w.resume(target, number+1)
		})
	}
}

// answeringUsers answer questions, in time or not, and more than one at a time.
func answeringUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	for range 1 + rnd.IntN(2) {
		at, n, number, canceled, after := upTo(rnd, 20*time.Second), rnd.IntN(50), rnd.IntN(2), rnd.IntN(5) == 0, upTo(rnd, time.Minute)
		g.Go(func() {
			time.Sleep(at)
			id := w.start("sim.asks", n, number)
			if canceled && id != "" {
				time.Sleep(after)
				w.cancel(id, number)
			}
		})
	}
	for who := range 2 + rnd.IntN(2) {
		at := upTo(rnd, 100*time.Second)
		g.Go(func() {
			time.Sleep(at)
			w.answerAll(who, who)
		})
	}
}

// crowdingUsers start more than the policies let run at once, and what is retried.
func crowdingUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	names := []string{"few", "keyed", "solo", "tried", "timed"}
	for range 4 + rnd.IntN(8) {
		ref := hayate.NewRef("sim", names[rnd.IntN(len(names))])
		at, n, number, canceled := upTo(rnd, 8*time.Second), rnd.IntN(4), rnd.IntN(2), rnd.IntN(8) == 0
		if ref == "sim.keyed" {
			n %= 2
		}
		g.Go(func() {
			time.Sleep(at)
			if id := w.start(ref, n, number); canceled && id != "" {
				time.Sleep(at / 2)
				w.cancel(id, number+1)
			}
		})
	}
}

// continuingUsers continue a workflow from the task that failed.
func continuingUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	for range 1 + rnd.IntN(2) {
		at, later, n, number := upTo(rnd, 20*time.Second), upTo(rnd, 5*time.Second), rnd.IntN(50), rnd.IntN(2)
		g.Go(func() {
			time.Sleep(at)
			if id := w.await(w.start("sim.breaks", n, number), number); id != "" {
				time.Sleep(later)
				w.again(id, number+1)
			}
		})
	}
}

// pulsingUsers send events that rules remember, most of them more than once.
func pulsingUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	for i := range 6 + rnd.IntN(14) {
		id, host := fmt.Sprintf("pulse-%d", i), string(rune('a'+rnd.IntN(2)))
		for range 1 + rnd.IntN(2) {
			at, number := upTo(rnd, 80*time.Second), rnd.IntN(2)
			g.Go(func() {
				time.Sleep(at)
				e := hayate.Event{ID: id, Source: "/sim", Type: "sim.pulse", Data: fmt.Appendf(nil, `{"host":%q}`, host)}
				w.ask("event "+id, number, func(r *router.Router) error {
					_, err := r.Accept(context.Background(), e)
					return err
				})
			})
		}
	}
}

// switchingUsers switch the timer off that would tick for ever.
func switchingUsers(w *world, g *sync.WaitGroup, rnd *rand.Rand) {
	at, number := onceAfter+10*time.Second+upTo(rnd, 40*time.Second), rnd.IntN(2)
	g.Go(func() {
		time.Sleep(at)
		w.mu.Lock()
		w.off = time.Now()
		w.mu.Unlock()
		w.ask("switch a rule off", number, func(r *router.Router) error {
			_, err := r.SetRuleEnabled(context.Background(), "sim.tick", false)
			return err
		})
	})
}
