package cli

import (
	"context"
	"fmt"
	"net/url"
	"strings"
)

// showTree draws the executions below a workflow: task, action, status, attempts
// and duration, each below the workflow it is a task of.
func (a *app) showTree(ctx context.Context, root string) error {
	var all []object
	if err := a.get(ctx, "/api/v1/executions/"+root+"/children", url.Values{"depth": {"-1"}}, &all); err != nil {
		return err
	}
	below := map[string][]object{}
	for _, o := range all {
		below[text(o, "parent")] = append(below[text(o, "parent")], o)
	}
	fmt.Fprintln(a.Stdout, "tasks")
	var lines [][3]string
	collect(below, root, "  ", &lines)
	w, v := 0, 0
	for _, l := range lines {
		w, v = max(w, cellWidth(l[0])), max(v, cellWidth(l[1]))
	}
	for _, l := range lines {
		fmt.Fprintf(a.Stdout, "%s%s  %s%s  %s\n", l[0], strings.Repeat(" ", w-cellWidth(l[0])), a.paint(l[1]), strings.Repeat(" ", v-cellWidth(l[1])), l[2])
	}
	return nil
}

// maxTree bounds the lines of one level: ten thousand items are counted, not drawn.
const maxTree = 30

func collect(below map[string][]object, id, indent string, lines *[][3]string) {
	kids := below[id]
	for i, o := range kids {
		if i == maxTree {
			*lines = append(*lines, [3]string{indent + fmt.Sprintf("└ … and %d more", len(kids)-maxTree), "", "hayate execution list --parent " + id})
			return
		}
		branch, next := "├ ", "│ "
		if i == len(kids)-1 {
			branch, next = "└ ", "  "
		}
		name := text(o, "context.orquesta.task_name")
		if item := text(o, "context.orquesta.item_id"); item != "" {
			name += "[" + item + "]"
		}
		note := took(o)
		if n := text(o, "attempt"); n != "" && n != "1" {
			note += ", attempt " + n
		}
		*lines = append(*lines, [3]string{indent + branch + name + "  " + text(o, "action.ref"), verdict(o), strings.TrimSpace(note + "  " + text(o, "id"))})
		collect(below, text(o, "id"), indent+next, lines)
	}
}
