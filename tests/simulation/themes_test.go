package simulation_test

import "fmt"

// theme is something that users do beside sending events and starting workflows.
type theme string

const (
	pauses    theme = "pauses"    // of workflows, and resumes
	questions theme = "questions" // and answers, in time or not
	crowds    theme = "crowds"    // of what policies bound and retry
	agains    theme = "agains"    // workflows are continued from their tasks
	triggers  theme = "triggers"  // a rule waits for ended executions
	windows   theme = "windows"   // rules remember
	timers    theme = "timers"    // tick, and are switched off
)

var allThemes = []theme{pauses, questions, crowds, agains, triggers, windows, timers}

// themes are those of a seed.
type themes map[theme]bool

// themesOf gives each seed up to three: all at once hide each other.
func themesOf(p *plan) themes {
	th := themes{}
	rnd := p.random("themes")
	for range rnd.IntN(4) {
		th[allThemes[rnd.IntN(len(allThemes))]] = true
	}
	return th
}

func (th themes) String() string {
	text := ""
	for _, t := range allThemes {
		if th[t] {
			text += " " + string(t)
		}
	}
	if text == "" {
		return "no theme"
	}
	return fmt.Sprintf("themes:%s", text)
}
