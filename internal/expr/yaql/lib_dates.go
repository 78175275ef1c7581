package yaql

import (
	"math"
	"math/big"

	"github.com/hayate-run/hayate/internal/expr/value"
)

func dateLibrary() []*overload {
	dt := p("dt", tDate)
	fields := []string{"year", "month", "day", "hour", "minute", "second", "microsecond"}
	build := []param{p("year", tInt), p("month", tInt), p("day", tInt)}
	replace := []param{dt}
	for i, name := range fields {
		if i >= len(build) {
			build = append(build, opt(name, tInt, int64(0)))
		}
		replace = append(replace, opt(name, tIntN, nil))
	}
	zero := &timespan{}
	offset := opt("offset", tSpan, zero)
	build = append(build, offset)
	replace = append(replace, opt("offset", tSpanN, nil))
	out := []*overload{
		fn("datetime", doBuild, build...),
		fn("datetime", doFromTimestamp, p("timestamp", tNumber), offset),
		fn("datetime", doFromText, p("string", tStr), opt("format", tStrN, nil)),
		fn("timespan", doTimespan, opt("days", tInt, int64(0)), opt("hours", tInt, int64(0)), opt("minutes", tInt, int64(0)),
			opt("seconds", tInteger, int64(0)), opt("milliseconds", tInteger, int64(0)), opt("microseconds", tInteger, int64(0))),
		fn("now", doNow, opt("offset", tSpanN, zero)),
		fn("localtz", doLocalZone),
		fn("utctz", func(*frame) (any, error) { return &timespan{}, nil }),
		mt("replace", doReplaceFields, replace...),
		mt("format", func(f *frame) (any, error) { return f.ev.strftime(f.args[0].(*datetime), f.str(1)) }, dt, p("format", tStr)),
		fn("isDatetime", func(f *frame) (any, error) { _, ok := f.args[0].(*datetime); return ok, nil }, p("value", tAny)),
		fn("isTimespan", func(f *frame) (any, error) { _, ok := f.args[0].(*timespan); return ok, nil }, p("value", tAny)),
	}
	out = append(out, dateProperties()...)
	return append(out, spanProperties()...)
}

// part is an integer argument for a date, which must fit a C int.
func (f *frame) part(i int) (int64, error) {
	n := f.int(i)
	if n > math.MaxInt32 || n < math.MinInt32 {
		return 0, Raise("OverflowError", "Python int too large to convert to C int")
	}
	return n, nil
}

// inZone makes a datetime of a moment on the wall of a zone.
func inZone(us int64, offset any) (*datetime, error) {
	t, ok := offset.(*timespan)
	switch {
	case !ok:
		return &datetime{us: us}, nil
	case t.zero():
		return &datetime{us: us, zone: zoneUTC}, nil
	case t.days > 0 || t.days < -1 || t.days == -1 && t.us == 0:
		return nil, Raise("ValueError", "offset must be a timedelta strictly between -timedelta(hours=24) and timedelta(hours=24).")
	}
	return &datetime{us: us, zone: zoneOffset, off: t.days*day + t.us}, nil
}

func doBuild(f *frame) (any, error) {
	var n [7]int64
	for i := range n {
		var err error
		if n[i], err = f.part(i); err != nil {
			return nil, err
		}
	}
	c := civil{n[0], n[1], n[2], n[3], n[4], n[5], n[6]}
	if err := c.check(); err != nil {
		return nil, err
	}
	return object(inZone(c.moment(), f.args[7]))
}

// object makes a nil pointer no value, where there is an error.
func object[T any](v *T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

// epoch is 1970.
var epoch = daysBefore(1970) * day

func doFromTimestamp(f *frame) (any, error) {
	var us int64
	switch v := f.args[0].(type) {
	case int64:
		if v > 1<<40 || v < -1<<40 {
			return nil, outOfYears(v)
		}
		us = v * second
	case float64:
		if math.IsNaN(v) {
			return nil, Raise("ValueError", "cannot convert float NaN to integer")
		}
		if math.Abs(v) > 1<<40 {
			if math.Abs(v) > 1<<62 {
				return nil, Raise("OverflowError", "timestamp out of range for platform time_t")
			}
			return nil, outOfYears(int64(v))
		}
		whole, frac := math.Modf(v)
		us = int64(whole)*second + int64(math.RoundToEven(frac*float64(second)))
	default:
		return nil, Raise("OverflowError", "timestamp out of range for platform time_t")
	}
	us += epoch
	if t := f.args[1].(*timespan); t.days < 2 && t.days > -2 {
		us += t.days*day + t.us
	}
	if us < 0 || us > maxMoment {
		return nil, outOfYears(floorDiv(us-epoch, second))
	}
	return object(inZone(us, f.args[1]))
}

func outOfYears(seconds int64) error {
	days := floorDiv(seconds, 86400) + epoch/day
	year := floorDiv(days*400, 146097) // at most one too small
	start := func(y int64) int64 { y--; return y*365 + floorDiv(y, 4) - floorDiv(y, 100) + floorDiv(y, 400) }
	for start(year+1) <= days {
		year++
	}
	return Raise("ValueError", "year %d is out of range", year)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

func doTimespan(f *frame) (any, error) {
	total := new(big.Int)
	for i, unit := range []int64{day, hour, minute, second, 1000, 1} {
		n, _ := value.ToBig(f.args[i])
		total.Add(total, new(big.Int).Mul(n, big.NewInt(unit)))
	}
	return object(spanOfBig(total))
}

// now is the time on the wall where ctx.Now lives, and its offset.
func (ev *evaluator) now() (us, off int64, err error) {
	if ev.ctx.Now == nil {
		return 0, 0, Raise("RuntimeError", "there is no clock here")
	}
	t := ev.ctx.Now()
	_, seconds := t.Zone()
	off = int64(seconds) * second
	return t.UnixMicro() + epoch + off, off, nil
}

func doNow(f *frame) (any, error) {
	us, off, err := f.ev.now()
	if err != nil {
		return nil, err
	}
	if t, ok := f.args[0].(*timespan); ok && t.days < 2 && t.days > -2 {
		us += t.days*day + t.us - off
	}
	return object(inZone(us, f.args[0]))
}

func doLocalZone(f *frame) (any, error) {
	_, off, err := f.ev.now()
	return spanOf(off), err
}

func doFromText(f *frame) (any, error) {
	format, _ := f.args[1].(string)
	var d *datetime
	var err error
	if format == "" {
		d, err = f.ev.parseDate(f.str(0))
	} else {
		d, err = f.ev.strptime(f.str(0), format)
	}
	if err != nil {
		return nil, err
	}
	if d.zone == zoneNone {
		d.zone = zoneUTC
	}
	return d, nil
}

func doReplaceFields(f *frame) (any, error) {
	d := f.args[0].(*datetime)
	c := d.civil()
	for i, field := range []*int64{&c.year, &c.month, &c.day, &c.hour, &c.minute, &c.second, &c.micro} {
		if f.args[i+1] == nil {
			continue
		}
		n, err := f.part(i + 1)
		if err != nil {
			return nil, err
		}
		*field = n
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	if f.args[8] != nil {
		return object(inZone(c.moment(), f.args[8]))
	}
	return &datetime{us: c.moment(), zone: d.zone, off: d.off}, nil
}

// property is a property of values of a type.
func property(name string, t ptype, get func(v any) (any, error)) *overload {
	return fn("#property#"+name, func(f *frame) (any, error) { return get(f.args[0]) }, p("obj", t))
}

func dateProperties() []*overload {
	part := func(name string, get func(civil) int64) *overload {
		return property(name, tDate, func(v any) (any, error) { return get(v.(*datetime).civil()), nil })
	}
	return []*overload{
		part("year", func(c civil) int64 { return c.year }),
		part("month", func(c civil) int64 { return c.month }),
		part("day", func(c civil) int64 { return c.day }),
		part("hour", func(c civil) int64 { return c.hour }),
		part("minute", func(c civil) int64 { return c.minute }),
		part("second", func(c civil) int64 { return c.second }),
		part("microsecond", func(c civil) int64 { return c.micro }),
		property("weekday", tDate, func(v any) (any, error) { return v.(*datetime).weekday(), nil }),
		property("date", tDate, func(v any) (any, error) {
			d := v.(*datetime)
			return &datetime{us: d.us / day * day, zone: d.zone, off: d.off}, nil
		}),
		property("time", tDate, func(v any) (any, error) { return spanOf(v.(*datetime).us % day), nil }),
		property("offset", tDate, func(v any) (any, error) { return spanOf(v.(*datetime).off), nil }),
		property("utc", tDate, func(v any) (any, error) {
			d := v.(*datetime)
			return object(d.shifted(spanOf(-d.off)))
		}),
		// As in Python, the offset is taken off twice: utc keeps its zone.
		property("timestamp", tDate, func(v any) (any, error) {
			d := v.(*datetime)
			u, err := d.shifted(spanOf(-d.off))
			if err != nil {
				return nil, err
			}
			return value.Arith("/", u.utc()-epoch, second)
		}),
	}
}

func spanProperties() []*overload {
	total := func(name string, unit float64) *overload {
		return property(name, tSpan, func(v any) (any, error) { return value.Arith("/", v.(*timespan).micros(), unit) })
	}
	return []*overload{
		property("microseconds", tSpan, func(v any) (any, error) { return v.(*timespan).micros(), nil }),
		total("milliseconds", 1000),
		total("seconds", float64(second)),
		total("minutes", float64(minute)),
		total("hours", float64(hour)),
		total("days", float64(day)),
	}
}

func dateOperatorLibrary() []*overload {
	d, t := p("dt", tDate), p("ts", tSpan)
	d1, d2 := p("dt1", tDate), p("dt2", tDate)
	t1, t2 := p("ts1", tSpan), p("ts2", tSpan)
	n := p("n", tNumber)
	out := []*overload{
		fn("#operator_+", func(f *frame) (any, error) { return f.shift(0, 1, 1) }, d, t),
		fn("#operator_+", func(f *frame) (any, error) { return f.shift(1, 0, 1) }, t, d),
		fn("#operator_-", func(f *frame) (any, error) { return f.shift(0, 1, -1) }, d, t),
		fn("#operator_-", func(f *frame) (any, error) {
			return spanOf(f.args[0].(*datetime).utc() - f.args[1].(*datetime).utc()), nil
		}, d1, d2),
		fn("#operator_+", spans((*big.Int).Add), t1, t2),
		fn("#operator_-", spans((*big.Int).Sub), t1, t2),
		fn("#operator_*", func(f *frame) (any, error) { return f.scale("*", 0, 1) }, t, n),
		fn("#operator_*", func(f *frame) (any, error) { return f.scale("*", 1, 0) }, n, t),
		fn("#operator_/", func(f *frame) (any, error) { return f.scale("/", 0, 1) }, t, n),
		fn("#operator_/", func(f *frame) (any, error) {
			x, err := value.ToFloat(f.args[0].(*timespan).micros())
			if err != nil {
				return nil, err
			}
			return value.Arith("/", x, f.args[1].(*timespan).micros())
		}, t1, t2),
		fn("#unary_operator_-", func(f *frame) (any, error) {
			b := f.args[0].(*timespan).big()
			return object(spanOfBig(b.Neg(b)))
		}, t),
		fn("#unary_operator_+", func(f *frame) (any, error) { return f.args[0], nil }, t),
	}
	for _, o := range []struct {
		name  string
		holds func(c int) bool
	}{
		{"<", func(c int) bool { return c < 0 }}, {"<=", func(c int) bool { return c <= 0 }},
		{">", func(c int) bool { return c > 0 }}, {">=", func(c int) bool { return c >= 0 }},
	} {
		out = append(out,
			fn("#operator_"+o.name, func(f *frame) (any, error) {
				return o.holds(cmp(f.args[0].(*datetime).utc(), f.args[1].(*datetime).utc())), nil
			}, d1, d2),
			fn("#operator_"+o.name, func(f *frame) (any, error) {
				return o.holds(f.args[0].(*timespan).compare(f.args[1].(*timespan))), nil
			}, t1, t2))
	}
	return out
}

// shift moves a date by a span, forward or back.
func (f *frame) shift(date, span int, sign int64) (any, error) {
	t := f.args[span].(*timespan)
	if sign < 0 {
		b := t.big()
		var err error
		if t, err = spanOfBig(b.Neg(b)); err != nil {
			return nil, err
		}
	}
	return object(f.args[date].(*datetime).shifted(t))
}

func spans(op func(z, x, y *big.Int) *big.Int) func(*frame) (any, error) {
	return func(f *frame) (any, error) {
		return object(spanOfBig(op(new(big.Int), f.args[0].(*timespan).big(), f.args[1].(*timespan).big())))
	}
}

// scale multiplies or divides a span by a number, to the nearest microsecond.
func (f *frame) scale(op string, span, num int) (any, error) {
	v, err := value.Arith(op, f.args[span].(*timespan).micros(), f.args[num])
	if err != nil {
		return nil, err
	}
	if x, ok := v.(float64); ok {
		if math.IsNaN(x) {
			return nil, Raise("ValueError", "cannot convert float NaN to integer")
		}
		if v, err = value.Float(math.RoundToEven(x)); err != nil {
			return nil, err
		}
	}
	b, _ := value.ToBig(v)
	return object(spanOfBig(b))
}
