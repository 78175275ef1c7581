package normalize

// AWS CodeCommit triggers: one event a record.

func (in *input) codeCommitRecord(r value) error {
	return in.emit(draft{
		typ:     "aws.codecommit." + firstOf(slug(r.str("eventName")), "event"),
		source:  r.str("eventSourceARN"),
		subject: r.get("codecommit", "references").first().str("ref"),
		id:      joined(".", r.str("eventId"), r.str("eventPartNumber")),
		same:    true,
		time:    moment(r.str("eventTime")),
		data:    r.raw(),
	})
}
