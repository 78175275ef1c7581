package cli

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
)

// treeAttributes are what a tree needs of an execution.
const treeAttributes = "status,verified,action.ref,runner.name,liveaction.action_is_workflow,parent,context.orquesta,attempt,start_timestamp,end_timestamp,elapsed_seconds"

// descendants are the executions below a workflow, in the order in which they were
// started.
func (a *app) descendants(ctx context.Context, root string) ([]object, error) {
	var all []object
	err := a.get(ctx, "/api/v1/executions/"+root+"/children", url.Values{"depth": {"-1"}, "include_attributes": {treeAttributes}}, &all)
	return all, err
}

// showTree draws the executions below a workflow: each task with its action, status,
// duration and tries, and below it what it is made of: the tries of a task that was
// tried again, the items of a task that has some, the tasks of a sub-workflow.
func (a *app) showTree(ctx context.Context, root string) error {
	all, err := a.descendants(ctx, root)
	if err != nil {
		return err
	}
	t := tree{below: map[string][]object{}}
	for _, o := range all {
		t.below[text(o, "parent")] = append(t.below[text(o, "parent")], o)
	}
	fmt.Fprintln(a.Stdout, "tasks")
	t.workflow(root, "  ")
	w, v := 0, 0
	for _, l := range t.lines {
		w, v = max(w, cellWidth(l[0])), max(v, cellWidth(l[1]))
	}
	for _, l := range t.lines {
		line := l[0] + strings.Repeat(" ", w-cellWidth(l[0])) + "  " + a.paint(l[1]) + strings.Repeat(" ", v-cellWidth(l[1])) + "  " + l[2]
		fmt.Fprintln(a.Stdout, strings.TrimRight(line, " "))
	}
	return nil
}

// The bounds of a tree: the tasks of one workflow, and the items of a task, that are
// drawn one by one.
const (
	maxTree  = 50
	maxItems = 5
)

// tree gathers the lines of a drawing: the branch with its name, the status, a note.
type tree struct {
	below map[string][]object
	lines [][3]string
}

// task is one entry of a workflow's sequence: all executions that were started for it.
type task struct {
	name string
	runs []object
}

// tasks groups the children of a workflow by the entry that started them.
func (t *tree) tasks(id string) []task {
	var out []task
	at := map[string]int{}
	for _, o := range t.below[id] {
		key := text(o, "context.orquesta.task_entry") + " " + text(o, "context.orquesta.task_name")
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, task{name: text(o, "context.orquesta.task_name")})
		}
		out[i].runs = append(out[i].runs, o)
	}
	return out
}

func (t *tree) line(branch, name, status, note string) {
	t.lines = append(t.lines, [3]string{branch + name, status, note})
}

// fork is how a line is drawn that is the last of its level or not, and how the
// lines below it begin.
func fork(last bool) (branch, next string) {
	if last {
		return "└ ", "  "
	}
	return "├ ", "│ "
}

func (t *tree) workflow(id, indent string) {
	tasks := t.tasks(id)
	for i, k := range tasks {
		if i == maxTree {
			t.line(indent+"└ ", fmt.Sprintf("… and %d more tasks", len(tasks)-maxTree), "", "hayate execution list --parent "+id)
			return
		}
		branch, next := fork(i == len(tasks)-1)
		if text(k.runs[0], "context.orquesta.item_id") != "" {
			t.items(&k, indent+branch, indent+next)
		} else {
			t.tries(&k, k.name, indent+branch, indent+next)
		}
	}
}

// tries draws a task, or an item, by its last try, with the tries before it below.
func (t *tree) tries(k *task, name, branch, next string) {
	last := k.runs[len(k.runs)-1]
	note := took(last)
	if len(k.runs) > 1 {
		note = strings.TrimPrefix(note+fmt.Sprintf(", try %d", len(k.runs)), ", ")
	}
	if n := text(last, "attempt"); n != "" && n != "1" && n != "0" {
		note = strings.TrimPrefix(note+", attempt "+n, ", ") // of one execution, after a lost worker
	}
	t.line(branch, name+"  "+text(last, "action.ref"), verdict(last), strings.TrimSpace(note+"  "+text(last, "id")))
	sub := t.below[text(last, "id")]
	for i, o := range k.runs[:len(k.runs)-1] {
		b, n := fork(i == len(k.runs)-2 && len(sub) == 0)
		t.line(next+b, fmt.Sprintf("try %d", i+1), verdict(o), strings.TrimSpace(took(o)+"  "+text(o, "id")))
		if len(t.below[text(o, "id")]) > 0 {
			t.workflow(text(o, "id"), next+n)
		}
	}
	t.workflow(text(last, "id"), next)
}

// items draws a task with items: the counts, and below it all of few items, of many
// those that did not succeed.
func (t *tree) items(k *task, branch, next string) {
	byItem := map[int]*task{}
	var order []int
	for _, o := range k.runs {
		i, err := strconv.Atoi(text(o, "context.orquesta.item_id"))
		if err != nil {
			continue
		}
		if byItem[i] == nil {
			byItem[i] = &task{name: "[" + strconv.Itoa(i) + "]"}
			order = append(order, i)
		}
		byItem[i].runs = append(byItem[i].runs, o)
	}
	slices.Sort(order)
	counts := map[string]int{}
	var shown []int
	for _, i := range order {
		st := text(byItem[i].runs[len(byItem[i].runs)-1], "status")
		counts[st]++
		if len(order) <= maxItems || st != string(hayate.StatusSucceeded) {
			shown = append(shown, i)
		}
	}
	t.line(branch, k.name+"  "+text(k.runs[0], "action.ref"), countWords(counts), fmt.Sprintf("%d items", len(order)))
	hidden := max(0, len(shown)-maxItems)
	shown = shown[:min(len(shown), maxItems)]
	for n, i := range shown {
		b, nx := fork(n == len(shown)-1 && hidden == 0)
		t.tries(byItem[i], byItem[i].name, next+b, next+nx)
	}
	if hidden > 0 {
		t.line(next+"└ ", fmt.Sprintf("… and %d more that did not succeed", hidden), "", "")
	}
}

// countWords say how many are in which status: one word where all are in one, with
// the worst first.
func countWords(counts map[string]int) string {
	var names []string
	for st := range counts {
		names = append(names, st)
	}
	slices.SortFunc(names, func(x, y string) int {
		bad := func(s string) int {
			switch hayate.Status(s) {
			case hayate.StatusSucceeded:
				return 2
			case hayate.StatusFailed, hayate.StatusTimeout, hayate.StatusAbandoned:
				return 0
			}
			return 1
		}
		if d := bad(x) - bad(y); d != 0 {
			return d
		}
		return strings.Compare(x, y)
	})
	if len(names) == 1 {
		return names[0]
	}
	parts := make([]string, len(names))
	for i, st := range names {
		parts[i] = st + " " + strconv.Itoa(counts[st])
	}
	return strings.Join(parts, ", ")
}

// followTasks prints what the tasks of a workflow do, as it happens: each start and
// end, and the lines that they print. It returns when the workflow has ended.
func (a *app) followTasks(ctx context.Context, root string) error {
	f := follower{app: a, status: map[string]string{}, lines: map[string]int{}}
	for {
		var x object
		// The server answers when the workflow ends, or after this much of a second: that
		// is how often its tasks are looked at.
		if err := a.get(ctx, "/api/v1/executions/"+root, url.Values{"wait": {"0.3"}, "include_attributes": {"status"}}, &x); err != nil {
			return err
		}
		over := hayate.Status(text(x, "status")).Completed()
		if err := f.look(ctx, root); err != nil {
			return err
		}
		if over {
			return nil
		}
	}
}

// follower is what has been printed of a workflow's tasks.
type follower struct {
	app    *app
	status map[string]string // by execution
	lines  map[string]int
}

// look prints what is new.
func (f *follower) look(ctx context.Context, root string) error {
	all, err := f.app.descendants(ctx, root)
	if err != nil {
		return err
	}
	names := map[string]string{root: ""}
	for _, o := range all {
		id, st := text(o, "id"), text(o, "status")
		name := strings.TrimPrefix(names[text(o, "parent")]+"/"+text(o, "context.orquesta.task_name"), "/")
		if item := text(o, "context.orquesta.item_id"); item != "" {
			name += "[" + item + "]"
		}
		names[id] = name
		if f.status[id] == st {
			if st == string(hayate.StatusRunning) {
				if err := f.output(ctx, o, name); err != nil {
					return err
				}
			}
			continue
		}
		before := f.status[id]
		f.status[id] = st
		switch s := hayate.Status(st); {
		case s.Completed():
			if before == "" || before == string(hayate.StatusScheduled) || before == string(hayate.StatusRequested) {
				f.say(o, "start_timestamp", name, "started", text(o, "action.ref"))
			}
			if err := f.output(ctx, o, name); err != nil {
				return err
			}
			f.say(o, "end_timestamp", name, verdict(o), took(o))
		case s == hayate.StatusRunning && before != string(hayate.StatusPaused):
			f.say(o, "start_timestamp", name, "started", text(o, "action.ref"))
			if err := f.output(ctx, o, name); err != nil {
				return err
			}
		case s == hayate.StatusRequested || s == hayate.StatusScheduled:
		default:
			f.say(o, "start_timestamp", name, st, text(o, "action.ref"))
		}
	}
	return nil
}

func (f *follower) say(o object, when, name, what, note string) {
	fmt.Fprintln(f.app.Stdout, strings.TrimRight(clock(text(o, when))+"  "+name+"  "+f.app.paint(what)+"  "+note, " "))
}

// output prints the lines of a task that were not printed yet.
func (f *follower) output(ctx context.Context, o object, name string) error {
	if at(o, "liveaction.action_is_workflow") == true {
		return nil
	}
	id := text(o, "id")
	r, err := f.app.call(ctx, http.MethodGet, "/api/v1/executions/"+id+"/output", nil, nil, "")
	if err != nil {
		return err
	}
	out := strings.TrimSuffix(string(r.body), "\n")
	if out == "" {
		return nil
	}
	lines := strings.Split(out, "\n")
	for _, l := range lines[min(f.lines[id], len(lines)):] {
		fmt.Fprintf(f.app.Stdout, "              %s | %s\n", name, l)
	}
	f.lines[id] = len(lines)
	return nil
}
