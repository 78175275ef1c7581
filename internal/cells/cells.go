// Package cells measures text as terminals and fixed-width fonts show it: wide
// East Asian characters take two columns.
package cells

import "golang.org/x/text/width"

// Width is how many columns a text takes.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += ofRune(r)
	}
	return n
}

// Cut shortens a text to at most n columns; what was cut shows as an ellipsis.
func Cut(s string, n int) string {
	if Width(s) <= n {
		return s
	}
	used := 0
	for i, r := range s {
		if used += ofRune(r); used > n-1 {
			return s[:i] + "…"
		}
	}
	return s
}

func ofRune(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}
