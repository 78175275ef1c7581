package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/packs/lint"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/workflows"
)

func (a *app) workflowCommand() *cobra.Command {
	c := &cobra.Command{Use: "workflow", Aliases: []string{"workflows"}, Short: "check, draw, simulate and convert workflow definitions"}
	c.AddCommand(a.workflowInspect(), a.workflowGraph(), a.workflowSimulate(), a.workflowConvert())
	return c
}

func (a *app) workflowInspect() *cobra.Command {
	var runner string
	c := &cobra.Command{Use: "inspect FILE...", Short: "check definitions without a server; exit code 1 says that something is wrong", Args: atLeast(1),
		Long: "Checks definitions as StackStorm's inspection does, and whether the actions that they call exist and take what they are given:\n" +
			"those of core, and where a file lies in a pack, of this pack and of the packs beside it. An action of another pack is a warning."}
	runnerFlag(c, &runner)
	c.RunE = func(_ *cobra.Command, args []string) error {
		bad := 0
		for _, name := range args {
			text, err := a.readInput(name)
			if err != nil {
				return err
			}
			d, err := dialectOf(runner, text)
			if err != nil {
				return err
			}
			ps := router.InspectWorkflow(d, text)
			known, err := packsAround(name)
			if err != nil {
				return err
			}
			wrong, foreign := lint.Contents(known, d, text)
			for _, p := range wrong {
				ps = append(ps, router.WorkflowProblem{Type: p.Category, Problem: p})
			}
			bad += len(ps)
			for _, p := range foreign {
				a.say("%s", strings.Replace(problemLine(name, p), ": content: ", ": warning: ", 1))
			}
			if a.output == "json" {
				if err := a.printJSON(mustJSON(ps)); err != nil {
					return err
				}
				continue
			}
			for _, p := range ps {
				fmt.Fprintln(a.Stdout, problemLine(name, p.Problem))
			}
		}
		a.say("%d definition(s), %d problem(s)", len(args), bad)
		if bad > 0 {
			return &exit{code: exitError}
		}
		return nil
	}
	return c
}

// packsAround are the pack that a file lies in, and the packs beside it; none where
// it lies in no pack.
func packsAround(file string) ([]lint.Pack, error) {
	if file == "-" {
		return nil, nil
	}
	abs, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	for dir := filepath.Dir(abs); ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
			return readPacks([]string{filepath.Dir(dir)})
		}
		if dir == filepath.Dir(dir) {
			return nil, nil
		}
	}
}

// runnerFlag adds the flag that names a definition's dialect.
func runnerFlag(c *cobra.Command, runner *string) {
	c.Flags().StringVar(runner, "runner", "", "dialect, by the name of its runner: "+strings.Join(workflows.Dialects, ", ")+" (default: what the file looks like)")
}

// dialectOf is the dialect asked for, else what a definition looks like.
func dialectOf(runner string, text []byte) (string, error) {
	if runner == "" {
		return workflows.Detect(text), nil
	}
	for _, d := range workflows.Dialects {
		if d == runner {
			return d, nil
		}
	}
	return "", usage("unknown runner %q%s Known: %s", runner, hint(runner, workflows.Dialects), strings.Join(workflows.Dialects, ", "))
}

// problemLine is a finding of an inspection with its place.
func problemLine(file string, p workflows.Problem) string {
	place := file
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d:%d", file, p.Line, p.Column)
	}
	where := ""
	if p.SpecPath != "" {
		where = " (" + p.SpecPath + ")"
	}
	hint := ""
	if p.Hint != "" {
		hint = "; " + p.Hint
	}
	return fmt.Sprintf("%s: %s: %s%s%s", place, p.Category, p.Message, where, hint)
}
