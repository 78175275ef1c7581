package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/packs/lint"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/ruletest"
)

// tested is what came of testing a pack.
type tested struct {
	Pack string `json:"pack"`
	// Findings are mistakes in the pack or its cases: they count as one failure.
	Findings []finding         `json:"findings,omitempty"`
	Cases    []ruletest.Result `json:"cases"`
	Mutants  []ruletest.Mutant `json:"mutants,omitempty"`

	took []time.Duration // of each case
}

// packTests is what pack test prints.
type packTests struct {
	Passed   int      `json:"passed"`
	Failed   int      `json:"failed"`
	Killed   int      `json:"killed,omitempty"`
	Survived int      `json:"survived,omitempty"`
	Packs    []tested `json:"packs"`
}

// packTest runs the rule tests of packs, tests/rules/*.yaml, without a server.
func (a *app) packTest() *cobra.Command {
	var run, junit string
	var mutate bool
	c := &cobra.Command{Use: "test [DIR...]", Short: "run the rule tests of packs without a server",
		Long: "Runs the cases of tests/rules/*.yaml of the packs in DIR (default: here). Nothing is started.\n" +
			"--mutate also changes each rule in small ways, an operator, a constant, a condition left out, and lists the changes that no\n" +
			"case notices. The exit code is 1 when a case fails or a mutant survives.",
		Example: "  hayate pack test packs/disk\n  hayate pack test packs --junit report.xml\n  hayate pack test packs/disk --mutate"}
	c.Flags().StringVar(&run, "run", "", "only the cases whose name matches this regular expression")
	c.Flags().StringVar(&junit, "junit", "", "also write a report in JUnit's XML to this file")
	c.Flags().BoolVar(&mutate, "mutate", false, "list the small changes of rules that no case notices")
	c.RunE = func(c *cobra.Command, args []string) error {
		only, err := regexp.Compile(run)
		if err != nil {
			return usage("--run: %s", err)
		}
		if len(args) == 0 {
			args = []string{"."}
		}
		if junit != "" {
			if err := canHold(junit); err != nil {
				return err
			}
		}
		all, err := a.testPacks(c.Context(), args, only, mutate)
		if err != nil {
			return err
		}
		if all.Passed+all.Failed == 0 {
			return usage("nothing was tested: no case of tests/rules/*.yaml in %s matches", strings.Join(args, ", "))
		}
		if junit != "" {
			if err := writeJUnit(junit, all); err != nil {
				return err
			}
		}
		if a.output != "table" && a.output != "wide" {
			if err := a.printObject(mustJSON(all), "pack", nil); err != nil {
				return err
			}
		} else {
			a.showTests(all, mutate)
		}
		if all.Failed > 0 || all.Survived > 0 {
			return &exit{code: exitError}
		}
		return nil
	}
	return c
}

// canHold says before long work whether a file can be written for what comes of it.
func canHold(file string) error {
	switch info, err := os.Stat(filepath.Dir(file)); {
	case err != nil:
		return usage("--junit: there is no folder %s", filepath.Dir(file))
	case !info.IsDir():
		return usage("--junit: %s is no folder", filepath.Dir(file))
	}
	if info, err := os.Stat(file); err == nil && info.IsDir() {
		return usage("--junit: %s is a folder; name a file", file)
	}
	return nil
}

// testPacks tests every pack of the folders, each beside all the others.
func (a *app) testPacks(ctx context.Context, args []string, only *regexp.Regexp, mutate bool) (packTests, error) {
	ws, err := readPacks(args)
	if err != nil {
		return packTests{}, err
	}
	beside := router.Content{}
	for _, w := range withShipped(ws) {
		if w.Pack != nil {
			beside.Packs = append(beside.Packs, router.Pack{Ref: w.Pack.Ref})
			beside.Actions = append(beside.Actions, w.Pack.Actions...)
		}
	}
	all := packTests{Packs: []tested{}}
	for _, w := range ws {
		t, err := testPack(ctx, w, beside, only, mutate)
		if err != nil {
			return packTests{}, err
		}
		if len(t.Findings) > 0 {
			all.Failed++
		}
		for _, r := range t.Cases {
			if r.Passed {
				all.Passed++
			} else {
				all.Failed++
			}
		}
		for _, m := range t.Mutants {
			if m.Killed {
				all.Killed++
			} else {
				all.Survived++
			}
		}
		all.Packs = append(all.Packs, t)
	}
	return all, nil
}

// testPack runs one pack's cases. A file or a pack with mistakes counts as one
// failure.
func testPack(ctx context.Context, w lint.Pack, beside router.Content, only *regexp.Regexp, mutate bool) (tested, error) {
	t := tested{Pack: filepath.Base(w.Name), Cases: []ruletest.Result{}}
	for _, f := range w.Found {
		if f.Severity == packs.Error {
			t.Findings = append(t.Findings, viewFinding(f))
		}
	}
	if w.Pack == nil || len(t.Findings) > 0 {
		return t, nil
	}
	t.Pack = w.Pack.Ref
	suite := &ruletest.Suite{Content: beside, RunnerTypes: packs.Runners(), Documents: w.Pack.Documents,
		Path: func(source string) string { return filepath.Join(w.Name, source) }}
	suite.Content.Rules = w.Pack.Rules
	cases, found, err := readCases(w.Name)
	if err != nil {
		return t, err
	}
	for _, f := range found {
		t.Findings = append(t.Findings, viewFinding(f))
	}
	passed := true
	for i := range cases {
		if !only.MatchString(cases[i].Name) {
			continue
		}
		begun := time.Now()
		res, err := suite.Run(ctx, &cases[i])
		if err != nil {
			return t, err
		}
		t.took = append(t.took, time.Since(begun))
		t.Cases = append(t.Cases, res)
		passed = passed && res.Passed
	}
	if mutate && passed && len(t.Findings) == 0 {
		t.Mutants, err = suite.Mutants(ctx, cases)
	}
	return t, err
}

// readCases reads a pack's rule tests. Cases of files with mistakes are left out.
func readCases(dir string) (cases []ruletest.Case, found []packs.Diagnostic, err error) {
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		files, err := filepath.Glob(filepath.Join(dir, "tests", "rules", pattern))
		if err != nil {
			return nil, nil, err
		}
		for _, file := range files {
			src, err := os.ReadFile(file)
			if err != nil {
				return nil, nil, err
			}
			cs, ds := ruletest.Parse(os.DirFS(dir), src, file)
			found = append(found, ds...)
			if len(ds) == 0 {
				cases = append(cases, cs...)
			}
		}
	}
	return cases, found, nil
}

func (a *app) showTests(all packTests, mutate bool) {
	for i := range all.Packs {
		t := &all.Packs[i]
		for _, f := range t.Findings {
			fmt.Fprintln(a.Stdout, f.line())
		}
		for _, r := range t.Cases {
			if r.Passed {
				fmt.Fprintf(a.Stdout, "ok   %s: %s\n", t.Pack, r.Case)
				continue
			}
			fmt.Fprintf(a.Stdout, "FAIL %s: %s (%s:%d)\n", t.Pack, r.Case, r.File, r.Line)
			for _, p := range r.Problems {
				fmt.Fprintf(a.Stdout, "     %s\n", p.Text)
				for _, d := range p.Detail {
					fmt.Fprintf(a.Stdout, "       %s\n", a.paintDiff(d))
				}
			}
		}
		a.showMutants(t)
	}
	fmt.Fprintf(a.Stdout, "%d passed, %d failed\n", all.Passed, all.Failed)
	if mutate && all.Failed == 0 {
		fmt.Fprintf(a.Stdout, "%d mutants: %d killed, %d survived\n", all.Killed+all.Survived, all.Killed, all.Survived)
	}
	if mutate && all.Failed > 0 {
		a.say("Mutants are tried once all cases pass.")
	}
}

// showMutants lists the survivors, by rule.
func (a *app) showMutants(t *tested) {
	for i := 0; i < len(t.Mutants); {
		ref, end, alive := t.Mutants[i].Rule, i, 0
		for ; end < len(t.Mutants) && t.Mutants[end].Rule == ref; end++ {
			if !t.Mutants[end].Killed {
				alive++
			}
		}
		switch {
		case alive == end-i:
			fmt.Fprintf(a.Stdout, "SURVIVED %s: all %d mutants (%s): no case tests the rule\n", ref, alive, t.Mutants[i].File)
		case alive > 0:
			fmt.Fprintf(a.Stdout, "SURVIVED %s: %d of %d mutants\n", ref, alive, end-i)
			for _, m := range t.Mutants[i:end] {
				if !m.Killed {
					fmt.Fprintf(a.Stdout, "     %s\n       → %s\n", m.String(), m.Advice)
				}
			}
		}
		i = end
	}
}

// paintDiff colours a line of differences for those who watch.
func (a *app) paintDiff(line string) string {
	if !a.colored(a.Stdout) {
		return line
	}
	switch {
	case strings.HasPrefix(line, "-"):
		return "\x1b[32m" + line + "\x1b[0m"
	case strings.HasPrefix(line, "+"):
		return "\x1b[31m" + line + "\x1b[0m"
	}
	return line
}
