package stateful_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules/stateful"
)

// japan are the holidays of three years as the government announced them, days
// that stand in and days between two holidays included.
var japan = map[int]string{
	2026: "01-01 01-12 02-11 02-23 03-20 04-29 05-03 05-04 05-05 05-06 07-20 08-11 09-21 09-22 09-23 10-12 11-03 11-23",
	2027: "01-01 01-11 02-11 02-23 03-21 03-22 04-29 05-03 05-04 05-05 07-19 08-11 09-20 09-23 10-11 11-03 11-23",
	2028: "01-01 01-10 02-11 02-23 03-20 04-29 05-03 05-04 05-05 07-17 08-11 09-18 09-22 10-09 11-03 11-23",
}

func isHoliday(t time.Time) bool {
	return slices.Contains(strings.Fields(japan[t.Year()]), t.Format("01-02"))
}

// blocked asks the rule whether it would fire at a time, and until when not.
func blocked(t *testing.T, f *stateful.Form, at time.Time) (bool, time.Time) {
	t.Helper()
	v := remember(f).decide(t, stateful.Input{At: at, Event: "e", Own: true}, "")
	if v.Fires() {
		return false, time.Time{}
	}
	_, rest, ok := strings.Cut(v.Reason, " until ")
	if !ok {
		return true, time.Time{}
	}
	text, _, _ := strings.Cut(rest, ",")
	until, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatalf("reason %q: %v", v.Reason, err)
	}
	return true, until
}

// TestThreeYears compares calendars, every half hour of three years,
// with what the words of each say.
func TestThreeYears(t *testing.T) {
	t.Parallel()
	minutes := func(t time.Time) int { return t.Hour()*60 + t.Minute() }
	weekend := func(t time.Time) bool { return t.Weekday() == time.Saturday || t.Weekday() == time.Sunday }
	last := func(t time.Time) bool { return t.AddDate(0, 0, 1).Month() != t.Month() }
	for name, c := range map[string]struct {
		zone, windows string
		says          func(time.Time) bool
	}{
		"weekends":                     {"Asia/Tokyo", `silent: [{days: [sat, sun]}]`, weekend},
		"weekends where clocks change": {"Europe/Berlin", `silent: [{days: [sat, sun]}]`, weekend},
		"nights, which begin on workdays": {"Asia/Tokyo", `silent: [{days: workday, from: "22:00", to: "06:00"}]`, func(t time.Time) bool {
			workday := func(t time.Time) bool { return !weekend(t) && !isHoliday(t) }
			return minutes(t) >= 22*60 && workday(t) || minutes(t) < 6*60 && workday(t.AddDate(0, 0, -1))
		}},
		"outside of business hours": {"Asia/Tokyo", `active: [{days: workday, from: "09:00", to: "17:30"}]`, func(t time.Time) bool {
			return weekend(t) || isHoliday(t) || minutes(t) < 9*60 || minutes(t) >= 17*60+30
		}},
		"holidays and weekends": {"Asia/Tokyo", `silent: [{days: [holiday, sat, sun]}]`, func(t time.Time) bool { return weekend(t) || isHoliday(t) }},
		"the second Tuesday, and its night": {"America/New_York", `silent: [{days: tue, weeks: 2, from: "20:00", to: "04:00"}]`, func(t time.Time) bool {
			second := func(t time.Time) bool { return t.Weekday() == time.Tuesday && t.Day() > 7 && t.Day() <= 14 }
			return minutes(t) >= 20*60 && second(t) || minutes(t) < 4*60 && second(t.AddDate(0, 0, -1))
		}},
		"the last Friday": {"UTC", `silent: [{days: fri, weeks: last}]`, func(t time.Time) bool {
			return t.Weekday() == time.Friday && t.AddDate(0, 0, 7).Month() != t.Month()
		}},
		"the first and the last day of the month": {"Asia/Tokyo", `silent: [{month_days: [1, last]}]`, func(t time.Time) bool { return t.Day() == 1 || last(t) }},
		"the turn of every year": {"Asia/Tokyo", `silent: [{dates: "12-29..01-03"}]`, func(t time.Time) bool {
			return t.Month() == 12 && t.Day() >= 29 || t.Month() == 1 && t.Day() <= 3
		}},
		"one span of days": {"UTC", `silent: [{dates: ["2027-02-27..2027-03-02", "2028-02-29"]}]`, func(t time.Time) bool {
			d := t.Format(time.DateOnly)
			return d >= "2027-02-27" && d <= "2027-03-02" || d == "2028-02-29"
		}},
		"windows that overlap": {"UTC", `silent: [{from: "01:00", to: "03:00"}, {from: "02:30", to: "04:00"}, {days: sun}]`, func(t time.Time) bool {
			return minutes(t) >= 60 && minutes(t) < 4*60 || t.Weekday() == time.Sunday
		}},
		"active, but not in maintenance": {"Asia/Tokyo", `{active: [{days: mon-fri}], silent: [{from: "12:00", to: "13:00"}]}`, func(t time.Time) bool {
			return weekend(t) || minutes(t) >= 12*60 && minutes(t) < 13*60
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			zone, err := time.LoadLocation(c.zone)
			if err != nil {
				t.Fatal(err)
			}
			windows := strings.Trim(c.windows, "{}")
			if strings.HasPrefix(c.windows, "silent") || strings.HasPrefix(c.windows, "active:") {
				windows = c.windows
			}
			f := form(t, fmt.Sprintf("calendar: {zone: %s, holidays: [jp], %s}", c.zone, windows))
			begin, end := time.Date(2026, 1, 1, 0, 0, 0, 0, zone), time.Date(2028, 12, 25, 0, 0, 0, 0, zone)
			var open time.Time // when the block that we are in ends, as was said at its beginning
			n, blocks := 0, 0
			for at := begin; at.Before(end); at = at.Add(30 * time.Minute) {
				n++
				want := c.says(at)
				if !open.IsZero() && at.Before(open) {
					// What was said about the end holds at each moment before it.
					if !want {
						t.Fatalf("%s: blocked until %s, was said, and it is not blocked here", at, open)
					}
					continue
				}
				got, until := blocked(t, f, at.UTC())
				if got != want {
					t.Fatalf("%s (%s): blocked is %t, want %t", at, at.Weekday(), got, want)
				}
				open = time.Time{}
				if got {
					blocks++
					if open = until.In(zone); !until.After(at) || c.says(open) && open.Before(end) {
						t.Fatalf("%s: blocked until %s, which is not its end", at, open)
					}
				}
			}
			if blocks < 2 {
				t.Errorf("%d moments, %d blocks: the calendar is hardly used", n, blocks)
			}
		})
	}
}

func TestJapaneseHolidays(t *testing.T) {
	t.Parallel()
	f := form(t, `calendar: {holidays: jp, silent: {days: holiday}}`)
	for year, want := range japan {
		var got []string
		for d := time.Date(year, 1, 1, 12, 0, 0, 0, time.UTC); d.Year() == year; d = d.AddDate(0, 0, 1) {
			if b, _ := blocked(t, f, d); b {
				got = append(got, d.Format("01-02"))
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%d:\n got %s\nwant %s", year, s, want)
		}
	}
}

// TestCalendarStory runs a rule through three years: held back in each window, it
// fires once at its end.
func TestCalendarStory(t *testing.T) {
	t.Parallel()
	m := remember(form(t, `
when: {once: 1d}
calendar: {zone: Asia/Tokyo, holidays: [jp], silent: [{days: [sat, sun, holiday]}], after: fire}`))
	zone, err := time.LoadLocation("Asia/Tokyo")
	if err != nil {
		t.Fatal(err)
	}
	fired := map[string]int{}
	days, free := 0, 0
	for d := time.Date(2026, 1, 1, 12, 0, 0, 0, zone); d.Year() < 2029; d = d.AddDate(0, 0, 1) {
		days++
		if d.Weekday() == time.Saturday || d.Weekday() == time.Sunday || isHoliday(d) {
			free++
		}
		for {
			_, due, ok := m.next(d)
			if !ok {
				break
			}
			v := m.decide(t, stateful.Input{At: due, Event: "w", Wake: due, Subject: m.f.Subject(false, due, m.states["k:"].Body)}, "")
			if !v.Fires() || due.In(zone).Hour() != 0 {
				t.Fatalf("woken at %s: %s", due.In(zone), show(v))
			}
			fired["woken"]++
		}
		v := m.decide(t, stateful.Input{At: d, Event: d.Format(time.DateOnly), Own: true}, "")
		switch {
		case v.Fires():
			fired["event"]++
		case v.Status == hayate.FiringSuppressed:
			fired["suppressed"]++
		}
	}
	// A wake at midnight starts the day of once: noon's event is one too many then.
	if fired["suppressed"] != free+fired["woken"] || fired["event"]+fired["suppressed"] != days || fired["woken"] < 150 {
		t.Errorf("of %d days, %d free: %v", days, free, fired)
	}
}
