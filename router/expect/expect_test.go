package expect_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/expect"
)

func ptr(f float64) *float64 { return &f }

func TestCheck(t *testing.T) {
	const ok = `{"failed":false,"succeeded":true,"return_code":0,"stdout":"ready: 3 up\nbye","stderr":""}`
	const three = `{"failed":true,"succeeded":false,"return_code":3,"stdout":"","stderr":"degraded"}`
	const decoded = `{"return_code":0,"stdout":{"load": [0.5, 12], "name": "x"},"stderr":""}`
	tests := []struct {
		name      string
		e         *hayate.Expect
		result    string
		succeeded bool
		verified  bool
		failures  []string // what each failure contains
	}{
		{"nothing expected proves nothing", nil, ok, true, false, nil},
		{"an empty block proves nothing", &hayate.Expect{}, ok, true, false, nil},
		{"a failure stays a failure", &hayate.Expect{Stdout: "x"}, three, false, false, nil},
		{"exit code holds", &hayate.Expect{ExitCodes: []int{0}}, ok, true, true, nil},
		{"another exit code is expected", &hayate.Expect{ExitCodes: []int{0, 3}}, three, false, true, nil},
		{"exit code differs", &hayate.Expect{ExitCodes: []int{1, 2}}, three, false, false,
			[]string{"exit code: expected one of 1, 2, found 3"}},
		{"exit code absent", &hayate.Expect{ExitCodes: []int{0}}, `{"body":1}`, true, false,
			[]string{"exit code: expected 0, found none"}},
		{"stdout found", &hayate.Expect{Stdout: `ready: \d+ up`}, ok, true, true, nil},
		{"stdout not found", &hayate.Expect{Stdout: `ready: \d{2} up`}, ok, true, false,
			[]string{`stdout: expected to find /ready: \d{2} up/, found "ready: 3 up\nbye"`}},
		{"stdout forbidden", &hayate.Expect{NotStdout: `\d up`}, ok, true, false,
			[]string{`stdout: expected not to find /\d up/, found "ready: 3 up"`}},
		{"stderr forbidden and absent", &hayate.Expect{NotStderr: `(?i)error`}, ok, true, true, nil},
		{"stderr found with exit code", &hayate.Expect{ExitCodes: []int{3}, Stderr: "^degr"}, three, false, true, nil},
		{"stderr not found", &hayate.Expect{Stderr: "warn"}, ok, true, false, []string{`stderr: expected to find /warn/, found ""`}},
		{"a wrong expression", &hayate.Expect{Stdout: "("}, ok, true, false, []string{`"(" is not a regular expression`}},
		{"no such text", &hayate.Expect{Stdout: "x"}, `{"body":1}`, true, false, []string{"no such member"}},
		{"decoded stdout by its JSON text", &hayate.Expect{Stdout: `"load": \[0.5`}, decoded, true, true, nil},
		{"range holds", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.load.0", Min: ptr(0), Max: ptr(1)}}}, decoded, true, true, nil},
		{"range from the end", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.load.-1", Min: ptr(12)}}}, decoded, true, true, nil},
		{"range exceeded", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.load.1", Max: ptr(10)}}}, decoded, true, false,
			[]string{"stdout.load.1: expected a number of at most 10, found 12"}},
		{"range not reached", &hayate.Expect{Ranges: []hayate.Range{{Path: "return_code", Min: ptr(1), Max: ptr(2)}}}, decoded, true, false,
			[]string{"return_code: expected a number from 1 to 2, found 0"}},
		{"range of a text", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.name", Min: ptr(1)}}}, decoded, true, false,
			[]string{`stdout.name: expected a number of at least 1, found "\"x\""`}},
		{"range of nothing", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.size", Min: ptr(1)}}}, decoded, true, false,
			[]string{`stdout has no member "size"`}},
		{"range beyond a list", &hayate.Expect{Ranges: []hayate.Range{{Path: "stdout.load.7"}}}, decoded, true, false,
			[]string{`stdout.load has 2 items and none at "7"`}},
		{"range below a number", &hayate.Expect{Ranges: []hayate.Range{{Path: "return_code.x"}}}, decoded, true, false,
			[]string{`return_code is "0" and has no members`}},
		{"all failures are told", &hayate.Expect{ExitCodes: []int{1}, Stdout: "no", NotStdout: "bye"}, ok, true, false,
			[]string{"exit code", "/no/", "/bye/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			verified, failures := expect.Check(tt.e, json.RawMessage(tt.result), tt.succeeded, expect.World{})
			if verified != tt.verified {
				t.Errorf("verified = %v, want %v", verified, tt.verified)
			}
			if len(failures) != len(tt.failures) {
				t.Fatalf("failures = %q, want %d", failures, len(tt.failures))
			}
			for i, want := range tt.failures {
				if !strings.Contains(failures[i], want) {
					t.Errorf("failure %q does not say %q", failures[i], want)
				}
			}
		})
	}
}

func TestCheckAsksForTheSchema(t *testing.T) {
	e := &hayate.Expect{Schema: json.RawMessage(`{"type":"object"}`)}
	var asked []string
	good := func(schema, value json.RawMessage) error {
		asked = append(asked, string(schema), string(value))
		return nil
	}
	if verified, failures := expect.Check(e, json.RawMessage(`{"a":1}`), true, expect.World{Schema: good}); !verified || failures != nil {
		t.Errorf("schema that holds: verified %v, failures %q", verified, failures)
	}
	if want := []string{`{"type":"object"}`, `{"a":1}`}; !slices.Equal(asked, want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	bad := func(_, _ json.RawMessage) error { return errors.New("a: want string") }
	verified, failures := expect.Check(e, json.RawMessage(`{"a":1}`), true, expect.World{Schema: bad})
	if verified || len(failures) != 1 || !strings.Contains(failures[0], "a: want string") || !strings.Contains(failures[0], `{\"a\":1}`) {
		t.Errorf("schema that fails: verified %v, failures %q", verified, failures)
	}
	if verified, failures := expect.Check(e, json.RawMessage(`{}`), true, expect.World{}); verified || len(failures) != 1 {
		t.Errorf("no checker: verified %v, failures %q, want one failure", verified, failures)
	}
}

func TestApply(t *testing.T) {
	value := `{"failed":true, "succeeded":false,"return_code":3,"stdout":""}`
	r := expect.Apply(&hayate.Expect{ExitCodes: []int{3}}, hayate.Result{Status: hayate.StatusFailed, Value: json.RawMessage(value)}, expect.World{})
	if want := `{"failed":false, "succeeded":true,"return_code":3,"stdout":""}`; r.Status != hayate.StatusSucceeded || !r.Verified || string(r.Value) != want {
		t.Errorf("an expected exit code: %s verified %v %s, want succeeded, verified, %s", r.Status, r.Verified, r.Value, want)
	}

	value = `{"failed":false,"succeeded":true,"return_code":0,"stdout":"<bad>"}`
	r = expect.Apply(&hayate.Expect{Stdout: "good"}, hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(value), Verified: true}, expect.World{})
	want := `{"failed":true,"succeeded":false,"return_code":0,"stdout":"<bad>","error":"stdout: expected to find /good/, found \"<bad>\"",` +
		`"expect_failures":["stdout: expected to find /good/, found \"<bad>\""]}`
	if r.Status != hayate.StatusFailed || r.Verified || string(r.Value) != want {
		t.Errorf("a failed expectation: %s verified %v\n%s, want\n%s", r.Status, r.Verified, r.Value, want)
	}

	for _, s := range []hayate.Status{hayate.StatusTimeout, hayate.StatusCanceled, hayate.StatusPending} {
		in := hayate.Result{Status: s, Value: json.RawMessage(`{"return_code":0}`)}
		if r := expect.Apply(&hayate.Expect{ExitCodes: []int{0}}, in, expect.World{}); r.Status != s || r.Verified {
			t.Errorf("%s became %s, verified %v; want it unchanged", s, r.Status, r.Verified)
		}
	}
	if r := expect.Apply(nil, hayate.Result{Status: hayate.StatusSucceeded, Verified: true}, expect.World{}); !r.Verified {
		t.Error("without expectations the runner's own proof was lost")
	}
	r = expect.Apply(&hayate.Expect{Stdout: "x"}, hayate.Result{Status: hayate.StatusSucceeded, Value: json.RawMessage(`{}`)}, expect.World{})
	if !json.Valid(r.Value) {
		t.Errorf("failures in an empty object: %s is not JSON", r.Value)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	began := time.Now()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	for _, name := range []string{old, fresh} {
		if err := os.WriteFile(name, []byte("12345"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chtimes(old, began, began.Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	w := expect.World{Stat: os.Stat, Began: began, Now: began.Add(time.Second),
		Path: func(s string) (string, error) { return filepath.Join(dir, s), nil }}
	for name, tt := range map[string]struct {
		file hayate.File
		want string // "" holds
	}{
		"there":              {hayate.File{Path: "old"}, ""},
		"not there":          {hayate.File{Path: "none"}, "expected it to exist, found nothing there"},
		"absent":             {hayate.File{Path: "none", Absent: true}, ""},
		"not absent":         {hayate.File{Path: "old", Absent: true}, "expected nothing there, found one of 5 bytes"},
		"written just now":   {hayate.File{Path: "fresh", Fresh: true, MaxAge: 60}, ""},
		"too old":            {hayate.File{Path: "old", MaxAge: 60}, "within 60 seconds, found it 1h0m1s old"},
		"of an earlier time": {hayate.File{Path: "old", Fresh: true}, "expected the action to write it after"},
		"large enough":       {hayate.File{Path: "old", MinSize: 5}, ""},
		"too small":          {hayate.File{Path: "old", MinSize: 6}, "expected at least 6 bytes, found 5"},
	} {
		verified, failures := expect.Check(&hayate.Expect{Files: []hayate.File{tt.file}}, json.RawMessage(`{}`), true, w)
		switch {
		case tt.want == "" && (!verified || failures != nil):
			t.Errorf("%s: got %v, %q", name, verified, failures)
		case tt.want != "" && (verified || len(failures) != 1 || !strings.Contains(failures[0], tt.want)):
			t.Errorf("%s: got %v, %q, want %q", name, verified, failures, tt.want)
		}
	}
}

func ExampleCheck() {
	e := &hayate.Expect{ExitCodes: []int{0}, NotStdout: "ERROR"}
	result := json.RawMessage(`{"return_code": 0, "stdout": "backup done\n1 ERROR"}`)
	verified, failures := expect.Check(e, result, true, expect.World{})
	fmt.Println(verified, failures[0])
	// Output: false stdout: expected not to find /ERROR/, found "1 ERROR"
}

func FuzzApply(f *testing.F) {
	f.Add(`{"succeeded":true,"failed":false,"return_code":0,"stdout":"x"}`, "stdout.a.0", "x", 0)
	f.Add(`[1,{"a":2}]`, "1.a", "(", 3)
	f.Add(` {"a" : {"succeeded":false} , "failed" : true } `, "a", "", 0)
	f.Fuzz(func(t *testing.T, value, path, pattern string, code int) {
		if !json.Valid([]byte(value)) {
			t.Skip("results are JSON")
		}
		e := &hayate.Expect{ExitCodes: []int{code}, Stdout: pattern, Ranges: []hayate.Range{{Path: path}}}
		for _, s := range []hayate.Status{hayate.StatusSucceeded, hayate.StatusFailed} {
			r := expect.Apply(e, hayate.Result{Status: s, Value: json.RawMessage(value)}, expect.World{})
			if !json.Valid(r.Value) {
				t.Errorf("Apply to %s gives %s", value, r.Value)
			}
			if r.Verified != (r.Status == hayate.StatusSucceeded) {
				t.Errorf("Apply to %s: %s and verified %v", value, r.Status, r.Verified)
			}
		}
	})
}
