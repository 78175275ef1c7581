package normalize

import "time"

// UptimeRobot: down and up of one monitor. The body has no time of its own, so
// equal ones within ten minutes count as one.

func isUptimeRobot(in *input) bool {
	return in.doc.has("monitorID") && in.doc.has("alertType")
}

func uptimeRobotEvents(in *input) error {
	doc := in.doc
	d := draft{
		typ:         "com.uptimerobot.alert",
		source:      joined("/", "https://dashboard.uptimerobot.com/monitors", doc.str("monitorID")),
		subject:     firstOf(doc.str("monitorFriendlyName"), doc.str("monitorURL")),
		time:        moment(doc.str("alertDateTime")),
		correlation: doc.str("monitorID"),
		within:      10 * time.Minute,
	}
	switch doc.str("alertType") {
	case "1":
		d.typ = "com.uptimerobot.down"
	case "2":
		d.typ = "com.uptimerobot.up"
	case "3":
		d.typ = "com.uptimerobot.ssl-expiry"
	}
	if at := doc.str("alertDateTime"); at != "" && !isMacro(at) {
		d.id = joined(".", doc.str("monitorID"), doc.str("alertType"), at)
	}
	return in.emit(d)
}
