package normalize

import (
	"strings"
	"time"
)

// Jenkins: the bodies of its notification plugins. The builds of one number
// share their address as correlation key.

func isJenkins(in *input) bool {
	doc := in.doc
	return doc.get("build").isObject() && doc.has("build", "phase") ||
		doc.has("jobName") && doc.has("result") && doc.has("url") ||
		doc.has("buildName") && doc.has("buildUrl") && doc.has("event")
}

func jenkinsEvents(in *input) error {
	doc, build := in.doc, in.doc.get("build")
	d := draft{within: 10 * time.Minute}
	switch {
	case build.isObject():
		address := firstOf(build.str("full_url"), build.str("url"))
		phase := slug(firstOf(build.str("phase"), build.str("status")))
		d.typ = joined(".", "io.jenkins.build", phase)
		d.source = firstOf(origin(address), doc.str("url"))
		d.subject = joined("/", doc.str("name"), build.str("number"))
		d.time = moment(build.str("timestamp"))
		d.correlation = firstOf(address, d.subject)
		d.id = joined(".", firstOf(address, d.subject), phase, slug(build.str("status")))
	case doc.has("buildName"):
		event := slug(doc.str("event"))
		d.typ = joined(".", "io.jenkins.build", event)
		d.source = origin(doc.str("buildUrl"))
		d.subject = joined("/", doc.str("projectName"), doc.str("buildName"))
		d.correlation = doc.str("buildUrl")
		d.id = joined(".", doc.str("buildUrl"), event)
	default:
		address := doc.str("url")
		d.typ = "io.jenkins.build.completed"
		if doc.str("result") == "" {
			d.typ = "io.jenkins.event"
		}
		d.source = origin(address)
		d.subject = joined("/", doc.str("jobName"), lastSegment(address))
		d.time = moment(doc.str("timestamp"))
		d.correlation = address
		d.id = doc.str("eventId")
		if d.id == "" && address != "" {
			d.id = joined(".", address, slug(doc.str("result")))
		}
	}
	return in.emit(d)
}

// lastSegment is what stands between the last two slashes of an address.
func lastSegment(address string) string {
	address = strings.TrimRight(address, "/")
	return address[strings.LastIndexByte(address, '/')+1:]
}
