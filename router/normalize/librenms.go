package normalize

import "time"

// LibreNMS alert transports. Alert and recovery share device and rule.

func isLibreNMS(in *input) bool {
	return in.doc.has("device_id") && in.doc.has("rule_id") && (in.doc.has("alert_id") || in.doc.has("sysName"))
}

func libreNMSEvents(in *input) error {
	doc := in.doc
	kind := "alert"
	switch {
	case doc.str("state") == "0", doc.str("severity") == "ok":
		kind = "recovery"
	case doc.str("state") == "2":
		kind = "acknowledged"
	case doc.str("state") == "3", doc.str("state") == "4":
		kind = "update"
	}
	d := draft{
		typ:         "org.librenms." + kind,
		source:      "/librenms",
		subject:     firstOf(doc.str("sysName"), doc.str("hostname")),
		time:        moment(doc.str("timestamp")), // without an offset, so mostly unknown
		correlation: joined("/", doc.str("device_id"), doc.str("rule_id")),
		within:      10 * time.Minute,
	}
	if uid := firstOf(doc.str("uid"), doc.str("id")); uid != "" && doc.str("timestamp") != "" {
		d.id = joined(".", uid, kind, doc.str("timestamp"))
	}
	return in.emit(d)
}
