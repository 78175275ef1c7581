package packs

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// workflowRunners run what may have a deadline.
var workflowRunners = []string{"orquesta", "action-chain", "mistral-v2"}

// deadline reads an action's deadline: a duration, or a mapping with after or at.
func (r *reader) deadline(n *yamldoc.Node, runner string) *hayate.Deadline {
	if n.IsNull() {
		return nil
	}
	if runner != "" && !slices.Contains(workflowRunners, runner) {
		r.errorf(n, "bad-value", "a deadline is for workflows; what bounds an action of the runner %q is its parameter %q", runner, "timeout")
		return nil
	}
	d := &hayate.Deadline{}
	if n.Kind() != yamldoc.Mapping {
		d.After = r.duration(n)
		return d
	}
	after, at := n.Get("after"), n.Get("at")
	if after.IsNull() == at.IsNull() {
		r.errorf(n, "missing-key", "a deadline has either %q, such as 2h, or %q, such as \"05:00\"", "after", "at")
		return nil
	}
	if !after.IsNull() {
		d.After = r.duration(after)
	} else {
		d.At, d.Zone = r.timeOfDay(at), text(n.Get("timezone"))
		if _, err := time.LoadLocation(d.Zone); err != nil || d.Zone == "Local" {
			r.errorf(n.Get("timezone"), "bad-value", "unknown time zone %q, want a name of the IANA database such as Asia/Tokyo or UTC", d.Zone)
		}
	}
	if warn := n.Get("warn"); !warn.IsNull() {
		if pct, ok := strings.CutSuffix(warn.Text(), "%"); ok {
			i, err := strconv.Atoi(strings.TrimSpace(pct))
			if err != nil || i < 1 || i > 100 {
				r.errorf(warn, "bad-value", "found %q, want 1%% to 100%%, where 100%% means never, or how long before the end, such as 15m", warn.Text())
			}
			d.WarnPercent = i
		} else {
			d.WarnBefore = r.duration(warn)
		}
	}
	return d
}

// duration reads 90 (seconds), 90s, 15m, 2h, 1d or 1d12h.
func (r *reader) duration(n *yamldoc.Node) time.Duration {
	d, err := parseDuration(n.Text())
	if err != nil || d < time.Second {
		r.errorf(n, "bad-value", "found %q, want a duration of at least a second, such as 90 (seconds), 15m, 2h or 1d12h", n.Text())
		return time.Second
	}
	return d
}

func parseDuration(text string) (time.Duration, error) {
	if n, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(n) * time.Second, nil
	}
	var days uint64
	if before, rest, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseUint(before, 10, 14)
		if err != nil {
			return 0, err
		}
		if days = n; rest == "" {
			rest = "0s"
		}
		text = rest
	}
	d, err := time.ParseDuration(text)
	return d + time.Duration(days)*24*time.Hour, err
}

var clockTime = regexp.MustCompile(`^([01]?[0-9]|2[0-3]):([0-5][0-9])$`)

// timeOfDay reads 05:00. To YAML 1.1 a bare 22:30 is the number 1350.
func (r *reader) timeOfDay(n *yamldoc.Node) string {
	text := n.Text()
	if i, ok := n.Int(); ok && i >= 0 && i < 24*60 {
		text = fmt.Sprintf("%02d:%02d", i/60, i%60)
	}
	if !clockTime.MatchString(text) {
		r.errorf(n, "bad-value", "found %q, want a time of day such as \"05:00\"", text)
		return ""
	}
	return text
}
