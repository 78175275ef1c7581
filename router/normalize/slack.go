package normalize

import "strings"

// Slack: events of its Events API, slash commands and interactive messages.

func isSlack(in *input) bool {
	doc := in.doc
	return doc.has("event", "type") && doc.has("api_app_id") ||
		doc.str("type") == "url_verification" && doc.has("challenge") ||
		strings.HasPrefix(doc.str("command"), "/") && doc.has("team_id") && doc.has("trigger_id") ||
		doc.has("trigger_id") && doc.has("team", "id") && doc.has("user", "id")
}

func slackEvents(in *input) error {
	doc, e := in.doc, in.doc.get("event")
	d := draft{
		source: joined("/", "com.slack", firstOf(doc.str("team_id"), doc.str("team", "id")), doc.str("api_app_id")),
		same:   true,
	}
	switch {
	case e.isObject():
		d.typ = joined(".", "com.slack", slug(e.str("type")), slug(e.str("subtype")))
		d.subject = firstOf(e.str("channel"), e.str("channel", "id"), e.str("item", "channel"), e.str("user"))
		d.id = doc.str("event_id")
		d.time = firstTime(moment(doc.str("event_time")), moment(e.str("event_ts")))
		d.correlation = joined("/", d.subject, firstOf(e.str("thread_ts"), e.str("ts")))
	case doc.has("command"):
		d.typ = "com.slack.command"
		d.subject = doc.str("command")
		d.id = doc.str("trigger_id")
		d.correlation = doc.str("channel_id")
	default:
		d.typ = "com.slack." + firstOf(slug(doc.str("type")), "event")
		d.subject = firstOf(doc.str("callback_id"), doc.str("view", "callback_id"))
		d.id = doc.str("trigger_id")
		d.correlation = firstOf(doc.str("container", "message_ts"), doc.str("message", "ts"))
	}
	return in.emit(d)
}
