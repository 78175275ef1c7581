package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/workflows"
	"github.com/hayate-run/hayate/workflows/simulate"
)

// simulation is one call of workflow simulate.
type simulation struct {
	app                     *app
	runner, inputs, context string
	results, only           string
	expect                  string
	stay                    bool
	maxTasks                int
	passed, failed          int
	reports                 []json.RawMessage
}

func (a *app) workflowSimulate() *cobra.Command {
	s := &simulation{app: a}
	c := &cobra.Command{
		Use:   "simulate FILE",
		Short: "run a workflow on given results and on a clock that jumps, without a server",
		Long: "Runs a workflow (Orquesta, ActionChain or Mistral) without performing any action: what the actions of its tasks\n" +
			"come to is given, and what is not given succeeds with null. Delays, retries and time limits pass at once. It prints\n" +
			"what every task was given, came to and published, and which ways on were taken and which not.\n\n" +
			"FILE is a workflow, or a file of cases: StackStorm's rehearsals (orquesta-rehearse), or a list of cases with\n" +
			"inputs, results and what is expected, as docs/how-to/test-a-workflow.md describes.\n\n" +
			"Exit code 0: the workflow succeeded, or every case came out as expected. 3: the workflow ended otherwise.\n" +
			"1: a case did not come out as expected, or a definition has problems.",
		Example: "  hayate workflow simulate deploy.yaml --inputs '{host: web1}' --results results.yaml\n" +
			"  hayate workflow simulate deploy.yaml --results '{check: {status: failed}}' --expect failed\n" +
			"  hayate workflow simulate tests/workflows/deploy.yaml\n  hayate workflow simulate deploy.yaml -o json",
		Args: exactly(1),
	}
	f := c.Flags()
	runnerFlag(c, &s.runner)
	f.StringVar(&s.inputs, "inputs", "", "inputs of the workflow: a mapping in JSON or YAML, or a file that holds one")
	f.StringVar(&s.context, "context", "", "what ctx() holds besides (st2, parent): as --inputs")
	f.StringVar(&s.results, "results", "", "what tasks come to, by name: {task: {status, result, takes, items}}; a list is used up in order")
	f.StringVar(&s.expect, "expect", "", "how the workflow shall end: succeeded, failed, canceled, paused; exit code 1 when it does not")
	f.StringVar(&s.only, "run", "", "of a file of cases, only those whose name matches this regular expression")
	f.BoolVar(&s.stay, "stay-paused", false, "stop where the workflow pauses itself, instead of resuming it at once")
	f.IntVar(&s.maxTasks, "max-tasks", 10_000, "stop a workflow that goes through more tasks")
	c.RunE = func(_ *cobra.Command, args []string) error { return s.run(args[0]) }
	return c
}

func (s *simulation) run(name string) error {
	if s.expect != "" && !slices.Contains(endings, s.expect) {
		return usage("--expect: unknown status %q%s Known: %s", s.expect, hint(s.expect, endings), strings.Join(endings, ", "))
	}
	text, err := s.app.readInput(name)
	if err != nil {
		return err
	}
	if simulate.IsSuite(text) {
		err = s.suite(name, text)
	} else {
		err = s.single(name, text)
	}
	if s.app.output == "json" && len(s.reports) > 0 {
		all := mustJSON(s.reports)
		if len(s.reports) == 1 {
			all = s.reports[0]
		}
		if err := s.app.printJSON(all); err != nil {
			return err
		}
	}
	return err
}

// single simulates one workflow with what the flags say.
func (s *simulation) single(name string, text []byte) error {
	a := s.app
	dialect, err := dialectOf(s.runner, text)
	if err != nil {
		return err
	}
	def, err := s.parse(name, dialect, text, false, nil)
	if err != nil {
		return err
	}
	p := simulate.Plan{StayPaused: s.stay}
	if p.Inputs, err = a.mapping("--inputs", s.inputs); err != nil {
		return err
	}
	if p.Context, err = a.mapping("--context", s.context); err != nil {
		return err
	}
	src, from, err := a.textOrFile(s.results)
	if err != nil {
		return err
	}
	var ds []yamldoc.Diagnostic
	if p.Outcomes, ds = simulate.ReadOutcomes(src, fileBeside(from)); yamldoc.HasErrors(ds) {
		return a.mistakes("--results", from, ds)
	}
	if err := knownTasks(def, p.Outcomes); err != nil {
		return err
	}
	if err := knownInputs(def, p.Inputs); err != nil {
		return err
	}
	r, err := simulate.Run(def, p)
	if err != nil {
		return err
	}
	if a.output == "json" {
		s.reports = append(s.reports, mustJSON(r))
	} else {
		a.simulated(name, &r)
	}
	for _, in := range r.Missing {
		fmt.Fprintf(a.Stderr, "warning: no value is given for the input %s, which has no default: %s. Give one with --inputs '{%s: …}'\n", in, absent(r.Dialect), in)
	}
	for _, u := range r.Unused {
		a.say("the result given for %s was not used", u)
	}
	switch {
	case s.expect != "" && string(r.Status) != s.expect:
		a.say("it ended %s, expected was %s", r.Status, s.expect)
		return &exit{code: exitError}
	case s.expect == "" && r.Status != hayate.StatusSucceeded:
		return &exit{code: exitFailed}
	}
	return nil
}

// endings are the statuses that a simulated workflow may end with.
var endings = []string{string(hayate.StatusSucceeded), string(hayate.StatusFailed), string(hayate.StatusCanceled), string(hayate.StatusPaused)}

// knownInputs refuses inputs that the workflow does not declare.
func knownInputs(def *workflows.Definition, inputs json.RawMessage) error {
	unknown, _ := simulate.CheckInputs(def, inputs)
	if len(unknown) == 0 {
		return nil
	}
	if name, v, ok := strings.Cut(unknown[0], ":"); ok {
		return usage("an input %q is given that the workflow does not declare: write a space after the colon, '{%s: %s}'", unknown[0], name, v)
	}
	declared, _ := def.Inputs()
	if len(declared) == 0 {
		return usage("an input %q is given, but the workflow declares none", unknown[0])
	}
	names := make([]string, len(declared))
	for i, in := range declared {
		names[i] = in.Name
	}
	return usage("an input %q is given that the workflow does not declare%s Declared: %s", unknown[0], hint(unknown[0], names), strings.Join(names, ", "))
}

// absent says what an input that is not given is to a run.
func absent(dialect string) string {
	if dialect == workflows.Mistral {
		return "it is unset"
	}
	return "it is null"
}

// parse reads a definition. Its problems are printed, and end the command, unless
// expected names those that shall be there.
func (s *simulation) parse(name, dialect string, text []byte, rehearse bool, expected *simulate.Expect) (*workflows.Definition, error) {
	def, ps := workflows.Parse(dialect, name, text, workflows.Options{Known: []string{"st2", "parent"}, MaxEntries: s.maxTasks, Rehearse: rehearse})
	if expected != nil && expected.Problems != nil {
		return def, nil
	}
	for _, p := range ps {
		fmt.Fprintln(s.app.Stderr, problemLine(name, p))
	}
	if len(ps) > 0 || def == nil {
		return nil, fmt.Errorf("%s has %d problem(s) and would not be run: %w", name, len(ps), hayate.ErrInvalid)
	}
	return def, nil
}

// suite runs the cases of a file, a line each.
func (s *simulation) suite(name string, text []byte) error {
	a := s.app
	only, err := regexp.Compile(s.only)
	if err != nil {
		return usage("--run: %s", err)
	}
	suite, ds := simulate.ReadSuite(text, fileBeside(name))
	if yamldoc.HasErrors(ds) {
		return a.mistakes(name, name, ds)
	}
	path, wf, err := suiteWorkflow(name, &suite)
	if err != nil {
		return err
	}
	dialect := suite.Dialect
	if dialect == "" {
		dialect = workflows.Detect(wf)
	}
	for i := range suite.Cases {
		c := &suite.Cases[i]
		if !only.MatchString(c.Name) {
			continue
		}
		if err := s.oneCase(name, path, dialect, wf, c, suite.Rehearsal); err != nil {
			return err
		}
	}
	if s.passed+s.failed == 0 {
		return usage("nothing was tested: no case of %s matches %q", name, s.only)
	}
	if a.output != "json" {
		fmt.Fprintf(a.Stdout, "%d passed, %d failed\n", s.passed, s.failed)
	}
	if s.failed > 0 {
		return &exit{code: exitError}
	}
	return nil
}

// suiteWorkflow reads the workflow of a file of cases: beside the file, or in it.
func suiteWorkflow(name string, suite *simulate.Suite) (path string, wf []byte, err error) {
	if suite.Definition != nil {
		return name, suite.Definition, nil
	}
	path = suite.Workflow
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(name), path)
	}
	wf, err = os.ReadFile(path)
	if os.IsNotExist(err) && suite.Rehearsal {
		if b, err2 := os.ReadFile(suite.Workflow); err2 == nil { // StackStorm's are relative to a base path
			return suite.Workflow, b, nil
		}
	}
	if err != nil {
		return "", nil, fmt.Errorf("%s: its workflow: %w", name, err)
	}
	return path, wf, nil
}

func (s *simulation) oneCase(file, path, dialect string, wf []byte, c *simulate.Case, rehearse bool) error {
	start := func(differences []string, r *simulate.Report) {
		ok := len(differences) == 0
		if ok {
			s.passed++
		} else {
			s.failed++
		}
		if s.app.output == "json" {
			s.reports = append(s.reports, mustJSON(map[string]any{"case": c.Name, "passed": ok, "differences": append([]string{}, differences...), "report": r}))
			return
		}
		word := s.app.colour("ok", "32")
		if !ok {
			word = s.app.colour("FAIL", "31")
		}
		fmt.Fprintf(s.app.Stdout, "%s  %s:%d  %s\n", word, file, c.Line, c.Name)
		for _, d := range differences {
			fmt.Fprintf(s.app.Stdout, "      %s\n", d)
		}
	}
	def, err := s.parse(path, dialect, wf, rehearse, &c.Expect)
	if err != nil {
		return err
	}
	if c.Expect.Problems != nil {
		_, ps := workflows.Parse(dialect, path, wf, workflows.Options{Rehearse: rehearse})
		if ds := c.Expect.CheckProblems(ps); len(ds) > 0 || len(c.Expect.Problems) > 0 || def == nil {
			start(ds, nil)
			return nil
		}
	}
	if err := knownTasks(def, c.Plan.Outcomes); err != nil {
		return fmt.Errorf("%s:%d: %w", file, c.Line, err)
	}
	if !rehearse { // StackStorm's may give what nothing declares
		if err := knownInputs(def, c.Plan.Inputs); err != nil {
			return fmt.Errorf("%s:%d: %w", file, c.Line, err)
		}
	}
	r, err := simulate.Run(def, c.Plan)
	if err != nil {
		start([]string{err.Error()}, nil)
		return nil
	}
	start(c.Expect.Check(&r), &r)
	return nil
}

// knownTasks refuses results for tasks that the workflow does not have. The tasks
// of a workbook's other workflows are not known here.
func knownTasks(def *workflows.Definition, os []simulate.Outcome) error {
	if def.Dialect() == workflows.Mistral {
		return nil
	}
	known := map[string]bool{}
	var names []string
	for _, n := range def.Graph().Nodes {
		known[n.Name] = true
		names = append(names, n.Name)
	}
	for _, o := range os {
		if !known[o.Task] {
			return usage("results are given for a task %q that the workflow does not have%s", o.Task, hint(o.Task, names))
		}
	}
	return nil
}

// mistakes prints what is wrong with a document.
func (a *app) mistakes(what, file string, ds []yamldoc.Diagnostic) error {
	if file == "" {
		file = what
	}
	for _, d := range ds {
		fmt.Fprintf(a.Stderr, "%s:%d:%d: %s\n", file, d.Line, d.Column, d.Message)
	}
	return &exit{code: exitUsage}
}

// mapping reads a flag that holds a mapping, or names a file with one.
func (a *app) mapping(flag, v string) (json.RawMessage, error) {
	src, file, err := a.textOrFile(v)
	if errors.Is(err, os.ErrNotExist) {
		return nil, usage("%s wants a mapping such as '{host: web1}' (YAML or JSON), or a file that holds one; %q is neither%s", flag, v, assigned(v))
	}
	if err != nil {
		return nil, err
	}
	if len(src) == 0 && file == "" {
		return nil, nil
	}
	root, ds := yamldoc.Parse(src, yamldoc.Options{})
	if yamldoc.HasErrors(ds) {
		return nil, usage("%s: %s", flag, ds[0].Message)
	}
	if root.Kind() != yamldoc.Mapping {
		return nil, usage("%s wants a mapping such as '{host: web1}' (YAML or JSON), or a file that holds one; found %s %q", flag, root.Kind(), oneLine(string(src)))
	}
	return root.JSON(), nil
}

// assigned proposes the mapping that somebody meant who wrote NAME=VALUE.
func assigned(v string) string {
	name, val, ok := strings.Cut(strings.TrimSpace(v), "=")
	if !ok || name == "" || val == "" || strings.ContainsAny(v, " \t/,'\"") {
		return ""
	}
	return fmt.Sprintf(", write '{%s: %s}'", name, val)
}

// textOrFile is what a flag holds: text when it looks like a mapping, else the
// content of the file that it names. file is "" for text.
func (a *app) textOrFile(v string) (src []byte, file string, err error) {
	t := strings.TrimSpace(v)
	switch {
	case t == "":
		return nil, "", nil
	case strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") || strings.Contains(t, "\n") || strings.Contains(t, ": "):
		return []byte(v), "", nil
	}
	t = strings.TrimPrefix(t, "@")
	src, err = a.readInput(t)
	return src, t, err
}

// fileBeside reads files named in a document, relative to it.
func fileBeside(doc string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(filepath.Dir(doc), path)
		}
		return os.ReadFile(path)
	}
}

// colour colours a word for those who watch.
func (a *app) colour(word, color string) string {
	if !a.colored(a.Stdout) {
		return word
	}
	return "\x1b[" + color + "m" + word + "\x1b[0m"
}

// simulated prints what a simulated run went through.
func (a *app) simulated(name string, r *simulate.Report) {
	fmt.Fprintf(a.Stdout, "%s (%s): %s%s\n", name, r.Dialect, a.paint(string(r.Status)), after(r.Took, " after "))
	w := 0
	for i := range r.Tasks {
		w = max(w, cellWidth(taskTitle(&r.Tasks[i], r)))
	}
	for i := range r.Tasks {
		t := &r.Tasks[i]
		title := taskTitle(t, r)
		fmt.Fprintf(a.Stdout, "\n%s%s  %s%s\n", title, strings.Repeat(" ", w-cellWidth(title)), a.paint(string(t.Status)), itemCount(t))
		a.storyTries(t)
		a.storyVars("  published", t.Published)
		for _, x := range t.Transitions {
			a.storyWay(&x)
		}
	}
	for _, p := range r.Pauses {
		fmt.Fprintf(a.Stdout, "\nit paused%s and was resumed\n", after(p, " after "))
	}
	fmt.Fprintln(a.Stdout)
	if string(r.Output) != "null" {
		fmt.Fprintf(a.Stdout, "output  %s\n", oneLong(r.Output))
	}
	var errs []struct {
		Task    string `json:"task_id"`
		Message string `json:"message"`
	}
	if json.Unmarshal(r.Errors, &errs) != nil {
		return
	}
	told := map[string]bool{} // what one publish fails with counts for each of its transitions
	for _, e := range errs {
		line := e.Message
		if e.Task != "" {
			line = e.Task + ": " + line
		}
		if !told[line] {
			fmt.Fprintf(a.Stdout, "error   %s\n", line)
		}
		told[line] = true
	}
}

func after(d time.Duration, word string) string {
	if d == 0 {
		return ""
	}
	return word + d.String()
}

func taskTitle(t *simulate.Task, r *simulate.Report) string {
	title := t.Name
	switch {
	case t.Workflow != "":
		title = t.Workflow + "/" + t.Name
	case r.Dialect == workflows.Orquesta && t.Route > 0:
		title += fmt.Sprintf(" (route %d)", t.Route)
	}
	return title
}

func itemCount(t *simulate.Task) string {
	if t.Items == 0 {
		return ""
	}
	return fmt.Sprintf("  %d of %d items", t.Done, t.Items)
}

// maxTries bounds the attempts and items shown of one task.
const maxTries = 10

func (a *app) storyTries(t *simulate.Task) {
	for i, y := range t.Tries {
		if i == maxTries {
			fmt.Fprintf(a.Stdout, "  … and %d more (-o json shows all)\n", len(t.Tries)-maxTries)
			return
		}
		what := y.Action
		if y.Item >= 0 {
			what = fmt.Sprintf("[%d] %s", y.Item, what)
		}
		if in := oneLong(y.Input); in != "" && in != "null" && in != "{}" {
			what += " " + in
		}
		came := a.paint(string(y.Status))
		switch {
		case y.Assumed:
			came += " (no result given)"
		case len(y.Result) > 0 && string(y.Result) != "null":
			came += " " + oneLong(y.Result)
		}
		fmt.Fprintf(a.Stdout, "  %s%s\n    %s%s\n", after(y.Began, "at ")+gap(y.Began), what, came, after(y.Ended-y.Began, " after "))
	}
}

func gap(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return "  "
}

func (a *app) storyVars(title string, raw json.RawMessage) {
	if len(raw) > 0 {
		fmt.Fprintf(a.Stdout, "%s %s\n", title, oneLong(raw))
	}
}

// storyWay prints what became of one way on from a task.
func (a *app) storyWay(x *workflows.Way) {
	when := ""
	if x.When != "" {
		when = "when " + oneLine(x.When)
	}
	switch x.Verdict {
	case workflows.Taken:
		fmt.Fprintln(a.Stdout, strings.TrimRight("  → "+x.To+"  "+when, " "))
		a.storyVars("    published", x.Published)
	case workflows.Refused:
		fmt.Fprintf(a.Stdout, "  · %s  not taken: %s does not hold\n", x.To, when)
	case workflows.Broken:
		fmt.Fprintf(a.Stdout, "  ! %s  not taken: %s or what it publishes cannot be evaluated\n", x.To, first(when, "its condition"))
	default:
		fmt.Fprintf(a.Stdout, "  · %s  not taken: %s\n", x.To, first(when, "the workflow had ended"))
	}
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// oneLong is a JSON value on one line, cut where it is very long.
func oneLong(raw json.RawMessage) string {
	if r := []rune(string(raw)); len(r) > 400 {
		return string(r[:399]) + "…"
	}
	return string(raw)
}
