package cron_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/hayate-run/hayate/internal/cron"
)

func parse(t testing.TB, trigger, params string) cron.Schedule {
	t.Helper()
	s, err := cron.Parse(trigger, json.RawMessage(params), nil)
	if err != nil {
		t.Fatalf("%s %s: %v", trigger, params, err)
	}
	return s
}

func moment(t testing.TB, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// ticks lists n ticks after a time, in the schedule's zone.
func ticks(s cron.Schedule, after time.Time, n int) []string {
	out := []string{}
	for len(out) < n {
		at, ok := s.Next(after)
		if !ok {
			break
		}
		out = append(out, at.Format(time.RFC3339))
		after = at
	}
	return out
}

func TestTicks(t *testing.T) {
	tests := map[string]struct {
		trigger, params, after string
		want                   string // the next ticks, separated by spaces; fewer than asked for: no more come
		more                   bool
	}{
		"weekday 0 is Monday":                          {cron.CronTimer, `{"day_of_week":0,"hour":9}`, "2026-11-24T00:00:00Z", "2026-11-30T09:00:00Z 2026-12-07T09:00:00Z", true},
		"names of days":                                {cron.CronTimer, `{"day_of_week":"mon,wed-thu","hour":"9"}`, "2026-11-24T00:00:00Z", "2026-11-25T09:00:00Z 2026-11-26T09:00:00Z 2026-11-30T09:00:00Z", true},
		"what is less significant is least":            {cron.CronTimer, `{"month":"jan"}`, "2026-11-24T00:00:00Z", "2027-01-01T00:00:00Z 2028-01-01T00:00:00Z", true},
		"only below the last field given":              {cron.CronTimer, `{"hour":9,"second":30}`, "2026-11-24T00:00:00Z", "2026-11-24T09:00:30Z 2026-11-24T09:01:30Z", true},
		"the second Tuesday":                           {cron.CronTimer, `{"day":"2nd tue","hour":17}`, "2026-11-24T00:00:00Z", "2026-12-08T17:00:00Z 2027-01-12T17:00:00Z", true},
		"the last Friday or the last day":              {cron.CronTimer, `{"day":"last fri, last"}`, "2026-11-24T00:00:00Z", "2026-11-27T00:00:00Z 2026-11-30T00:00:00Z 2026-12-25T00:00:00Z 2026-12-31T00:00:00Z", true},
		"a fifth Monday is not in every month":         {cron.CronTimer, `{"day":"5th mon"}`, "2026-11-24T00:00:00Z", "2026-11-30T00:00:00Z 2027-03-29T00:00:00Z", true},
		"steps":                                        {cron.CronTimer, `{"minute":"10-40/15"}`, "2026-11-24T00:00:00Z", "2026-11-24T00:10:00Z 2026-11-24T00:25:00Z 2026-11-24T00:40:00Z 2026-11-24T01:10:00Z", true},
		"a step with an open end":                      {cron.CronTimer, `{"hour":"20/2"}`, "2026-11-24T00:00:00Z", "2026-11-24T20:00:00Z 2026-11-24T22:00:00Z 2026-11-25T20:00:00Z", true},
		"ISO weeks belong to their year":               {cron.CronTimer, `{"week":53,"day_of_week":"*","hour":0,"day":"*"}`, "2026-12-30T00:00:00Z", "2026-12-31T00:00:00Z 2027-01-01T00:00:00Z 2027-01-02T00:00:00Z 2027-01-03T00:00:00Z 2032-12-27T00:00:00Z", true},
		"29 February":                                  {cron.CronTimer, `{"month":2,"day":29}`, "2026-11-24T00:00:00Z", "2028-02-29T00:00:00Z 2032-02-29T00:00:00Z", true},
		"a day that never comes":                       {cron.CronTimer, `{"month":2,"day":30}`, "2026-11-24T00:00:00Z", "", false},
		"a year that has gone":                         {cron.CronTimer, `{"year":2025}`, "2026-11-24T00:00:00Z", "", false},
		"null counts as absent":                        {cron.CronTimer, `{"hour":9,"minute":null}`, "2026-11-24T00:00:00Z", "2026-11-24T09:00:00Z 2026-11-25T09:00:00Z", true},
		"the tick itself is not after it":              {cron.CronTimer, `{"hour":9}`, "2026-11-24T09:00:00Z", "2026-11-25T09:00:00Z", true},
		"a skipped time runs later by the gap":         {cron.CronTimer, `{"hour":2,"minute":30,"timezone":"America/New_York"}`, "2026-03-07T12:00:00Z", "2026-03-08T03:30:00-04:00 2026-03-09T02:30:00-04:00", true},
		"of many skipped times the first runs":         {cron.CronTimer, `{"hour":2,"minute":"*/15","timezone":"America/New_York"}`, "2026-03-08T01:00:00Z", "2026-03-08T03:00:00-04:00 2026-03-09T02:00:00-04:00", true},
		"a skipped midnight":                           {cron.CronTimer, `{"hour":0,"timezone":"America/Santiago"}`, "2026-09-05T12:00:00Z", "2026-09-06T01:00:00-03:00 2026-09-07T00:00:00-03:00", true},
		"half an hour is skipped at Lord Howe":         {cron.CronTimer, `{"hour":2,"minute":15,"timezone":"Australia/Lord_Howe"}`, "2026-10-03T00:00:00Z", "2026-10-04T02:45:00+11:00 2026-10-05T02:15:00+11:00", true},
		"a time that comes twice runs the second time": {cron.CronTimer, `{"hour":1,"minute":30,"timezone":"America/New_York"}`, "2026-10-31T12:00:00Z", "2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00", true},
		"and not again when asked between":             {cron.CronTimer, `{"hour":1,"minute":30,"timezone":"America/New_York"}`, "2026-11-01T05:10:00Z", "2026-11-01T01:30:00-05:00 2026-11-02T01:30:00-05:00", true},
		"every hour is every hour there is":            {cron.CronTimer, `{"minute":0,"timezone":"Europe/Berlin"}`, "2026-10-24T23:30:00Z", "2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T03:00:00+01:00", true},
		"every hour skips what is not there":           {cron.CronTimer, `{"minute":30,"timezone":"Europe/Berlin"}`, "2026-03-29T00:00:00Z", "2026-03-29T01:30:00+01:00 2026-03-29T03:30:00+02:00 2026-03-29T04:30:00+02:00", true},
		"a date in the future":                         {cron.DateTimer, `{"date":"2030-01-31T12:00:00Z"}`, "2026-11-24T00:00:00Z", "2030-01-31T12:00:00Z", false},
		"a date in the past":                           {cron.DateTimer, `{"date":"2020-01-31T12:00:00Z"}`, "2026-11-24T00:00:00Z", "", false},
		"a date in a zone":                             {cron.DateTimer, `{"date":"2030-01-31 12:00","timezone":"Asia/Tokyo"}`, "2026-11-24T00:00:00Z", "2030-01-31T12:00:00+09:00", false},
		"an offset wins over the zone":                 {cron.DateTimer, `{"date":"2030-01-31 12:00:00.5+01:00","timezone":"Asia/Tokyo"}`, "2026-11-24T00:00:00Z", "2030-01-31T20:00:00+09:00", false},
		"a date that is skipped":                       {cron.DateTimer, `{"date":"2026-03-08 02:30","timezone":"America/New_York"}`, "2026-01-01T00:00:00Z", "2026-03-08T03:30:00-04:00", false},
		"a date that comes twice":                      {cron.DateTimer, `{"date":"2026-11-01 01:30","timezone":"America/New_York"}`, "2026-01-01T00:00:00Z", "2026-11-01T01:30:00-05:00", false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			want := strings.Fields(tt.want)
			n := len(want)
			if !tt.more {
				n++
			}
			got := ticks(parse(t, tt.trigger, tt.params), moment(t, tt.after), n)
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%s %s after %s\n got %s\nwant %s", tt.trigger, tt.params, tt.after, strings.Join(got, " "), tt.want)
			}
		})
	}
}

func TestAnIntervalHoldsItsAnchor(t *testing.T) {
	s := parse(t, cron.IntervalTimer, `{"unit":"minutes","delta":"12"}`).From(moment(t, "2026-11-24T10:05:00Z"))
	if !s.Anchored() {
		t.Error("an interval timer is not anchored")
	}
	for after, want := range map[string]string{
		"2026-11-24T09:00:00Z": "2026-11-24T09:05:00Z", "2026-11-24T10:05:00Z": "2026-11-24T10:17:00Z", "2026-11-24T10:04:59.5Z": "2026-11-24T10:05:00Z",
		"2026-11-24T10:17:00Z": "2026-11-24T10:29:00Z", "2027-11-24T10:17:30Z": "2027-11-24T10:29:00Z",
	} {
		if got := ticks(s, moment(t, after), 1); len(got) != 1 || got[0] != want {
			t.Errorf("after %s comes %v, want %s", after, got, want)
		}
	}
}

func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, tt := range []struct{ trigger, params, field, text string }{
		{cron.IntervalTimer, `{"unit":"minute","delta":1}`, "unit", `did you mean "minutes"?`},
		{cron.IntervalTimer, `{"unit":"minutes"}`, "delta", "is missing"},
		{cron.IntervalTimer, `{"unit":"minutes","delta":0}`, "delta", "at least 1"},
		{cron.IntervalTimer, `{"unit":"minutes","delta":1.5}`, "delta", "a whole number of minutes"},
		{cron.IntervalTimer, `{"unit":"weeks","delta":99999999999}`, "delta", "the most is 5214"},
		{cron.IntervalTimer, `{"units":"weeks","delta":1}`, "units", `did you mean "unit"?`},
		{cron.DateTimer, `{"date":"tomorrow"}`, "date", "2030-01-31T12:00:00Z"},
		{cron.DateTimer, `{}`, "date", "is missing"},
		{cron.CronTimer, `{"timezone":"Mars/Olympus","hour":1}`, "timezone", "Europe/Berlin"},
		{cron.CronTimer, `{"timezone":"Local","hour":1}`, "timezone", "unknown time zone"},
		{cron.CronTimer, `{"hour":24}`, "hour", "0 to 23"},
		{cron.CronTimer, `{"hour":-1}`, "hour", "no expression"},
		{cron.CronTimer, `{"minute":"30-10"}`, "minute", "want 10-30"},
		{cron.CronTimer, `{"minute":"*/60"}`, "minute", "1 to 59"},
		{cron.CronTimer, `{"minute":"*/0"}`, "minute", "1 to 59"},
		{cron.CronTimer, `{"day_of_week":"tues"}`, "day_of_week", `did you mean "tue"?`},
		{cron.CronTimer, `{"day_of_week":"fri-mon"}`, "day_of_week", "mon,fri-sun"},
		{cron.CronTimer, `{"day":"6th mon"}`, "day", "2nd tue"},
		{cron.CronTimer, `{"day":"2nd tues"}`, "day", "is no weekday"},
		{cron.CronTimer, `{"minutes":1}`, "minutes", `did you mean "minute"?`},
		{cron.CronTimer, `{"timezone":"UTC"}`, "", "names no field"},
		{cron.CronTimer, `{"hour":1.5}`, "hour", "found 1.5"},
		{cron.CronTimer, `[]`, "", "not an object"},
		{cron.CronTimer, `{"hour":1,"misfire":"onc"}`, "misfire", `did you mean "once"?`},
		{cron.DateTimer, `{"date":"2030-01-01","misfire":1}`, "misfire", "found 1, want one of skip, once, all"},
		{"core.st2.webhook", `{}`, "", "is no timer"},
	} {
		_, err := cron.Parse(tt.trigger, json.RawMessage(tt.params), nil)
		named := func(e *cron.Error) bool { return e.Field == tt.field && strings.Contains(e.Text, tt.text) }
		if !slices.ContainsFunc(cron.Problems(err), named) {
			t.Errorf("%s %s: got %v, want field %q and %q", tt.trigger, tt.params, err, tt.field, tt.text)
		}
	}
}

func TestAllThatIsWrongIsNamed(t *testing.T) {
	for _, tt := range []struct {
		trigger, params string
		fields          string
	}{
		{cron.CronTimer, `{"hour":24,"minute":"x,70","timezone":"Mars","days":1}`, "timezone days hour minute minute"},
		{cron.IntervalTimer, `{"unit":"minute","delta":"x","misfire":"no"}`, "misfire unit delta"},
		{cron.IntervalTimer, `{}`, "unit delta"},
		{cron.DateTimer, `{"at":"2030-01-01"}`, "at date"},
	} {
		_, err := cron.Parse(tt.trigger, json.RawMessage(tt.params), nil)
		var got []string
		for _, e := range cron.Problems(err) {
			got = append(got, e.Field)
		}
		if strings.Join(got, " ") != tt.fields {
			t.Errorf("%s %s: got %v, want %s", tt.trigger, tt.params, err, tt.fields)
		}
	}
}

// naive is a second reading of cron expressions, as slow and plain as can be.
type naive map[string]string

func (n naive) matches(l time.Time) bool {
	_, week := l.ISOWeek()
	for name, v := range map[string]int{"year": l.Year(), "month": int(l.Month()), "day": l.Day(), "week": week,
		"day_of_week": (int(l.Weekday()) + 6) % 7, "hour": l.Hour(), "minute": l.Minute(), "second": l.Second()} {
		if n[name] != "" && !n.holds(name, v, l) {
			return false
		}
	}
	return true
}

func (n naive) holds(name string, v int, l time.Time) bool {
	low := map[string]int{"year": 1970, "month": 1, "day": 1, "week": 1}[name]
	for part := range strings.SplitSeq(n[name], ",") {
		if nth, day, ok := strings.Cut(part, " "); ok {
			same := strings.EqualFold(l.Weekday().String()[:3], day)
			if same && (nth == "last" && l.AddDate(0, 0, 7).Month() != l.Month() || nth != "last" && int(nth[0]-'0') == (v+6)/7) {
				return true
			}
			continue
		}
		if part == "last" {
			if l.AddDate(0, 0, 1).Day() == 1 {
				return true
			}
			continue
		}
		body, stepText, stepped := strings.Cut(part, "/")
		step, first, last := 1, low, 9999
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		if body != "*" {
			a, b, ranged := strings.Cut(body, "-")
			first, _ = strconv.Atoi(a)
			if ranged {
				last, _ = strconv.Atoi(b)
			} else if !stepped {
				last = first
			}
		}
		if v >= first && v <= last && (v-first)%step == 0 {
			return true
		}
	}
	return false
}

// scan lists the ticks in [from, to) by looking at every step of time.
func (n naive) scan(loc *time.Location, from, to time.Time, step time.Duration) []time.Time {
	var out []time.Time
	anyHour := n["hour"] == "" || n["hour"] == "*"
	plain := func(t time.Time) time.Time {
		_, off := t.In(loc).Zone()
		return t.UTC().Add(time.Duration(off) * time.Second)
	}
	add := func(t time.Time) {
		if len(out) == 0 || t.After(out[len(out)-1]) {
			out = append(out, t)
		}
	}
	var madeUp time.Time
	for t := from; t.Before(to); t = t.Add(step) {
		p := plain(t)
		if before := plain(t.Add(-step)); !anyHour && p.Sub(before) > step {
			for q := before.Add(step); q.Before(p); q = q.Add(step) {
				if n.matches(q) {
					madeUp = t.Add(q.Sub(before) - step)
					break
				}
			}
		}
		twice := false
		if !anyHour {
			for _, shift := range []time.Duration{30 * time.Minute, time.Hour} {
				twice = twice || plain(t.Add(shift)).Equal(p)
			}
		}
		if t.Equal(madeUp) || (!twice && n.matches(p)) {
			add(t)
		}
	}
	return out
}

func (n naive) json(zone string) string {
	b, _ := json.Marshal(n)
	return strings.TrimSuffix(string(b), "}") + fmt.Sprintf(`,"timezone":%q}`, zone)
}

var zones = []string{"Europe/Berlin", "America/New_York", "Asia/Tokyo", "Australia/Lord_Howe"}

// agree holds Next against a scan, asking both in a chain and out of it.
func agree(t *testing.T, n naive, zone string, from, to time.Time, step time.Duration) int {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	s := parse(t, cron.CronTimer, n.json(zone))
	want := n.scan(loc, from, to, step)
	after := from.Add(-time.Nanosecond)
	for i, w := range want {
		got, ok := s.Next(after)
		if !ok || !got.Equal(w) {
			t.Fatalf("%s after %v: got %v, want %v", n.json(zone), after, got, w.In(loc))
		}
		// From any time between, the answer is the same.
		between := after.Add(w.Sub(after) * time.Duration(i%7+1) / 8)
		if got, _ := s.Next(between); !got.Equal(w) {
			t.Fatalf("%s after %v: got %v, want %v", n.json(zone), between, got, w.In(loc))
		}
		after = got
	}
	if got, ok := s.Next(after); ok && got.Before(to) {
		t.Fatalf("%s after %v: got %v, want none before %v", n.json(zone), after, got, to)
	}
	return len(want)
}

func TestNextFindsWhatAMinuteScanFindsInAYear(t *testing.T) {
	t.Parallel()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	all := []naive{
		{"hour": "2", "minute": "30", "second": "0"},
		{"hour": "1-3", "minute": "15,45", "second": "0"},
		{"day": "last sun,2", "hour": "2", "minute": "*/20", "second": "0"},
		{"week": "10-14,44", "day_of_week": "6", "hour": "0-3", "minute": "10", "second": "0"},
		{"minute": "7", "second": "0"},
		{"month": "3,4,10/1", "day": "1st sun,2nd sun,last", "hour": "*/2", "minute": "5", "second": "0"},
	}
	n := 0
	for i, one := range all {
		// Each expression meets two zones, each zone three expressions.
		for _, zone := range []string{zones[i%4], zones[(i+1)%4]} {
			n += agree(t, one, zone, from, from.AddDate(1, 0, 0), time.Minute)
		}
	}
	t.Logf("%d ticks agree", n)
}

func TestNextFindsWhatASecondScanFindsWhenClocksChange(t *testing.T) {
	t.Parallel()
	n := 0
	for zone, days := range map[string][]string{
		"Europe/Berlin":       {"2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z"},
		"America/New_York":    {"2026-03-08T03:00:00Z", "2026-11-01T02:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T10:00:00Z", "2026-10-03T10:00:00Z"},
		"Asia/Tokyo":          {"2026-03-28T20:00:00Z"},
	} {
		for _, day := range days {
			from := moment(t, day)
			for _, one := range []naive{
				{"second": "*/20"}, {"hour": "1-2", "second": "59"}, {"hour": "1,2,3", "minute": "0,29,30,59", "second": "5-50/15"},
				{"hour": "*", "minute": "*/7", "second": "1"},
			} {
				n += agree(t, one, zone, from, from.Add(12*time.Hour), time.Second)
			}
		}
	}
	t.Logf("%d ticks agree", n)
}

// The zone's table ends long before the year 9999 does.
func TestADailyTimerTicksEveryDayForCenturies(t *testing.T) {
	t.Parallel()
	for _, zone := range zones {
		s := parse(t, cron.CronTimer, fmt.Sprintf(`{"hour":2,"minute":15,"timezone":%q}`, zone))
		after := moment(t, "2026-01-01T00:00:00Z")
		day, _ := s.Next(after)
		for range 300 * 365 {
			next, ok := s.Next(day)
			y, m, d := day.AddDate(0, 0, 1).Date()
			if ny, nm, nd := next.Date(); !ok || y != ny || m != nm || d != nd {
				t.Fatalf("%s: %v follows %v", zone, next, day)
			}
			day = next
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range []string{`{"day":"2nd tue","hour":17}`, `{"minute":"*/5","day_of_week":"mon-fri","timezone":"Europe/Berlin"}`,
		`{"unit":"seconds","delta":5}`, `{"date":"2030-01-01 00:00"}`, `{"week":53,"year":"2030-2040/3"}`, `{"hour":null}`, `[1]`} {
		for kind := range 3 {
			f.Add(kind, p, int64(1_795_000_000))
		}
	}
	f.Fuzz(func(t *testing.T, kind int, params string, at int64) {
		trigger := []string{cron.IntervalTimer, cron.CronTimer, cron.DateTimer}[uint(kind)%3]
		s, err := cron.Parse(trigger, json.RawMessage(params), nil)
		if err != nil {
			if len(cron.Problems(err)) == 0 {
				t.Fatalf("%v names nothing that is wrong", err)
			}
			return
		}
		after := time.Unix(at%(1<<33), 0)
		s = s.From(after.Add(-time.Hour))
		for range 5 {
			next, ok := s.Next(after)
			if !ok {
				return
			}
			if !next.After(after) {
				t.Fatalf("%s %s: %v is not after %v", trigger, params, next, after)
			}
			if same, ok := s.Next(next.Add(-time.Nanosecond)); !ok || !same.Equal(next) {
				t.Fatalf("%s %s: just before %v comes %v", trigger, params, next, same)
			}
			after = next
		}
	})
}

func BenchmarkNext(b *testing.B) {
	for name, params := range map[string]string{
		"minutes": `{"minute":"*/5"}`, "zone": `{"hour":2,"minute":30,"timezone":"America/New_York"}`, "leap": `{"month":2,"day":29,"day_of_week":0}`,
	} {
		b.Run(name, func(b *testing.B) {
			s := parse(b, cron.CronTimer, params)
			after := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			for b.Loop() {
				if next, ok := s.Next(after); ok && next.Year() < 2100 {
					after = next
				} else {
					after = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
				}
			}
		})
	}
}

func ExampleSchedule_Next() {
	s, err := cron.Parse(cron.CronTimer, json.RawMessage(`{"day":"last fri","hour":17,"timezone":"Asia/Tokyo"}`), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(s.Next(time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)))
	// Output: 2026-11-27 17:00:00 +0900 JST true
}
