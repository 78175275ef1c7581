// Package textfold makes texts equal that a reader takes for the same: full and
// half width, upper and lower case, hiragana and katakana, and the compatibility
// forms of Unicode.
package textfold

import (
	"fmt"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Form is a set of differences that do not count.
type Form uint8

// The differences.
const (
	// NFKC takes compatibility forms for what they stand for: ㍿ for 株式会社, ① for 1.
	NFKC Form = 1 << iota
	// Case takes upper for lower case (full case folding: ß for ss).
	Case
	// Width takes full-width letters and digits for ASCII, and half-width kana
	// for full-width ones, with their voicing marks: ｻｰﾊﾞ for サーバ.
	Width
	// Kana takes hiragana for katakana: さーば for サーバ.
	Kana
	// NFC takes a character with combining marks for the composed one.
	NFC
)

// names are how documents name the forms.
var names = []struct {
	name string
	form Form
}{{"nfkc", NFKC}, {"case", Case}, {"width", Width}, {"kana", Kana}, {"nfc", NFC}}

// Parse returns the form with a name.
func Parse(name string) (Form, error) {
	for _, n := range names {
		if n.name == name {
			return n.form, nil
		}
	}
	return 0, fmt.Errorf("unknown folding %q, want nfkc, nfc, case, width or kana", name)
}

// String lists the names, as documents write them.
func (f Form) String() string {
	var out []string
	for _, n := range names {
		if f&n.form != 0 {
			out = append(out, n.name)
		}
	}
	return strings.Join(out, ", ")
}

// Fold returns s with the differences in f removed. Folding twice changes
// nothing more.
func (f Form) Fold(s string) string {
	if f&NFKC != 0 {
		s = norm.NFKC.String(s)
	}
	if f&Width != 0 {
		// Half-width voicing marks become combining ones; composing joins them to
		// their kana.
		s = norm.NFC.String(width.Fold.String(s))
	}
	if f&Case != 0 {
		s = cases.Fold().String(s)
	}
	if f&Kana != 0 {
		s = strings.Map(katakana, s)
	}
	if f&(NFKC|Width|NFC) != 0 {
		s = norm.NFC.String(s)
	}
	return s
}

// katakana maps a hiragana to the katakana of the same sound.
func katakana(r rune) rune {
	if r >= 'ぁ' && r <= 'ゖ' || r == 'ゝ' || r == 'ゞ' {
		return r + ('ァ' - 'ぁ')
	}
	return r
}
