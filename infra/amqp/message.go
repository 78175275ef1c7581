package amqp

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	rabbit "github.com/rabbitmq/amqp091-go"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// TargetPrefix begins the target of an execution that workers with a tag perform.
const TargetPrefix = "amqp:"

// The types of messages, as the property type carries them.
const typeTask = "hayate.task"

// The headers of a task and of a dead message.
const (
	headerTries  = "x-hayate-tries"
	headerReason = "x-hayate-reason"
)

// wireTask is the body of a task's message.
type wireTask struct {
	Execution hayate.ExecutionID `json:"execution"`
	Target    string             `json:"target"`
	NotBefore int64              `json:"not_before,omitempty"` // microseconds since 1970
	Token     string             `json:"token,omitempty"`
}

// newID makes an id for a message.
func newID() string {
	b := make([]byte, 12)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

func taskMessage(it router.QueueItem, id string, tries int, now time.Time) (rabbit.Publishing, error) {
	w := wireTask{Execution: it.Execution, Target: it.Target, Token: it.Token}
	if !it.NotBefore.IsZero() {
		w.NotBefore = it.NotBefore.UnixMicro()
	}
	body, err := json.Marshal(w)
	if err != nil {
		return rabbit.Publishing{}, fmt.Errorf("encode task %s: %w", it.Execution, err)
	}
	m := rabbit.Publishing{ContentType: "application/json", DeliveryMode: rabbit.Persistent, MessageId: id, Timestamp: now, Type: typeTask, AppId: "hayate", Body: body}
	if tries > 0 {
		m.Headers = rabbit.Table{headerTries: int64(tries)}
	}
	return m, nil
}

// readTask reads a task's message; ErrInvalid says that it is none.
func readTask(d *rabbit.Delivery) (router.QueueItem, error) {
	var w wireTask
	if err := json.Unmarshal(d.Body, &w); err != nil {
		return router.QueueItem{}, fmt.Errorf("the body is no task: %v: %w", err, hayate.ErrInvalid)
	}
	if w.Execution == "" {
		return router.QueueItem{}, fmt.Errorf("the body names no execution: %w", hayate.ErrInvalid)
	}
	it := router.QueueItem{Execution: w.Execution, Target: w.Target, Token: w.Token}
	if w.NotBefore != 0 {
		it.NotBefore = time.UnixMicro(w.NotBefore).UTC()
	}
	return it, nil
}

// triesOf says how often a task was given back.
func triesOf(d *rabbit.Delivery) int {
	n, _ := d.Headers[headerTries].(int64)
	return int(n)
}

var targets = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// taskQueue is the name of the queue of a target.
func (b *Broker) taskQueue(target string) (string, error) {
	kind, name, ok := strings.Cut(target, ":")
	switch {
	case target == "":
		return b.name("task.local"), nil
	case !ok && targets.MatchString(target):
		return b.name("task." + target), nil
	case target == TargetPrefix+name && targets.MatchString(name):
		return b.name("worker." + name), nil
	case ok && targets.MatchString(kind) && targets.MatchString(name):
		return b.name("task." + kind + "." + name), nil
	}
	return "", fmt.Errorf("target %q: want a name, or a kind, a colon and a name, of letters, digits, dots, dashes and underscores: %w", target, hayate.ErrInvalid)
}
