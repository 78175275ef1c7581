package cli

import (
	"fmt"
	"time"
)

// progressEvery is the least time between two states of a progress line.
const progressEvery = 100 * time.Millisecond

// progress shows on stderr how far long work has come: one line that is written
// over, for those who watch a terminal; nothing where stderr is piped, and
// nothing with --quiet.
type progress struct {
	a     *app
	what  string
	began time.Time
	last  time.Time
	on    bool
	shown bool
}

func (a *app) progress(what string) *progress {
	now := time.Now()
	return &progress{a: a, what: what, began: now, last: now, on: !a.quiet && terminal(a.Stderr) && a.Getenv("TERM") != "dumb"}
}

// step shows that done of total are done, with the rate and the time that is left.
// A total of 0 is not known.
func (p *progress) step(done, total int) {
	if !p.due() {
		return
	}
	took := time.Since(p.began)
	line := fmt.Sprintf("%s: %d", p.what, done)
	if total > 0 {
		line += fmt.Sprintf(" of %d", total)
	}
	if done > 0 && took >= time.Second {
		rate := float64(done) / took.Seconds()
		line += fmt.Sprintf(", %.0f/s", rate)
		if total > done {
			line += ", " + time.Duration(float64(total-done)/rate*float64(time.Second)).Round(time.Second).String() + " left"
		}
	}
	p.show(line)
}

// note shows what is being waited for, and since when.
func (p *progress) note(text string) {
	if p.due() {
		p.show(fmt.Sprintf("%s: %s, %s", p.what, text, time.Since(p.began).Round(time.Second)))
	}
}

func (p *progress) due() bool {
	if !p.on || time.Since(p.last) < progressEvery {
		return false
	}
	p.last = time.Now()
	return true
}

func (p *progress) show(line string) {
	p.shown = true
	fmt.Fprintf(p.a.Stderr, "\r\x1b[K%s", line)
}

// end takes the line away.
func (p *progress) end() {
	if p.shown {
		fmt.Fprint(p.a.Stderr, "\r\x1b[K")
		p.shown = false
	}
}
