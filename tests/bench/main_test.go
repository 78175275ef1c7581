// Package bench_test measures the way of an event, from sending it to the end of
// the execution that it leads to, over HTTP and in process, and workflows, beside
// peers where their harness is at hand, and writes docs/reference/benchmarks.md. It
// is no part of an ordinary test run:
//
//	HAYATE_BENCH=1 go test ./tests/bench -run TestBenchmark -count 1 -v -timeout 30m -write
//	HAYATE_BENCH=1 go test ./tests/bench -run TestWorkflows -count 1 -v -timeout 60m -write
package bench_test

import (
	"flag"
	"os"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// benchEnv asks for the measurement.
const benchEnv = "HAYATE_BENCH"

// peersEnv names a file that describes peers to be measured beside: see peers_test.go.
const peersEnv = "HAYATE_BENCH_PEERS"

var (
	window = flag.Duration("window", defaultWindow, "how long events are sent for each figure")
	write  = flag.Bool("write", false, "write docs/reference/benchmarks.md")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(benchEnv) == "" {
		os.Exit(m.Run())
	}
	os.Exit(hayatetest.Main(m))
}
