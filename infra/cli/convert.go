package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/workflows/convert"
)

func (a *app) workflowConvert() *cobra.Command {
	var runner, name, dir string
	var strict bool
	c := &cobra.Command{
		Use:   "convert FILE",
		Short: "write a Mistral workflow or an ActionChain anew as Orquesta",
		Long: "Writes the workflow as Orquesta to stdout, and to stderr, line by line, what could not be converted or means\n" +
			"something else in some cases. Nothing is dropped in silence. Of a workbook it writes the workflow that runs first,\n" +
			"or that of --workflow; --dir writes all of them into a folder.",
		Example: "  hayate workflow convert remedy.yaml >actions/workflows/remedy.yaml\n  hayate workflow convert book.yaml --dir actions/workflows",
		Args:    exactly(1),
	}
	runnerFlag(c, &runner)
	f := c.Flags()
	f.StringVar(&name, "workflow", "", "of a workbook, the workflow to write")
	f.StringVar(&dir, "dir", "", "write all workflows of the file into this folder, which is made where it is missing, each as NAME.yaml; files that exist stay")
	f.BoolVar(&strict, "strict", false, "exit with 1 when something was not converted")
	c.RunE = func(_ *cobra.Command, args []string) error {
		text, err := a.readInput(args[0])
		if err != nil {
			return err
		}
		if runner, err = dialectOf(runner, text); err != nil {
			return err
		}
		all, problems := convert.Convert(runner, text)
		for _, p := range problems {
			fmt.Fprintln(a.Stderr, problemLine(args[0], p))
		}
		if len(problems) > 0 {
			return &exit{code: exitError}
		}
		chosen, err := chooseWorkflow(all, name, dir == "")
		if err != nil {
			return err
		}
		if a.output == "json" {
			return a.printJSON(mustJSON(convertedJSON(chosen)))
		}
		if dir != "" {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return fmt.Errorf("make the folder of --dir: %w", err)
			}
		}
		lost := 0
		for _, w := range chosen {
			if dir == "" {
				if _, err := a.Stdout.Write(w.YAML); err != nil {
					return err
				}
			} else if err := a.writeNew(filepath.Join(dir, fileName(w.Name, args[0])), w.YAML); err != nil {
				return err
			}
			lost += a.sayNotes(args[0], w.Notes)
		}
		if len(all) > len(chosen) {
			a.say("the workbook has %d workflows; --workflow NAME writes another, --dir DIR all", len(all))
		}
		if strict && lost > 0 {
			return &exit{code: exitError}
		}
		return nil
	}
	return c
}

// chooseWorkflow is the workflow that was asked for, the first, or all.
func chooseWorkflow(all []convert.Workflow, name string, one bool) ([]convert.Workflow, error) {
	var names []string
	for _, w := range all {
		if name != "" && w.Name == name {
			return []convert.Workflow{w}, nil
		}
		names = append(names, w.Name)
	}
	if name != "" {
		return nil, usage("there is no workflow %q%s Known: %s", name, hint(name, names), strings.Join(names, ", "))
	}
	if one && len(all) > 0 {
		return all[:1], nil
	}
	return all, nil
}

// sayNotes tells what is not as it was, and returns how much was lost.
func (a *app) sayNotes(file string, notes []convert.Note) (lost int) {
	for _, n := range notes {
		place := file
		if n.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", file, n.Line, n.Column)
		}
		fmt.Fprintf(a.Stderr, "%s: %s: %s\n", place, n.Kind, n.Message)
		if n.Kind == convert.Lost {
			lost++
		}
	}
	return lost
}

func convertedJSON(ws []convert.Workflow) any {
	out := make([]map[string]any, len(ws))
	for i, w := range ws {
		out[i] = map[string]any{"name": w.Name, "definition": string(w.YAML), "notes": append([]convert.Note{}, w.Notes...)}
	}
	return out
}

// fileName names the file of a workflow: by its last word, else as its source.
func fileName(name, source string) string {
	if name == "" {
		return filepath.Base(source)
	}
	return strings.ReplaceAll(name[strings.LastIndexByte(name, '.')+1:], "/", "_") + ".yaml"
}

// writeNew writes a file that must not exist.
func (a *app) writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		f.Close() // the first error is told
		return fmt.Errorf("write %s: %w", path, err)
	}
	a.say("%s", path)
	return f.Close()
}
