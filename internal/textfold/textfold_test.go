package textfold_test

import (
	"fmt"
	"testing"

	"github.com/hayate-run/hayate/internal/textfold"
)

const all = textfold.NFKC | textfold.Case | textfold.Width | textfold.Kana | textfold.NFC

func TestFold(t *testing.T) {
	for _, c := range []struct {
		form    textfold.Form
		a, b    string
		same    bool
		meaning string
	}{
		{textfold.Width, "ｻｰﾊﾞ", "サーバ", true, "half-width kana with a voicing mark"},
		{textfold.Width, "Ａ１", "A1", true, "full-width letters and digits"},
		{textfold.Width, "①", "1", false, "a compatibility form is no matter of width"},
		{textfold.NFKC, "①㍿", "1株式会社", true, "compatibility forms"},
		{textfold.Case, "Straße", "STRASSE", true, "full case folding"},
		{textfold.Case, "さ", "サ", false, "kana are no matter of case"},
		{textfold.Kana, "さーばゞ", "サーバヾ", true, "hiragana and katakana"},
		{textfold.Kana, "ｻ", "サ", false, "nor of width"},
		{textfold.NFC, "e\u0301", "é", true, "combining marks"},
		{textfold.Kana, "障害", "障害", true, "kanji stay"},
		{all, "ｼｮｳｶﾞｲ ＥＲＲＯＲ", "しょうがい error", true, "everything at once"},
		{0, "a", "A", false, "nothing"},
	} {
		if got := c.form.Fold(c.a) == c.form.Fold(c.b); got != c.same {
			t.Errorf("%s (%s): %q and %q are the same: %t, want %t", c.meaning, c.form, c.a, c.b, got, c.same)
		}
	}
}

func TestParseIsTheInverseOfString(t *testing.T) {
	for _, name := range []string{"nfkc", "case", "width", "kana", "nfc"} {
		f, err := textfold.Parse(name)
		if err != nil || f.String() != name {
			t.Errorf("%s: got %s, %v", name, f, err)
		}
	}
	if _, err := textfold.Parse("lower"); err == nil {
		t.Error("an unknown name was accepted")
	}
}

func FuzzFold(f *testing.F) {
	f.Add("ｻｰﾊﾞ é ß ǅ ﾞ", uint8(all))
	f.Fuzz(func(t *testing.T, s string, form uint8) {
		x := textfold.Form(form)
		once := x.Fold(s)
		if twice := x.Fold(once); twice != once {
			t.Errorf("%s of %q: %q, then %q", x, s, once, twice)
		}
	})
}

func ExampleForm_Fold() {
	f := textfold.Width | textfold.Case
	fmt.Println(f.Fold("ＳＥＲＶＥＲ ｻｰﾊﾞ"))
	// Output: server サーバ
}
