package cli

import (
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/rules"
)

func TestHeadline(t *testing.T) {
	for _, c := range []struct {
		past *rules.Past
		want string
	}{
		{nil, "rule p.r matches"},
		{&rules.Past{Status: hayate.FiringSucceeded}, "rule p.r matches"},
		{&rules.Past{Status: hayate.FiringNoted}, "rule p.r matches, and waits"},
		{&rules.Past{Status: hayate.FiringSuppressed}, "rule p.r matches, but was held back"},
	} {
		if got := headline(&rules.Explanation{Rule: "p.r", Matched: true, Enabled: true, Past: c.past}); got != c.want {
			t.Errorf("%+v: got %q, want %q", c.past, got, c.want)
		}
	}
}
