package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	rabbitmq "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/serverless"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
	"github.com/hayate-run/hayate/tests/rabbit/rabbittest"
)

// The servers that the tests share; each has a database and a virtual host of its own.
var (
	database mongotest.Server
	rabbit   rabbittest.Node
)

func TestMain(m *testing.M) {
	code := m.Run()
	database.Stop()
	rabbit.Stop()
	os.Exit(code)
}

// worker builds hayate, once.
var worker = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "hayate-desk-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "hayate")
	if out, err := exec.Command("go", "build", "-o", path, "../hayate").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build hayate: %w: %s", err, out)
	}
	return path, nil
})

// site is a worker elsewhere, the function, and what else shares their store.
type site struct {
	t     *testing.T
	f     *aws.Desk
	parts *serverless.Parts
	mq    string
}

func newSite(t *testing.T) *site {
	t.Helper()
	env := map[string]string{"HAYATE_MONGODB_URI": database.Database(t), "HAYATE_AMQP_URI": rabbit.VirtualHost(t), "HAYATE_KEYS": filepath.Join(t.TempDir(), "keys")}
	getenv := func(name string) string { return env[name] }
	f, err := build(getenv, io.Discard, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	parts, err := serverless.Open(getenv, io.Discard, io.Discard, serverless.Role{Name: "test", Receives: "none"})
	if err != nil {
		t.Fatal(err)
	}
	if err := parts.Router.Load(t.Context(), parts.Function.Content); err != nil {
		t.Fatal(err)
	}
	s := &site{t, f, parts, env["HAYATE_AMQP_URI"]}
	bin, err := worker()
	if err != nil {
		t.Fatal(err)
	}
	w := exec.Command(bin, "worker", "--tag", "site", "--amqp", s.mq, "--name", "site-1", "--data", filepath.Join(t.TempDir(), "worker"))
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = w.Process.Kill() // the test is over
		_ = w.Wait()         // killed: the error says so
	})
	return s
}

// send starts a command on the site, by the function.
func (s *site) send(cmd string) hayate.ExecutionID {
	s.t.Helper()
	parameters, err := json.Marshal(map[string]string{"cmd": cmd})
	if err != nil {
		s.t.Fatal(err)
	}
	x, err := s.parts.Router.Start(s.t.Context(), router.Start{Action: "core.local", Target: "amqp:site", Parameters: parameters})
	if err != nil {
		s.t.Fatal(err)
	}
	body := aws.EncodeItem(router.QueueItem{Execution: x.ID, Target: x.Target})
	batch, err := json.Marshal(map[string]any{"Records": []any{map[string]any{"messageId": "1", "eventSource": "aws:sqs", "body": body}}})
	if err != nil {
		s.t.Fatal(err)
	}
	// What the function could not send, SQS brings again.
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := s.f.Invoke(ctx, batch)
		if err != nil {
			s.t.Fatal(err)
		}
		b, err := json.Marshal(answer)
		if err == nil && string(b) == `{"batchItemFailures":[]}` {
			return x.ID
		}
		if err != nil || ctx.Err() != nil {
			s.t.Fatalf("the batch is answered with %s, %v", b, err)
		}
	}
}

// home calls bring until the execution has ended, and returns it.
func (s *site) home(id hayate.ExecutionID, bring func()) hayate.Execution {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		bring()
		x, err := s.parts.Router.Execution(s.t.Context(), id)
		if err == nil && x.Status.Completed() {
			return x
		}
		select {
		case <-ctx.Done():
			s.t.Fatalf("the execution is %s, error %v", x.Status, err)
		case <-tick.C:
		}
	}
}

func (s *site) check(x *hayate.Execution) {
	s.t.Helper()
	var r struct{ Stdout string }
	if err := json.Unmarshal(x.Result, &r); err != nil || x.Status != hayate.StatusSucceeded || r.Stdout != "far away" {
		s.t.Errorf("the execution ended %s with %s, %v", x.Status, x.Result, err)
	}
}

func TestAClockBringsHomeWhatWorkersSay(t *testing.T) {
	s := newSite(t)
	x := s.home(s.send("echo far away"), func() {
		if _, err := s.f.Invoke(t.Context(), json.RawMessage(`{"hayate":"tick"}`)); errors.Is(err, hayate.ErrBusy) {
			t.Log(err) // the next tick goes on
		} else if err != nil {
			t.Fatal(err)
		}
	})
	s.check(&x)
}

func TestAnEventSourceBringsHomeWhatWorkersSay(t *testing.T) {
	s := newSite(t)
	id := s.send("echo far away")
	conn, err := rabbitmq.Dial(s.mq)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	x := s.home(id, func() {
		c, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // lost where the queue was not there
		m, ok, err := c.Get("hayate.desk", true)
		if err != nil || !ok {
			return // nothing was said yet
		}
		batch, err := json.Marshal(map[string]any{"eventSource": "aws:rmq", "eventSourceArn": "arn:aws:mq:us-east-1:123456789012:broker:b:b-1",
			"rmqMessagesByQueue": map[string]any{"hayate.desk::/": []any{map[string]any{
				"basicProperties": map[string]any{"replyTo": m.ReplyTo}, "redelivered": false, "data": base64.StdEncoding.EncodeToString(m.Body)}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.f.Invoke(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	})
	s.check(&x)
}

func TestWhatIsNoneOfThemIsRefused(t *testing.T) {
	s := newSite(t)
	if _, err := s.f.Invoke(t.Context(), json.RawMessage(`{"eventSource":"aws:kafka"}`)); err == nil {
		t.Error("an unknown payload was taken")
	}
}
