package yamldoc

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Severity says how bad a finding is.
type Severity uint8

// The severities.
const (
	Error   Severity = iota // the document cannot be used
	Warning                 // it can, but its author should look
)

// Diagnostic is one finding about a document.
type Diagnostic struct {
	File         string
	Line, Column int // counted from 1; 0 where the finding is about the whole file
	Severity     Severity
	Code         string // a stable word for the kind of finding: "unknown-key"
	Message      string
}

// String gives one line: rules/mail.yaml:12:5: unknown key "triger", did you
// mean "trigger"? A warning says so before its message.
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.File)
	if d.Line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(d.Line))
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(d.Column))
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if d.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(d.Message)
	return b.String()
}

// HasErrors says whether one of the findings is an error.
func HasErrors(ds []Diagnostic) bool {
	for i := range ds {
		if ds[i].Severity == Error {
			return true
		}
	}
	return false
}

// Sort orders findings by file, line and column, keeping the order of equals.
func Sort(ds []Diagnostic) {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// Suggest ends a message: it returns `, did you mean "name"?` with the known name
// nearest to what was written, or "" where none is near.
func Suggest(written string, known []string) string {
	if n := Nearest(written, known); n != "" {
		return ", did you mean " + strconv.Quote(n) + "?"
	}
	return ""
}

// Nearest returns the known name that is nearest to what was written by edit
// distance (insertions, deletions, replacements, swapped neighbours), case and
// the difference between "-" and "_" ignored; "" where none is near: at most
// one edit for each three letters. The first of equals wins. Where none is near,
// it is the shortest that begins with what was written, if that has four letters.
func Nearest(written string, known []string) string {
	w := foldName(written)
	best, bestDistance := "", 1+max(1, min(3, len(w)/3))
	for _, k := range known {
		f := foldName(k)
		if abs(len(f)-len(w)) >= bestDistance {
			continue
		}
		if d := editDistance(w, f); d < bestDistance {
			best, bestDistance = k, d
		}
	}
	if best != "" || len(w) < 4 {
		return best
	}
	for _, k := range known {
		if strings.HasPrefix(foldName(k), w) && (best == "" || len(k) < len(best)) {
			best = k
		}
	}
	return best
}

// maxSuggested bounds the length of names that are compared.
const maxSuggested = 64

func foldName(s string) string {
	if len(s) > maxSuggested {
		s = s[:maxSuggested]
	}
	return strings.ReplaceAll(strings.ToLower(s), "-", "_")
}

func abs(i int) int {
	if i < 0 {
		return -i
	}
	return i
}

// editDistance is the optimal string alignment distance of two short texts, by bytes.
func editDistance(a, b string) int {
	var rows [3][]int
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		older, old, now := rows[(i+2)%3], rows[i%3], rows[(i+1)%3]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			d := old[j-1]
			if a[i-1] != b[j-1] {
				d++
			}
			d = min(d, old[j]+1, now[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, older[j-2]+1)
			}
			now[j] = d
		}
	}
	return rows[(len(a)+1)%3][len(b)]
}
