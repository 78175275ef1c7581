package aws

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	ebtypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	snstypes "github.com/aws/aws-sdk-go-v2/service/sns/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
)

// attributes are those of a message: the action's, and the idempotency key.
func attributes(t *hayate.Task, s *settings) map[string]string {
	m := map[string]string{KeyAttribute: t.IdempotencyKey}
	for k, v := range s.Attributes {
		if text, ok := v.(string); ok {
			m[k] = text
		} else if b, err := json.Marshal(v); err == nil { // it was read as JSON
			m[k] = string(b)
		}
	}
	return m
}

// ordered are the group and the deduplication id of a FIFO queue or topic, nil
// where it is none.
func ordered(t *hayate.Task, s *settings) (group, dedup *string) {
	if s.GroupID == "" {
		return nil, nil
	}
	if s.DeduplicationID == "" {
		s.DeduplicationID = t.IdempotencyKey
	}
	return &s.GroupID, &s.DeduplicationID
}

func send(ctx context.Context, c aws.Config, t *hayate.Task, s *settings) (hayate.Result, error) {
	typ := "String"
	in := &sqs.SendMessageInput{QueueUrl: &s.QueueURL, MessageBody: &s.Message, DelaySeconds: s.DelaySeconds, MessageAttributes: map[string]sqstypes.MessageAttributeValue{}}
	in.MessageGroupId, in.MessageDeduplicationId = ordered(t, s)
	for k, v := range attributes(t, s) {
		in.MessageAttributes[k] = sqstypes.MessageAttributeValue{DataType: &typ, StringValue: &v}
	}
	out, err := sqs.NewFromConfig(c).SendMessage(ctx, in)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("send to %s: %w", s.QueueURL, err)
	}
	return succeeded(map[string]string{"message_id": aws.ToString(out.MessageId)})
}

func publish(ctx context.Context, c aws.Config, t *hayate.Task, s *settings) (hayate.Result, error) {
	typ := "String"
	in := &sns.PublishInput{TopicArn: &s.TopicARN, Message: &s.Message, MessageAttributes: map[string]snstypes.MessageAttributeValue{}}
	in.MessageGroupId, in.MessageDeduplicationId = ordered(t, s)
	if s.Subject != "" {
		in.Subject = &s.Subject
	}
	for k, v := range attributes(t, s) {
		in.MessageAttributes[k] = snstypes.MessageAttributeValue{DataType: &typ, StringValue: &v}
	}
	out, err := sns.NewFromConfig(c).Publish(ctx, in)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("publish to %s: %w", s.TopicARN, err)
	}
	return succeeded(map[string]string{"message_id": aws.ToString(out.MessageId)})
}

func putEvent(ctx context.Context, c aws.Config, s *settings) (hayate.Result, error) {
	detail := string(s.Detail)
	if detail == "" || detail == "null" {
		detail = "{}"
	}
	in := &eventbridge.PutEventsInput{Entries: []ebtypes.PutEventsRequestEntry{{EventBusName: &s.EventBus, Source: &s.Source, DetailType: &s.DetailType, Detail: &detail, Resources: s.Resources}}}
	out, err := eventbridge.NewFromConfig(c).PutEvents(ctx, in)
	if err != nil {
		return hayate.Result{}, fmt.Errorf("put event on %s: %w", s.EventBus, err)
	}
	if len(out.Entries) != 1 {
		return hayate.Result{}, fmt.Errorf("put event on %s: the answer names %d events: %w", s.EventBus, len(out.Entries), hayate.ErrBusy)
	}
	if e := out.Entries[0]; e.ErrorCode != nil {
		return hayate.Result{}, fmt.Errorf("put event on %s: %s: %s: %w", s.EventBus, *e.ErrorCode, aws.ToString(e.ErrorMessage), hayate.ErrBusy)
	}
	return succeeded(map[string]string{"event_id": aws.ToString(out.Entries[0].EventId)})
}
