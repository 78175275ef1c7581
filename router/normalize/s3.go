package normalize

// Amazon S3 notifications: one event a record, attributes as in the CloudEvents
// adapter. They come to Lambda directly, or in a message of SNS or SQS.

func (in *input) s3Record(r value) error {
	bucket := r.str("s3", "bucket", "name")
	key := r.str("s3", "object", "key")
	return in.emit(draft{
		typ:         "com.amazonaws.s3." + r.str("eventName"),
		source:      dotted(r.str("eventSource"), r.str("awsRegion"), bucket),
		subject:     key,
		id:          dotted(r.str("responseElements", "x-amz-request-id"), r.str("responseElements", "x-amz-id-2")),
		same:        true,
		time:        moment(r.str("eventTime")),
		correlation: joined("/", bucket, key),
		data:        r.raw(),
	})
}

// isS3Test recognises what S3 sends when a notification is set up.
func isS3Test(in *input) bool {
	return in.doc.str("Event") == "s3:TestEvent" && in.doc.has("Bucket")
}

func s3TestEvents(in *input) error {
	return in.emit(draft{
		typ:    "com.amazonaws.s3.TestEvent",
		source: dotted("aws:s3", in.doc.str("Bucket")),
		id:     dotted(in.doc.str("RequestId"), in.doc.str("HostId")),
		same:   true,
		time:   moment(in.doc.str("Time")),
	})
}
