package aws

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router"
)

// item is a task as it lies in SQS: which execution is to be looked at, and
// nothing of it, since the store has the rest.
type item struct {
	Execution hayate.ExecutionID `json:"execution"`
	Target    string             `json:"target"`
	NotBefore time.Time          `json:"not_before,omitzero"`
	Token     string             `json:"token,omitempty"`
}

// EncodeItem is the text of a message that carries the item.
func EncodeItem(it router.QueueItem) string {
	b, err := json.Marshal(item(it))
	if err != nil {
		panic(err) // texts and a time between the years 1 and 9999
	}
	return string(b)
}

// DecodeItem reads such a text: ErrInvalid for any other.
func DecodeItem(text string) (router.QueueItem, error) {
	var it item
	if err := json.Unmarshal([]byte(text), &it); err != nil {
		return router.QueueItem{}, fmt.Errorf("message is no task: %v: %w", err, hayate.ErrInvalid)
	}
	if hayate.IDTime(string(it.Execution)).IsZero() {
		return router.QueueItem{}, fmt.Errorf("message is no task: %q is no execution's id: %w", it.Execution, hayate.ErrInvalid)
	}
	return router.QueueItem(it), nil
}
