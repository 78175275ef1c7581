package rules_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// The matching benchmark reads generated corpora: go run ./gen of the benchmark
// writes them to the folder that HAYATE_BENCH_MATCHING names.

// benchSizes are the numbers of rules that are measured.
var benchSizes = []int{1, 10, 100, 1_000, 10_000, 100_000}

// benchTotals are the matches over all events per corpus and size. Two
// independent engines counted them.
var benchTotals = map[string][]int{
	"aws-core": {0, 8, 27, 153, 1_457, 14_817},
	"aws-wild": {0, 0, 10, 133, 1_462, 13_822},
	"aws-full": {0, 2, 14, 108, 1_137, 11_695},
	"mon-core": {0, 0, 5, 70, 650, 6_044},
	"mon-wild": {0, 0, 2, 79, 1_063, 10_639},
	"mon-full": {0, 1, 7, 97, 1_198, 11_386},
}

func benchDir(t testing.TB) string {
	dir := os.Getenv("HAYATE_BENCH_MATCHING")
	if dir == "" {
		t.Skip("HAYATE_BENCH_MATCHING does not name the folder with the generated corpora")
	}
	return dir
}

func readLines(t testing.TB, file string, most int) [][]byte {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no corpus: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out [][]byte
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() && len(out) < most {
		out = append(out, bytes.Clone(sc.Bytes()))
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func benchRules(t testing.TB, file string, most int) []hayate.Rule {
	var out []hayate.Rule
	for _, line := range readLines(t, file, most) {
		var r struct {
			ID      string
			Pattern json.RawMessage
		}
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		out = append(out, hayate.Rule{Pack: "bench", Name: r.ID, Enabled: true, Pattern: r.Pattern})
	}
	return out
}

func benchEvents(t testing.TB, file string) []hayate.Event {
	var out []hayate.Event
	for i, line := range readLines(t, file, 1<<30) {
		out = append(out, hayate.Event{ID: fmt.Sprint(i), Source: "/bench", Type: "bench.event", Data: line})
	}
	return out
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// cpu is the time that this process has spent.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestMatchingBenchmark measures every corpus and size, and holds the totals
// against those of the reference engines.
func TestMatchingBenchmark(t *testing.T) {
	dir := benchDir(t)
	published := baseline(t)
	fmt.Printf("%-9s %8s %9s %9s %11s %8s %9s %12s %12s\n", "corpus", "rules", "build s", "heap MB", "µs/event", "allocs", "matches", "event-ruler", "quamina")
	for _, corpus := range []string{"aws-core", "aws-wild", "aws-full", "mon-core", "mon-wild", "mon-full"} {
		events := benchEvents(t, filepath.Join(dir, "events-"+corpus[:3]+".jsonl"))
		all := benchRules(t, filepath.Join(dir, "rules-"+corpus+".jsonl"), benchSizes[len(benchSizes)-1])
		var at100 float64
		for i, n := range benchSizes {
			us := benchCell(t, corpus, all[:n], events, benchTotals[corpus][i])
			key := fmt.Sprintf(" %s %d", corpus, n)
			fmt.Printf(" %12s %12s\n", published["event-ruler"+key], published["quamina"+key])
			switch n {
			case 100:
				at100 = us
			case 100_000:
				if us > 8*at100 {
					t.Errorf("%s: %d rules cost %.2f µs an event, more than 8 times the %.2f of 100", corpus, n, us, at100)
				}
			}
		}
	}
}

// baseline reads the published µs of CPU per event of other engines, by engine,
// corpus and number of rules; it is empty where there is no such file.
func baseline(t *testing.T) map[string]string {
	file := folder(t, "HAYATE_BENCH_BASELINE", "../shared/bench/matching/results/baseline.csv")
	out := map[string]string{}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Logf("no published figures: %v (set HAYATE_BENCH_BASELINE)", err)
		return out
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for _, r := range rows[1:] {
		ns, err := strconv.ParseFloat(r[column["cpu_ns_event"]], 64)
		if err != nil {
			continue
		}
		key := fmt.Sprintf("%s %s-%s %s", r[column["engine"]], r[column["corpus"]], r[column["family"]], r[column["rules"]])
		out[key] = strconv.FormatFloat(ns/1000, 'f', 1, 64)
	}
	return out
}

// benchCell measures one size and returns the µs of CPU per event.
func benchCell(t *testing.T, corpus string, rs []hayate.Rule, events []hayate.Event, want int) float64 {
	before := heap()
	start := cpu(t)
	s, err := rules.Compile(rs)
	if err != nil {
		t.Fatal(err)
	}
	build := cpu(t) - start
	mb := float64(int64(heap())-int64(before)) / 1e6
	sc := rules.NewScratch()
	total := 0
	pass := func() {
		total = 0
		for i := range events {
			total += len(s.Match(sc, &events[i], nil))
		}
	}
	pass()
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	mallocs := ms.Mallocs
	// The two sizes that are compared are measured longer, for the machine may have
	// other work.
	passes := 5
	if len(rs) == 100 || len(rs) == 100_000 {
		passes = 20
	}
	best := time.Duration(1 << 62)
	for range passes {
		start := cpu(t)
		pass()
		best = min(best, cpu(t)-start)
	}
	runtime.ReadMemStats(&ms)
	allocs := float64(ms.Mallocs-mallocs) / float64(passes*len(events))
	us := best.Seconds() * 1e6 / float64(len(events))
	fmt.Printf("%-9s %8d %9.2f %9.1f %11.2f %8.2f %9d", corpus, len(rs), build.Seconds(), mb, us, allocs, total)
	if total != want {
		t.Errorf("%s: %d rules matched %d times, want %d", corpus, len(rs), total, want)
	}
	if allocs >= 0.01 {
		t.Errorf("%s: %d rules: %.2f allocations an event, want none", corpus, len(rs), allocs)
	}
	if mb > 100 || build > 6*time.Second {
		t.Errorf("%s: %d rules take %.1f MB and %v to build, want at most 100 MB and 6 s", corpus, len(rs), mb, build)
	}
	return us
}

// BenchmarkMatching matches alerts of many hosts against rules of all dialects,
// each of which waits for a host of its own.
func BenchmarkMatching(b *testing.B) {
	for _, n := range benchSizes {
		rs := make([]hayate.Rule, n)
		for i := range rs {
			r := &rs[i]
			*r = hayate.Rule{Pack: "p", Name: fmt.Sprintf("r%06d", i), Enabled: true, Trigger: hayate.Trigger{Type: "mon.alert"}}
			switch i % 4 {
			case 0:
				r.Criteria = json.RawMessage(fmt.Sprintf(`{"trigger.host":{"type":"eq","pattern":"host-%d"},"trigger.severity":{"type":"gt","pattern":3}}`, i))
			case 1:
				r.Criteria = json.RawMessage(fmt.Sprintf(`{"trigger.message":{"type":"contains","pattern":"unit %d failed"}}`, i))
			case 2:
				r.Pattern = json.RawMessage(fmt.Sprintf(`{"host":[{"prefix":"host-%d"}],"tags":{"key":["env"],"value":["prod"]}}`, i))
			case 3:
				r.Filters = json.RawMessage(fmt.Sprintf(`[{"sql":"subject = 'host-%d' AND LENGTH(source) > 3"}]`, i))
			}
		}
		set, err := rules.Compile(rs)
		if err != nil {
			b.Fatal(err)
		}
		events := make([]hayate.Event, 256)
		for i := range events {
			h := i * 389 % max(n, 2)
			events[i] = hayate.Event{ID: fmt.Sprint(i), Source: "/zabbix", Type: "mon.alert", Subject: fmt.Sprintf("host-%d", h), Data: []byte(fmt.Sprintf(
				`{"host":"host-%d","severity":%d,"message":"on host-%d the unit %d failed to start","tags":[{"key":"env","value":"prod"},{"key":"team","value":"ops"}]}`, h, i%6, h, h))}
		}
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			sc := rules.NewScratch()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				set.Match(sc, &events[i%len(events)], nil)
			}
		})
	}
}

// TestPlainRulesMatchWithoutAllocating covers what StackStorm's users write most.
func TestPlainRulesMatchWithoutAllocating(t *testing.T) {
	set, err := rules.Compile([]hayate.Rule{
		{Pack: "p", Name: "a", Enabled: true, Trigger: hayate.Trigger{Type: "t"}, Criteria: json.RawMessage(
			`{"trigger.a":{"type":"eq","pattern":"x"},"trigger.b.c":{"type":"gt","pattern":3},"trigger.d":{"type":"exists","pattern":true},"trigger.e":{"type":"icontains","pattern":"LPH"}}`)},
		{Pack: "p", Name: "b", Enabled: true, Pattern: json.RawMessage(`{"a":["x"],"f":{"g":[1],"h":[{"anything-but":"z"}]}}`)},
		{Pack: "p", Name: "c", Enabled: true, Filters: json.RawMessage(`[{"exact":{"type":"t"}},{"suffix":{"time":"Z"}}]`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	e := &hayate.Event{ID: "1", Source: "/s", Type: "t", Time: time.Unix(0, 0).UTC(),
		Data: []byte(`{"a":"x","b":{"c":5},"d":0,"e":"alpha\"","f":[{"g":2},{"g":1,"h":"y"}]}`)}
	sc := rules.NewScratch()
	if got := refs(set.Match(sc, e, nil)); got != "p.a p.b p.c" {
		t.Fatalf("got %q, want all three", got)
	}
	if n := testing.AllocsPerRun(100, func() { set.Match(sc, e, nil) }); n > 0 {
		t.Errorf("got %v allocations an event, want none", n)
	}
}
