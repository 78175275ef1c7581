package normalize

// Google Cloud: a Pub/Sub push, and the bodies of events of Cloud Storage, audit
// logs and Cloud Build, with the types that Eventarc gives them.

func isPubSub(in *input) bool {
	return in.doc.has("subscription") && in.doc.get("message").isObject() &&
		(in.doc.has("message", "messageId") || in.doc.has("message", "message_id"))
}

func pubSubEvents(in *input) error {
	m := in.doc.get("message")
	id := firstOf(m.str("messageId"), m.str("message_id"))
	return in.packed(in.doc, m.str("data"), envelope{id: id, name: in.doc.str("subscription")}, draft{
		typ:         "google.cloud.pubsub.topic.v1.messagePublished",
		source:      "//pubsub.googleapis.com/" + in.doc.str("subscription"),
		subject:     m.str("orderingKey"),
		id:          id,
		same:        true,
		time:        moment(firstOf(m.str("publishTime"), m.str("publish_time"))),
		correlation: m.str("orderingKey"),
	})
}

func isCloudStorage(in *input) bool {
	return in.doc.str("kind") == "storage#object" && in.doc.has("bucket") && in.doc.has("name")
}

func cloudStorageEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "google.cloud.storage.object.v1.finalized",
		source:      "//storage.googleapis.com/projects/_/buckets/" + doc.str("bucket"),
		subject:     "objects/" + doc.str("name"),
		id:          joined("/", doc.str("id"), doc.str("metageneration")),
		time:        firstTime(moment(doc.str("updated")), moment(doc.str("timeCreated"))),
		correlation: joined("/", doc.str("bucket"), doc.str("name")),
	})
}

func isAuditLog(in *input) bool {
	return in.doc.has("logName") && in.doc.has("insertId") && in.doc.get("protoPayload").isObject()
}

func auditLogEvents(in *input) error {
	doc, p := in.doc, in.doc.get("protoPayload")
	return in.emit(draft{
		typ:         "google.cloud.audit.log.v1.written",
		source:      "//cloudaudit.googleapis.com/" + doc.str("logName"),
		subject:     joined("/", p.str("serviceName"), p.str("resourceName")),
		id:          joined(".", doc.str("insertId"), doc.str("timestamp")),
		time:        moment(doc.str("timestamp")),
		correlation: firstOf(doc.str("operation", "id"), p.str("resourceName")),
	})
}

func isCloudBuild(in *input) bool {
	return in.doc.has("projectId") && in.doc.has("createTime") && (in.doc.has("buildTriggerId") || in.doc.has("logUrl") && in.doc.has("queueTtl"))
}

func cloudBuildEvents(in *input) error {
	doc := in.doc
	return in.emit(draft{
		typ:         "google.cloud.cloudbuild.build.v1.statusChanged",
		source:      joined("", "//cloudbuild.googleapis.com/projects/", firstOf(doc.str("projectId"), "-")),
		subject:     firstOf(doc.str("id"), doc.str("buildTriggerId")),
		same:        true,
		time:        firstTime(moment(doc.str("finishTime")), moment(doc.str("startTime")), moment(doc.str("createTime"))),
		correlation: firstOf(doc.str("id"), doc.str("buildTriggerId")),
	})
}
