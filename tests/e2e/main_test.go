// Package e2e_test uses the real binary as its users do: by the command line, in
// scripts (tests/testdata/script), and over HTTP.
package e2e_test

import (
	"os"
	"testing"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

func TestMain(m *testing.M) { os.Exit(hayatetest.Main(m)) }
