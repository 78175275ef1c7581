package lambdahost

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/hayate-run/hayate"
)

// measured are the figures that the end-to-end tests write.
//
//go:embed measured.json
var measured []byte

// Measured are figures of the functions, taken on one machine.
type Measured struct {
	Date      string                      `json:"date"`
	Machine   string                      `json:"machine"`
	Memory    int                         `json:"memory_mb"` // configured, and so billed
	Functions map[string]FunctionMeasured `json:"functions"` // by short name
}

// FunctionMeasured are the figures of one function.
type FunctionMeasured struct {
	ColdMS float64 `json:"cold_ms"` // start of the process to its first answer, median
	InitMS float64 `json:"init_ms"` // start of the process to its first request for work, median
	WarmMS float64 `json:"warm_ms"` // an invocation of an environment that is warm, median
	Batch  float64 `json:"batch"`   // messages in an invocation of the measurement
	SizeMB float64 `json:"size_mb"` // of the binary
}

// ReadMeasured returns the figures that this binary was built with.
func ReadMeasured() (Measured, error) {
	var m Measured
	if err := json.Unmarshal(measured, &m); err != nil {
		return m, fmt.Errorf("measured figures: %w", err)
	}
	return m, nil
}

// Prices are list prices in US dollars, us-east-1.
type Prices struct {
	Date                      string
	LambdaRequests, LambdaGBs float64 // a million requests; a GB-second on arm64
	SQS, EventBridge, SNS     float64 // a million requests or events of up to 64 KB
	Scheduler                 float64 // a million invocations
	StepFunctions             float64 // a million transitions of standard workflows
}

// ListPrices are those that the forecast is made with.
var ListPrices = Prices{Date: "November 2026", LambdaRequests: 0.20, LambdaGBs: 0.0000133334, SQS: 0.40, EventBridge: 1.00, SNS: 0.50, Scheduler: 1.00,
	StepFunctions: 25.00}

// Flow says what a million events are like.
type Flow struct {
	Match float64       // share of the events that start something
	Steps float64       // actions for each of those
	Run   time.Duration // what an action takes
	URL   float64       // share of the events that come by the ingest function
	Batch float64       // messages in a batch, on the average
}

// DefaultFlow is the example of docs/reference/cost.md.
var DefaultFlow = Flow{Match: 0.1, Steps: 5, Run: 200 * time.Millisecond, URL: 1, Batch: 5}

// set reads one value of a flow.
func (f *Flow) set(name, value string) error {
	if name == "run" {
		d, err := time.ParseDuration(value)
		f.Run = d
		return err
	}
	field := map[string]*float64{"match": &f.Match, "steps": &f.Steps, "url": &f.URL, "batch": &f.Batch}[name]
	if field == nil {
		return fmt.Errorf("there is no %q, want match, steps, run, url or batch", name)
	}
	v, err := strconv.ParseFloat(value, 64)
	if err == nil && (v < 0 || name == "batch" && (v < 1 || v > maxBatch)) {
		err = fmt.Errorf("out of range")
	}
	*field = v
	return err
}

// Line is one line of a forecast.
type Line struct {
	What        string
	Invocations float64 // for a million events
	GBms        float64 // for one event
	Dollars     float64 // for a million events
}

// Forecast is what a million events cost, without the database: the functions
// first, then what carries messages.
func Forecast(m Measured, p Prices, f Flow) []Line {
	gb := float64(m.Memory) / 1024
	function := func(name, what string, invocations float64, extra time.Duration) Line {
		x := m.Functions[name]
		ms := x.WarmMS + float64(extra.Microseconds())/1000
		gbms := invocations * ms * gb
		return Line{what, invocations * 1e6, gbms, invocations*p.LambdaRequests + gbms/1000*1e6*p.LambdaGBs}
	}
	tasks, runs := f.Match*f.Steps, f.Match
	if f.Steps <= 1 {
		runs = 0 // an action that a rule names is no workflow
	}
	lines := []Line{
		function("ingest", "ingest", f.URL, 0),
		function("router", "router", 1/f.Batch, 0),
		function("runner", "runner", tasks/f.Batch, f.Run),
		function("workflow", "workflow", runs/f.Batch, 0),
	}
	messages := 1 + tasks + runs // each is sent alone, received and removed in batches
	lines = append(lines, Line{What: "SQS", Dollars: messages * (1 + 2/f.Batch) * p.SQS})
	if f.URL < 1 {
		lines = append(lines, Line{What: "EventBridge", Dollars: (1 - f.URL) * p.EventBridge})
	}
	return lines
}

// Idle is what a month costs in which nothing happens: pollers that ask, and the
// tick.
func Idle(m Measured, p Prices, queues int) []Line {
	const month = 30 * 24 * 60 // minutes
	polls := float64(queues) * 5 * month * 3
	ticks := float64(month)
	gbms := m.Functions["tick"].WarmMS * float64(m.Memory) / 1024
	return []Line{
		{What: fmt.Sprintf("pollers of %d queues", queues), Dollars: polls / 1e6 * p.SQS},
		{What: "tick, every minute", Invocations: ticks, Dollars: ticks / 1e6 * (p.LambdaRequests + p.Scheduler + gbms/1000*1e6*p.LambdaGBs)},
	}
}

// Bought is what the same flow costs with EventBridge and Step Functions in place of
// hayate, the work itself on Lambda as before.
func Bought(m Measured, p Prices, f Flow) []Line {
	gb := float64(m.Memory) / 1024
	tasks := f.Match * f.Steps
	work := tasks * (p.LambdaRequests + float64(f.Run.Microseconds())/1000*gb/1000*1e6*p.LambdaGBs)
	// A run has a transition for each state, the start and the end included.
	return []Line{
		{What: "EventBridge, events", Dollars: p.EventBridge},
		{What: "Step Functions, standard", Dollars: f.Match * (f.Steps + 2) * p.StepFunctions},
		{What: "Lambda, the work", Invocations: tasks * 1e6, Dollars: work},
	}
}

// expands are the resources that SAM makes of a function beside it.
func expands(r Resource) map[string]int {
	out := map[string]int{"AWS::Lambda::Function": 1}
	if r.Properties["AutoPublishAlias"] != nil {
		out["AWS::Lambda::Version"], out["AWS::Lambda::Alias"] = 1, 1
	}
	if r.Properties["DeploymentPreference"] != nil {
		out["AWS::CodeDeploy::DeploymentGroup"] = 1
	}
	if r.Properties["FunctionUrlConfig"] != nil {
		out["AWS::Lambda::Url"] = 1
	}
	if r.Properties["EventInvokeConfig"] != nil {
		out["AWS::Lambda::EventInvokeConfig"] = 1
	}
	all, _ := r.Properties["Events"].(map[string]any)
	for _, e := range all {
		switch textOf(at(e, "Type")) {
		case "SQS":
			out["AWS::Lambda::EventSourceMapping"]++
		case "ScheduleV2":
			out["AWS::Scheduler::Schedule"]++
			out["AWS::IAM::Role"]++
		}
	}
	return out
}

// Plan writes what a deployment of the template creates, and what it costs.
func Plan(t *Template, flow map[string]string, w io.Writer) error {
	f := DefaultFlow
	for _, name := range slices.Sorted(maps.Keys(flow)) {
		if err := f.set(name, flow[name]); err != nil {
			return fmt.Errorf("--flow %s=%s: %v: %w", name, flow[name], err, hayate.ErrInvalid)
		}
	}
	list, err := t.Resources("")
	if err != nil {
		return err
	}
	m, err := ReadMeasured()
	if err != nil {
		return err
	}
	count, queues, deployments := map[string]int{}, 0, false
	for _, r := range list {
		if r.Type != "AWS::Serverless::Function" {
			count[r.Type]++
			continue
		}
		for typ, n := range expands(r) {
			count[typ] += n
		}
		deployments = deployments || r.Properties["DeploymentPreference"] != nil
		if memory, err := strconv.Atoi(textOf(r.Properties["MemorySize"])); err == nil {
			m.Memory = memory
		}
		all, _ := r.Properties["Events"].(map[string]any)
		for _, e := range all {
			queues += boolInt(textOf(at(e, "Type")) == "SQS")
		}
	}
	if deployments {
		count["AWS::CodeDeploy::Application"], count["AWS::IAM::Role"] = 1, count["AWS::IAM::Role"]+1
	}
	total := 0
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TO BE CREATED\tCOUNT")
	for _, typ := range slices.Sorted(maps.Keys(count)) {
		fmt.Fprintf(tw, "%s\t%d\n", strings.TrimPrefix(typ, "AWS::"), count[typ])
		total += count[typ]
	}
	fmt.Fprintf(tw, "all\t%d\n", total)
	if err := tw.Flush(); err != nil {
		return err
	}
	return writeForecast(w, m, f, queues)
}

// writeForecast writes the forecast beside its rival.
func writeForecast(w io.Writer, m Measured, f Flow, queues int) error {
	p := ListPrices
	fmt.Fprintf(w, "\nA MILLION EVENTS, of which %g start %g actions of %s each, with %d MB, %g messages a batch; %.0f of 100 come by ingest\n",
		f.Match, f.Steps, f.Run, m.Memory, f.Batch, f.URL*100)
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "invocations\tGB-ms an event\tUSD\t ")
	table(tw, "without the database", Forecast(m, p, f))
	table(tw, "with EventBridge and Step Functions", Bought(m, p, f))
	if err := tw.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nA MONTH OF IDLING\n")
	tw = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "invocations\tGB-ms an event\tUSD\t ")
	table(tw, "all", Idle(m, p, queues))
	if err := tw.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nList prices of us-east-1, %s, without free tiers; figures measured on %s, %s. Re-check both before quoting.\n", p.Date, m.Date, m.Machine)
	return err
}

func table(w io.Writer, total string, lines []Line) {
	sum := Line{What: total}
	for _, l := range lines {
		row(w, l)
		sum.Invocations += l.Invocations
		sum.GBms += l.GBms
		sum.Dollars += l.Dollars
	}
	row(w, sum)
	fmt.Fprintln(w, "\t\t\t ")
}

func row(w io.Writer, l Line) {
	n, g := "", ""
	if l.Invocations > 0 {
		n = strconv.FormatFloat(l.Invocations, 'f', 0, 64)
	}
	if l.GBms > 0 {
		g = strconv.FormatFloat(l.GBms, 'f', 3, 64)
	}
	fmt.Fprintf(w, "%s\t%s\t%.2f\t %s\n", n, g, l.Dollars, l.What)
}
