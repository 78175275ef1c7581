package stateful

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Issue is a mistake in a form.
type Issue struct {
	// Path leads to the place within the rule: "when", "count", "within".
	Path []string
	// AtKey says that the key itself is meant, not its value.
	AtKey bool
	Text  string
}

// String says "when.count.within: …".
func (i Issue) String() string { return strings.Join(i.Path, ".") + ": " + i.Text }

// Parse reads what a rule declares under when, guard and calendar. The form is
// nil where it declares nothing, or where something is wrong; then every mistake
// is listed. Conditions of parts (both, cleared) are checked where rules are
// compiled.
func Parse(r *hayate.Rule) (*Form, []Issue) {
	if !Declared(r) {
		return nil, nil
	}
	p := &parser{rule: r, f: &Form{rule: r.Ref(), maxKeys: defaultKeys}}
	p.section("when", r.When, p.when)
	p.section("guard", r.Guard, p.guard)
	p.section("calendar", r.Calendar, p.calendar)
	if len(p.issues) > 0 {
		return nil, p.issues
	}
	return p.f, nil
}

type parser struct {
	rule   *hayate.Rule
	f      *Form
	path   []string
	issues []Issue
}

func (p *parser) errorf(format string, args ...any) {
	p.issues = append(p.issues, Issue{Path: slices.Clone(p.path), Text: fmt.Sprintf(format, args...)})
}

// at reads a value below a key.
func (p *parser) at(key string, read func()) {
	p.path = append(p.path, key)
	read()
	p.path = p.path[:len(p.path)-1]
}

func (p *parser) section(name string, raw json.RawMessage, read func(*value.Map)) {
	if !given(raw) {
		return
	}
	p.at(name, func() {
		v, err := value.Decode(raw)
		if err != nil {
			p.errorf("%v", err)
			return
		}
		if m := p.mapping(v); m != nil {
			read(m)
		}
	})
}

func (p *parser) mapping(v any) *value.Map {
	m, ok := v.(*value.Map)
	if !ok {
		p.errorf("is %s, expected a mapping", kindOf(v))
		return nil
	}
	return m
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "nothing"
	case bool:
		return "true or false"
	case string:
		return "text"
	case value.List:
		return "a list"
	case *value.Map:
		return "a mapping"
	}
	return "a number"
}

// reader reads the value of a key.
type reader map[string]func(any)

// keys reads a mapping; keys that are not known are mistakes.
func (p *parser) keys(m *value.Map, known reader, required ...string) {
	names := make([]string, 0, len(known))
	for n := range known {
		names = append(names, n)
	}
	slices.Sort(names)
	for k, v := range m.All() {
		name, _ := k.(string)
		read, ok := known[name]
		p.at(name, func() {
			switch {
			case !ok:
				p.issues = append(p.issues, Issue{Path: slices.Clone(p.path), AtKey: true,
					Text: fmt.Sprintf("unknown key %q%s", name, hint(name, names))})
			case v != nil:
				read(v)
			}
		})
	}
	for _, n := range required {
		if v, ok := m.Str(n); !ok || v == nil {
			p.errorf("lacks the key %q", n)
		}
	}
}

// hint names the key that was probably meant, or all of them.
func hint(name string, known []string) string {
	if s := yamldoc.Suggest(name, known); s != "" {
		return s
	}
	return "; known are " + strings.Join(known, ", ")
}

// duration reads "10m", "1h30m", "7d" or a number of seconds.
func (p *parser) duration(to *time.Duration) func(any) {
	return func(v any) {
		d, err := parseDuration(v)
		switch {
		case err != nil:
			p.errorf("%v", err)
		case d < MinWindow:
			p.errorf("is %s, the shortest is %s", Span(d), Span(MinWindow))
		case d > MaxWindow:
			p.errorf("is %s, the longest is %s", Span(d), Span(MaxWindow))
		default:
			*to = d.Truncate(time.Millisecond)
		}
	}
}

func parseDuration(v any) (time.Duration, error) {
	const want = "expected a time such as 30s, 10m, 1h30m or 7d"
	switch x := v.(type) {
	case int64:
		if x > int64(MaxWindow/time.Second) || x < 0 {
			return 0, fmt.Errorf("%d seconds are out of bounds, the longest is %s", x, Span(MaxWindow))
		}
		return time.Duration(x) * time.Second, nil
	case string:
		var days time.Duration
		rest := x
		if n, after, ok := strings.Cut(x, "d"); ok {
			i, err := strconv.Atoi(n)
			if err != nil || i < 0 || i > 10_000 {
				return 0, fmt.Errorf("%q is no time, %s", x, want)
			}
			if days, rest = time.Duration(i)*24*time.Hour, after; rest == "" {
				return days, nil
			}
		}
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || d > 10_000*24*time.Hour {
			return 0, fmt.Errorf("%q is no time, %s", x, want)
		}
		return days + d, nil
	}
	return 0, fmt.Errorf("is %s, %s", kindOf(v), want)
}

func (p *parser) whole(to *int, least, most int) func(any) {
	return func(v any) {
		if f, ok := v.(float64); ok && f == math.Trunc(f) && math.Abs(f) < 1e9 {
			v = int64(f)
		}
		if s, isText := v.(string); isText {
			if _, err := strconv.Atoi(strings.TrimSpace(s)); err == nil {
				p.errorf("is the text %q, expected a whole number from %d to %d: leave the quotes out", s, least, most)
			} else {
				p.errorf("is the text %q, expected a whole number from %d to %d", s, least, most)
			}
			return
		}
		n, ok := v.(int64)
		if !ok || n < int64(least) || n > int64(most) {
			p.errorf("is %s, expected a whole number from %d to %d", value.Str(v), least, most)
			return
		}
		*to = int(n)
	}
}

func (p *parser) flag(to *bool) func(any) {
	return func(v any) {
		b, ok := v.(bool)
		if !ok {
			p.errorf("is %s, expected true or false", kindOf(v))
		}
		*to = b
	}
}

// texts reads a text or a list of texts.
func (p *parser) texts(v any, most int) []string {
	list, ok := v.(value.List)
	if !ok {
		list = value.List{v}
	}
	if len(list) == 0 || len(list) > most {
		p.errorf("has %d entries, expected 1 to %d", len(list), most)
		return nil
	}
	out := make([]string, 0, len(list))
	for i, x := range list {
		s, ok := x.(string)
		if !ok {
			if n, isInt := x.(int64); isInt {
				s, ok = strconv.FormatInt(n, 10), true
			}
		}
		if !ok {
			p.at(strconv.Itoa(i), func() { p.errorf("is %s, expected text", kindOf(x)) })
			continue
		}
		out = append(out, s)
	}
	return out
}

func (p *parser) key(to **keyExpression) func(any) {
	return func(v any) {
		texts := p.texts(v, 8)
		if len(texts) == 0 {
			return
		}
		k, err := newKeyExpression(texts)
		if err != nil {
			p.errorf("%v", err)
			return
		}
		*to = k
	}
}

func (p *parser) when(m *value.Map) {
	f := p.f
	conditions := 0
	one := func(read func(*value.Map)) func(any) {
		return func(v any) {
			if conditions++; conditions > 1 {
				p.errorf("stands beside another condition: a rule has one of count, expected and both")
			}
			if m := p.mapping(v); m != nil {
				read(m)
			}
		}
	}
	p.keys(m, reader{
		"per":      p.key(&f.per),
		"max_keys": p.whole(&f.maxKeys, 1, MaxKeys),
		"count": one(func(m *value.Map) {
			f.count = &count{}
			p.keys(m, reader{"at_least": p.whole(&f.count.n, 2, MaxCount), "within": p.duration(&f.count.within), "again": p.flag(&f.count.again)}, "at_least", "within")
		}),
		"expected": one(func(m *value.Map) {
			f.expected = &expected{}
			p.keys(m, reader{"every": p.duration(&f.expected.every), "keys": func(v any) { f.expected.keys = p.texts(v, f.maxKeys) }}, "every")
		}),
		"both":    one(p.both),
		"once":    p.once,
		"cleared": func(v any) { f.cleared = p.part(PartCleared, v, nil) },
	})
	if f.expected != nil && len(f.expected.keys) > 0 && f.per == nil {
		p.errorf(`lacks the key "per", which expected.keys are values of`)
	}
	if f.expected != nil && f.cleared != nil {
		p.errorf("has cleared beside expected: what is expected clears by itself when it comes")
	}
}

// once takes a time, or a mapping with within and prolonged.
func (p *parser) once(v any) {
	m, ok := v.(*value.Map)
	if !ok {
		p.duration(&p.f.once)(v)
		return
	}
	p.keys(m, reader{"within": p.duration(&p.f.once), "prolonged": p.flag(&p.f.prolonged)}, "within")
}

func (p *parser) both(m *value.Map) {
	b := &both{}
	p.f.both = b
	b.other = p.part(PartOther, m, reader{"within": p.duration(&b.within), "per": p.key(&b.per)}, "within")
}

// part reads further conditions, in the form in which a rule states its own.
func (p *parser) part(part string, v any, more reader, required ...string) *hayate.Rule {
	m, ok := v.(*value.Map)
	if !ok {
		p.errorf("is %s, expected a mapping", kindOf(v))
		return nil
	}
	r := &hayate.Rule{Pack: p.rule.Pack, Name: PartName(p.rule.Name, part), Part: part, Enabled: p.rule.Enabled,
		Trigger: p.rule.Trigger, Source: p.rule.Source, Revision: p.rule.Revision}
	conditions := 0
	raw := func(to *json.RawMessage) func(any) {
		return func(v any) {
			conditions++
			b, err := value.Encode(v)
			if err != nil {
				p.errorf("%v", err)
			}
			*to = b
		}
	}
	known := reader{"criteria": raw(&r.Criteria), "pattern": raw(&r.Pattern), "filters": raw(&r.Filters), "trigger": func(v any) {
		t, ok := v.(*value.Map)
		if !ok {
			p.errorf("is %s, expected a mapping with type", kindOf(v))
			return
		}
		conditions++
		r.Trigger = hayate.Trigger{}
		p.keys(t, reader{"type": func(v any) { r.Trigger.Type, _ = v.(string) }, "parameters": func(v any) {
			if b, err := value.Encode(v); err == nil {
				r.Trigger.Parameters = b
			}
		}}, "type")
	}}
	for k, f := range more {
		known[k] = f
	}
	p.keys(m, known, required...)
	if conditions == 0 {
		p.errorf("states no condition: it needs at least one of trigger, criteria, pattern and filters")
	}
	return r
}

func (p *parser) guard(m *value.Map) {
	f := p.f
	p.keys(m, reader{
		"per":      p.key(&f.target),
		"cooldown": p.duration(&f.cooldown),
		"budget": func(v any) {
			if m := p.mapping(v); m != nil {
				f.budget = &count{within: time.Hour}
				p.keys(m, reader{"most": p.whole(&f.budget.n, 1, MaxCount), "within": p.duration(&f.budget.within)}, "most")
			}
		},
		"concurrent": p.whole(&f.most, 1, MaxCount),
		"breaker": func(v any) {
			if m := p.mapping(v); m != nil {
				f.breaker = &breaker{}
				p.keys(m, reader{"failures": p.whole(&f.breaker.failures, 1, MaxCount), "within": p.duration(&f.breaker.within), "open": p.duration(&f.breaker.open)},
					"failures", "within", "open")
			}
		},
	})
	if f.target != nil && f.per != nil && f.target.text == f.per.text {
		f.target = nil
	}
	if f.target != nil && f.expected != nil {
		p.errorf("has per beside when.expected: what stays away has no event to take it from; use when.per")
	}
	if f.target != nil && f.cooldown == 0 && f.most == 0 {
		p.errorf("has per, but neither cooldown nor concurrent, which count by it")
	}
}

// Span is a length of time as a form writes it: 10m, 1h30m, 7d.
func Span(d time.Duration) string {
	if d < time.Second {
		return d.String()
	}
	d = d.Round(time.Second)
	const day = 24 * time.Hour
	days := d / day
	d %= day
	var b strings.Builder
	for _, part := range []struct {
		n    time.Duration
		unit string
	}{{days, "d"}, {d / time.Hour, "h"}, {d % time.Hour / time.Minute, "m"}, {d % time.Minute / time.Second, "s"}} {
		if part.n > 0 {
			fmt.Fprintf(&b, "%d%s", part.n, part.unit)
		}
	}
	return b.String()
}
