package serverless_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/lambdahost"
	"github.com/hayate-run/hayate/router"
)

var write = flag.Bool("write", false, "write infra/lambdahost/measured.json and docs/reference/cost.md")

// The size of the measurement.
const (
	coldStarts  = 9
	warmCalls   = 40
	batchOfTest = 5
)

// median of durations in milliseconds, to a hundredth.
func median(list []time.Duration) float64 {
	list = slices.Sorted(slices.Values(list))
	return math.Round(float64(list[len(list)/2].Microseconds())/10) / 100
}

// TestCost measures each function as make functions builds it: cold, warm, and its
// size. With -write, docs/reference/cost.md tells what came of it.
func TestCost(t *testing.T) {
	if os.Getenv("HAYATE_BENCH") == "" {
		t.Skip("measuring takes a quiet machine and a minute; set HAYATE_BENCH=1")
	}
	l := newLine(t, "")
	m := lambdahost.Measured{Date: time.Now().Format("2 January 2006"), Machine: fmt.Sprintf("%d cores of %s", runtime.NumCPU(), runtime.GOARCH), Memory: 256,
		Functions: map[string]lambdahost.FunctionMeasured{}}
	serial := 0
	event := func() string {
		serial++
		return fmt.Sprintf(`{"specversion":"1.0","id":"cost-%d","source":"//test","type":"story.steps","data":{"n":1}}`, serial)
	}
	payloads := map[string]func() []byte{
		"ingest": func() []byte { return []byte(event()) },
		"router": func() []byte { return l.batch(event) },
		"runner": func() []byte {
			return l.batch(func() string { return aws.EncodeItem(router.QueueItem{Execution: l.started("core.noop")}) })
		},
		"workflow": func() []byte {
			return l.batch(func() string {
				return aws.EncodeItem(router.QueueItem{Execution: l.started("story.steps"), Target: "workflow"})
			})
		},
		"tick": func() []byte { return []byte(`{"hayate":"tick"}`) },
		"api": func() []byte {
			return []byte(`{"version":"2.0","rawPath":"/api/v1/executions","rawQueryString":"limit=20","headers":{"authorization":"Bearer ` + token + `"},"requestContext":{"http":{"method":"GET","path":"/api/v1/executions","sourceIp":"192.0.2.1"}}}`)
		},
	}
	for _, name := range []string{"ingest", "router", "runner", "workflow", "tick", "api"} {
		binary := strings.Replace(name, "tick", "workflow", 1)
		path, err := filepath.Abs("../../bin/functions/" + binary + "/bootstrap")
		if err != nil {
			t.Fatal(err)
		}
		fi, err := os.Stat(path)
		if err != nil {
			t.Skipf("%v; run make functions", err)
		}
		f := l.function(name, path)
		var cold, warm []time.Duration
		for range coldStarts {
			f.Kill()
			cold = append(cold, timed(t, f, payloads[name]()))
		}
		for range warmCalls {
			warm = append(warm, timed(t, f, payloads[name]()))
		}
		batch := 1.0
		if name == "router" || name == "runner" || name == "workflow" {
			batch = batchOfTest
		}
		m.Functions[name] = lambdahost.FunctionMeasured{ColdMS: median(cold), InitMS: median(f.Inits()), WarmMS: median(warm), Batch: batch, SizeMB: math.Round(float64(fi.Size())/1e5) / 10}
		t.Logf("%s: %+v", name, m.Functions[name])
	}
	if *write {
		writeCost(t, m)
	}
}

func timed(t *testing.T, f *lambdahost.Function, payload []byte) time.Duration {
	t.Helper()
	began := time.Now()
	b, err := f.Invoke(t.Context(), payload)
	took := time.Since(began)
	if err != nil || strings.Contains(string(b), "itemIdentifier") {
		t.Fatalf("Invoke: %s, %v", b, err)
	}
	return took
}

// writeCost writes the figures and the page that tells them.
func writeCost(t *testing.T, m lambdahost.Measured) {
	t.Helper()
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("../../infra/lambdahost/measured.json", append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := lambdahost.CostPage(&page, m); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("../../docs/reference/cost.md", page.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
