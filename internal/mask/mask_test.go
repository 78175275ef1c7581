package mask_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/hayate-run/hayate/internal/mask"
)

func TestString(t *testing.T) {
	tests := []struct {
		name    string
		secrets []string
		in      string
		want    string
	}{
		{"nothing to mask", nil, "plain", "plain"},
		{"empty secrets are ignored", []string{"", " "}, "a b", "a b"},
		{"in the middle", []string{"s3cret"}, "pw=s3cret;", "pw=********;"},
		{"at both ends", []string{"s3cret"}, "s3cret and s3cret", "******** and ********"},
		{"the longest wins", []string{"pass", "password"}, "password pass", "******** ********"},
		{"overlapping ones go together", []string{"abc", "cde"}, "xabcdex", "x********x"},
		{"adjacent ones stay two", []string{"abc"}, "abcabc", "****************"},
		{"self-overlapping", []string{"aa"}, "baaaab", "b********b"},
		{"a beginning only", []string{"secret"}, "secre", "secre"},
		{"white space around is not part of it", []string{" tok3n\n"}, "x tok3n y", "x ******** y"},
		{"json form", []string{`a"b\c`}, `{"p":"a\"b\\c"}`, `{"p":"********"}`},
		{"json form with html escapes", []string{"a<b>&c"}, `"a\u003cb\u003e\u0026c"`, `"********"`},
		{"json form in ascii", []string{"密語😀"}, `"\u5bc6\u8a9e\ud83d\ude00"`, `"********"`},
		{"json form with solidus", []string{"a/b"}, `"a\/b"`, `"********"`},
		{"japanese", []string{"ひみつ"}, "鍵はひみつです", "鍵は********です"},
		{"one line of a key", []string{"-----BEGIN KEY-----\nMIIEvAIBADANBg\nzz\n-----END KEY-----"},
			"> MIIEvAIBADANBg\n> zz", "> ********\n> zz"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mask.New(tt.secrets).String(tt.in); got != tt.want {
				t.Errorf("String(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

// However a text is cut into pieces, the stream says what String says.
func TestStreamIsIndependentOfPieces(t *testing.T) {
	m := mask.New([]string{"s3cret", "cretin", "aa", "ln 1\nln 2", "ひみつ"})
	text := "x s3cretin aaaa ln 1\nln 2 s3cre ひみつ ln 1\nln thr ee s3cret"
	want := m.String(text)
	if strings.Contains(want, "cretin") || !strings.Contains(want, "ln 1\nln thr") {
		t.Fatalf("String = %q", want)
	}
	for size := 1; size <= len(text); size++ {
		s := m.Stream()
		var out []byte
		for from := 0; from < len(text); from += size {
			out = s.Write(out, []byte(text[from:min(from+size, len(text))]))
		}
		if got := string(s.Close(out)); got != want {
			t.Errorf("pieces of %d bytes: got %q, want %q", size, got, want)
		}
	}
}

func TestStreamHoldsBackOnlyABeginning(t *testing.T) {
	s := mask.New([]string{"secret"}).Stream()
	if got := string(s.Write(nil, []byte("hello"))); got != "hello" {
		t.Errorf("text that begins no secret: got %q at once, want all of it", got)
	}
	if got := string(s.Write(nil, []byte(" sec"))); got != " " {
		t.Errorf("a beginning: got %q, want it held back", got)
	}
	if got := string(s.Write(nil, []byte("tion"))); got != "section" {
		t.Errorf("no secret after all: got %q, want %q", got, "section")
	}
}

func TestJSON(t *testing.T) {
	m := mask.New([]string{"pässword", `q"uote`, "12345"})
	in := `{"a":"p\u00e4ssw\u006frd","q\"uote":["x q\"uote y"],"n":12345,"s":"\\"}`
	want := `{"a":"********","********":["x ******** y"],"n":12345,"s":"\\"}`
	got := m.JSON(json.RawMessage(in))
	if string(got) != want {
		t.Errorf("JSON = %s, want %s", got, want)
	}
	if same := m.JSON(json.RawMessage(`{"x":"y"}`)); string(same) != `{"x":"y"}` {
		t.Errorf("JSON without secrets = %s", same)
	}
}

func FuzzStream(f *testing.F) {
	f.Add("s3cret", "aab", "xx s3cret aaab aabaab", 3)
	f.Add("aa", "a", "aaaa", 1)
	f.Add("ab", "bcd", "abcd", 2)
	f.Fuzz(func(t *testing.T, one, two, text string, size int) {
		if size < 1 {
			size = 1
		}
		m := mask.New([]string{one, two})
		s := m.Stream()
		var out []byte
		for from := 0; from < len(text); from += size {
			out = s.Write(out, []byte(text[from:min(from+min(size, len(text)), len(text))]))
			if from+size < from {
				break
			}
		}
		if got, want := string(s.Close(out)), m.String(text); got != want {
			t.Errorf("secrets %q, pieces of %d of %q: got %q, want %q", []string{one, two}, size, text, got, want)
		}
		if json.Valid([]byte(text)) && !json.Valid(m.JSON(json.RawMessage(text))) {
			t.Errorf("JSON(%q) is not JSON: %q", text, m.JSON(json.RawMessage(text)))
		}
	})
}

func ExampleMasker_String() {
	m := mask.New([]string{"hunter2"})
	fmt.Println(m.String("login with hunter2"))
	// Output: login with ********
}
