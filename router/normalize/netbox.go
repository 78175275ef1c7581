package normalize

// NetBox: an object was created, changed or deleted.

func isNetBox(in *input) bool {
	return in.doc.has("event") && in.doc.has("model") && in.doc.has("request_id") && in.doc.has("snapshots")
}

func netBoxEvents(in *input) error {
	doc := in.doc
	object := doc.str("data", "url")
	return in.emit(draft{
		typ:         joined(".", "com.netbox", slug(doc.str("model")), slug(doc.str("event"))),
		source:      firstOf(origin(object), "/netbox"),
		subject:     doc.str("data", "display"),
		id:          joined(".", doc.str("request_id"), slug(doc.str("model")), doc.str("data", "id"), slug(doc.str("event"))),
		time:        moment(doc.str("timestamp")),
		correlation: object,
	})
}
