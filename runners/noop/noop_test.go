package noop_test

import (
	"context"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/runners/noop"
)

func TestRunSucceeds(t *testing.T) {
	r := noop.New()
	got, err := r.Run(context.Background(), hayate.Task{}, func(s hayate.Stream, line string) {
		t.Errorf("unexpected output on %s: %q", s, line)
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"failed":false,"succeeded":true,"return_code":0}`; got.Status != hayate.StatusSucceeded || string(got.Value) != want {
		t.Errorf("Run = %s %s, want succeeded %s", got.Status, got.Value, want)
	}
	if got.Verified {
		t.Error("doing nothing proves nothing, but the result is verified")
	}
	d := r.Describe()
	if len(d) != 1 || d[0].Name != "noop" || !d[0].NoEffect || d[0].Asserts || len(d[0].Parameters) != 0 {
		t.Errorf("Describe = %+v", d)
	}
}

func TestRunAfterCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	got, err := noop.New().Run(ctx, hayate.Task{}, nil)
	if err != nil || got.Status != hayate.StatusCanceled {
		t.Errorf("Run = %s, %v, want canceled", got.Status, err)
	}
}
