package yaql

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/runenames"
)

// runeNames are the characters by their names in Unicode; the first use of \N
// makes the table.
var runeNames = sync.OnceValue(func() map[string]rune {
	names := make(map[string]rune, 40_000)
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if name := runenames.Name(r); name != "" && name[0] != '<' {
			names[name] = r
		}
	}
	return names
})

// runeByName finds the character that Unicode gives a name.
func runeByName(name string) (rune, bool) {
	r, ok := runeNames()[strings.ToUpper(name)]
	return r, ok
}
