package normalize

import "time"

// Splunk Observability (SignalFx) detectors: incidents by their id.

func isSignalFx(in *input) bool {
	return in.doc.has("sf_schema") || in.doc.has("incidentId") && in.doc.has("detectorUrl")
}

func signalFxEvents(in *input) error {
	doc := in.doc
	status := firstOf(slug(doc.str("statusExtended")), slug(doc.str("status")), "alert")
	return in.emit(draft{
		typ:         "com.signalfx.alert." + status,
		source:      firstOf(doc.str("detectorUrl"), "com.signalfx"),
		subject:     firstOf(doc.str("detector"), doc.str("rule")),
		id:          joined(".", doc.str("incidentId"), status, firstOf(doc.str("timestamp"), digest(doc.str("messageTitle"), doc.str("messageBody")))),
		within:      10 * time.Minute,
		time:        moment(doc.str("timestamp")),
		correlation: doc.str("incidentId"),
	})
}
