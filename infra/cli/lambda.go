package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// LambdaLocal is what "lambda local" is asked for.
type LambdaLocal struct {
	Template    string            // file
	Binaries    string            // folder with a folder for each function, that has its bootstrap
	Parameters  map[string]string // of the template
	Env         map[string]string // for every function
	Name        string            // of the stack
	Listen      string            // host of the functions' URLs
	Unreliable  bool
	Concurrency int
	Output      io.Writer
}

// LambdaPlan is what "lambda plan" is asked for.
type LambdaPlan struct {
	Template   string
	Parameters map[string]string
	Flow       map[string]string // of the forecast, by name
}

func (a *app) lambdaCommand() *cobra.Command {
	c := &cobra.Command{Use: "lambda", Short: "run and plan the serverless shape: functions on AWS Lambda"}
	c.AddCommand(a.lambdaLocalCommand(), a.lambdaPlanCommand())
	return c
}

func (a *app) lambdaLocalCommand() *cobra.Command {
	l := LambdaLocal{}
	var parameters, env []string
	c := &cobra.Command{
		Use:   "local",
		Short: "run the functions of a template on this host",
		Long: "Runs each function's real binary behind Lambda's Runtime API, with what invokes them: queues, URLs, schedules. SQS and S3 are those of the\n" +
			"emulator that AWS_ENDPOINT_URL names; nothing is made in AWS. What the template takes out of a store of secrets is given with --env.\n\n" +
			"make functions builds the binaries. It serves until it is told to stop (Ctrl-C, SIGTERM).",
		Example: "  hayate lambda local --env HAYATE_MONGODB_URI=mongodb://127.0.0.1:27017/hayate --env HAYATE_TOKEN=$(openssl rand -hex 16)",
		Args:    exactly(0),
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&l.Template, "template", "template.yaml", "the template")
	f.StringVar(&l.Binaries, "bin", "bin/functions", "folder of the binaries: NAME/bootstrap each, as make functions and sam build lay them out")
	f.StringArrayVar(&parameters, "parameter", nil, "a parameter of the template, NAME=VALUE")
	f.StringArrayVar(&env, "env", nil, "a variable for every function, NAME=VALUE; wins over the template's")
	f.StringVar(&l.Name, "name", "hayate", "name of the stack, and what the names of its queues begin with")
	f.StringVar(&l.Listen, "host", "127.0.0.1", "host that the functions' URLs are served on")
	f.IntVar(&l.Concurrency, "concurrency", 4, "most processes of a function at once")
	f.BoolVar(&l.Unreliable, "unreliable", false, "deliver messages in disorder, some of them twice, and refuse some, as SQS and throttled functions do")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if l.Parameters, err = pairs("parameter", parameters); err != nil {
			return err
		}
		if l.Env, err = pairs("env", env); err != nil {
			return err
		}
		l.Output = a.Stderr
		return a.LambdaLocal(c.Context(), l, func(urls map[string]string) {
			for _, id := range slices.Sorted(maps.Keys(urls)) {
				fmt.Fprintf(a.Stdout, "%-16s %s\n", id, urls[id])
			}
		})
	}
	return c
}

func (a *app) lambdaPlanCommand() *cobra.Command {
	p := LambdaPlan{}
	var parameters, flow []string
	c := &cobra.Command{
		Use:   "plan",
		Short: "say what a deployment would create, and what events would cost",
		Long: "Reads the template and prints the resources that a deployment creates, and a forecast in US dollars for a million events: from the measured\n" +
			"figures and the list prices of docs/reference/cost.md. Nothing is asked of AWS.",
		Example: "  hayate lambda plan\n  hayate lambda plan --flow match=0.1 --flow steps=5 --flow run=200ms",
		Args:    exactly(0),
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&p.Template, "template", "template.yaml", "the template")
	f.StringArrayVar(&parameters, "parameter", nil, "a parameter of the template, NAME=VALUE")
	f.StringArrayVar(&flow, "flow", nil, "what the flow is like, NAME=VALUE: match (share of events that start an action, 0.1), steps (actions for each of those, 5), run (time an action takes, 200ms), url (share of events that come by ingest, 1)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		var err error
		if p.Parameters, err = pairs("parameter", parameters); err != nil {
			return err
		}
		if p.Flow, err = pairs("flow", flow); err != nil {
			return err
		}
		return a.LambdaPlan(p, a.Stdout)
	}
	return c
}

// pairs reads NAME=VALUE.
func pairs(flag string, list []string) (map[string]string, error) {
	m := make(map[string]string, len(list))
	for _, v := range list {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usage("--%s: found %q, want NAME=VALUE", flag, v)
		}
		m[name] = value
	}
	return m, nil
}
