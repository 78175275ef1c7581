package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/draw"
)

func (a *app) workflowGraph() *cobra.Command {
	var runner, format string
	c := &cobra.Command{
		Use:     "graph FILE",
		Short:   "draw a definition: its tasks, and what follows when",
		Example: "  hayate workflow graph actions/workflows/deploy.yaml\n  hayate workflow graph deploy.yaml -o svg >deploy.svg\n  hayate workflow graph deploy.yaml -o dot | dot -Tpng >deploy.png",
		Args:    exactly(1),
	}
	runnerFlag(c, &runner)
	c.Flags().StringVar(&format, "format", "", "text, svg, dot (Graphviz) or mermaid; the same as -o")
	c.RunE = func(_ *cobra.Command, args []string) error {
		src, err := a.readInput(args[0])
		if err != nil {
			return err
		}
		if runner, err = dialectOf(runner, src); err != nil {
			return err
		}
		def, problems := workflows.Parse(runner, args[0], src, workflows.Options{Known: []string{"st2", "parent"}})
		for _, p := range problems {
			fmt.Fprintln(a.Stderr, problemLine(args[0], p))
		}
		if def == nil {
			return &exit{code: exitError}
		}
		return a.drawn(format, draw.Picture{Name: filepath.Base(args[0]), Graph: def.Graph()})
	}
	return c
}

// drawn prints a picture in the format asked for: by name, else by -o.
func (a *app) drawn(format string, p draw.Picture) error {
	if format == "" {
		switch {
		case a.output == "json" || a.output == "yaml":
			raw := mustJSON(p.Graph)
			if p.Run {
				raw = mustJSON(map[string]any{"title": p.Title, "status": p.Status, "graph": p.Graph, "tasks": p.Tasks})
			}
			if a.output == "yaml" {
				return a.printYAML(raw)
			}
			return a.printJSON(raw)
		case a.output == "table":
			format = "text"
		default:
			format = a.output
		}
	}
	if !slices.Contains(draw.Formats, format) {
		return usage("unknown format %q%s Known: %s", format, hint(format, draw.Formats), strings.Join(draw.Formats, ", "))
	}
	out, err := draw.Draw(format, p)
	if err != nil {
		return err
	}
	if format == "text" && p.Run {
		out = a.painted(out)
	}
	_, err = io.WriteString(a.Stdout, out)
	return err
}

// painted colours the statuses in a drawing of a run.
func (a *app) painted(text string) string {
	if !a.colored(a.Stdout) {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		for _, sign := range []string{"✓ ", "✗ ", "▸ ", "‖ ", "… ", "⊘ "} {
			if k := strings.LastIndex(line, sign); k >= 0 {
				word, rest, _ := strings.Cut(line[k+len(sign):], " ")
				bare := strings.TrimRight(word, ",")
				lines[i] = line[:k] + sign + a.paint(bare) + strings.TrimPrefix(word, bare) + strings.TrimRight(" "+rest, " ")
				break
			}
		}
		if strings.HasPrefix(line, "  · ") {
			lines[i] = "\x1b[2m" + line + "\x1b[0m"
		}
	}
	return strings.Join(lines, "\n")
}

// showGraph draws the workflow of an execution with the path that its run took.
func (a *app) showGraph(ctx context.Context, id, format string) error {
	var g struct {
		Execution string           `json:"execution"`
		Action    string           `json:"action"`
		Status    hayate.Status    `json:"status"`
		Graph     workflows.Graph  `json:"graph"`
		Tasks     []workflows.Task `json:"tasks"`
	}
	var raw json.RawMessage
	if err := a.get(ctx, "/v1/executions/"+url.PathEscape(id)+"/graph", nil, &raw); err != nil {
		return err
	}
	if a.output == "json" && format == "text" {
		return a.printJSON(raw)
	}
	if err := json.Unmarshal(raw, &g); err != nil {
		return fmt.Errorf("read the server's graph: %w", err)
	}
	return a.drawn(format, draw.Picture{Title: g.Action + " " + g.Execution, Run: true, Status: g.Status, Graph: g.Graph, Tasks: g.Tasks})
}
