package lambdahost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
)

// maxPollers bounds how many batches of a queue are under way at once; Lambda
// begins with as many.
const maxPollers = 5

// maxBatch is the most messages that one request receives.
const maxBatch = 10

// poller invokes a function with the messages of a queue, as Lambda's event source
// mapping does: what an answer names as failed, and all of a batch that failed
// whole, stays in the queue until its visibility ends.
type poller struct {
	s       *Stack
	f       *deployed
	url     string
	arn     string
	batch   int
	partial bool
	width   int
}

func (s *Stack) poller(f *deployed, properties map[string]any) (*poller, error) {
	arn := textOf(properties["Queue"])
	p := &poller{s: s, f: f, arn: arn, batch: 10, width: maxPollers}
	for id, url := range s.urls {
		if s.c.Template.Value(id, "Arn") == arn {
			p.url = url
		}
	}
	if p.url == "" {
		return nil, fmt.Errorf("its queue %s is not in the template: %w", arn, hayate.ErrInvalid)
	}
	if n, err := strconv.Atoi(textOf(properties["BatchSize"])); err == nil {
		p.batch = min(n, maxBatch)
	}
	if n, err := strconv.Atoi(textOf(at(properties, "ScalingConfig", "MaximumConcurrency"))); err == nil {
		p.width = min(n, p.width)
	}
	list, _ := properties["FunctionResponseTypes"].([]any)
	for _, v := range list {
		p.partial = p.partial || v == "ReportBatchItemFailures"
	}
	return p, nil
}

// run polls until ctx ends.
func (p *poller) run(ctx context.Context) {
	for ctx.Err() == nil {
		out, err := p.s.queues.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &p.url, MaxNumberOfMessages: int32(p.batch), WaitTimeSeconds: 1,
			MessageAttributeNames: []string{"All"}, MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll}})
		if err != nil {
			if ctx.Err() == nil {
				p.s.c.Log.Error("receive messages", "queue", p.url, "err", err)
				wait(ctx, time.Second)
			}
			continue
		}
		if len(out.Messages) > 0 {
			p.deliver(ctx, out.Messages)
		}
	}
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// deliver invokes the function with a batch and removes what it has done.
func (p *poller) deliver(ctx context.Context, messages []types.Message) {
	if p.s.c.Unreliable {
		if rand.IntN(8) == 0 {
			return // throttled: they come again when their visibility ends
		}
		rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	}
	payload, err := json.Marshal(map[string]any{"Records": p.records(messages)})
	if err == nil {
		payload, err = p.f.Invoke(ctx, payload)
	}
	failed := map[string]bool{}
	if err == nil && p.partial {
		failed, err = failures(payload)
	}
	if err != nil {
		if ctx.Err() == nil {
			p.s.c.Log.Warn("batch failed, its messages come again", "function", p.f.id, "messages", len(messages), "err", err)
		}
		return
	}
	ctx = context.WithoutCancel(ctx) // what is done is removed
	for i := range messages {
		m := &messages[i]
		switch {
		case failed[aws.ToString(m.MessageId)]:
		case p.s.c.Unreliable && rand.IntN(4) == 0: // it comes again, at once
			_, err = p.s.queues.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: &p.url, ReceiptHandle: m.ReceiptHandle})
		default:
			_, err = p.s.queues.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &p.url, ReceiptHandle: m.ReceiptHandle})
		}
		if err != nil {
			p.s.c.Log.Warn("message not removed, it comes again", "queue", p.url, "err", err)
		}
	}
}

// failures reads which messages of a batch are to come again. As on Lambda, an
// empty answer means none, and one that names a message badly means all.
func failures(answer []byte) (map[string]bool, error) {
	var a struct {
		Failures []struct {
			ID *string `json:"itemIdentifier"`
		} `json:"batchItemFailures"`
	}
	if len(answer) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return nil, fmt.Errorf("the answer says in no readable way what failed: %w", err)
	}
	failed := map[string]bool{}
	for _, f := range a.Failures {
		if f.ID == nil || *f.ID == "" {
			return nil, errors.New("the answer names a failed message by nothing")
		}
		failed[*f.ID] = true
	}
	return failed, nil
}

// records are messages as Lambda hands them over.
func (p *poller) records(messages []types.Message) []any {
	list := make([]any, len(messages))
	for i, m := range messages {
		attributes := map[string]any{}
		for k, v := range m.MessageAttributes {
			attributes[k] = map[string]any{"stringValue": aws.ToString(v.StringValue), "binaryValue": v.BinaryValue, "dataType": aws.ToString(v.DataType),
				"stringListValues": []string{}, "binaryListValues": []string{}}
		}
		list[i] = map[string]any{"messageId": aws.ToString(m.MessageId), "receiptHandle": aws.ToString(m.ReceiptHandle), "body": aws.ToString(m.Body),
			"attributes": m.Attributes, "messageAttributes": attributes, "md5OfBody": aws.ToString(m.MD5OfBody), "eventSource": "aws:sqs",
			"eventSourceARN": p.arn, "awsRegion": region}
	}
	return list
}
