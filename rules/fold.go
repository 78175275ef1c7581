package rules

import (
	"slices"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/textfold"
)

// appendFolded appends s so that texts that differ only in case become equal:
// character by character, upper then lower, as EventBridge's engine folds
// (straße stays apart from strasse).
func appendFolded(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 'A' && c <= 'Z' {
				c += 'a' - 'A'
			}
			dst = append(dst, c)
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, foldRune(r))
		}
		i += n
	}
	return dst
}

func foldRune(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }

func foldText(s string) string { return string(appendFolded(nil, bytesOf(s))) }

// quote shows a text in messages, cut where it is long.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		cut := most
		for cut > 0 && !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return strconv.Quote(s)
}

// foldable are the operators that a criterion's fold applies to.
var foldable = []operator{
	opEquals, opNotEquals, opEqualsFold, opHas, opHasFold, opHasNot, opHasNotFold,
	opStarts, opStartsFold, opEnds, opEndsFold, opInside, opNotInside,
}

// readFolding reads fold: [nfkc, case, width, kana], hayate's addition to
// criteria.
func readFolding(bad *problems, at []string, d *doc, o operator) textfold.Form {
	list := []doc{*d}
	if d.kind == kindArray {
		list = d.vals
	}
	if !slices.Contains(foldable, o) {
		bad.add(at, "applies to equals, contains, startswith, endswith, inside and their variants only")
		return 0
	}
	var f textfold.Form
	for i := range list {
		if list[i].kind != kindString {
			bad.add(at, "must be a list of nfkc, case, width, kana; found %s", list[i].describe())
			return 0
		}
		x, err := textfold.Parse(list[i].text)
		if err != nil {
			bad.add(at, "%v", err)
		}
		f |= x
	}
	return f
}

// foldValue folds the strings in a value.
func foldValue(f textfold.Form, v any) any {
	switch v := v.(type) {
	case string:
		return f.Fold(v)
	case value.List:
		out := make(value.List, len(v))
		for i := range v {
			out[i] = foldValue(f, v[i])
		}
		return out
	}
	return v
}
