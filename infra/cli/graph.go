package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate/workflows"
)

func (a *app) workflowGraph() *cobra.Command {
	var runner, format string
	c := &cobra.Command{
		Use:     "graph FILE",
		Short:   "draw a definition: its tasks, and what follows when",
		Example: "  hayate workflow graph actions/workflows/deploy.yaml\n  hayate workflow graph deploy.yaml --format dot | dot -Tsvg >deploy.svg",
		Args:    exactly(1),
	}
	runnerFlag(c, &runner)
	c.Flags().StringVar(&format, "format", "text", "text, dot (Graphviz) or mermaid")
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
			a.say("%s: %s: %s", args[0], p.Category, p.Message)
		}
		if def == nil {
			return &exit{code: exitError}
		}
		g := def.Graph()
		switch {
		case a.output == "json":
			return a.printJSON(mustJSON(g))
		case format == "text":
			a.textGraph(g)
		case format == "dot":
			a.dotGraph(g)
		case format == "mermaid":
			a.mermaidGraph(g)
		default:
			return usage("unknown format %q%s Known: text, dot, mermaid", format, hint(format, []string{"text", "dot", "mermaid"}))
		}
		return nil
	}
	return c
}

// traits are the words for what is special about a task.
func traits(n workflows.Node) string {
	var words []string
	if n.Start {
		words = append(words, "start")
	}
	if n.Join > 0 {
		words = append(words, fmt.Sprintf("join of %d", n.Join))
	}
	if n.Items {
		words = append(words, "with items")
	}
	if n.Retry {
		words = append(words, "retry")
	}
	if n.Split {
		words = append(words, "split")
	}
	return strings.Join(words, ", ")
}

func (a *app) textGraph(g workflows.Graph) {
	next := map[string][]workflows.Edge{}
	for _, e := range g.Edges {
		next[e.From] = append(next[e.From], e)
	}
	for _, n := range g.Nodes {
		if n.Command {
			continue
		}
		line := n.Name
		if n.Action != "" {
			line += "  " + oneLine(n.Action)
		}
		if t := traits(n); t != "" {
			line += "  (" + t + ")"
		}
		fmt.Fprintln(a.Stdout, line)
		for _, e := range next[n.Name] {
			when := ""
			if e.When != "" {
				when = "  when " + oneLine(e.When)
			}
			fmt.Fprintf(a.Stdout, "  → %s%s\n", e.To, when)
		}
	}
}

func (a *app) dotGraph(g workflows.Graph) {
	fmt.Fprintln(a.Stdout, "digraph workflow {\n  node [shape=box, style=rounded];")
	for _, n := range g.Nodes {
		label := n.Name
		if n.Action != "" {
			label += "\n" + n.Action
		}
		if t := traits(n); t != "" {
			label += "\n(" + t + ")"
		}
		shape := ""
		if n.Command {
			shape = ", shape=plaintext"
		}
		fmt.Fprintf(a.Stdout, "  %q [label=%q%s];\n", n.Name, label, shape)
	}
	for _, e := range g.Edges {
		fmt.Fprintf(a.Stdout, "  %q -> %q [label=%q];\n", e.From, e.To, e.When)
	}
	fmt.Fprintln(a.Stdout, "}")
}

func (a *app) mermaidGraph(g workflows.Graph) {
	ids := map[string]string{}
	fmt.Fprintln(a.Stdout, "flowchart TD")
	quote := strings.NewReplacer(`"`, "#quot;", "<", "&lt;", ">", "&gt;")
	for i, n := range g.Nodes {
		ids[n.Name] = fmt.Sprintf("n%d", i)
		label := n.Name
		if n.Action != "" {
			label += "<br/>" + quote.Replace(oneLine(n.Action))
		}
		fmt.Fprintf(a.Stdout, "  n%d[\"%s\"]\n", i, label)
	}
	for _, e := range g.Edges {
		label := ""
		if e.When != "" {
			label = `|"` + quote.Replace(oneLine(e.When)) + `"|`
		}
		fmt.Fprintf(a.Stdout, "  %s -->%s %s\n", ids[e.From], label, ids[e.To])
	}
}
