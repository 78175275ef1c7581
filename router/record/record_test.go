package record_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/record"
)

var t0 = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestRefusedChangesLeaveTheExecutionAlone(t *testing.T) {
	t.Parallel()
	held := hayate.Execution{ID: "x", Status: hayate.StatusRunning, Attempt: 2, Worker: "a", Version: 5,
		Log: []hayate.Transition{{Time: t0, Status: hayate.StatusRunning}}}
	mine, other := router.Hold{Execution: "x", Attempt: 2, Worker: "a"}, router.Hold{Execution: "x", Attempt: 1, Worker: "a"}
	for name, f := range map[string]func(*hayate.Execution) error{
		"claim of what is held":    func(x *hayate.Execution) error { return record.Claim(x, router.Claim{Worker: "b", At: t0}) },
		"heartbeat of a stale one": func(x *hayate.Execution) error { _, err := record.Heartbeat(x, other, t0); return err },
		"stale completion": func(x *hayate.Execution) error {
			return record.Complete(x, router.Completion{Hold: other, Result: hayate.Result{Status: hayate.StatusFailed}})
		},
		"completion that ends nothing": func(x *hayate.Execution) error {
			return record.Complete(x, router.Completion{Hold: mine, Result: hayate.Result{Status: hayate.StatusPaused}})
		},
	} {
		x := held
		err := f(&x)
		if !errors.Is(err, hayate.ErrConflict) && !errors.Is(err, hayate.ErrInvalid) {
			t.Errorf("%s gives %v, want a refusal", name, err)
		}
		got, _ := json.Marshal(x)     // plain values
		want, _ := json.Marshal(held) // plain values
		if string(got) != string(want) {
			t.Errorf("%s left %s, want %s", name, got, want)
		}
	}
}

func TestDuties(t *testing.T) {
	t.Parallel()
	later := t0.Add(time.Hour)
	for _, c := range []struct {
		x    hayate.Execution
		told bool
		want record.Duty
		at   time.Time
	}{
		{hayate.Execution{Status: hayate.StatusScheduled, Created: t0}, false, record.Dispatch, t0},
		{hayate.Execution{Status: hayate.StatusDelayed, Created: t0, NotBefore: later}, false, record.Dispatch, later},
		{hayate.Execution{Status: hayate.StatusRunning, LeaseUntil: later}, false, record.Lease, later},
		{hayate.Execution{Status: hayate.StatusCanceling, LeaseUntil: later}, false, record.Lease, later},
		{hayate.Execution{Status: hayate.StatusRunning}, false, record.None, time.Time{}},
		{hayate.Execution{Status: hayate.StatusPending, LeaseUntil: later}, false, record.None, time.Time{}},
		{hayate.Execution{Status: hayate.StatusFailed, Parent: "p", Ended: later}, false, record.Tell, later},
		{hayate.Execution{Status: hayate.StatusFailed, Parent: "p", Ended: later}, true, record.None, time.Time{}},
		{hayate.Execution{Status: hayate.StatusFailed, Ended: later}, false, record.None, time.Time{}},
	} {
		if got, at := record.DutyOf(&c.x, c.told); got != c.want || !at.Equal(c.at) {
			t.Errorf("%s, parent %q, told %t: duty %d at %s, want %d at %s", c.x.Status, c.x.Parent, c.told, got, at, c.want, c.at)
		}
	}
}

func TestTextIsFoundInJSON(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want, in string
		found    bool
	}{
		{"ディスク", `{"a":"ディスク"}`, true},
		{"ディスク", `{"a":"\u30c7\u30a3\u30b9\u30af"}`, true},
		{"😀", `"\ud83d\ude00"`, true},
		{"DISK", `{"disk":1}`, true},
		{`say "hi"`, `"say \"hi\""`, true},
		{"a\nb", `"a\nb"`, true},
		{"x", `"\u00`, false},
		{"disk", `{"dis":"k"}`, false},
	} {
		if got := record.ContainsJSON(c.want, []byte(c.in)); got != c.found {
			t.Errorf("%q in %s: %t, want %t", c.want, c.in, got, c.found)
		}
	}
}

func FuzzContainsJSON(f *testing.F) {
	f.Add("x", `{"a":"\ud83d\u0041\\u"}`)
	f.Fuzz(func(t *testing.T, want, in string) {
		if b, err := json.Marshal(want); err == nil && len(want) > 0 {
			var back string
			if json.Unmarshal(b, &back) == nil && back == want && !record.ContainsJSON(want, b) {
				t.Errorf("%q is not found in %s", want, b)
			}
		}
		record.ContainsJSON(want, []byte(in))
	})
}

func ExampleMatchExecution() {
	x := hayate.Execution{ID: "65f0c1a0b1c2d3e4f5a6b7c8", Action: "core.local", Status: hayate.StatusFailed, Parameters: json.RawMessage(`{"cmd":"systemctl restart nginx"}`)}
	q := router.Query{Status: []hayate.Status{hayate.StatusFailed}, Text: "NGINX"}
	fmt.Println(record.MatchExecution(&q, &x))
	// Output: true
}
