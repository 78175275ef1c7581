//go:build unix

package shell

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/hayate-run/hayate"
)

func FuzzDecoded(f *testing.F) {
	for _, s := range []string{"", "\n", "\r\n", "12", "1e999", "{\"a\":1}\n", "日本\r\n", "[1", " 5 ", "-", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !utf8.ValidString(s) {
			t.Skip("the collector makes it valid")
		}
		raw := decoded(s)
		if !json.Valid(raw) {
			t.Fatalf("decoded(%q) = %q is not JSON", s, raw)
		}
		var text string
		if json.Unmarshal(raw, &text) == nil && !json.Valid([]byte(strings.TrimSpace(s))) && string(raw) != "null" &&
			text != strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r") {
			t.Errorf("decoded(%q) is the text %q", s, text)
		}
	})
}

func FuzzShebang(f *testing.F) {
	for _, s := range []string{"#!/bin/sh\n", "#! /usr/bin/env  bash -x \r\n", "#!", "#!\n", "\x7fELF\x00", "echo"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, head []byte) {
		words, binary := shebang(head)
		if len(words) > 2 || (binary && words != nil) {
			t.Errorf("shebang(%q) = %q, %v", head, words, binary)
		}
		for _, w := range words {
			if w == "" || strings.Contains(w, "\n") || w != strings.Trim(w, " \t") { // the kernel parts words at blanks and tabs alone
				t.Errorf("shebang(%q) = %q", head, words)
			}
		}
		New(Config{Bash: "/bin/sh"}).strictInterpreter(words, "/x")
	})
}

func FuzzArguments(f *testing.F) {
	f.Add(`{"a":[1,{"b":null}],"c":"d"}`, "array")
	f.Add(`{"p":{"x":1.5e300}}`, "object")
	f.Add(`{"p":`, "")
	f.Fuzz(func(t *testing.T, parameters, typ string) {
		zero := 0
		a := hayate.Action{Parameters: hayate.Parameters{{Name: "p", Type: typ, Position: &zero}}}
		args, err := arguments(a, json.RawMessage(parameters), "--")
		if (err == nil) != (len(args) > 0) {
			t.Errorf("arguments(%q) = %q, %v: the position needs its slot", parameters, args, err)
		}
		for _, arg := range args {
			if strings.Contains(arg, "\x00") {
				t.Errorf("argument %q", arg)
			}
		}
	})
}

func FuzzQuote(f *testing.F) {
	f.Add("it's")
	f.Fuzz(func(t *testing.T, s string) {
		// Undoing what a shell undoes gives the text again.
		q := quote(s)
		var b strings.Builder
		for q != "" {
			switch q[0] {
			case '\'', '"':
				end := strings.IndexByte(q[1:], q[0]) + 1
				if end < 1 {
					t.Fatalf("quote(%q) is not closed", s)
				}
				b.WriteString(q[1:end])
				q = q[end+1:]
			default:
				if strings.ContainsAny(q[:1], " \t\n;|&<>()$`\\#*?[]{}~!") {
					t.Fatalf("quote(%q) leaves %q bare", s, q[:1])
				}
				b.WriteByte(q[0])
				q = q[1:]
			}
		}
		if b.String() != s {
			t.Errorf("quote(%q) means %q", s, b.String())
		}
	})
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) b) S 1 12 12 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 5 0"))
	f.Add([]byte("12 () R"))
	f.Add([]byte("0()\x00 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, ok := parseStat(b); ok && (p.state == 0 || p.started == "") {
			t.Errorf("parseStat(%q) = %+v", b, p)
		}
	})
}

func TestParseStat(t *testing.T) {
	got, ok := parseStat([]byte("4711 (we ird) (x) S 7 4712 4713 34816 -1 0 1 2 3 4 5 6 7 8 20 0 1 0 998877 12 13"))
	if want := (process{pid: 4711, parent: 7, group: 4712, session: 4713, state: 'S', started: "998877"}); !ok || got != want {
		t.Errorf("parseStat = %+v, %v, want %+v", got, ok, want)
	}
}
