package normalize

import (
	"net/url"
	"strings"
	"time"
)

// Zabbix: the webhook media type, an alert script, or any JSON whose fields are
// named after macros. A problem, its updates and its recovery are three types
// with one correlation key: the problem's event id, which Zabbix gives all
// three as {EVENT.ID}.

func isZabbix(in *input) bool {
	doc := in.doc
	switch {
	case in.pick("eventid") != "":
		return in.pick("triggerid", "eventvalue", "triggerstatus", "eventnseverity", "triggerseverity", "eventseverity", "eventsource") != ""
	case strings.Contains(in.pick("link", "url", "zabbixurl", "triggerurl", "eventurl"), "tr_events.php?"):
		return true
	}
	return doc.has("hostname") && doc.has("trigger") && doc.has("severity") && doc.has("status")
}

func zabbixEvents(in *input) error {
	link := in.pick("link", "eventurl", "eventlink", "problemurl", "url", "triggerurl", "zabbixurl")
	u, err := url.Parse(link)
	if err != nil {
		u = &url.URL{}
	}
	id := firstOf(in.pick("eventid", "problemid"), u.Query().Get("eventid"))
	kind := zabbixKind(in)
	d := draft{
		typ:     "com.zabbix." + kind,
		source:  zabbixServer(in, u),
		subject: in.pick("hostname", "host", "eventhost", "hosthost"),
		within:  10 * time.Minute,
	}
	switch kind {
	case "recovery":
		d.time = moment(in.pick("eventrecoverytimestamp", "recoverytimestamp"))
	case "update":
		d.time = moment(in.pick("eventupdatetimestamp", "updatetimestamp"))
	}
	d.time = firstTime(d.time, moment(in.pick("eventtimestamp", "timestamp", "clock")))
	if id != "" {
		d.correlation = joined("/", u.Host, id)
		d.id = joined(".", id, kind)
		if kind == "update" {
			// Zabbix numbers problems, not their updates: when and what tell them apart.
			d.id = joined(".", id, kind, digest(string(in.doc.raw())))
		}
	} else {
		d.correlation = joined("/", u.Host, d.subject, in.pick("triggerid", "trigger", "triggername", "eventname", "problem", "subject"))
	}
	return in.emit(d)
}

// zabbixKind is the last part of the type.
func zabbixKind(in *input) string {
	switch in.pick("eventsource") {
	case "1":
		return "discovery"
	case "2":
		return "autoregistration"
	}
	switch in.pick("eventupdatestatus", "updatestatus") {
	case "1", "true":
		return "update"
	}
	if in.pick("eventupdateaction", "updateaction") != "" && in.pick("eventupdatestatus", "updatestatus") == "" {
		return "update"
	}
	for _, status := range []string{in.pick("eventvalue", "triggervalue"), in.pick("eventstatus", "triggerstatus", "status", "state"), in.pick("eventtype", "type")} {
		switch s := strings.ToLower(status); {
		case s == "0", s == "ok", strings.HasPrefix(s, "resolved"), strings.HasPrefix(s, "recover"):
			return "recovery"
		case s == "1", s == "problem":
			return "problem"
		case strings.HasPrefix(s, "update"), strings.HasPrefix(s, "ack"):
			return "update"
		}
	}
	// Filled in only once the problem is over.
	if in.pick("eventrecoveryid", "eventrecoveryvalue", "eventrecoverystatus") != "" {
		return "recovery"
	}
	return "problem"
}

// zabbixServer is the address of the frontend.
func zabbixServer(in *input, link *url.URL) string {
	if base := in.pick("zabbixurl", "frontendurl"); base != "" {
		return strings.TrimRight(base, "/")
	}
	if link.Host == "" {
		return ""
	}
	path, _, _ := strings.Cut(link.Path, "/tr_events.php")
	return strings.TrimRight(link.Scheme+"://"+link.Host+path, "/")
}
