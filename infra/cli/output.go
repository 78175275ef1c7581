package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/hayate-run/hayate/internal/cells"
	"github.com/hayate-run/hayate/internal/expr/jsonpath"
	"github.com/hayate-run/hayate/internal/expr/value"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// object is one thing that the API shows.
type object = map[string]any

// column is one column of a table.
type column struct {
	title string
	get   func(object) string
	wide  bool // only with -o wide
}

var formats = []string{"table", "wide", "json", "jsonl", "yaml", "name", "jsonpath=", "template="}

// printList prints a list in the format asked for.
func (a *app) printList(raw []byte, name string, cols []column) error {
	form, arg, _ := strings.Cut(a.output, "=")
	switch form {
	case "json":
		return a.printJSON(raw)
	case "yaml":
		return a.printYAML(raw)
	}
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return fmt.Errorf("read the server's list: %w", err)
	}
	switch form {
	case "jsonl":
		for _, it := range items {
			var b bytes.Buffer
			if err := json.Compact(&b, it); err != nil {
				return err
			}
			fmt.Fprintln(a.Stdout, b.String())
		}
		return nil
	case "jsonpath", "template", "name":
		found := 0
		for _, it := range items {
			n, err := a.printOne(it, form, arg, name)
			if err != nil {
				return err
			}
			found += n
		}
		if found == 0 && len(items) > 0 {
			a.sayNothing(form, arg)
		}
		return nil
	case "table", "wide":
	default:
		return usage("unknown output %q%s Known: %s", a.output, hint(a.output, formats), strings.Join(formats, ", "))
	}
	objs := make([]object, len(items))
	for i, it := range items {
		if err := decode(it, &objs[i]); err != nil {
			return err
		}
	}
	a.table(objs, cols, form == "wide")
	return nil
}

// printObject prints one thing; pretty prints it for people.
func (a *app) printObject(raw []byte, name string, pretty func(object) error) error {
	form, arg, _ := strings.Cut(a.output, "=")
	switch form {
	case "json":
		return a.printJSON(raw)
	case "yaml":
		return a.printYAML(raw)
	case "jsonl":
		var b bytes.Buffer
		if err := json.Compact(&b, raw); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.Stdout, b.String())
		return err
	case "jsonpath", "template", "name":
		n, err := a.printOne(raw, form, arg, name)
		if err == nil && n == 0 {
			a.sayNothing(form, arg)
		}
		return err
	case "table", "wide":
		var o object
		if err := decode(raw, &o); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		return pretty(o)
	}
	return usage("unknown output %q%s Known: %s", a.output, hint(a.output, formats), strings.Join(formats, ", "))
}

// sayNothing tells a person that a path led nowhere: mostly it is mistyped.
func (a *app) sayNothing(form, arg string) {
	a.say("%s=%s found nothing; -o json shows what there is", form, arg)
}

// printOne prints one thing, or what an expression makes of it, and returns how
// many lines it printed.
func (a *app) printOne(raw json.RawMessage, form, arg, name string) (int, error) {
	switch form {
	case "name":
		var o object
		if err := decode(raw, &o); err != nil {
			return 0, err
		}
		_, err := fmt.Fprintln(a.Stdout, text(o, name))
		return 1, err
	case "template":
		t, err := template.New("output").Parse(arg)
		if err != nil {
			return 0, usage("the template is wrong: %v", err)
		}
		var o any
		if json.Unmarshal(raw, &o) != nil { // templates compare numbers, which a float can hold mostly
			if err := decode(raw, &o); err != nil {
				return 0, err
			}
		}
		if err := t.Execute(a.Stdout, o); err != nil {
			return 0, usage("the template is wrong: %v", err)
		}
		_, err = fmt.Fprintln(a.Stdout)
		return 1, err
	}
	p, err := jsonpath.Parse(strings.TrimPrefix(strings.Trim(arg, "{}"), "."))
	if err != nil {
		return 0, usage("the jsonpath %q is wrong: %v", arg, pathError(err))
	}
	v, err := value.Decode(raw)
	if err != nil {
		return 0, err
	}
	found, err := p.Find(v, value.NewBudget(outputSteps, outputBytes))
	switch {
	case errors.Is(err, value.ErrLimit):
		return 0, usage("the jsonpath is too much work: it looks at more than %d parts", outputSteps)
	case err != nil:
		return 0, usage("the jsonpath does not fit the answer: %v; -o json shows what there is", err)
	}
	for _, m := range found {
		line, ok := m.(string)
		if !ok {
			b, err := value.Encode(m)
			if err != nil {
				return 0, err
			}
			line = string(b)
		}
		fmt.Fprintln(a.Stdout, line)
	}
	return len(found), nil
}

// pathError says what is wrong with a path in words; the parser answers as
// StackStorm's does.
func pathError(err error) string {
	var e *value.Error
	if errors.As(err, &e) && e.Class == "AttributeError" {
		return "it ends where more is expected"
	}
	return err.Error()
}

// The bounds of one -o jsonpath.
const (
	outputSteps = 10_000_000
	outputBytes = 64 << 20
)

func (a *app) printJSON(raw []byte) error {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSpace(raw), "", "  "); err != nil {
		return err
	}
	_, err := fmt.Fprintln(a.Stdout, b.String())
	return err
}

func (a *app) printYAML(raw []byte) error {
	b, err := yamldoc.FromJSON(raw)
	if err != nil {
		return err
	}
	_, err = a.Stdout.Write(b)
	return err
}

// table prints rows in columns that fit their widest cell, wide characters
// counted as two.
func (a *app) table(rows []object, cols []column, wide bool) {
	var used []column
	for _, c := range cols {
		if !c.wide || wide {
			used = append(used, c)
		}
	}
	cells := make([][]string, len(rows)+1)
	widths := make([]int, len(used))
	for i := range cells {
		cells[i] = make([]string, len(used))
		for j, c := range used {
			if i == 0 {
				cells[i][j] = c.title
			} else if cells[i][j] = oneLine(c.get(rows[i-1])); cells[i][j] == "" {
				cells[i][j] = "-"
			}
			widths[j] = max(widths[j], cellWidth(cells[i][j]))
		}
	}
	for i, row := range cells {
		var b strings.Builder
		for j, c := range row {
			shown := c
			if i > 0 && used[j].title == "STATUS" {
				shown = a.paint(c)
			}
			b.WriteString(shown)
			if j < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[j]-cellWidth(c)+2))
			}
		}
		fmt.Fprintln(a.Stdout, strings.TrimRight(b.String(), " "))
	}
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 100 {
		return string(r[:99]) + "…"
	}
	return s
}

// cellWidth is how many columns of a terminal a text takes.
func cellWidth(s string) int { return cells.Width(s) }

// colors of statuses, for those who watch.
var colors = map[string]string{"succeeded": "32", "failed": "31", "timeout": "31", "abandoned": "35", "canceled": "33", "canceling": "33",
	"running": "36", "enabled": "32", "disabled": "33", "loop": "31", "shadow": "36"}

func (a *app) paint(status string) string {
	word, _, _ := strings.Cut(status, " ")
	c, ok := colors[word]
	if !ok || !a.colored(a.Stdout) {
		return status
	}
	return "\x1b[" + c + "m" + status + "\x1b[0m"
}

func (a *app) colored(w io.Writer) bool {
	switch a.color {
	case "always":
		return true
	case "never":
		return false
	}
	if a.Getenv("NO_COLOR") != "" || a.Getenv("TERM") == "dumb" || a.Getenv("CLICOLOR") == "0" {
		return false
	}
	return terminal(w) || (a.Getenv("CLICOLOR_FORCE") != "" && a.Getenv("CLICOLOR_FORCE") != "0")
}

// text finds a value by a dotted path and writes it as text.
func text(o object, path string) string {
	v := at(o, path)
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		if v {
			return "true"
		}
		return "false"
	}
	if list, ok := v.([]any); ok {
		if words, ok := joinedWords(list); ok {
			return words
		}
	}
	b, err := plainJSON(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// joinedWords writes a list of texts as a person would.
func joinedWords(list []any) (string, bool) {
	words := make([]string, len(list))
	for i, x := range list {
		w, ok := x.(string)
		if !ok {
			return "", false
		}
		words[i] = w
	}
	return strings.Join(words, ", "), true
}

func at(o object, path string) any {
	var v any = o
	for _, part := range strings.Split(path, ".") {
		m, ok := v.(object)
		if !ok {
			return nil
		}
		v = m[part]
	}
	return v
}

// field is a column that shows a member.
func field(title, path string) column {
	return column{title: title, get: func(o object) string { return text(o, path) }}
}

func wideField(title, path string) column {
	c := field(title, path)
	c.wide = true
	return c
}

// moment is a column that shows a time.
func (a *app) moment(title, path string) column {
	return column{title: title, get: func(o object) string { return a.when(text(o, path)) }}
}

// when shows a time in the form asked for.
func (a *app) when(stamp string) string {
	t, err := time.Parse(time.RFC3339Nano, stamp)
	if err != nil {
		return stamp
	}
	switch a.timeForm {
	case "iso":
		return t.Local().Format(time.RFC3339)
	case "raw":
		return stamp
	}
	return ago(time.Since(t))
}

func ago(d time.Duration) string {
	switch {
	case d < 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	}
	return fmt.Sprintf("%dd ago", int(d.Hours()/24))
}
