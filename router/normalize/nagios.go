package normalize

import (
	"strings"
	"time"
)

// Nagios and Icinga: a notification command or an event handler that posts its
// macros. The type tells host from service and what happened; SOFT or HARD
// and the attempt stay in the data, and the kind of state is also the extension
// statetype.

func isNagios(in *input) bool {
	if in.doc.has("what") {
		return false
	}
	host := in.pick("hostname", "hostalias", "host")
	if host == "" {
		return false
	}
	if in.pick("servicestate") != "" || in.pick("hoststate") != "" {
		return true
	}
	return in.pick("statetype") != "" && in.pick("state") != ""
}

func nagiosEvents(in *input) error {
	host := in.pick("hostname", "host", "hostalias", "hostdisplayname")
	service := in.pick("servicedesc", "servicedescription", "servicename", "service", "servicedisplayname")
	object, state := "host", in.pick("hoststate", "state")
	if service != "" {
		object, state = "service", in.pick("servicestate", "state")
	}
	kind := slug(in.pick("notificationtype", "type"))
	if kind == "" || kind == "custom" {
		kind = "problem"
		switch strings.ToUpper(state) {
		case "OK", "UP", "0":
			kind = "recovery"
		}
	}
	stateType := in.pick(object+"statetype", "statetype")
	attempt := in.pick(object+"attempt", "attempt", "checkattempt")
	at := firstTime(moment(in.pick("timet", "timestamp", "time")), moment(in.pick("longdatetime", "datetime")))
	d := draft{
		typ:         joined(".", "com.nagios", object, kind),
		source:      firstOf(in.pick("siteurl", "baseurl", "adminurl"), in.defaultSource()),
		subject:     joined("/", host, service),
		time:        at,
		correlation: joined("!", host, service),
		within:      10 * time.Minute,
	}
	// An event's own number changes with the state; the time is that of sending.
	if n := in.pick(object+"eventid", "eventid"); n != "" && n != "0" {
		d.id = joined(".", joined("!", host, service), n, kind, stateType, attempt)
	} else if !at.IsZero() {
		d.id = joined(".", joined("!", host, service), kind, state, stateType, attempt, at.Format("20060102T150405Z"))
	}
	if s := clean(stateType); s != "" {
		d.extensions = map[string]any{"statetype": s}
	}
	return in.emit(d)
}
