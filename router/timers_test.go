package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/internal/cron"
	"github.com/hayate-run/hayate/router"
)

// clock is a clock that can be set. Its time goes on as the bubble's does.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

// set makes it show a time.
func (c *clock) set(text string) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err) // a test's own text
	}
	c.ahead.Store(int64(time.Until(at)))
}

// timerWorld is a router whose timers tick, by a clock of its own.
func timerWorld(t *testing.T, c *clock, change func(*router.Config)) *world {
	t.Helper()
	return newWorld(t, func(cfg *router.Config) {
		cfg.Now, cfg.Leases, cfg.Timers, cfg.SweepEvery = c.now, memory.NewLeases(), memory.NewTimers(), time.Minute
		cfg.Retention = -1
		if change != nil {
			change(cfg)
		}
	}, funcRunner{"fn", succeed})
}

// like makes a config share everything durable with another router.
func like(w *world) func(*router.Config) {
	return func(c *router.Config) {
		c.Store, c.Queue, c.Blobs, c.Registry, c.Leases, c.Timers = w.cfg.Store, w.cfg.Queue, w.cfg.Blobs, w.cfg.Registry, w.cfg.Leases, w.cfg.Timers
		c.SoleOwner = w.cfg.SoleOwner
	}
}

func timerRule(name, trigger, params string) hayate.Rule {
	return hayate.Rule{Pack: "test", Name: name, Enabled: true, Trigger: hayate.Trigger{Type: trigger, Parameters: json.RawMessage(params)},
		Actions: []hayate.RuleAction{{Ref: "test.note"}}}
}

func timerContent(rs ...hayate.Rule) router.Content {
	return router.Content{Actions: []hayate.Action{action("note", "fn")}, Rules: rs}
}

// running runs the router until stop is called.
func (w *world) running() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx, time.Second) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// ticks are the events of timers, oldest first.
func (w *world) ticks() []hayate.Event {
	w.t.Helper()
	p, err := w.Events(w.t.Context(), router.Query{Ascending: true, Limit: -1})
	if err != nil {
		w.t.Fatal(err)
	}
	var out []hayate.Event
	for _, r := range p.Items {
		if cron.IsTimer(r.Event.Type) {
			out = append(out, r.Event)
		}
	}
	return out
}

// scheduled are the times for which the ticks were scheduled.
func (w *world) scheduled() []string {
	w.t.Helper()
	var out []string
	for _, e := range w.ticks() {
		out = append(out, e.ID)
	}
	return out
}

func wantTicks(t *testing.T, w *world, want ...string) {
	t.Helper()
	if got := w.scheduled(); !slices.Equal(got, want) {
		t.Errorf("%d ticks came: %s\nwant %d: %s", len(got), strings.Join(got, " "), len(want), strings.Join(want, " "))
	}
}

const everySecond = `{"unit":"seconds","delta":1}`

func TestATickIsOneEventOfStackStormsShape(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := timerWorld(t, &c, nil)
		w.load(timerContent(
			timerRule("second", cron.IntervalTimer, everySecond), timerRule("also", cron.IntervalTimer, `{"delta":1,"unit":"seconds"}`),
			timerRule("other", cron.IntervalTimer, `{"unit":"seconds","delta":2}`)))
		w.running()
		time.Sleep(4*time.Second + 500*time.Millisecond)
		synctest.Wait()
		got := map[string]int{}
		for _, rule := range []string{"second", "also", "other"} {
			got[rule] = len(w.ended(router.Query{Rule: hayate.NewRef("test", rule)}, map[string]int{"second": 4, "also": 4, "other": 2}[rule]))
		}
		if n := len(w.ticks()); n != 6 {
			t.Errorf("%d events came, want 4 of one timer and 2 of the other: rules with equal parameters share a tick", n)
		}
		e := w.ticks()[0]
		if e.Type != cron.IntervalTimer || e.ID != "2026-11-24T10:00:01Z" || e.Subject != "every second" ||
			string(e.Data) != `{"executed_at":"2026-11-24 10:00:01+00:00","schedule":null}` || !strings.HasPrefix(e.Extension(hayate.ExtTraceTag), "st2.IntervalTimer-") ||
			e.Extension(hayate.ExtTriggerParameters) != `{"delta":1,"unit":"seconds"}` || !e.Time.Equal(c.now().Truncate(time.Second).Add(-3*time.Second)) {
			t.Errorf("the first tick is %+v", e)
		}
	})
}

func TestWhatIsMissedFollowsThePolicy(t *testing.T) {
	for _, tt := range []struct {
		name, params string
		down         time.Duration
		want         []string
	}{
		{"a short standstill loses nothing", `{"minute":"*/10"}`, time.Minute, []string{"10:10:00", "10:20:00"}},
		{"what was missed is lost", `{"minute":"*/10"}`, 45 * time.Minute, []string{"11:00:00"}},
		{"unless the newest is to come", `{"minute":"*/10","misfire":"once"}`, 45 * time.Minute, []string{"10:50:00", "11:00:00"}},
		{"or all are", `{"minute":"*/10","misfire":"all"}`, 45 * time.Minute, []string{"10:10:00", "10:20:00", "10:30:00", "10:40:00", "10:50:00", "11:00:00"}},
		{"what is not later than the grace is in time", `{"minute":"*/10","misfire":"skip"}`, 10*time.Minute + 30*time.Second, []string{"10:20:00", "10:30:00"}},
		{"a date is missed as others are", `{"date":"2026-11-24T10:20:00Z"}`, 45 * time.Minute, nil},
		{"and may come late", `{"date":"2026-11-24T10:20:00Z","misfire":"once"}`, 45 * time.Minute, []string{"10:20:00"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var c clock
				c.set("2026-11-24T10:09:50Z")
				trigger := cron.CronTimer
				if strings.Contains(tt.params, "date") {
					trigger = cron.DateTimer
				}
				content := timerContent(timerRule("job", trigger, tt.params))
				first := timerWorld(t, &c, nil)
				first.load(content)
				stop := first.running()
				synctest.Wait()
				stop()
				time.Sleep(tt.down)
				second := timerWorld(t, &c, like(first))
				second.load(content)
				second.running()
				time.Sleep(10 * time.Minute)
				synctest.Wait()
				var got []string
				for _, s := range second.scheduled() {
					got = append(got, s[11:19])
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("after %s down came %v, want %v", tt.down, got, tt.want)
				}
			})
		})
	}
}

// A year of standstill, one tick a second: a thousand come late, at no great cost.
func TestMissedTicksAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2025-11-24T10:00:00Z")
		content := timerContent(timerRule("job", cron.IntervalTimer, `{"unit":"seconds","delta":1,"misfire":"all"}`))
		first := timerWorld(t, &c, nil)
		first.load(content)
		stop := first.running()
		synctest.Wait()
		stop()
		c.set("2026-11-24T10:00:00Z")
		second := timerWorld(t, &c, like(first))
		second.load(content)
		second.running()
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		got := second.scheduled()
		if len(got) != 1061 || got[0] != "2026-11-24T09:42:20Z" || got[1060] != "2026-11-24T10:00:00Z" {
			t.Errorf("%d ticks came, from %s to %s; want the newest 1000 before the last minute, and those of it", len(got), got[0], got[len(got)-1])
		}
	})
}

func TestTimersFollowTheirRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := timerWorld(t, &c, nil)
		w.running()
		time.Sleep(3 * time.Second)
		off := timerRule("job", cron.IntervalTimer, `{"unit":"seconds","delta":10}`)
		off.Enabled = false
		w.load(timerContent(off))
		time.Sleep(20 * time.Second) // until 10:00:23
		turn := func(on bool) {
			if _, err := w.SetRuleEnabled(t.Context(), "test.job", on); err != nil {
				t.Fatal(err)
			}
		}
		turn(true)
		time.Sleep(25 * time.Second) // until 10:00:48
		turn(false)
		time.Sleep(time.Minute) // until 10:01:48
		turn(true)
		time.Sleep(11 * time.Second)
		synctest.Wait()
		wantTicks(t, w, "2026-11-24T10:00:33Z", "2026-11-24T10:00:43Z", "2026-11-24T10:01:58Z")
		w.load(timerContent(timerRule("job", cron.IntervalTimer, `{"unit":"seconds","delta":4}`)))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		wantTicks(t, w, "2026-11-24T10:00:33Z", "2026-11-24T10:00:43Z", "2026-11-24T10:01:58Z", "2026-11-24T10:02:03Z")
		states, err := w.cfg.Timers.TimerStates(t.Context())
		if err != nil || len(states) != 1 {
			t.Errorf("remembered are %+v, %v; want the one timer that is left", states, err)
		}
	})
}

func TestTicksWhenTheClockIsSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := timerWorld(t, &c, nil)
		w.load(timerContent(timerRule("job", cron.IntervalTimer, `{"unit":"minutes","delta":1}`)))
		w.running()
		time.Sleep(2*time.Minute + 30*time.Second)
		c.set("2026-11-24T10:00:10Z") // back: what came is known
		time.Sleep(3 * time.Minute)   // until 10:03:10
		c.set("2026-11-24T12:00:10Z") // ahead: what is between was missed
		time.Sleep(time.Minute)
		c.set("2027-11-24T12:00:30Z") // and a year ahead, by mistake
		time.Sleep(time.Minute)
		c.set("2026-11-24T12:02:30Z")
		time.Sleep(time.Minute)
		synctest.Wait()
		wantTicks(t, w, "2026-11-24T10:01:00Z", "2026-11-24T10:02:00Z", "2026-11-24T10:03:00Z", "2026-11-24T12:00:00Z", "2026-11-24T12:01:00Z",
			"2027-11-24T12:00:00Z", "2027-11-24T12:01:00Z", "2026-11-24T12:03:00Z")
	})
}

// Restarts at any moment, over both changes of clocks: every tick once.
func TestTicksOverChangesOfClocksAndRestarts(t *testing.T) {
	for _, tt := range []struct {
		from string
		want []string
	}{
		{"2026-03-08T05:00:00Z", []string{ // 02:30 is skipped, and comes at 03:30
			"05:30 minute", "06:30 minute", "06:30 night", "07:30 daily", "07:30 minute", "08:30 minute"}},
		{"2026-11-01T04:15:00Z", []string{ // 01:30 comes twice; bound to an hour it is the second
			"04:30 minute", "05:30 minute", "06:30 minute", "06:30 night", "07:30 daily", "07:30 minute"}},
	} {
		synctest.Test(t, func(t *testing.T) {
			var c clock
			c.set(tt.from)
			content := timerContent(
				timerRule("daily", cron.CronTimer, `{"hour":2,"minute":30}`), timerRule("night", cron.CronTimer, `{"hour":1,"minute":30}`),
				timerRule("minute", cron.CronTimer, `{"hour":"*","minute":30}`))
			newYork, err := time.LoadLocation("America/New_York")
			if err != nil {
				t.Fatal(err)
			}
			zone := func(cfg *router.Config) { cfg.Zone = newYork }
			w := timerWorld(t, &c, zone)
			for i := range 24 {
				w.load(content)
				stop := w.running()
				time.Sleep(time.Duration(600+i) * time.Second)
				stop()
				time.Sleep(time.Duration(i) * time.Second)
				share := like(w)
				w = timerWorld(t, &c, func(cfg *router.Config) { share(cfg); zone(cfg) })
			}
			var got []string
			p, err := w.Executions(t.Context(), router.Query{Limit: -1})
			if err != nil {
				t.Fatal(err)
			}
			ids := map[string]string{}
			es, err := w.Events(t.Context(), router.Query{Limit: -1})
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range es.Items {
				ids[string(e.ID)] = e.Event.ID[11:16]
			}
			for _, x := range p.Items {
				got = append(got, ids[string(x.Event)]+" "+x.Rule.Name())
			}
			slices.Sort(got)
			if !slices.Equal(got, tt.want) {
				t.Errorf("from %s came\n %v, want\n %v", tt.from, got, tt.want)
			}
		})
	}
}

// crashing keeps leases of a process that gives none up: it dies without a word.
type crashing struct{ router.Leases }

func (crashing) Release(context.Context, string, string) error { return nil }

func TestOneOfSeveralRoutersTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		content := timerContent(timerRule("job", cron.IntervalTimer, everySecond))
		first := timerWorld(t, &c, func(cfg *router.Config) { cfg.SoleOwner = false })
		share := like(first)
		start := func() func() {
			w := timerWorld(t, &c, func(cfg *router.Config) {
				share(cfg)
				cfg.Leases = crashing{cfg.Leases}
			})
			w.load(content)
			return w.running()
		}
		stops := []func(){start(), start(), start()}
		var longest time.Duration
		for i := range 20 {
			time.Sleep(40 * time.Second)
			stops[i%3]() // some of them held the lease
			before := len(first.ticks())
			began := time.Now()
			for len(first.ticks()) == before {
				time.Sleep(100 * time.Millisecond)
			}
			longest = max(longest, time.Since(began))
			stops[i%3] = start()
		}
		time.Sleep(20*time.Second + 500*time.Millisecond)
		synctest.Wait()
		if longest > 15*time.Second || longest < 3*time.Second {
			t.Errorf("the longest silence after a crash was %s, want some seconds and at most 15", longest)
		}
		got := first.ticks()
		want := int(c.now().Truncate(time.Second).Sub(got[0].Time)/time.Second) + 1
		if len(got) != want {
			t.Errorf("%d ticks came in %d seconds, want one each", len(got), want)
		}
		for i := 1; i < len(got); i++ {
			if d := got[i].Time.Sub(got[i-1].Time); d != time.Second {
				t.Errorf("tick %s follows %s", got[i].ID, got[i-1].ID)
			}
		}
	})
}

func TestARuleThatAnotherRouterSwitchesTicks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		off := timerRule("job", cron.IntervalTimer, everySecond)
		off.Enabled = false
		first := timerWorld(t, &c, func(cfg *router.Config) { cfg.SoleOwner = false })
		first.load(timerContent(off))
		first.running()
		// The second never holds the lease: it performs no upkeep.
		second := timerWorld(t, &c, func(cfg *router.Config) {
			like(first)(cfg)
			cfg.NoUpkeep = true
		})
		second.load(timerContent(off))
		second.running()
		time.Sleep(10 * time.Second)
		for i, on := range []bool{true, false} {
			if _, err := second.SetRuleEnabled(t.Context(), "test.job", on); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3*time.Second + 500*time.Millisecond)
			synctest.Wait()
			if r, err := first.Rule("test.job"); err != nil || r.Enabled != on {
				t.Errorf("the rule is enabled: %v, %v; want %v", r.Enabled, err, on)
			}
			if n := len(first.ticks()); n != 3 {
				t.Errorf("%d ticks came after switch %d, want 3", n, i)
			}
		}
	})
}

// cut is a keeper of timers that fails after each write that it has made, until
// it is told not to: a process that dies between an event and its note.
type cut struct {
	router.Timers
	failing *atomic.Bool
}

func (k cut) PutTimers(ctx context.Context, states ...router.TimerState) error {
	if k.failing.Load() {
		return fmt.Errorf("cut off: %w", hayate.ErrBusy)
	}
	return k.Timers.PutTimers(ctx, states...)
}

func TestATickThatWasNotNotedIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		var failing atomic.Bool
		w := timerWorld(t, &c, func(cfg *router.Config) { cfg.Timers = cut{cfg.Timers, &failing} })
		w.load(timerContent(timerRule("job", cron.IntervalTimer, everySecond)))
		w.running()
		synctest.Wait()
		failing.Store(true)
		time.Sleep(5*time.Second + 500*time.Millisecond)
		failing.Store(false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.scheduled(); len(got) != 7 {
			t.Errorf("%d ticks came: %v, want 7", len(got), got)
		}
		w.ended(router.Query{Rule: "test.job"}, 7)
	})
}

func TestAMinuteTickFiresAllThatIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		content := timerContent(timerRule("a", cron.IntervalTimer, `{"unit":"seconds","delta":20}`), timerRule("b", cron.CronTimer, `{"minute":"*/2"}`))
		w := timerWorld(t, &c, func(cfg *router.Config) { cfg.SoleOwner, cfg.TimerGrace = false, 5*time.Minute })
		w.load(content)
		var made []int
		for range 4 {
			n, err := w.TickTimers(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			made = append(made, n)
			again := timerWorld(t, &c, like(w))
			again.load(content)
			if n, err := again.TickTimers(t.Context()); n != 0 || err != nil {
				t.Errorf("ticked twice at a time: %d events, %v", n, err)
			}
			time.Sleep(time.Minute)
		}
		if want := []int{0, 3, 4, 3}; !slices.Equal(made, want) {
			t.Errorf("each minute made %v events, want %v", made, want)
		}
		// Where another process looks after the timers, nothing is done.
		if _, err := w.cfg.Leases.Acquire(t.Context(), "timers", "another", c.now(), c.now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if n, err := w.TickTimers(t.Context()); n != 0 || err != nil {
			t.Errorf("TickTimers beside another process: %d, %v", n, err)
		}
	})
}

func TestTimersAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := timerWorld(t, &c, nil)
		w.load(timerContent(timerRule("b", cron.IntervalTimer, everySecond), timerRule("a", cron.IntervalTimer, everySecond),
			timerRule("night", cron.CronTimer, `{"hour":3,"timezone":"Asia/Tokyo"}`)))
		w.running()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		got, err := w.Timers(t.Context(), 2)
		if err != nil || len(got) != 2 {
			t.Fatalf("Timers gave %+v, %v", got, err)
		}
		night, second := got[0], got[1]
		if night.Zone != "Asia/Tokyo" || night.Schedule != "hour=3" || night.Misfire != cron.Skip || !night.Last.IsZero() ||
			night.Next[1].Format(time.RFC3339) != "2026-11-26T03:00:00+09:00" {
			t.Errorf("the cron timer is shown as %+v", night)
		}
		if second.Schedule != "every second" || !slices.Equal(second.Rules, []hayate.Ref{"test.a", "test.b"}) || second.Last.Format(time.RFC3339) != "2026-11-24T10:00:02Z" ||
			len(second.Next) != 2 || second.Next[0].Format(time.RFC3339) != "2026-11-24T10:00:03Z" {
			t.Errorf("the interval timer is shown as %+v", second)
		}
		if one, err := w.Timer(t.Context(), second.ID, 1); err != nil || len(one.Next) != 1 {
			t.Errorf("Timer gave %+v, %v", one, err)
		}
	})
}

func TestARuleWithAWrongTimerIsNamed(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	err := w.Load(t.Context(), timerContent(timerRule("bad", cron.CronTimer, `{"hour":24,"minute":"x"}`), timerRule("good", cron.CronTimer, `{"hour":3}`)))
	for _, want := range []string{"rule test.bad: the parameters of core.st2.CronTimer: hour: 24 is out of range", "minute: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Load gave %v, want %q in it", err, want)
		}
	}
	if got, err := w.Timers(t.Context(), 1); err != nil || len(got) != 1 || got[0].Rules[0] != "test.good" {
		t.Errorf("Timers gave %+v, %v; want the good one", got, err)
	}
}

func TestTickLetsTimersTick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c clock
		c.set("2026-11-24T10:00:00Z")
		w := timerWorld(t, &c, func(cfg *router.Config) { cfg.SoleOwner, cfg.TimerGrace = false, 5*time.Minute })
		w.load(timerContent(timerRule("job", cron.IntervalTimer, `{"unit":"seconds","delta":30}`)))
		for range 3 {
			if err := w.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		wantTicks(t, w, "2026-11-24T10:00:30Z", "2026-11-24T10:01:00Z", "2026-11-24T10:01:30Z", "2026-11-24T10:02:00Z")
	})
}
