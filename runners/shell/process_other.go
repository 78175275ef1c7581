//go:build !unix

package shell

import (
	"context"
	"errors"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

type ending int

const (
	byItself ending = iota
	byTimeout
	byCancel
)

type outcome struct {
	ended          ending
	exited         bool
	code           int
	stdout, stderr string
	left           string
}

func mayExecute(string) bool { return true }

func (r *Runner) perform(context.Context, plan, *mask.Masker, func(hayate.Stream, string)) (outcome, error) {
	return outcome{}, errors.New("shell actions need a Unix host")
}

// KillLeftovers does nothing here: without shell actions nothing is left over.
func KillLeftovers(string) error { return nil }

// Leftovers returns none, for the same reason.
func Leftovers() []string { return nil }
