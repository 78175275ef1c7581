package rules

import "math"

// unbounded is the range of all numbers.
func unbounded() alternative {
	return alternative{op: opRange, lo: math.Inf(-1), hi: math.Inf(1)}
}

// didYouMean proposes the known name nearest to a misspelt one, or says nothing.
func didYouMean(name string, known []string) string {
	best, least := "", len(name)/2+1
	for _, k := range known {
		// The longer word for the same thing is the likeliest.
		if len(name) > 3 && len(k) > len(name) && k[:len(name)] == name {
			return ", did you mean " + quote(k) + "?"
		}
	}
	for _, k := range known {
		if d := distance(name, k, least); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return ", did you mean " + quote(best) + "?"
}

// distance counts the single-byte changes that turn a into b, up to limit.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit || len(a) > 64 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost = 1 + min(diag, row[j], row[j+1])
			}
			diag, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
