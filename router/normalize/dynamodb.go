package normalize

import (
	"bytes"
	"encoding/json"
)

// Amazon DynamoDB streams: one event a change of an item.

func (in *input) dynamoRecord(r value) error {
	var keys bytes.Buffer
	if k := r.get("dynamodb", "Keys"); k.exists() {
		_ = json.Compact(&keys, k.raw()) // it was parsed, so it is JSON
	}
	return in.emit(draft{
		typ:         "aws.dynamodb." + firstOf(slug(r.str("eventName")), "record"),
		source:      r.str("eventSourceARN"),
		id:          r.str("eventID"),
		same:        true,
		time:        moment(r.str("dynamodb", "ApproximateCreationDateTime")),
		correlation: keys.String(),
		data:        r.raw(),
	})
}
