package router

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"

	"github.com/hayate-run/hayate"
)

// An execution's context is a JSON object with StackStorm's keys. It is read and
// written at every step, mostly for one member of it, so that this is done without
// decoding the whole.

// member returns the value of a member of a JSON object, or nil where there is
// none. Names with escapes are not found.
func member(object []byte, name string) json.RawMessage {
	var found json.RawMessage
	for n, v := range eachMember(object) {
		if string(n) == name {
			found = v // of names that repeat, the last counts
		}
	}
	return found
}

// eachMember yields the members of a JSON object as they are written, names without
// their quotes. It ends where the text is none.
func eachMember(object []byte) iter.Seq2[[]byte, json.RawMessage] {
	return func(yield func([]byte, json.RawMessage) bool) {
		i := space(object, 0)
		if i >= len(object) || object[i] != '{' {
			return
		}
		for i++; ; i++ {
			if i = space(object, i); i >= len(object) || object[i] != '"' {
				return
			}
			begin, end := i, skip(object, i)
			if i = space(object, end); i >= len(object) || object[i] != ':' {
				return
			}
			name := object[begin+1 : end-1]
			i = space(object, i+1)
			if end = skip(object, i); end > len(object) || end == i || !yield(name, object[i:end:end]) {
				return
			}
			if i = space(object, end); i >= len(object) || object[i] != ',' {
				return
			}
		}
	}
}

func space(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skip returns the end of the JSON value at i: beyond the text where it has none.
func skip(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
			if depth == 0 {
				return i + 1
			}
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what holds a number or a word
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
	}
	if depth > 0 {
		return len(b) + 1
	}
	return i
}

// text decodes a JSON string, "" for anything else.
func text(raw json.RawMessage) string {
	if len(raw) < 2 || raw[0] != '"' {
		return ""
	}
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c >= 0x80 {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				return ""
			}
			return s
		}
	}
	return string(raw[1 : len(raw)-1])
}

// appendText appends a JSON string.
func appendText[S ~string](b []byte, s S) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			q, err := json.Marshal(string(s))
			if err != nil {
				panic(err) // a string
			}
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func contextUser(c json.RawMessage) string { return text(member(c, "user")) }

// place is where in its run a child execution belongs; it is part of the child's
// context, below "orquesta" as in StackStorm.
type place struct {
	Run     hayate.ExecutionID `json:"workflow_execution_id"`
	Task    string             `json:"task_name"`
	TaskID  string             `json:"task_id"`
	TaskEx  string             `json:"task_execution_id"`
	Route   int                `json:"task_route"`
	Item    *int               `json:"item_id"`
	Entry   int                `json:"task_entry"`
	Attempt int                `json:"task_attempt"`
}

func (p *place) append(b []byte) []byte {
	b = appendText(append(b, `{"workflow_execution_id":`...), p.Run)
	b = appendText(append(b, `,"task_name":`...), p.Task)
	b = appendText(append(b, `,"task_id":`...), p.TaskID)
	b = appendText(append(b, `,"task_execution_id":`...), p.TaskEx)
	b = strconv.AppendInt(append(b, `,"task_route":`...), int64(p.Route), 10)
	b = append(b, `,"item_id":`...)
	if p.Item == nil {
		b = append(b, "null"...)
	} else {
		b = strconv.AppendInt(b, int64(*p.Item), 10)
	}
	b = strconv.AppendInt(append(b, `,"task_entry":`...), int64(p.Entry), 10)
	b = strconv.AppendInt(append(b, `,"task_attempt":`...), int64(p.Attempt), 10)
	return append(b, '}')
}

// placeOf reads a child's place from its context.
func placeOf(x *hayate.Execution) (place, error) {
	var p place
	raw := member(x.Context, "orquesta")
	if len(raw) == 0 || raw[0] != '{' {
		return p, fmt.Errorf("execution %s does not say which task of %s it is: %w", x.ID, x.Parent, hayate.ErrInvalid)
	}
	var bad error
	number := func(v []byte) int {
		n, err := strconv.Atoi(string(v))
		if err != nil {
			bad = err
		}
		return n
	}
	for name, v := range eachMember(raw) {
		switch string(name) {
		case "workflow_execution_id":
			p.Run = hayate.ExecutionID(text(v))
		case "task_name":
			p.Task = text(v)
		case "task_id":
			p.TaskID = text(v)
		case "task_execution_id":
			p.TaskEx = text(v)
		case "task_route":
			p.Route = number(v)
		case "task_entry":
			p.Entry = number(v)
		case "task_attempt":
			p.Attempt = number(v)
		case "item_id":
			p.Item = nil
			if string(v) != "null" {
				n := number(v)
				p.Item = &n
			}
		}
	}
	if bad != nil {
		return p, fmt.Errorf("execution %s says wrongly which task of %s it is: %v: %w", x.ID, x.Parent, bad, hayate.ErrInvalid)
	}
	return p, nil
}

// childContexts makes the contexts of a workflow's tasks, which differ in little.
type childContexts struct {
	of   hayate.ExecutionID
	user json.RawMessage // who the workflow runs as; nil: nobody is named
	head []byte          // up to the pack
	tail []byte          // from behind the pack to the place
	// depth is how many workflows stand above the workflow.
	depth int
}

// maxNesting bounds how deep workflows start each other: one that starts itself would
// never end.
const maxNesting = 100

// placeMark begins a place in a context. Every workflow above adds one: contexts hold
// those of their parents, and no text can hold the mark, since its quotes are escaped.
var placeMark = []byte(`"orquesta":{"workflow_execution_id":`)

// of prepares the contexts of a workflow's tasks.
func (c *childContexts) prepare(p *hayate.Execution) {
	if c.of == p.ID {
		return
	}
	parent := map[string]json.RawMessage{}
	if len(p.Context) > 0 && json.Unmarshal(p.Context, &parent) != nil {
		parent = map[string]json.RawMessage{}
	}
	c.of, c.user, c.depth = p.ID, parent["user"], bytes.Count(p.Context, placeMark)
	parent["execution_id"] = json.RawMessage(fmt.Sprintf("%q", p.ID))
	b, err := json.Marshal(parent)
	if err != nil {
		panic(err) // raw messages that were just read, and a string
	}
	c.head = []byte(`{`)
	if len(c.user) > 0 {
		c.head = append(append(append(c.head, `"user":`...), c.user...), ',')
	}
	c.head = append(c.head, `"pack":`...)
	c.tail = append(append([]byte(`,"parent":`), b...), `,"orquesta":`...)
}

// context is the one that StackStorm gives to a task's execution.
func (c *childContexts) context(pl *place, pack string) json.RawMessage {
	b := make([]byte, 0, len(c.head)+len(c.tail)+len(pack)+2*len(pl.Task)+240)
	b = append(b, c.head...)
	b = appendText(b, pack)
	b = append(b, c.tail...)
	return append(pl.append(b), '}')
}
