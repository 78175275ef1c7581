package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/packs/lint"
	"github.com/hayate-run/hayate/router/ruletest"
)

// linted is what pack lint prints.
type linted struct {
	Packs    int       `json:"packs"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []finding `json:"findings"`
}

func (a *app) packLint() *cobra.Command {
	var strict bool
	c := &cobra.Command{Use: "lint DIR...", Short: "check packs without a server: every mistake with its file, line and column", Args: atLeast(1),
		Long: "Checks the packs in DIR, each a pack or a folder of packs, beside each other and the pack core: the files themselves, what they\n" +
			"refer to, conditions that cannot hold, templates, workflows, and the cases of tests/rules. Errors are what cannot work; what\n" +
			"StackStorm would register, and what may come with another pack, is a warning. The exit code is 1 when there is an error.",
		Example: "  hayate pack lint packs\n  hayate pack lint packs/disk -o json"}
	c.Flags().BoolVar(&strict, "strict", false, "end with exit code 1 for warnings, too")
	c.RunE = func(c *cobra.Command, args []string) error {
		ws, err := readPacks(args)
		if err != nil {
			return err
		}
		found := append(lint.Check(ws), lint.Timers(ws, time.Now())...)
		for i := range ws {
			cases, ds, err := readCases(ws[i].Name)
			if err != nil {
				return err
			}
			found = append(append(found, ds...), ruletest.Unknown(cases, rulesOf(&ws[i]))...)
		}
		yamldoc.Sort(found)
		out := linted{Packs: len(ws), Findings: []finding{}}
		for _, f := range found {
			if f.Severity == packs.Error {
				out.Errors++
			} else {
				out.Warnings++
			}
			out.Findings = append(out.Findings, viewFinding(f))
		}
		if err := a.printFindings(&out); err != nil {
			return err
		}
		if out.Errors > 0 || strict && out.Warnings > 0 {
			return &exit{code: exitError}
		}
		return nil
	}
	return c
}

// rulesOf are the rules of a pack, refused ones too.
func rulesOf(p *lint.Pack) (refs []hayate.Ref) {
	if p.Pack == nil {
		return nil
	}
	for _, list := range [][]hayate.Rule{p.Rules, p.Pack.Refused.Rules} {
		for i := range list {
			refs = append(refs, list[i].Ref())
		}
	}
	return refs
}

func (a *app) printFindings(out *linted) error {
	switch a.output {
	case "table", "wide":
		for i := range out.Findings {
			fmt.Fprintln(a.Stdout, out.Findings[i].line())
		}
		a.say("%d pack(s), %d error(s), %d warning(s)", out.Packs, out.Errors, out.Warnings)
		return nil
	case "json", "yaml":
		return a.printObject(mustJSON(out), "file", nil)
	}
	return a.printList(mustJSON(out.Findings), "file", nil)
}

// readPacks reads the packs in folders, each a pack or a folder of packs.
func readPacks(args []string) ([]lint.Pack, error) {
	var out []lint.Pack
	seen := map[string]bool{}
	for _, arg := range args {
		dirs, err := packFolders(arg)
		if err != nil {
			return nil, err
		}
		for _, d := range dirs {
			abs, err := filepath.Abs(d)
			if err != nil {
				return nil, err
			}
			if seen[abs] {
				continue
			}
			seen[abs] = true
			out = append(out, lint.Read(os.DirFS(filepath.Dir(abs)), filepath.Base(abs), d))
		}
	}
	return out, nil
}

// withShipped adds the packs that come with hayate, unless they are among those
// given: rules and workflows count on them.
func withShipped(given []lint.Pack) []lint.Pack {
	out := slices.Clip(given)
	has := func(p lint.Pack) bool { return p.Pack != nil && p.Ref == "core" }
	if !slices.ContainsFunc(given, has) {
		out = append(out, lint.Read(packs.Shipped(), "core", "core"))
	}
	return out
}

// packFolders returns dir if it is a pack, else the packs in it.
func packFolders(dir string) ([]string, error) {
	switch info, err := os.Stat(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil, usage("%s does not exist", dir)
	case err != nil:
		return nil, fmt.Errorf("look at %s: %w", dir, err)
	case !info.IsDir():
		if pack := packAbove(dir); pack != "" {
			return nil, usage("%s is a file: name its pack, %s", dir, pack)
		}
		return nil, usage("%s is a file: name the folder of a pack", dir)
	}
	if _, err := os.Stat(filepath.Join(dir, "pack.yaml")); err == nil {
		return []string{dir}, nil
	}
	found, err := filepath.Glob(filepath.Join(dir, "*", "pack.yaml"))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		if pack := packAbove(dir); pack != "" {
			return nil, usage("%s is a folder inside a pack: name the pack, %s", dir, pack)
		}
		return nil, usage("%s is no pack and holds none: there is no pack.yaml", dir)
	}
	for i := range found {
		found[i] = filepath.Dir(found[i])
	}
	return found, nil
}

// packAbove is the folder of the pack that a file or folder lies in; "" for none.
func packAbove(name string) string {
	at, err := filepath.Abs(name)
	for err == nil && filepath.Dir(at) != at {
		at = filepath.Dir(at)
		if _, missing := os.Stat(filepath.Join(at, "pack.yaml")); missing == nil {
			if here, err := os.Getwd(); err == nil {
				if rel, err := filepath.Rel(here, at); err == nil && filepath.IsLocal(rel) {
					return rel
				}
			}
			return at
		}
	}
	return ""
}

// finding is a diagnostic as -o json shows it.
type finding struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
	Severity string `json:"severity"` // error or warning
	Code     string `json:"code"`
	Message  string `json:"message"`

	diagnostic packs.Diagnostic
}

// line is the finding for people and for editors.
func (f *finding) line() string { return f.diagnostic.String() }

func viewFinding(d packs.Diagnostic) finding {
	f := finding{d.File, d.Line, d.Column, "error", d.Code, d.Message, d}
	if d.Severity == packs.Warning {
		f.Severity = "warning"
	}
	return f
}
