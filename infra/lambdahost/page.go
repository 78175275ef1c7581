package lambdahost

import (
	"fmt"
	"io"
	"strings"
)

// CostPage writes docs/reference/cost.md.
func CostPage(w io.Writer, m Measured) error {
	var b strings.Builder
	p := ListPrices
	fmt.Fprintf(&b, `# What the serverless shape costs

Written by %[1]sHAYATE_BENCH=1 go test ./tests/serverless -run TestCost -write%[1]s after %[1]smake functions%[1]s; do not edit. %[1]smake deploy-plan%[1]s works the forecast
out for a flow and a template of your own.

## Figures

Measured on %[2]s, %[3]s, with the binaries as they are deployed, behind our own host of Lambda's Runtime API; SQS is an emulator on
the same machine and MongoDB an in-memory server, so network time is not in them and a real store adds to it. Medians; cold is from the start of the process to
its first answer, connecting to the store and reading the packs included; init until it first asks for work, which connects to nothing. Router, runner
and workflow had batches of %[4]d messages.

| function | init, ms | cold to first answer, ms | warm, ms an invocation | GB-ms an event or task | binary, MB |
| --- | ---: | ---: | ---: | ---: | ---: |
`, "`", m.Date, m.Machine, int(m.Functions["router"].Batch))
	for _, name := range []string{"ingest", "router", "runner", "workflow", "tick", "api"} {
		f := m.Functions[name]
		fmt.Fprintf(&b, "| %s | %.1f | %.1f | %.2f | %.3f | %.1f |\n", name, f.InitMS, f.ColdMS, f.WarmMS, f.WarmMS/max(f.Batch, 1)*float64(m.Memory)/1024, f.SizeMB)
	}
	fmt.Fprintf(&b, "\n%d MB of memory are billed. Lambda gives less than a core at that size: CPU takes longer there than here.\n", m.Memory)
	f := DefaultFlow
	fmt.Fprintf(&b, "\n## A million events\n\nOf the events %g start a workflow of %g actions of %s each, all come by ingest, and queues deliver %g messages at a time. In US dollars, without the database.\n\n",
		f.Match, f.Steps, f.Run, f.Batch)
	markdown(&b, "hayate", Forecast(m, p, f))
	b.WriteString("\nThe same with Amazon's own services, the work on Lambda as before:\n\n")
	markdown(&b, "EventBridge and Step Functions", Bought(m, p, f))
	b.WriteString("\n## A month in which nothing happens\n\n")
	markdown(&b, "idle", Idle(m, p, 3))
	fmt.Fprintf(&b, `
A poller of Lambda asks its queue every 20 seconds, and there are five for each of three queues. A task that ends steps its workflow in the same invocation, so a step
costs no invocation of its own.

## Prices

List prices of us-east-1, %s, without free tiers; re-check them before quoting.

| what | US dollars |
| --- | ---: |
| Lambda, a million requests | %.2f |
| Lambda on arm64, a GB-second | %.10f |
| SQS, a million requests of up to 64 KB | %.2f |
| EventBridge, a million events of up to 64 KB | %.2f |
| SNS, a million requests | %.2f |
| EventBridge Scheduler, a million invocations | %.2f |
| Step Functions, a million transitions of standard workflows | %.2f |
`, p.Date, p.LambdaRequests, p.LambdaGBs, p.SQS, p.EventBridge, p.SNS, p.Scheduler, p.StepFunctions)
	_, err := io.WriteString(w, b.String())
	return err
}

func markdown(b *strings.Builder, total string, lines []Line) {
	b.WriteString("| what | invocations | GB-ms an event | US dollars |\n| --- | ---: | ---: | ---: |\n")
	sum := Line{What: "**" + total + "**"}
	for _, l := range lines {
		sum.Invocations += l.Invocations
		sum.GBms += l.GBms
		sum.Dollars += l.Dollars
	}
	for _, l := range append(lines, sum) {
		invocations, gbms := "", ""
		if l.Invocations > 0 {
			invocations = fmt.Sprintf("%.0f", l.Invocations)
		}
		if l.GBms > 0 {
			gbms = fmt.Sprintf("%.3f", l.GBms)
		}
		fmt.Fprintf(b, "| %s | %s | %s | %.2f |\n", l.What, invocations, gbms, l.Dollars)
	}
}
