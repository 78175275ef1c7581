package simulation_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// bug is one that is planted to see that the simulation finds it.
type bug string

const (
	// uncheckedVersion: the store does not compare the version of a run when two
	// processes step it.
	uncheckedVersion bug = "the store does not check the version of runs"
	// forgottenChild: what is paused is not found among the children of a run that
	// is resumed.
	forgottenChild bug = "paused children are not resumed"
	// secondExpiry: that a question has expired is forgotten once, so that it does so
	// a second time.
	secondExpiry bug = "a question expires twice"
)

// executions implements History.Executions beneath the faults.
func (o *observed) executions(ctx context.Context, s router.Store, q router.Query) (router.Page[hayate.Execution], error) {
	page, err := s.Executions(ctx, q)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err != nil:
	case o.planted == forgottenChild && q.Parent != "":
		page.Items = slices.DeleteFunc(page.Items, func(x hayate.Execution) bool { return x.Status == hayate.StatusPaused })
	case o.planted == secondExpiry && slices.Contains(q.Status, hayate.StatusPending):
		for id, x := range o.expired {
			if o.ends[id] == 1 {
				page.Items = append(page.Items, x)
			}
		}
	}
	return page, err
}

// expiresAgain is the planted bug secondExpiry, with mu held: it keeps a question
// that expires as it was, and says whether a change lets one expire again.
func (o *observed) expiresAgain(c *router.Change) bool {
	if o.planted != secondExpiry || len(c.Update) != 1 || c.Update[0].Status != hayate.StatusTimeout {
		return false
	}
	x := c.Update[0]
	if _, again := o.expired[x.ID]; again {
		o.end(x.ID)
		return true
	}
	n := len(x.Log) - 1
	x.Status, x.Log = x.Log[n-1].Status, x.Log[:n]
	o.expired[x.ID] = x
	return false
}

// TestSimulationFindsPlantedBugs gives the system a bug, and wants it found.
func TestSimulationFindsPlantedBugs(t *testing.T) {
	const most = 500
	want := calm(t)
	for _, planted := range []bug{uncheckedVersion, forgottenChild, secondExpiry} {
		c := config{want: want, users: users, planted: planted}
		var mu sync.Mutex
		var found *result
		tried := 0
		seeds(t, 1, most+1, c, func(res result) bool {
			mu.Lock()
			defer mu.Unlock()
			tried++
			if len(res.wrong) > 0 && found == nil {
				found = &res
			}
			return found == nil
		})
		if found == nil {
			t.Errorf("%d seeds passed although %s", tried, planted)
			continue
		}
		t.Logf("that %s was found by seed %d, the %dth tried: %s", planted, found.seed, tried, found.wrong[0])
	}
}
