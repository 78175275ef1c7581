package routertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

var acceptTests = map[string]func(*testing.T, *fixture){
	"stores event, firing and execution":          acceptStores,
	"keeps every attribute of the event":          acceptKeepsAttributes,
	"keeps every field of the execution":          acceptKeepsExecution,
	"answers a repeated event with the receipt":   acceptDuplicate,
	"tells source and id apart":                   acceptTellsApart,
	"stores one of eight that race":               acceptRace,
	"stores nothing where deciding fails":         acceptDecideFails,
	"records that routing failed":                 acceptRoutingFailed,
	"stores an event that nothing matches":        acceptNoMatch,
	"accepts from many at once":                   acceptMany,
	"lets decide use other ports of the store":    acceptDecideReads,
	"stores nothing for a caller who has left":    acceptCanceled,
	"refuses after close":                         acceptClosed,
	"keeps a mebibyte of data":                    acceptLarge,
	"returns executions that failed at rendering": acceptFailedExecution,
}

func acceptStores(t *testing.T, f *fixture) {
	e := f.event(1)
	x := execution(&e, 0)
	rc, err := f.Accept(ctx(t), e, starts(x))
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	if rc.Duplicate || rc.ID != hayate.EventIDOf(e.AcceptedAt, e.UID()) || !rc.AcceptedAt.Equal(e.AcceptedAt) {
		t.Errorf("receipt is %+v, want id %s, accepted %s, no duplicate", rc, hayate.EventIDOf(e.AcceptedAt, e.UID()), e.AcceptedAt)
	}
	if len(rc.Executions) != 1 || rc.Executions[0].ID != x.ID {
		t.Fatalf("receipt has executions %v, want %s", ids(rc.Executions), x.ID)
	}
	same(t, "stored execution", f.get(t, x.ID), rc.Executions[0])
	p, err := f.Events(ctx(t), router.Query{IDs: []string{string(rc.ID)}, Limit: -1})
	if err != nil || len(p.Items) != 1 {
		t.Fatalf("Events of one id gave %d, error %v", len(p.Items), err)
	}
	same(t, "stored event", p.Items[0], router.EventRecord{ID: rc.ID, Event: e, At: e.AcceptedAt, Firings: []hayate.Firing{firing(&e, &x)}})
	if !p.Items[0].Event.AcceptedAt.Equal(e.AcceptedAt) {
		t.Errorf("stored event was accepted at %s, want %s", p.Items[0].Event.AcceptedAt, e.AcceptedAt)
	}
	fp, err := f.Firings(ctx(t), router.Query{Event: rc.ID, Limit: -1})
	if err != nil || len(fp.Items) != 1 {
		t.Fatalf("Firings of one event gave %d, error %v", len(fp.Items), err)
	}
	same(t, "stored firing", fp.Items[0], firing(&e, &x))
}

func acceptKeepsAttributes(t *testing.T, f *fixture) {
	zone := time.FixedZone("", 9*3600)
	events := map[string]hayate.Event{
		"all":      {Type: "com.example.all", Subject: "監視サーバー", Time: time.Date(2026, 3, 4, 14, 5, 6, 123e6, zone), DataContentType: "application/json", DataSchema: "https://example.com/schema", Data: []byte(`{ "text" : "日本語 <&> \u3042", "n": 1.0 , "big":12345678901234567890}`)},
		"none":     {Type: "t"},
		"empty":    {Type: "t", DataContentType: "text/plain", Data: []byte{}},
		"binary":   {Type: "t", DataContentType: "application/octet-stream", Data: []byte{0, 1, 0xff, 0xfe, '\n'}},
		"text":     {Type: "t", DataContentType: "text/plain; charset=utf-8", Data: []byte("ディスク障害\r\n")},
		"extended": {Type: "t", Extensions: map[string]any{"correlationkey": "ホスト1", "flag": true, "off": false, "count": int32(-5), "zero": int32(0), "empty": ""}},
	}
	n := 0
	for name, e := range events {
		n++
		e.ID, e.Source, e.AcceptedAt = name, f.source, after(n)
		rc, err := f.Accept(ctx(t), e, starts())
		if err != nil {
			t.Fatalf("Accept %s: %v", name, err)
		}
		p, err := f.Events(ctx(t), router.Query{IDs: []string{string(rc.ID)}, Limit: 1})
		if err != nil || len(p.Items) != 1 {
			t.Fatalf("Events gave %d, error %v", len(p.Items), err)
		}
		got := p.Items[0].Event
		same(t, name, got, e)
		if string(got.Data) != string(e.Data) || (got.Data == nil) != (e.Data == nil) {
			t.Errorf("%s: data is %q (nil: %t), want %q byte by byte", name, got.Data, got.Data == nil, e.Data)
		}
		for k, v := range e.Extensions {
			if got.Extensions[k] != v {
				t.Errorf("%s: extension %s is %T %v, want %T %v", name, k, got.Extensions[k], got.Extensions[k], v, v)
			}
		}
	}
}

func acceptKeepsExecution(t *testing.T, f *fixture) {
	e := f.event(1)
	x := execution(&e, 0)
	x.Status = hayate.StatusDelayed
	x.Parameters = json.RawMessage(`{"b": 1.0, "a": "日本語 \u3042 <>&", "big": 12345678901234567890, "list": [null, {}]}`)
	x.Lineage = []hayate.Ref{"a.b", "c.d"}
	x.Idempotent = true
	x.Target = "amqp:tokyo"
	x.NotBefore = after(60)
	x.Timeout = 90 * time.Second
	x.Context = json.RawMessage(`{"user":"stanley","trigger_instance":{"id":"1"}}`)
	rc, err := f.Accept(ctx(t), e, starts(x))
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	got := f.get(t, x.ID)
	same(t, "stored execution", got, rc.Executions[0])
	want := x
	want.Version = got.Version
	same(t, "stored execution", got, want)
	if string(got.Parameters) != string(x.Parameters) {
		t.Errorf("parameters are %s, want %s byte by byte", got.Parameters, x.Parameters)
	}
}

func acceptDuplicate(t *testing.T, f *fixture) {
	e := f.event(1)
	first, err := f.Accept(ctx(t), e, starts(execution(&e, 0)))
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	again := e
	again.AcceptedAt = after(100)
	again.Data = []byte(`{"other":true}`)
	second, err := f.Accept(ctx(t), again, func(context.Context, *hayate.Event) (router.Decision, error) {
		t.Error("decide was called for a known event")
		return router.Decision{}, nil
	})
	if err != nil {
		t.Fatalf("Accept again: %v", err)
	}
	if !second.Duplicate || second.ID != first.ID || !second.AcceptedAt.Equal(first.AcceptedAt) || len(second.Executions) != 0 {
		t.Errorf("second receipt is %+v, want the first %+v as a duplicate without executions", second, first)
	}
	p, err := f.Events(ctx(t), router.Query{Source: f.source, Limit: -1})
	if err != nil || p.Total != 1 || len(p.Items) != 1 || string(p.Items[0].Event.Data) != string(e.Data) {
		t.Errorf("Events gave %d (%d), error %v; want the first one alone", p.Total, len(p.Items), err)
	}
}

func acceptTellsApart(t *testing.T, f *fixture) {
	for i, uid := range [][2]string{{f.source, "a"}, {f.source, "b"}, {f.source + "/a", "a"}, {f.source, "a a"}} {
		e := f.event(i)
		e.Source, e.ID = uid[0], uid[1]
		rc, err := f.Accept(ctx(t), e, starts())
		if err != nil || rc.Duplicate {
			t.Errorf("Accept %q: duplicate %t, error %v; want a new event", uid, rc.Duplicate, err)
		}
	}
}

func acceptRace(t *testing.T, f *fixture) {
	e := f.event(1)
	x := execution(&e, 0)
	receipts := make([]router.Receipt, 8)
	for i, err := range race(8, func(i int) (err error) {
		receipts[i], err = f.Accept(ctx(t), e, starts(x))
		return err
	}) {
		if err != nil {
			t.Fatalf("caller %d: %v", i, err)
		}
	}
	stored := 0
	for i, rc := range receipts {
		if rc.ID != receipts[0].ID || !rc.AcceptedAt.Equal(e.AcceptedAt) {
			t.Errorf("caller %d got %+v, want the receipt of all", i, rc)
		}
		if !rc.Duplicate {
			stored++
		}
		if want := !rc.Duplicate; (len(rc.Executions) == 1) != want {
			t.Errorf("caller %d, duplicate %t, got %d executions", i, rc.Duplicate, len(rc.Executions))
		}
	}
	if stored != 1 {
		t.Errorf("%d callers stored the event, want 1", stored)
	}
	p, err := f.Executions(ctx(t), router.Query{Event: receipts[0].ID, Limit: -1})
	if err != nil || p.Total != 1 {
		t.Errorf("the event has %d executions, error %v; want 1", p.Total, err)
	}
}

var errDecide = errors.New("the rules cannot be read")

func acceptDecideFails(t *testing.T, f *fixture) {
	e := f.event(1)
	_, err := f.Accept(ctx(t), e, func(context.Context, *hayate.Event) (router.Decision, error) {
		return router.Decision{}, errDecide
	})
	wantKind(t, "Accept", err, errDecide)
	p, err := f.Events(ctx(t), router.Query{Source: f.source, Limit: -1})
	if err != nil || p.Total != 0 {
		t.Fatalf("Events gave %d, error %v; want none", p.Total, err)
	}
	if rc, err := f.Accept(ctx(t), e, starts()); err != nil || rc.Duplicate {
		t.Errorf("Accept again: duplicate %t, error %v; want a new event", rc.Duplicate, err)
	}
}

func acceptRoutingFailed(t *testing.T, f *fixture) {
	e := f.event(1)
	rc, err := f.Accept(ctx(t), e, func(context.Context, *hayate.Event) (router.Decision, error) {
		return router.Decision{Failed: "rule a.b: 日本"}, nil
	})
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	p, err := f.Events(ctx(t), router.Query{IDs: []string{string(rc.ID)}, Limit: 1})
	if err != nil || len(p.Items) != 1 || p.Items[0].Failed != "rule a.b: 日本" {
		t.Errorf("Events gave %+v, error %v; want the reason of the failure", p.Items, err)
	}
}

func acceptNoMatch(t *testing.T, f *fixture) {
	rc, err := f.Accept(ctx(t), f.event(1), starts())
	if err != nil || len(rc.Executions) != 0 || rc.Duplicate {
		t.Fatalf("Accept gave %+v, error %v", rc, err)
	}
	p, err := f.Events(ctx(t), router.Query{Event: rc.ID, Limit: -1})
	if err != nil || p.Total != 1 || len(p.Items[0].Firings) != 0 {
		t.Errorf("Events gave %+v, error %v; want the event without firings", p, err)
	}
}

func acceptMany(t *testing.T, f *fixture) {
	const callers, each = 8, 12
	for i, err := range race(callers, func(i int) error {
		for j := range each {
			e := f.event(i*each + j)
			rc, err := f.Accept(ctx(t), e, starts(execution(&e, 0), execution(&e, 1)))
			if err != nil {
				return err
			}
			if len(rc.Executions) != 2 {
				return fmt.Errorf("event %s stored %d executions, want 2", e.ID, len(rc.Executions))
			}
		}
		return nil
	}) {
		if err != nil {
			t.Errorf("caller %d: %v", i, err)
		}
	}
	p, err := f.Executions(ctx(t), router.Query{Action: "core.noop"})
	if err != nil || p.Total != callers*each*2 {
		t.Errorf("there are %d executions, error %v; want %d", p.Total, err, callers*each*2)
	}
}

func acceptDecideReads(t *testing.T, f *fixture) {
	x := f.accept(t, 1, nil)
	e := f.event(2)
	_, err := f.Accept(ctx(t), e, func(c context.Context, e *hayate.Event) (router.Decision, error) {
		p, err := f.Executions(c, router.Query{IDs: []string{string(x.ID)}, Limit: 1})
		if err == nil && len(p.Items) != 1 {
			err = errors.New("an acknowledged execution is not to be seen")
		}
		return router.Decision{}, err
	})
	if err != nil {
		t.Errorf("Accept: %v", err)
	}
}

func acceptCanceled(t *testing.T, f *fixture) {
	c, cancel := context.WithCancel(t.Context())
	cancel()
	e := f.event(1)
	_, err := f.Accept(c, e, starts())
	wantKind(t, "Accept", err, context.Canceled)
	if rc, err := f.Accept(ctx(t), e, starts()); err != nil || rc.Duplicate {
		t.Errorf("Accept by another: duplicate %t, error %v; want a new event", rc.Duplicate, err)
	}
}

func acceptClosed(t *testing.T, f *fixture) {
	var called atomic.Bool
	if err := f.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
	_, err := f.Accept(ctx(t), f.event(1), func(context.Context, *hayate.Event) (router.Decision, error) {
		called.Store(true)
		return router.Decision{}, nil
	})
	wantKind(t, "Accept", err, hayate.ErrBusy)
	if called.Load() {
		t.Error("decide was called on a closed store")
	}
}

func acceptLarge(t *testing.T, f *fixture) {
	e := f.event(1)
	e.DataContentType = "text/plain"
	e.Data = make([]byte, 1<<20)
	for i := range e.Data {
		e.Data[i] = 'a' + byte(i*7%26)
	}
	rc, err := f.Accept(ctx(t), e, starts())
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	p, err := f.Events(ctx(t), router.Query{Event: rc.ID, Limit: 1})
	if err != nil || len(p.Items) != 1 || string(p.Items[0].Event.Data) != string(e.Data) {
		t.Errorf("Events gave %d, error %v; want the same data", len(p.Items), err)
	}
}

func acceptFailedExecution(t *testing.T, f *fixture) {
	x := f.accept(t, 1, func(x *hayate.Execution) {
		if err := x.To(hayate.StatusFailed, x.Created); err != nil {
			t.Fatal(err)
		}
		x.Result = json.RawMessage(`{"error":"no such variable"}`)
	})
	got := f.get(t, x.ID)
	if got.Status != hayate.StatusFailed || string(got.Result) != `{"error":"no such variable"}` || !got.Ended.Equal(x.Created) {
		t.Errorf("stored execution is %s with %s, want failed with its reason", got.Status, got.Result)
	}
	_, err := f.Claim(ctx(t), router.Claim{Execution: x.ID, Worker: "w", At: after(2), Until: after(60)})
	wantKind(t, "Claim of a failed execution", err, hayate.ErrConflict)
}
