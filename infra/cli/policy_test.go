package cli

import (
	"strings"
	"testing"
)

func TestPolicyValues(t *testing.T) {
	for arg, want := range map[string]string{
		"threshold=1": "", "threshold=0": "would never run", "threshold=-2": "would never run",
		"treshold=2": `policies take no parameter "treshold", did you mean "threshold"?`, "threshold": "is not NAME=VALUE", "retry_on=timeout": "",
	} {
		err := policyValues(object{}, []string{arg})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", arg, err, want)
		}
	}
}
