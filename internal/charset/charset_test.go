package charset_test

import (
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/japanese"

	"github.com/hayate-run/hayate/internal/charset"
)

func TestDecodeKnowsTheNamesOfJapaneseSenders(t *testing.T) {
	t.Parallel()
	const want = "【障害】サーバー①㈱ｻｰﾊﾞ"
	groups := []struct {
		encoding encoding.Encoding
		names    []string
	}{
		{japanese.ShiftJIS, []string{"Shift_JIS", "sjis", "x-sjis", "CP932", "MS932", "windows-31j", "Windows-31J", "cswindows31j"}},
		{japanese.EUCJP, []string{"EUC-JP", "eucjp", "x-euc-jp", "CP51932"}},
	}
	for _, g := range groups {
		text, err := g.encoding.NewEncoder().Bytes([]byte(want))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range g.names {
			if got, err := charset.Decode(text, name); err != nil || string(got) != want {
				t.Errorf("Decode(…, %q) = %q, %v; want %q", name, got, err, want)
			}
		}
	}
}

func TestDecodeISO2022JPWithVendorCharacters(t *testing.T) {
	t.Parallel()
	// "障害①" with NEC's row 13, as old mail programs write it.
	text := []byte("\x1b$B>c32-!\x1b(B")
	for _, name := range []string{"ISO-2022-JP", "iso-2022-jp-ms", "CP50221", "cp50220"} {
		if got, err := charset.Decode(text, name); err != nil || string(got) != "障害①" {
			t.Errorf("Decode(…, %q) = %q, %v; want 障害①", name, got, err)
		}
	}
}

func TestDecodeOtherCharsets(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, charset, want string }{
		{"\xef\xbb\xbfa", "UTF-8", "a"},
		{"\xef\xbb\xbfa", "", "a"},
		{"caf\xe9", "iso-8859-1", "café"},
		{"\x80", "windows-1252", "€"},
		{"\xfe\xff\x00a", "utf-16", "a"},
		{"a\x00", "UTF-16LE", "a"},
		{"\x82", "sjis", "\ufffd"},
	}
	for _, tt := range tests {
		if got, err := charset.Decode([]byte(tt.text), tt.charset); err != nil || string(got) != tt.want {
			t.Errorf("Decode(%q, %q) = %q, %v; want %q", tt.text, tt.charset, got, err, tt.want)
		}
	}
	if _, err := charset.Decode([]byte("x"), "klingon-1"); err == nil {
		t.Error("Decode in klingon-1 gave no error")
	}
}
