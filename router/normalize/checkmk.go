package normalize

import "time"

// Checkmk notifications, with the macros that its scripts get.

func isCheckmk(in *input) bool {
	return in.pick("what") != "" && in.pick("notificationtype") != "" && in.pick("host", "hostname") != ""
}

func checkmkEvents(in *input) error {
	host, service := in.pick("host", "hostname"), in.pick("service", "servicedesc")
	object := "host"
	if in.pick("what") == "SERVICE" {
		object = "service"
	}
	d := draft{
		typ:         joined(".", "com.checkmk", object, slug(in.pick("notificationtype"))),
		source:      joined("/", "/checkmk", in.pick("site", "omdsite")),
		subject:     joined("/", host, service),
		time:        firstTime(moment(in.pick("microtime")), moment(in.pick("longdatetime"))),
		correlation: joined("!", in.pick("site", "omdsite"), host, service),
		within:      10 * time.Minute,
	}
	if n := in.pick("id", "problemid"); n != "" {
		d.id = joined(".", n, host, service, slug(in.pick("notificationtype")), in.pick("shortdatetime"))
	}
	return in.emit(d)
}
