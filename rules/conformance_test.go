package rules_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/jinja"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/sharedtest"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/rules"
)

// folder is where shared data lies: what the variable names, or else the
// default; relative ways begin at the repository's root.
func folder(t testing.TB, variable, standard string) string {
	dir := os.Getenv(variable)
	if dir == "" {
		dir = standard
	}
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(sharedtest.Root(t), dir)
	}
	return dir
}

// readConformance decodes a file of recorded answers, or skips the test.
func readConformance(t *testing.T, name string, into any) {
	t.Helper()
	if err := json.Unmarshal(sharedtest.Answers(t, name), into); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// one compiles a single rule and asks it about an event.
func one(t testing.TB, r hayate.Rule, e *hayate.Event) ([]rules.Match, error) {
	t.Helper()
	r.Pack, r.Name, r.Enabled = "p", "r", true
	s, err := rules.Compile([]hayate.Rule{r})
	if err != nil {
		return nil, err
	}
	// A datastore that has nothing answers what the rule needs.
	values := map[string]string{}
	for {
		ms := s.Match(rules.NewScratch(), e, values)
		if len(ms) == 0 || len(ms[0].Need) == 0 {
			return ms, nil
		}
		for _, k := range ms[0].Need {
			values[k] = ""
		}
	}
}

// together compiles rules into one set and checks that each event still leads to
// the answers that the rules give alone: the index loses and invents nothing.
func together(t *testing.T, rs []hayate.Rule, events []*hayate.Event) {
	t.Helper()
	set, err := rules.Compile(rs)
	if err != nil {
		t.Fatal(err)
	}
	sc := rules.NewScratch()
	var alone []*rules.Set
	for i := range rs {
		s, err := rules.Compile(rs[i : i+1])
		if err != nil {
			t.Fatal(err)
		}
		alone = append(alone, s)
	}
	n := 0
	for _, e := range events {
		var want []string
		for _, s := range alone {
			want = append(want, described(s.Match(sc, e, nil))...)
		}
		slices.Sort(want)
		got := described(set.Match(sc, e, nil))
		if !slices.Equal(got, want) {
			t.Errorf("event %s %s: together %v, alone %v", e.Type, e.Data, got, want)
		}
		n += len(want)
	}
	t.Logf("%d rules × %d events in one index: %d matches and failures", len(rs), len(events), n)
}

func matched(ms []rules.Match) bool { return len(ms) == 1 && ms[0].Err == nil && ms[0].Need == nil }

func TestConformanceEventBridge(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, Category, Pattern, Event, Lenient string
			Valid                                 *bool
			EventError                            bool `json:"event_error"`
			Matches                               bool
		}
	}
	readConformance(t, "eventbridge.json", &file)
	agree, lenient := 0, 0
	var rs []hayate.Rule
	var events []*hayate.Event
	for _, c := range file.Cases {
		e := &hayate.Event{ID: "1", Source: "/s", Type: "t", Data: []byte(c.Event)}
		pattern := c.Pattern
		if pattern == "" {
			pattern = " " // an empty text, which is not an absent pattern
		}
		ms, err := one(t, hayate.Rule{Pattern: []byte(pattern)}, e)
		if err == nil {
			rs = append(rs, hayate.Rule{Pack: "p", Name: c.ID, Enabled: true, Pattern: []byte(pattern)})
			if e.Validate() == nil {
				events = append(events, e)
			}
		}
		wantValid := c.Valid == nil || *c.Valid
		got := matched(ms)
		if c.EventError {
			// Such an event is refused when it comes in, or has no fields at all.
			got = e.Validate() != nil || !got
		}
		want := c.Matches || c.EventError
		switch {
		case (err == nil) == wantValid && (err != nil || got == want):
			agree++
		case c.Lenient != "":
			lenient++
		default:
			t.Errorf("%s %s: pattern %s, event %s: matches %t, error %v; want matches %t, valid %t", c.ID, c.Category, c.Pattern, c.Event, got, err, want, wantValid)
		}
	}
	t.Logf("%d cases, %d agree, %d lenient ones answered otherwise", len(file.Cases), agree, lenient)
	together(t, rs, events)
}

func TestConformanceCEFilters(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, Lenient    string
			Filters, Event json.RawMessage
			Valid          *bool
			Match          bool
		}
	}
	readConformance(t, "ce_filters.json", &file)
	agree, lenient := 0, 0
	for _, c := range file.Cases {
		var e hayate.Event
		if err := json.Unmarshal(c.Event, &e); err != nil {
			t.Errorf("%s: event: %v", c.ID, err)
			continue
		}
		ms, err := one(t, hayate.Rule{Filters: c.Filters}, &e)
		wantValid := c.Valid == nil || *c.Valid
		switch {
		case (err == nil) == wantValid && (err != nil || matched(ms) == c.Match):
			agree++
		case c.Lenient != "":
			lenient++
		default:
			t.Errorf("%s: filters %s, event %s: match %t, error %v; want %t, valid %t", c.ID, c.Filters, c.Event, matched(ms), err, c.Match, wantValid)
		}
	}
	t.Logf("%d cases, %d agree, %d lenient ones answered otherwise", len(file.Cases), agree, lenient)
}

func TestConformanceST2Operators(t *testing.T) {
	var file struct {
		Cases []struct {
			ID, Operator   string
			Value, Pattern json.RawMessage
			Condition      *string
			Result         *bool
			Error          *struct{ Type string }
		}
	}
	readConformance(t, "st2_operators.json", &file)
	now := time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)
	agree, classes := 0, 0
	for _, c := range file.Cases {
		got, err := rules.Operate(c.Operator, c.Value, c.Pattern, c.Condition, now)
		switch {
		case c.Error != nil && err != nil:
			agree++
			if class(err) == c.Error.Type || class(err) == "" {
				classes++
			} else {
				t.Logf("%s %s(%s, %s): error %v, want a %s", c.ID, c.Operator, c.Value, c.Pattern, err, c.Error.Type)
			}
		case c.Error == nil && err == nil && got == *c.Result:
			agree++
			classes++
		default:
			t.Errorf("%s %s(%s, %s): %t, error %v; want %v, error %v", c.ID, c.Operator, c.Value, c.Pattern, got, err, c.Result, c.Error)
		}
	}
	t.Logf("%d cases, %d agree, %d in the class of the error too", len(file.Cases), agree, classes)
}

// class is the Python class of an error.
func class(err error) string {
	var e *value.Error
	if errors.As(err, &e) {
		return e.Class
	}
	var j *jinja.Error
	if errors.As(err, &j) {
		return j.Class
	}
	return ""
}

func TestConformanceST2Criteria(t *testing.T) {
	var file struct {
		Meta struct {
			Default json.RawMessage `json:"default_payload"`
		}
		Cases []struct {
			ID, Note          string
			Criteria, Payload json.RawMessage
			Match             bool
			Raises            *struct{ Type string }
			Errors            []string `json:"enforcement_errors"`
		}
	}
	readConformance(t, "st2_criteria.json", &file)
	agree, classes := 0, 0
	var rs []hayate.Rule
	var events []*hayate.Event
	for _, c := range file.Cases {
		payload := c.Payload
		if string(payload) == `"default"` {
			payload = file.Meta.Default
		}
		e := &hayate.Event{ID: "1", Source: "/s", Type: "t.x", Data: payload, AcceptedAt: time.Date(2026, 1, 15, 12, 0, 0, 0, time.UTC)}
		ms, err := one(t, hayate.Rule{Trigger: hayate.Trigger{Type: "t.x"}, Criteria: c.Criteria}, e)
		if err == nil {
			rs = append(rs, hayate.Rule{Pack: "p", Name: c.ID, Enabled: true, Trigger: hayate.Trigger{Type: "t.x"}, Criteria: c.Criteria})
			if len(events) == 0 || len(payload) < 100 {
				events = append(events, e)
			}
		}
		failed := len(ms) == 1 && ms[0].Err != nil
		switch {
		case c.Raises != nil && err != nil:
			// What raises out of StackStorm's filter is refused when it is compiled.
			agree++
			classes++
		case c.Raises == nil && err == nil && matched(ms) == c.Match && failed == (len(c.Errors) > 0 && !c.Match):
			agree++
			if !failed || slices.Contains(c.Errors, class(ms[0].Err)) {
				classes++
			} else {
				t.Logf("%s (%s): %s: error %v, want %v", c.ID, c.Note, c.Criteria, ms[0].Err, c.Errors)
			}
		default:
			t.Errorf("%s (%s): %s: matches %+v, error %v; want match %t, raises %v, errors %v", c.ID, c.Note, c.Criteria, ms, err, c.Match, c.Raises, c.Errors)
		}
	}
	t.Logf("%d cases, %d agree, %d in the class of the error too", len(file.Cases), agree, classes)
	together(t, rs, events)
}

// TestCorpusRulesCompile reads the rules of public packs: what StackStorm
// registers compiles.
func TestCorpusRulesCompile(t *testing.T) {
	dir := sharedtest.Corpus(t)
	b, err := os.ReadFile(filepath.Join(dir, "expected", "registration.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("no corpus: %v (set HAYATE_CORPUS)", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var expected map[string]string
	if err := json.Unmarshal(b, &expected); err != nil {
		t.Fatal(err)
	}
	n, good, findings := 0, 0, 0
	for name, verdict := range expected {
		parts := strings.Split(name, "/")
		if len(parts) != 3 || parts[1] != "rules" || verdict != "ok" {
			continue
		}
		src, err := os.ReadFile(filepath.Join(dir, "packs", name))
		if err != nil {
			t.Fatal(err)
		}
		doc, ds := yamldoc.Parse(src, yamldoc.Options{})
		if yamldoc.HasErrors(ds) {
			t.Errorf("%s: %v", name, ds)
			continue
		}
		var r hayate.Rule
		if err := json.Unmarshal(doc.JSON(), &struct {
			Name     *string
			Trigger  *hayate.Trigger
			Criteria *json.RawMessage
		}{&r.Name, &r.Trigger, &r.Criteria}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		r.Pack, r.Enabled = parts[0], true
		n++
		if _, err := rules.Compile([]hayate.Rule{r}); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		good++
		for _, f := range rules.Lint([]hayate.Rule{r}) {
			findings++
			t.Logf("%s: %s %s: %s", name, f.Severity, strings.Join(f.Field, "."), f.Text)
		}
	}
	t.Logf("%d rules, %d compile, %d findings", n, good, findings)
}
