package rules_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

// TestNoEventIsSuperLinear makes hostile events much larger: that must not take
// far longer than the size says.
func TestNoEventIsSuperLinear(t *testing.T) {
	pat := func(s string) []hayate.Rule {
		return []hayate.Rule{{Pack: "p", Name: "r", Enabled: true, Pattern: json.RawMessage(s)}}
	}
	hosts := func() []hayate.Rule {
		var rs []hayate.Rule
		for i := range 20_000 {
			rs = append(rs, hayate.Rule{Pack: "p", Name: fmt.Sprint(i), Enabled: true, Pattern: json.RawMessage(fmt.Sprintf(`{"a":["h%d"],"b":["h%d"]}`, i, i+1))})
		}
		return rs
	}
	list := func(n int, f string) string {
		parts := make([]string, n)
		for i := range parts {
			parts[i] = strings.ReplaceAll(f, "#", fmt.Sprint(i))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	for _, c := range []struct {
		name  string
		rules []hayate.Rule
		data  func(n int) string
		size  int
	}{
		{"deep objects that a rule follows", pat(`{"a":{"a":{"a":["x"]}}}`), func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }, 500},
		{"deep arrays", pat(`{"a":["x"],"b":["y"]}`), func(n int) string { return `{"a":` + strings.Repeat("[", n) + `"x"` + strings.Repeat("]", n) + `}` }, 500},
		{"long arrays of objects without a fit", pat(`{"a":{"x":["1"],"y":["1"],"z":["1"]}}`), func(n int) string {
			return `{"a":` + list(n, `{"x":"1","y":"1"},{"y":"1","z":"1"},{"x":"1","z":"1"}`) + `}`
		}, 500},
		{"arrays in arrays of objects", pat(`{"a":{"b":{"x":["1"],"y":["2"]},"c":{"x":["1"],"y":["2"]}}}`), func(n int) string {
			inner := list(n/20, `{"x":"1"},{"y":"2"}`)
			return `{"a":` + list(20, `{"b":`+inner+`,"c":`+inner+`}`) + `}`
		}, 500},
		{"many absences", pat(`{"a":{"x":["1"],"y":[{"exists":false}],"z":[{"exists":false}]}}`), func(n int) string {
			return `{"a":` + list(n, `{"x":"1","y":2},{"x":"1","z":3}`) + `}`
		}, 500},
		{"wildcards", pat(`{"a":[{"wildcard":"*a*a*a*a*a*b"}]}`), func(n int) string { return `{"a":"` + strings.Repeat("a", n) + `"}` }, 4_000},
		{"escapes", pat(`{"a":["x"]}`), func(n int) string { return `{"a":"` + strings.Repeat(`\\`, n) + `"}` }, 4_000},
		{"escaped quotes in what is skipped", pat(`{"a":["x"]}`), func(n int) string { return `{"z":["` + strings.Repeat(`\\\"`, n) + `"]}` }, 4_000},
		{"a value for every rule", hosts(), func(n int) string { return `{"a":` + list(n, `"h#"`) + `,"b":` + list(n, `"h#"`) + `}` }, 1_000},
		{"numbers with many digits", pat(`{"a":[1e400,{"numeric":[">",5]}]}`), func(n int) string { return `{"a":` + strings.Repeat("9", n) + `}` }, 4_000},
		{"duplicate names", pat(`{"a":["x"]}`), func(n int) string { return `{` + strings.TrimSuffix(strings.Repeat(`"a":"y",`, n), ",") + `}` }, 2_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			set, err := rules.Compile(c.rules)
			if err != nil {
				t.Fatal(err)
			}
			// The clock of a thread ticks coarsely: what is small is done as often as
			// it takes to have as many parts.
			cost := func(n, times int) time.Duration {
				e := &hayate.Event{Data: []byte(c.data(n))}
				sc := rules.NewScratch()
				set.Match(sc, e, nil)
				best := time.Hour
				for range 5 {
					start := cpuTime(t)
					for range times {
						set.Match(sc, e, nil)
					}
					best = min(best, cpuTime(t)-start)
				}
				return best
			}
			runtime.LockOSThread() // whose time is measured
			defer runtime.UnlockOSThread()
			const factor = 64
			few := c.size / 4
			small, large := cost(few, factor), cost(factor*few, 1)
			// Caches and other work on the machine may cost a factor; a quadratic
			// course would cost one of 64.
			if large > 8*small+10*time.Millisecond {
				t.Errorf("%d times %d parts take %v, %d at once take %v", factor, few, small, factor*few, large)
			}
		})
	}
}

// cpuTime is the processor time that the thread has had: what else the machine
// does has no part in it.
func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	const thread = 1 // RUSAGE_THREAD of Linux
	var u syscall.Rusage
	if err := syscall.Getrusage(thread, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func TestCriteriaRegexesAreStopped(t *testing.T) {
	ms, err := one(t, st2Rule(`{"trigger.a":{"type":"regex","pattern":"(a|a)*(?=b)c"}}`), fuzzEvent(`{"a":"`+strings.Repeat("a", 200)+`"}`))
	if err != nil || len(ms) != 1 || ms[0].Err == nil || !strings.Contains(ms[0].Err.Error(), "too many steps") {
		t.Errorf("got %+v, %v; want a failure that says the match was given up", ms, err)
	}
}
