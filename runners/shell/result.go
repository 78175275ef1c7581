package shell

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/mask"
)

// wrongPassword is sudo's complaint.
var wrongPassword = regexp.MustCompile(`sudo: \d+ incorrect password attempt`)

// result is a shell result before it becomes JSON.
type result struct {
	status         hayate.Status
	code           int
	stdout, stderr string
	err            string
}

func failed(m *mask.Masker, code int, text string) hayate.Result {
	return result{status: hayate.StatusFailed, code: code, err: text}.build(m)
}

// build writes {failed, succeeded, return_code, stdout, stderr[, error]}.
func (r result) build(m *mask.Masker) hayate.Result {
	ok := r.status == hayate.StatusSucceeded
	b := make([]byte, 0, len(r.stdout)+len(r.stderr)+128)
	b = append(b, `{"failed":`...)
	b = strconv.AppendBool(b, !ok)
	b = append(b, `,"succeeded":`...)
	b = strconv.AppendBool(b, ok)
	b = append(b, `,"return_code":`...)
	b = strconv.AppendInt(b, int64(r.code), 10)
	b = append(b, `,"stdout":`...)
	b = append(b, m.JSON(decoded(r.stdout))...)
	b = append(b, `,"stderr":`...)
	b = append(b, m.JSON(decoded(r.stderr))...)
	if r.err != "" {
		b = append(b, `,"error":`...)
		b = append(b, jsonText(m.String(r.err))...)
	}
	return hayate.Result{Status: r.status, Value: append(b, '}')}
}

// decoded is a text as the result has it: one newline and then one carriage
// return are taken off its end, and what is JSON becomes that value, unless clients
// could not read it.
func decoded(s string) json.RawMessage {
	s = strings.TrimSuffix(s, "\n")
	s = strings.TrimSuffix(s, "\r")
	raw := []byte(s)
	if len(raw) == 0 || !json.Valid(raw) || hayate.CheckJSON(raw) != nil || tooLarge(bytes.TrimSpace(raw)) {
		return jsonText(s)
	}
	return bytes.TrimSpace(raw)
}

// tooLarge says that raw is a number beyond what a float can hold.
func tooLarge(raw []byte) bool {
	if c := raw[0]; c != '-' && (c < '0' || c > '9') {
		return false
	}
	_, err := strconv.ParseFloat(string(raw), 64)
	return err != nil
}

func jsonText(s string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string always encodes
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// judge maps what happened to StackStorm's status, return code and error.
func (r *Runner) judge(t hayate.Task, s settings, p plan, o outcome) result {
	res := result{status: hayate.StatusFailed, code: o.code, stdout: o.stdout, stderr: o.stderr}
	switch {
	case o.ended == byCancel:
		res.status, res.err = hayate.StatusCanceled, "Action canceled."
	case o.ended == byTimeout:
		res.status, res.code = hayate.StatusTimeout, -9
		res.err = timeoutText(p)
		if o.exited {
			res.err += fmt.Sprintf(": the command exited with %d, but processes that it had started kept its output open", o.code)
		}
	case s.SudoPassword != "" && wrongPassword.MatchString(o.stderr):
		res.code = -1
		res.err = "Invalid sudo password provided or sudo is not configured for this user (" + p.user + ")"
	case o.code == 0:
		res.status = hayate.StatusSucceeded
		if line := r.suspicious(t, o.stderr); line != "" {
			res.status = hayate.StatusFailed
			res.err = "exit code 0, but stderr says: " + line +
				" (with pipefail such a complaint is a failure; pipefail: false on the action turns this off, an expectation of stderr replaces it)"
		}
	case o.code == -9:
		res.status = hayate.StatusTimeout
		res.err = timeoutText(p) + ": something else killed it with SIGKILL, the kernel for want of memory perhaps"
	case o.code == -15:
		res.status = hayate.StatusAbandoned
	case t.Pipefail:
		res.err = fmt.Sprintf("exit code %d (with pipefail and nounset)", o.code)
		if line := lastLine(o.stderr); line != "" {
			res.err += "; stderr ends with: " + line
		}
	}
	if o.left != "" {
		res.err = strings.TrimPrefix(res.err+"; "+o.left, "; ")
	}
	return res
}

func timeoutText(p plan) string {
	return "Action failed to complete in " + strconv.FormatFloat(p.timeout.Seconds(), 'f', -1, 64) + " seconds"
}

// suspicious returns the first line of stderr that makes a strict command fail, or "".
func (r *Runner) suspicious(t hayate.Task, stderr string) string {
	if !t.Pipefail || t.Action.Expect != nil && (t.Action.Expect.Stderr != "" || t.Action.Expect.NotStderr != "") {
		return ""
	}
	for line := range strings.Lines(stderr) {
		line = strings.TrimRight(line, "\r\n")
		for _, re := range r.c.Suspicious {
			if re.MatchString(line) {
				return line
			}
		}
	}
	return ""
}

func lastLine(s string) string {
	s = strings.TrimRight(s, " \t\r\n")
	s = s[strings.LastIndexByte(s, '\n')+1:]
	if len(s) > 500 {
		s = strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}
