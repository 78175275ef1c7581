package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/memory"
	"github.com/hayate-run/hayate/router"
)

func policy(name, action, typ, params string) hayate.Policy {
	return hayate.Policy{Pack: "test", Name: name, Enabled: true, ResourceRef: hayate.Ref(action), Type: typ, Parameters: json.RawMessage(params)}
}

// crowd performs an action for some seconds and counts how many do at once.
type crowd struct {
	mu        sync.Mutex
	now, most map[string]int
	begun     []string
}

func (c *crowd) runner() router.Runner {
	return funcRunner{"fn", func(_ context.Context, t hayate.Task, _ func(hayate.Stream, string)) (hayate.Result, error) {
		key := string(t.Parameters)
		c.mu.Lock()
		if c.now == nil {
			c.now, c.most = map[string]int{}, map[string]int{}
		}
		for _, k := range []string{"", key} {
			c.now[k]++
			c.most[k] = max(c.most[k], c.now[k])
		}
		c.begun = append(c.begun, string(t.Execution))
		c.mu.Unlock()
		time.Sleep(10 * time.Second)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now[""]--
		c.now[key]--
		return hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, nil
	}}
}

func states(x *hayate.Execution) string {
	list := make([]string, len(x.Log))
	for i, l := range x.Log {
		list[i] = string(l.Status)
	}
	return strings.Join(list, " ")
}

func TestConcurrencyDelaysOneTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		w := newWorld(t, nil, c.runner())
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn")},
			Policies: []hayate.Policy{policy("two", "test.note", hayate.PolicyConcurrency, `{"threshold":2,"action":"delay"}`)}})
		w.serve()
		var ids []string
		for range 6 {
			x, err := w.Start(t.Context(), router.Start{Action: "test.note"})
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, string(x.ID))
			// Nobody asks again at the moment at which a place becomes free, so that
			// only the order of the calls counts.
			time.Sleep(900 * time.Millisecond)
		}
		x, err := w.Execution(t.Context(), hayate.ExecutionID(ids[2]))
		if err != nil || x.Status != hayate.StatusDelayed {
			t.Errorf("the third is %s, %v; want delayed", x.Status, err)
		}
		if by, err := w.HeldBy(t.Context(), &x); err != nil || by != "test.two" {
			t.Errorf("the third is held by %q, %v; want test.two", by, err)
		}
		time.Sleep(time.Minute)
		p, err := w.Executions(t.Context(), router.Query{Limit: -1, Ascending: true})
		if err != nil {
			t.Fatal(err)
		}
		for i := range p.Items {
			want := "requested scheduled running succeeded"
			if i >= 2 {
				want = "requested delayed requested scheduled running succeeded"
			}
			if got := states(&p.Items[i]); got != want {
				t.Errorf("the %d. went through %q, want %q", i+1, got, want)
			}
		}
		if c.most[""] != 2 {
			t.Errorf("%d ran at once, want 2", c.most[""])
		}
		if got, want := fmt.Sprint(c.begun), fmt.Sprint(ids); got != want {
			t.Errorf("they began in the order %s, want that of their requests %s", got, want)
		}
		// A place that is freed is taken at once: six of ten seconds, two at a time.
		if last := p.Items[5].Ended.Sub(p.Items[0].Created); last > 32*time.Second {
			t.Errorf("the last ended after %s", last)
		}
		if in, err := w.store.Holders(t.Context(), "test.two"); err != nil || len(in) != 0 {
			t.Errorf("places held in the end: %v, %v", in, err)
		}
	})
}

func TestConcurrencyCancelsOneTooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		w := newWorld(t, nil, c.runner())
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn")},
			Policies: []hayate.Policy{policy("one", "test.note", hayate.PolicyConcurrency, `{"threshold":1,"action":"cancel"}`)}})
		w.serve()
		for range 2 {
			if _, err := w.Start(t.Context(), router.Start{Action: "test.note"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		xs := w.ended(router.Query{Ascending: true}, 2)
		if got := states(&xs[1]); got != "requested canceling canceled" {
			t.Errorf("the second went through %q", got)
		}
		if got := string(xs[1].Result); !strings.Contains(got, "test.one") {
			t.Errorf("its result %s does not name the policy", got)
		}
		if xs[0].Status != hayate.StatusSucceeded {
			t.Errorf("the first ended %s", xs[0].Status)
		}
	})
}

func TestConcurrencyByAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		w := newWorld(t, nil, c.runner())
		host := hayate.Parameter{Name: "host", Type: "string", Default: json.RawMessage(`"a"`)}
		password := hayate.Parameter{Name: "password", Type: "string", Secret: true}
		w.load(router.Content{Actions: []hayate.Action{action("note", "fn", host, password)},
			Policies: []hayate.Policy{policy("each", "test.note", hayate.PolicyConcurrencyAttr, `{"threshold":1,"action":"delay","attributes":["host","password"]}`)}})
		w.serve()
		for _, params := range []string{`{"host":"a","password":"x"}`, `{"password":"x"}`, `{"host":"b","password":"x"}`, `{"host":"b","password":"y"}`} {
			if _, err := w.Start(t.Context(), router.Start{Action: "test.note", Parameters: json.RawMessage(params)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		w.ended(router.Query{}, 4)
		if c.most[""] != 3 {
			t.Errorf("%d ran at once, want the three that differ", c.most[""])
		}
		if c.most[`{"host":"a","password":"x"}`] != 1 {
			t.Errorf("equals ran at once: %v", c.most)
		}
	})
}

func TestConcurrencyHoldsOverTwoRouters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c crowd
		content := router.Content{Actions: []hayate.Action{action("note", "fn"), action("flow", "orquesta")},
			Policies: []hayate.Policy{policy("two", "test.note", hayate.PolicyConcurrency, `{"threshold":2,"action":"delay"}`),
				policy("flows", "test.flow", hayate.PolicyConcurrency, `{"threshold":1,"action":"delay"}`)},
			Workflows: map[hayate.Ref][]byte{"test.flow": []byte("version: 1.0\ntasks:\n  a: {action: test.note}\n  b: {action: test.note}\n  c: {action: test.note}\n")}}
		first := newWorld(t, func(c *router.Config) {
			c.SoleOwner, c.RunnerTypes = false, []hayate.Runner{{Name: "orquesta"}}
		}, c.runner())
		first.load(content)
		first.serve()
		second := newWorld(t, func(c *router.Config) {
			*c = first.cfg
		}, c.runner())
		second.load(content)
		second.serve()
		for i := range 4 {
			w := []*world{first, second}[i%2]
			if _, err := w.Start(t.Context(), router.Start{Action: "test.flow"}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Minute)
		for _, x := range first.ended(router.Query{}, 16) {
			if x.Status != hayate.StatusSucceeded {
				t.Errorf("%s ended %s: %s", x.Action, x.Status, x.Result)
			}
		}
		if c.most[""] != 2 {
			t.Errorf("%d ran at once, want 2", c.most[""])
		}
	})
}

func TestRetryPolicyIsANewExecution(t *testing.T) {
	for _, c := range []struct {
		name, params string
		status       hayate.Status
		want         int
	}{
		{"a failure is retried", `{"retry_on":"failure","max_retry_count":2,"delay":5}`, hayate.StatusFailed, 3},
		{"a time-out is no failure", `{"retry_on":"failure","max_retry_count":2,"delay":0}`, hayate.StatusTimeout, 1},
		{"a time-out is retried", `{"retry_on":"timeout","max_retry_count":1,"delay":0}`, hayate.StatusTimeout, 2},
		{"what was abandoned is not", `{"retry_on":"failure","max_retry_count":1,"delay":0}`, hayate.StatusAbandoned, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil, funcRunner{"fn", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
					return hayate.Result{Status: c.status, Value: json.RawMessage(`{}`)}, nil
				}})
				w.load(router.Content{Actions: []hayate.Action{action("note", "fn", hayate.Parameter{Name: "n", Type: "integer"})},
					Policies: []hayate.Policy{policy("again", "test.note", hayate.PolicyRetry, c.params)}})
				w.serve()
				x, err := w.Start(t.Context(), router.Start{Action: "test.note", Parameters: json.RawMessage(`{"n":7}`), User: "eve"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				xs := w.ended(router.Query{Ascending: true}, c.want)
				for i := range xs[1:] {
					y := &xs[i+1]
					want := fmt.Sprintf(`{"pack":"test","policies":{"retry":{"applied_policy":"test.again","retry_count":%d,"retried_liveaction_id":%q}},"user":"eve"}`, i+1, xs[i].ID)
					if string(y.Context) != want || string(y.Parameters) != `{"n":7}` || y.Trace != x.Trace || y.Root != y.ID {
						t.Errorf("retry %d: %+v\nwant the context %s", i+1, y, want)
					}
					if strings.Contains(c.params, `"delay":5`) && (!strings.HasPrefix(states(y), "requested delayed") || y.Started.Sub(xs[i].Ended) < 5*time.Second) {
						t.Errorf("retry %d began %s after the failure, through %s", i+1, y.Started.Sub(xs[i].Ended), states(y))
					}
				}
			})
		})
	}
}

// A retry that a process did not store any more, because it died right after it
// stored the end, is made up for by the next one.
func TestRetryPolicyOutlivesItsProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		content := router.Content{Actions: []hayate.Action{action("note", "fn")},
			Policies: []hayate.Policy{policy("again", "test.note", hayate.PolicyRetry, `{"retry_on":"failure","max_retry_count":1,"delay":0}`)}}
		fail := funcRunner{"fn", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
			return hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(`{}`)}, nil
		}}
		store := memory.New()
		w := newWorld(t, func(c *router.Config) { c.Store, c.Workers = &dying{Store: store, after: 1}, 1 }, fail)
		w.store = store
		w.load(content)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx, time.Second) }()
		if _, err := w.Start(t.Context(), router.Start{Action: "test.note"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		cancel()
		<-done
		if p, err := store.Executions(t.Context(), router.Query{Limit: -1}); err != nil || len(p.Items) != 1 {
			t.Fatalf("%d executions after the crash, %v; want one that failed", len(p.Items), err)
		}
		next := newWorld(t, func(c *router.Config) { c.Store = store }, fail)
		next.load(content)
		next.serve()
		time.Sleep(10 * time.Second)
		next.ended(router.Query{}, 2)
	})
}

// dying is a store whose process dies once it has ended an attempt.
type dying struct {
	*memory.Store
	mu    sync.Mutex
	after int // ends until then
	dead  bool
}

func (d *dying) Complete(ctx context.Context, c router.Completion) error {
	err := d.Store.Complete(ctx, c)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.after--; d.after == 0 {
		d.dead = true
	}
	return err
}

func (d *dying) gone() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.dead {
		return hayate.ErrBusy
	}
	return nil
}

func (d *dying) Commit(ctx context.Context, c router.Change) error {
	if err := d.gone(); err != nil {
		return err
	}
	return d.Store.Commit(ctx, c)
}

func (d *dying) Executions(ctx context.Context, q router.Query) (router.Page[hayate.Execution], error) {
	if err := d.gone(); err != nil {
		return router.Page[hayate.Execution]{}, err
	}
	return d.Store.Executions(ctx, q)
}

func TestRetryPolicyOfATask(t *testing.T) {
	for _, c := range []struct {
		name   string
		fails  int
		status hayate.Status
		runs   int
	}{{"the workflow hears of the retry that succeeds", 1, hayate.StatusSucceeded, 2}, {"the workflow fails with the last retry", 9, hayate.StatusFailed, 3}} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				w := newWorld(t, func(c *router.Config) { c.RunnerTypes = []hayate.Runner{{Name: "orquesta"}} },
					funcRunner{"fn", func(context.Context, hayate.Task, func(hayate.Stream, string)) (hayate.Result, error) {
						st := hayate.StatusSucceeded
						if n++; n <= c.fails {
							st = hayate.StatusFailed
						}
						return hayate.Result{Status: st, Value: json.RawMessage(fmt.Sprintf(`{"n":%d}`, n))}, nil
					}})
				content := flowContent("version: 1.0\ntasks:\n  one: {action: test.note, next: [{publish: [{n: <% result().n %>}]}]}\noutput: [{n: <% ctx(n) %>}]\n")
				content.Policies = []hayate.Policy{policy("again", "test.note", hayate.PolicyRetry, `{"retry_on":"failure","max_retry_count":2,"delay":1}`)}
				w.load(content)
				w.serve()
				x, err := w.Start(t.Context(), router.Start{Action: "test.flow"})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				y := w.ended(router.Query{IDs: []string{string(x.ID)}}, 1)[0]
				if y.Status != c.status {
					t.Errorf("the workflow ended %s with %s", y.Status, y.Result)
				}
				if kids := w.ended(router.Query{Parent: x.ID}, c.runs); len(kids) != c.runs {
					t.Errorf("%d tasks ran", len(kids))
				}
				if want := fmt.Sprintf(`"n":%d`, c.runs); c.status == hayate.StatusSucceeded && !strings.Contains(string(y.Result), want) {
					t.Errorf("result %s, want %s in it", y.Result, want)
				}
			})
		})
	}
}

func TestPoliciesAreChangedAtRunTime(t *testing.T) {
	w := newWorld(t, nil, funcRunner{"fn", succeed})
	content := router.Content{Actions: []hayate.Action{action("note", "fn")},
		Policies: []hayate.Policy{policy("one", "test.note", hayate.PolicyConcurrency, `{"threshold":1,"action":"cancel"}`)}}
	w.load(content)
	off := false
	if _, err := w.UpdatePolicy(t.Context(), "test.one", &off, json.RawMessage(`{"threshold":3}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.CreatePolicy(t.Context(), policy("made", "test.note", hayate.PolicyRetry, `{"retry_on":"timeout"}`)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a reload undoes nothing
		got, err := json.Marshal(w.Policies())
		want := `[{"pack":"test","name":"made","enabled":true,"resource_ref":"test.note","policy_type":"action.retry","parameters":{"retry_on":"timeout","max_retry_count":2,"delay":0}},` +
			`{"pack":"test","name":"one","enabled":false,"resource_ref":"test.note","policy_type":"action.concurrency","parameters":{"threshold":3,"action":"delay"}}]`
		if err != nil || string(got) != want {
			t.Errorf("policies\n got %s, %v\nwant %s", got, err, want)
		}
		w.load(content)
	}
	for what, p := range map[string]hayate.Policy{
		"no such action":   policy("x", "test.nothing", hayate.PolicyRetry, `{"retry_on":"timeout"}`),
		"no such type":     policy("x", "test.note", "action.again", `{}`),
		"no threshold":     policy("x", "test.note", hayate.PolicyConcurrency, `{}`),
		"too many retries": policy("x", "test.note", hayate.PolicyRetry, `{"retry_on":"timeout","max_retry_count":6}`),
		"a dot":            policy("x.y", "test.note", hayate.PolicyRetry, `{"retry_on":"timeout"}`),
	} {
		if _, err := w.CreatePolicy(t.Context(), p); err == nil {
			t.Errorf("%s: created", what)
		}
	}
	for _, ref := range []hayate.Ref{"test.one", "test.made"} {
		if err := w.DeletePolicy(t.Context(), ref); err != nil {
			t.Errorf("delete %s: %v", ref, err)
		}
	}
	w.load(content)
	if ps := w.Policies(); len(ps) != 0 {
		t.Errorf("policies after all were deleted: %+v", ps)
	}
}
