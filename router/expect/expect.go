// Package expect checks what an action promises of its result: the "expect"
// block of its metadata. It decides from its arguments alone.
package expect

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
)

// quoted is the most bytes of an actual text that a message repeats.
const quoted = 300

// World is what expectations are held against beside the result.
type World struct {
	// Schema says what is wrong with a JSON value under a JSON schema, or nil. It may
	// be nil where no expectation has a schema.
	Schema func(schema, value json.RawMessage) error
	// Path makes the path of a file of its template, and Stat looks at the file:
	// fs.ErrNotExist says that it is not there. Both may be nil where no expectation
	// names files.
	Path func(template string) (string, error)
	Stat func(path string) (fs.FileInfo, error)
	// Began is when the attempt began, Now the present.
	Began, Now time.Time
}

// Check compares the result of an attempt with what is expected of it. Each
// failure is one line that quotes the expected and the actual value. verified
// says that something was asserted and all of it held.
//
// succeeded is the runner's own verdict. Where e lists exit codes they replace
// it: a listed code is a success even if the runner calls it a failure. Without
// a list the runner's verdict stands and a failure is no matter of
// expectations, so Check then reports neither failures nor a proof.
//
// stdout, stderr and return_code are the members of a shell result; output that
// the runner decoded from JSON is compared by its JSON text.
func Check(e *hayate.Expect, result json.RawMessage, succeeded bool, w World) (verified bool, failures []string) {
	if e == nil || (len(e.ExitCodes) == 0 && !succeeded) {
		return false, nil
	}
	c := checker{whole: result, object: map[string]json.RawMessage{}}
	// A result that is no object has no members; the checks below say so.
	_ = json.Unmarshal(result, &c.object)
	if len(e.ExitCodes) > 0 {
		c.exitCode(e.ExitCodes)
	}
	c.text("stdout", e.Stdout, true)
	c.text("stderr", e.Stderr, true)
	c.text("stdout", e.NotStdout, false)
	c.text("stderr", e.NotStderr, false)
	if len(e.Schema) > 0 {
		c.schema(e.Schema, w.Schema)
	}
	for _, r := range e.Ranges {
		c.number(r)
	}
	for _, f := range e.Files {
		c.file(f, &w)
	}
	return c.asserted > 0 && len(c.failures) == 0, c.failures
}

// Apply returns the result of an attempt as the expectations see it: a success
// whose expectations fail is a failure, a failure with an expected exit code is
// a success, and Verified says whether something was proved. The failures join a
// JSON object as "expect_failures", and as "error" where it has none. Statuses
// other than succeeded and failed pass unchanged, and so does a result without
// expectations.
func Apply(e *hayate.Expect, r hayate.Result, w World) hayate.Result {
	if e == nil || (r.Status != hayate.StatusSucceeded && r.Status != hayate.StatusFailed) {
		return r
	}
	succeeded := r.Status == hayate.StatusSucceeded
	verified, failures := Check(e, r.Value, succeeded, w)
	switch {
	case len(failures) > 0:
		r.Status, r.Verified = hayate.StatusFailed, false
		r.Value = withFailures(r.Value, failures)
	case verified:
		r.Verified = true
		if !succeeded {
			r.Status, r.Value = hayate.StatusSucceeded, withVerdict(r.Value, true)
		}
	}
	return r
}

type checker struct {
	whole    json.RawMessage
	object   map[string]json.RawMessage
	asserted int
	failures []string
}

func (c *checker) fail(format string, args ...any) {
	c.failures = append(c.failures, fmt.Sprintf(format, args...))
}

func (c *checker) exitCode(want []int) {
	c.asserted++
	words := make([]string, len(want))
	for i, w := range want {
		words[i] = strconv.Itoa(w)
	}
	expected := strings.Join(words, ", ")
	if len(want) > 1 {
		expected = "one of " + expected
	}
	raw, ok := c.object["return_code"]
	if !ok {
		c.fail("exit code: expected %s, found none in the result", expected)
		return
	}
	got, err := strconv.Atoi(string(raw))
	if err != nil {
		c.fail("exit code: expected %s, found %s", expected, short(string(raw)))
		return
	}
	for _, w := range want {
		if w == got {
			return
		}
	}
	c.fail("exit code: expected %s, found %d", expected, got)
}

// text checks that a pattern is found in a member's text, or is not.
func (c *checker) text(member, pattern string, wanted bool) {
	if pattern == "" {
		return
	}
	c.asserted++
	re, err := regexp.Compile(pattern)
	if err != nil {
		c.fail("%s: %q is not a regular expression: %v", member, pattern, err)
		return
	}
	raw, ok := c.object[member]
	if !ok {
		c.fail("%s: expected to check it for /%s/, found no such member in the result", member, pattern)
		return
	}
	text := Text(raw)
	at := re.FindStringIndex(text)
	switch {
	case wanted && at == nil:
		c.fail("%s: expected to find /%s/, found %s", member, pattern, short(text))
	case !wanted && at != nil:
		c.fail("%s: expected not to find /%s/, found %s", member, pattern, short(lineAround(text, at[0], at[1])))
	}
}

// Text is a member's text: a JSON string's content, or else its JSON.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && string(raw) != "null" {
		return s
	}
	return string(raw)
}

// lineAround returns the lines that hold text[from:to].
func lineAround(text string, from, to int) string {
	from = strings.LastIndexByte(text[:from], '\n') + 1
	if i := strings.IndexByte(text[to:], '\n'); i >= 0 {
		return text[from : to+i]
	}
	return text[from:]
}

func (c *checker) schema(schema json.RawMessage, check func(schema, value json.RawMessage) error) {
	c.asserted++
	err := errors.New("no schema checker is linked into this program")
	if check != nil {
		err = check(schema, c.whole)
	}
	if err != nil {
		c.fail("result: expected to satisfy the schema, found %s: %v", short(string(c.whole)), err)
	}
}

// number checks that the number at a path lies in a range, both ends included.
func (c *checker) number(r hayate.Range) {
	c.asserted++
	expected := "a number"
	switch {
	case r.Min != nil && r.Max != nil:
		expected = "a number from " + number(*r.Min) + " to " + number(*r.Max)
	case r.Min != nil:
		expected = "a number of at least " + number(*r.Min)
	case r.Max != nil:
		expected = "a number of at most " + number(*r.Max)
	}
	raw, err := at(c.whole, r.Path)
	if err != nil {
		c.fail("%s: expected %s, found nothing: %v", r.Path, expected, err)
		return
	}
	var n float64
	if len(raw) == 0 || (raw[0] != '-' && (raw[0] < '0' || raw[0] > '9')) || json.Unmarshal(raw, &n) != nil {
		c.fail("%s: expected %s, found %s", r.Path, expected, short(string(raw)))
		return
	}
	if (r.Min != nil && n < *r.Min) || (r.Max != nil && n > *r.Max) || math.IsNaN(n) {
		c.fail("%s: expected %s, found %s", r.Path, expected, raw)
	}
}

func number(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// file checks that a file is there, or is not, and how old and large it is.
func (c *checker) file(f hayate.File, w *World) {
	c.asserted++
	if w.Path == nil || w.Stat == nil {
		c.fail("file %s: files cannot be looked at here", f.Path)
		return
	}
	path, err := w.Path(f.Path)
	if err != nil {
		c.fail("file %s: the path cannot be rendered: %v", f.Path, err)
		return
	}
	st, err := w.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.Absent:
	case errors.Is(err, fs.ErrNotExist):
		c.fail("file %s: expected it to exist, found nothing there", path)
	case err != nil:
		c.fail("file %s: cannot be looked at: %v", path, err)
	case f.Absent:
		c.fail("file %s: expected nothing there, found one of %d bytes", path, st.Size())
	default:
		c.state(f, path, st, w)
	}
}

func (c *checker) state(f hayate.File, path string, st fs.FileInfo, w *World) {
	written := st.ModTime()
	if age := w.Now.Sub(written); f.MaxAge > 0 && age.Seconds() > f.MaxAge {
		c.fail("file %s: expected it to be written within %s seconds, found it %s old", path, number(f.MaxAge), age.Round(time.Second))
	}
	// File systems keep times less exactly than the clock does.
	if f.Fresh && written.Before(w.Began.Add(-clockGrain)) {
		c.fail("file %s: expected the action to write it after %s, found it written at %s", path, w.Began.Format(time.RFC3339), written.Format(time.RFC3339))
	}
	if st.Size() < f.MinSize {
		c.fail("file %s: expected at least %d bytes, found %d", path, f.MinSize, st.Size())
	}
}

// clockGrain is by how much the time of a file may lie before the clock's: the
// kernel stamps files with the time of its last tick.
const clockGrain = 20 * time.Millisecond

// at follows a dotted path of member names and list indexes (-1 is the last).
func at(v json.RawMessage, path string) (json.RawMessage, error) {
	steps := strings.Split(path, ".")
	for i, step := range steps {
		where := strings.Join(steps[:i], ".")
		if where == "" {
			where = "the result"
		}
		v = bytes.TrimSpace(v)
		switch {
		case len(v) > 0 && v[0] == '{':
			var o map[string]json.RawMessage
			if err := json.Unmarshal(v, &o); err != nil {
				return nil, fmt.Errorf("%s is not JSON: %w", where, err)
			}
			next, ok := o[step]
			if !ok {
				return nil, fmt.Errorf("%s has no member %q", where, step)
			}
			v = next
		case len(v) > 0 && v[0] == '[':
			var l []json.RawMessage
			if err := json.Unmarshal(v, &l); err != nil {
				return nil, fmt.Errorf("%s is not JSON: %w", where, err)
			}
			n, err := strconv.Atoi(step)
			if err == nil && n < 0 {
				n += len(l)
			}
			if err != nil || n < 0 || n >= len(l) {
				return nil, fmt.Errorf("%s has %d items and none at %q", where, len(l), step)
			}
			v = l[n]
		default:
			return nil, fmt.Errorf("%s is %s and has no members", where, short(string(v)))
		}
	}
	return bytes.TrimSpace(v), nil
}

// short quotes a text, its middle left out where it is long.
func short(s string) string {
	if len(s) > quoted {
		s = strings.ToValidUTF8(s[:quoted/2], "") + " … " + strings.ToValidUTF8(s[len(s)-quoted/2:], "")
	}
	return strconv.Quote(s)
}

// withFailures adds the failures to a JSON object.
func withFailures(value json.RawMessage, failures []string) json.RawMessage {
	value = withVerdict(value, false)
	o := map[string]json.RawMessage{}
	if json.Unmarshal(value, &o) != nil || len(bytes.TrimSpace(value)) < 2 {
		return value
	}
	var add bytes.Buffer
	e := json.NewEncoder(&add)
	e.SetEscapeHTML(false)
	put := func(name string, v any) {
		add.WriteString(`,"` + name + `":`)
		_ = e.Encode(v)             // strings always encode
		add.Truncate(add.Len() - 1) // the encoder's newline
	}
	if _, ok := o["error"]; !ok {
		put("error", strings.Join(failures, "; "))
	}
	if _, ok := o["expect_failures"]; !ok {
		put("expect_failures", failures)
	}
	added := add.Bytes()
	body := bytes.TrimSpace(value)
	body = bytes.TrimSpace(body[:len(body)-1])
	if len(o) == 0 && len(added) > 0 {
		added = added[1:]
	}
	return append(append(bytes.Clone(body), added...), '}')
}

// withVerdict sets the members succeeded and failed of a shell result.
func withVerdict(value json.RawMessage, succeeded bool) json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(value))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return value
	}
	var out []byte
	from := 0
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return value
		}
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return value
		}
		want := ""
		switch key {
		case "succeeded":
			want = strconv.FormatBool(succeeded)
		case "failed":
			want = strconv.FormatBool(!succeeded)
		default:
			continue
		}
		if s := string(v); s == "true" || s == "false" {
			end := int(d.InputOffset())
			out = append(out, value[from:end-len(s)]...)
			out = append(out, want...)
			from = end
		}
	}
	return append(out, value[from:]...)
}
