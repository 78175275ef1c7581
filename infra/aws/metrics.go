package aws

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"sync"
	"time"
)

// Namespace is that of the metrics in CloudWatch.
const Namespace = "hayate"

// Metrics writes what invocations did as lines in CloudWatch's embedded metric
// format: CloudWatch makes metrics of what Lambda writes to its log, so a
// function calls nobody for that. It may be used from many goroutines.
type Metrics struct {
	Function string    // the dimension
	Out      io.Writer // standard output, on Lambda; nil: nothing is written

	mu   sync.Mutex
	warm bool
}

// tally counts what one invocation does.
type tally struct {
	began time.Time
	mu    sync.Mutex
	n     map[string]int64
}

func newTally(now time.Time) *tally { return &tally{began: now, n: map[string]int64{}} }

func (t *tally) add(name string, n int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[name] += n
}

// emfMetric names a metric of a line.
type emfMetric struct {
	Name string
	Unit string
}

// emit writes the line of one invocation.
func (m *Metrics) emit(t *tally, now time.Time, requestID string) error {
	if m == nil || m.Out == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !m.warm {
		t.n["ColdStarts"]++
	}
	m.warm = true
	line := map[string]any{"function": m.Function, "request_id": requestID, "Duration": float64(now.Sub(t.began).Microseconds()) / 1000}
	list := []emfMetric{{"Duration", "Milliseconds"}}
	for _, name := range slices.Sorted(maps.Keys(t.n)) {
		line[name] = t.n[name]
		list = append(list, emfMetric{name, "Count"})
	}
	line["_aws"] = map[string]any{"Timestamp": now.UnixMilli(), "CloudWatchMetrics": []any{
		map[string]any{"Namespace": Namespace, "Dimensions": [][]string{{"function"}}, "Metrics": list},
	}}
	b, err := json.Marshal(line)
	if err == nil {
		_, err = m.Out.Write(append(b, '\n'))
	}
	return err
}
