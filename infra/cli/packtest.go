package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router/ruletest"
)

// packTest runs the rule tests of packs, tests/rules/*.yaml, without a server.
func (a *app) packTest() *cobra.Command {
	var run string
	c := &cobra.Command{Use: "test [DIR...]", Short: "run the rule tests of packs without a server", RunE: func(c *cobra.Command, args []string) error {
		only, err := regexp.Compile(run)
		if err != nil {
			return usage("--run: %s", err)
		}
		if len(args) == 0 {
			args = []string{"."}
		}
		passed, failed := 0, 0
		for _, arg := range args {
			dirs, err := packFolders(arg)
			if err != nil {
				return err
			}
			for _, d := range dirs {
				p, f, err := a.testPack(d, only)
				if err != nil {
					return err
				}
				passed, failed = passed+p, failed+f
			}
		}
		if passed+failed == 0 {
			return usage("nothing was tested: no case of tests/rules/*.yaml in %s matches", strings.Join(args, ", "))
		}
		fmt.Fprintf(a.Stdout, "%d passed, %d failed\n", passed, failed)
		if failed > 0 {
			return &exit{code: exitError}
		}
		return nil
	}}
	c.Flags().StringVar(&run, "run", "", "only the cases whose name matches this regular expression")
	return c
}

// testPack runs one pack's cases, a line each. A file or a pack with mistakes
// counts as one failure.
func (a *app) testPack(dir string, only *regexp.Regexp) (passed, failed int, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return 0, 0, err
	}
	p, ds := packs.Read(os.DirFS(filepath.Dir(abs)), filepath.Base(abs))
	bad := false
	for _, f := range ds {
		if f.Severity == packs.Error {
			f.File = filepath.Join(dir, strings.TrimPrefix(f.File, filepath.Base(abs)+"/"))
			fmt.Fprintln(a.Stdout, f)
			bad = true
		}
	}
	if p == nil || bad {
		return 0, 1, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "tests", "rules", "*.yaml"))
	if err != nil {
		return 0, 0, err
	}
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return passed, failed, err
		}
		cases, ds := ruletest.Parse(src, file)
		if len(ds) > 0 {
			for _, f := range ds {
				fmt.Fprintln(a.Stdout, f)
			}
			failed++
			continue
		}
		for i := range cases {
			if !only.MatchString(cases[i].Name) {
				continue
			}
			wrong, err := ruletest.Run(p.Rules, &cases[i])
			if err != nil {
				return passed, failed, err
			}
			if len(wrong) == 0 {
				passed++
				fmt.Fprintf(a.Stdout, "ok   %s: %s\n", p.Ref, cases[i].Name)
				continue
			}
			failed++
			fmt.Fprintf(a.Stdout, "FAIL %s: %s (%s:%d)\n", p.Ref, cases[i].Name, file, cases[i].Line)
			for _, w := range wrong {
				fmt.Fprintf(a.Stdout, "     %s\n", w)
			}
		}
	}
	return passed, failed, nil
}
