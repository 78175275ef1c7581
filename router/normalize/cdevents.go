package normalize

// CDEvents without CloudEvents around them: context, subject. The type is
// theirs; events of one chain share its id as correlation key.

func isCDEvent(in *input) bool {
	c := in.doc.get("context")
	return c.has("id") && c.has("type") && (c.has("version") || c.has("specversion")) && in.doc.get("subject").isObject()
}

func cdEvents(in *input) error {
	c := in.doc.get("context")
	return in.emit(draft{
		typ:         c.str("type"),
		source:      c.str("source"),
		subject:     in.doc.str("subject", "id"),
		id:          c.str("id"),
		same:        true,
		time:        moment(c.str("timestamp")),
		correlation: firstOf(c.str("chainId"), in.doc.str("subject", "id")),
	})
}
