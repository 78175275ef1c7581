package aws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/hayate-run/hayate"
)

// Batches says what becomes of messages that cannot be done. The zero value
// leaves that to SQS: they come again until it moves them to its dead letters,
// without a reason.
type Batches struct {
	// Own sends to the queue that the messages came from, if its name is OwnName.
	// What cannot be done for a reason that passes comes again by it, later and
	// later, and does not use up what SQS allows of deliveries.
	Own     Sender
	OwnName string
	// DeadLetters takes what can never be done, with the reason as an attribute.
	DeadLetters Sender
}

// The attributes that a message gets on its way.
const (
	attributeTries  = "tries"  // how often it was sent again
	attributeReason = "reason" // why it is a dead letter
	attributeFrom   = "from"   // the queue it was in
)

// The pauses before a message comes again.
const (
	againFirst = 2 * time.Second
	againMost  = 5 * time.Minute
)

// record is a message as Lambda hands it over.
type record struct {
	ID         string            `json:"messageId"`
	Body       string            `json:"body"`
	Source     string            `json:"eventSource"`
	ARN        string            `json:"eventSourceARN"`
	Attributes map[string]string `json:"attributes"`
	Own        map[string]struct {
		Value string `json:"stringValue"`
	} `json:"messageAttributes"`

	raw json.RawMessage
}

func (r *record) attribute(name string) string { return r.Own[name].Value }

// sent is when SQS acknowledged the message; zero where it does not say.
func (r *record) sent() time.Time {
	ms, err := strconv.ParseInt(r.Attributes["SentTimestamp"], 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// ordered says whether nothing behind the message may overtake it.
func (r *record) ordered() bool {
	return r.Attributes["MessageGroupId"] != "" && r.Attributes["SequenceNumber"] != ""
}

// records takes a batch of SQS apart; nil where the payload is none.
func records(payload []byte) []*record {
	var batch struct {
		Records []json.RawMessage `json:"Records"`
	}
	if json.Unmarshal(payload, &batch) != nil || len(batch.Records) == 0 {
		return nil
	}
	list := make([]*record, len(batch.Records))
	for i, raw := range batch.Records {
		r := &record{raw: raw}
		if json.Unmarshal(raw, r) != nil || r.Source != "aws:sqs" || r.ID == "" {
			return nil
		}
		list[i] = r
	}
	return list
}

// width bounds the messages of a batch that are done at once.
const width = 10

// each does the messages of a batch, at once where they need no order, and
// answers which of them are to be delivered again.
func (b *Batches) each(ctx context.Context, log *slog.Logger, t *tally, list []*record, do func(context.Context, *record) error) events.SQSEventResponse {
	failed := make([]bool, len(list))
	if list[0].ordered() {
		for i := range list { // nothing behind a failure may overtake it
			failed[i] = i > 0 && failed[i-1] || !b.one(ctx, log, t, list[i], do)
		}
	} else {
		var group sync.WaitGroup
		slots := make(chan struct{}, width)
		for i := range list {
			slots <- struct{}{}
			group.Go(func() {
				failed[i] = !b.one(ctx, log, t, list[i], do)
				<-slots
			})
		}
		group.Wait()
	}
	answer := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for i, f := range failed {
		if f {
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: list[i].ID})
		}
	}
	return answer
}

// one does a message, and says whether SQS may forget it.
func (b *Batches) one(ctx context.Context, log *slog.Logger, t *tally, r *record, do func(context.Context, *record) error) bool {
	err := do(ctx, r)
	if err == nil {
		return true
	}
	if wish := (&later{}); errors.As(err, &wish) && b.again(ctx, r, wish.after(r.tries()), wish.tries(r.tries())) == nil {
		t.add("TasksPutOff", 1)
		return true
	}
	t.add("MessagesFailed", 1)
	log = log.With("message_id", r.ID, "queue", name(r.ARN), "err", err)
	if hopeless(err) {
		sent := b.bury(ctx, r, err)
		if sent == nil {
			t.add("DeadLetters", 1)
			log.Error("message is a dead letter")
			return true
		}
		log.Error("message cannot be done, and is left to SQS", "send_err", sent)
		return false
	}
	if sent := b.again(ctx, r, min(againFirst<<min(r.tries(), 16), againMost), r.tries()+1); sent != nil {
		log.Error("message failed, SQS will deliver it again", "send_err", sent)
		return false
	}
	log.Warn("message failed, it was sent again for later")
	return true
}

// errNoQueue says that there is nowhere to send a message to.
var errNoQueue = errors.New("no queue is configured for that")

// again sends the message to its own queue once more.
func (b *Batches) again(ctx context.Context, r *record, delay time.Duration, tries int) error {
	if b.Own == nil || r.ordered() || b.OwnName != name(r.ARN) {
		return errNoQueue
	}
	m := r.copy()
	m.Attributes[attributeTries], m.Delay = strconv.Itoa(tries), delay
	return b.Own.Send(context.WithoutCancel(ctx), m)
}

// bury makes a dead letter of the message.
func (b *Batches) bury(ctx context.Context, r *record, why error) error {
	if b.DeadLetters == nil {
		return errNoQueue
	}
	m := r.copy()
	m.Attributes[attributeReason], m.Attributes[attributeFrom] = reason(why), name(r.ARN)
	return b.DeadLetters.Send(context.WithoutCancel(ctx), m)
}

// tries is how often the message was sent again because it failed.
func (r *record) tries() int {
	n, err := strconv.Atoi(r.attribute(attributeTries))
	if err != nil || n < 0 {
		return 0 // it comes for the first time
	}
	return n
}

// copy is the message as it came.
func (r *record) copy() Message {
	m := Message{Body: r.Body, Attributes: make(map[string]string, len(r.Own)+2)}
	for k := range r.Own {
		m.Attributes[k] = r.attribute(k)
	}
	return m
}

// hopeless says whether an error is the message's own: it would be the same
// whenever it is done.
func hopeless(err error) bool {
	return errors.Is(err, hayate.ErrInvalid) || errors.Is(err, hayate.ErrTooLarge)
}

// later is the wish to see a task again: when it is due, or after it could not be
// done just now.
type later struct {
	delay  time.Duration
	failed bool
}

// againSoon bounds the pause before a task comes again that could not be done: it
// waits for a place, or for the store.
const againSoon = 30 * time.Second

func (l *later) after(tries int) time.Duration {
	d := (l.delay + time.Second - 1).Truncate(time.Second)
	if l.failed {
		d = max(d, min(time.Second<<min(tries, 16), againSoon))
	}
	return d
}

func (l *later) tries(before int) int {
	if l.failed {
		return before + 1
	}
	return before
}

func (l *later) Error() string { return fmt.Sprintf("to be done in %s", l.delay) }

// reason is an error as an attribute may hold it.
func reason(err error) string {
	const most = 1000
	text := strings.ToValidUTF8(err.Error(), "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + " …"
	}
	return plainText([]byte(text))
}

// name is the last part of an ARN.
func name(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
