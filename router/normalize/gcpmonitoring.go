package normalize

// Google Cloud Monitoring: an incident opens and closes under one id.

func isGCPMonitoring(in *input) bool {
	return in.doc.has("incident", "incident_id") && in.doc.has("incident", "state")
}

func gcpMonitoringEvents(in *input) error {
	i := in.doc.get("incident")
	state := slug(i.str("state"))
	at := moment(i.str("started_at"))
	if state == "closed" {
		at = firstTime(moment(i.str("ended_at")), at)
	}
	return in.emit(draft{
		typ:         joined(".", "com.google.cloud.monitoring.incident", state),
		source:      joined("", "//monitoring.googleapis.com/projects/", firstOf(i.str("scoping_project_id"), "-")),
		subject:     firstOf(i.str("policy_name"), i.str("condition_name")),
		id:          joined(".", i.str("incident_id"), state),
		time:        at,
		correlation: i.str("incident_id"),
	})
}
