package value_test

import (
	"testing"

	"github.com/hayate-run/hayate/internal/expr/value"
)

// The answers are CPython's.
func TestCaseIsPythons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, upper, lower, title, capitalize, swap, fold string }{
		{"", "", "", "", "", "", ""},
		{"it's ok", "IT'S OK", "it's ok", "It'S Ok", "It's ok", "IT'S OK", "it's ok"},
		{"straße ß", "STRASSE SS", "straße ß", "Straße Ss", "Straße ß", "STRASSE SS", "strasse ss"},
		{"İı", "İI", "i̇ı", "İı", "İı", "i̇I", "i̇ı"},
		{"ΣΑΣ Σ", "ΣΑΣ Σ", "σας σ", "Σας Σ", "Σας σ", "σας σ", "σασ σ"},
		{"ﬁn ǆ", "FIN Ǆ", "ﬁn ǆ", "Fin ǅ", "Fin ǆ", "FIN Ǆ", "fin ǆ"},
		{"ŉ日本a", "ʼN日本A", "ŉ日本a", "ʼN日本A", "ʼN日本a", "ʼN日本A", "ʼn日本a"},
		{"ꭰᏸ", "ᎠᏰ", "ꭰᏸ", "Ꭰᏸ", "Ꭰᏸ", "ᎠᏰ", "ᎠᏰ"},
	} {
		for i, got := range []string{value.Upper(c.text), value.Lower(c.text), value.Title(c.text), value.Capitalize(c.text), value.SwapCase(c.text), value.Fold(c.text)} {
			want := []string{c.upper, c.lower, c.title, c.capitalize, c.swap, c.fold}[i]
			if got != want {
				t.Errorf("%s of %q is %q, want %q", []string{"upper", "lower", "title", "capitalize", "swapcase", "casefold"}[i], c.text, got, want)
			}
		}
	}
	for text, want := range map[string][3]bool{
		"": {}, "1": {}, "A1": {true, false, true}, "ª": {false, true, false}, "ⅷ": {false, true, false},
		"ǅ": {false, false, true}, "Ab Cd": {false, false, true}, "AB": {true, false, false}, "ab-": {false, true, false},
	} {
		if got := [3]bool{value.AllUpper(text), value.AllLower(text), value.AllTitle(text)}; got != want {
			t.Errorf("isupper, islower, istitle of %q are %v, want %v", text, got, want)
		}
	}
}
