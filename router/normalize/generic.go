package normalize

// genericEvents makes one event of whatever came in. Two requests that look the
// same are two events, unless a header says otherwise.
func genericEvents(in *input) error {
	if in.wrapper != nil && in.Hint == "" {
		return in.emit(*in.wrapper)
	}
	d := draft{
		typ: genericType(in.Hint),
		// Both headers are defined to stay the same when a request is repeated.
		id: firstOf(in.header("Idempotency-Key"), in.header("Webhook-Id")),
	}
	if in.wrapper != nil {
		d.id = firstOf(d.id, in.wrapper.id)
		d.same = in.wrapper.same
	}
	return in.emit(d)
}

// genericType is the type of an event of which nothing is known but where it
// came in.
func genericType(hint string) string { return dotted("run.hayate.webhook", slug(hint)) }
