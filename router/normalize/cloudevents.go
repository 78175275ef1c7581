package normalize

import (
	"encoding/json"

	"github.com/hayate-run/hayate"
)

// A CloudEvent in structured mode (JSON format) is taken as it is. Batches are
// arrays of them. The binary mode is the HTTP binding's and not read here.

func isCloudEvent(in *input) bool {
	return in.doc.has("specversion") && (in.doc.has("type") || in.doc.has("source") || in.doc.has("id"))
}

func cloudEvents(in *input) error {
	var e hayate.Event
	if err := json.Unmarshal(in.doc.raw(), &e); err != nil {
		return err
	}
	if err := e.Validate(); err != nil {
		return err
	}
	return in.out.add(e)
}
