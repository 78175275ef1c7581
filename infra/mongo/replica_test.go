package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/tests/mongo/mongotest"
)

// The environment variables by which more faults are tried than in an ordinary run.
const (
	envFaults = "HAYATE_MONGO_FAULTS" // how many faults each command meets; "all" for every one
	envSeed   = "HAYATE_MONGO_SEED"   // which ones: a number
)

// setOptions bound how long a client waits for an answer that does not come.
const setOptions = "timeoutMS=1500&serverSelectionTimeoutMS=1400&heartbeatFrequencyMS=500"

// onSet is a store on a fresh database, and one that reaches it as a replica set.
func onSet(t *testing.T, prepare func(context.Context, *mongo.Store) error) (direct, member *mongo.Store, set *mongotest.ReplicaSet) {
	t.Helper()
	uri := database(t)
	set = mongotest.NewReplicaSet(t, uri, setOptions)
	set.Delay = 2 * time.Second
	direct, member = open(t, uri), open(t, set.URI)
	if prepare != nil {
		if err := prepare(t.Context(), direct); err != nil {
			t.Fatalf("prepare: %v", err)
		}
	}
	return direct, member, set
}

// chosen are the faults that a command meets in this run.
func chosen(t *testing.T, r *rand.Rand) []mongotest.Fault {
	t.Helper()
	n := 2
	switch v := os.Getenv(envFaults); v {
	case "":
	case "all":
		return mongotest.Faults
	default:
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatalf("%s: %v", envFaults, err)
		}
	}
	var out []mongotest.Fault
	for _, i := range r.Perm(len(mongotest.Faults))[:min(n, len(mongotest.Faults))] {
		out = append(out, mongotest.Faults[i])
	}
	return out
}

func seed(t *testing.T) uint64 {
	t.Helper()
	if v := os.Getenv(envSeed); v != "" {
		n, err := strconv.ParseUint(v, 10, 64)
		if err != nil {
			t.Fatalf("%s: %v", envSeed, err)
		}
		return n
	}
	return uint64(time.Now().UnixNano())
}

// TestReplicaSetFaults has each command of an act in turn meet faults of a replica
// set, with the driver's retryable writes at work. What is left shows as nothing
// of the act or all of it; what was acknowledged is there; and the act may be
// repeated.
func TestReplicaSetFaults(t *testing.T) {
	t.Parallel()
	with := seed(t)
	t.Logf("%s=%d", envSeed, with)
	for name, a := range acts {
		r := rand.New(rand.NewPCG(with, uint64(len(name))))
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			direct, whole, set := onSet(t, a.prepare)
			before := picture(t, direct)
			set.Plan(nil)
			if err := a.act(t.Context(), whole); err != nil {
				t.Fatalf("the act itself: %v", err)
			}
			commands := set.Seen()
			after := picture(t, direct)
			if before == after || commands < 3 {
				t.Fatalf("the act sends %d commands and changes nothing", commands)
			}
			tried, survived, retried := 0, 0, 0
			for n := 1; n <= commands; n++ {
				for _, f := range chosen(t, r) {
					tried++
					t.Run(fmt.Sprintf("command %d, %s", n, f), func(t *testing.T) {
						direct, member, set := onSet(t, a.prepare)
						set.Plan(func(i int, _ string) mongotest.Fault {
							if i == n {
								return f
							}
							return mongotest.NoFault
						})
						err := a.act(t.Context(), member)
						if err == nil {
							survived++
						} else if !errors.Is(err, hayate.ErrBusy) && !errors.Is(err, context.DeadlineExceeded) {
							t.Errorf("the act ended with %v, want busy: its outcome is unknown", err)
						}
						retried += set.Retried()
						got := picture(t, direct)
						if got != before && got != after && !a.half {
							t.Errorf("the act is to be seen in part:\n%s\nwant all of it:\n%s", got, after)
						}
						if err == nil && got != after {
							t.Errorf("the act was acknowledged, and is not all there:\n%s\nwant\n%s", got, after)
						}
						if err := a.act(t.Context(), direct); err != nil && !errors.Is(err, hayate.ErrConflict) {
							t.Errorf("the act again: %v", err)
						}
						if again := picture(t, direct); again != after && !strings.HasPrefix(name, "Put") { // which may be a change once more
							t.Errorf("the act again left\n%s\nwant\n%s", again, after)
						}
					})
				}
			}
			t.Logf("%d commands, %d faults: the driver hid %d of them, %d writes came again and were not repeated", commands, tried, survived, retried)
		})
	}
}
