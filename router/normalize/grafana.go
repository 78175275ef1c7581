package normalize

import "time"

// Grafana: unified alerting sends Alertmanager's batches with an orgId and
// addresses of its own; the older alerting sends one rule's state.

func isGrafana(in *input) bool {
	doc := in.doc
	if isAlertmanager(in) {
		return doc.has("orgId") || doc.get("alerts").first().has("silenceURL") || doc.get("alerts").first().has("dashboardURL")
	}
	return doc.has("ruleId") && doc.has("ruleUrl") && doc.has("state") || doc.has("ruleGroup") && doc.has("folderUID")
}

func grafanaEvents(in *input) error {
	doc := in.doc
	if isAlertmanager(in) {
		return in.alertBatch("com.grafana.alert")
	}
	if doc.has("folderUID") { // a rule as provisioning describes it
		return in.emit(draft{
			typ:         "com.grafana.alert-rule",
			source:      joined("/", "grafana", doc.str("folderUID"), doc.str("ruleGroup")),
			subject:     doc.str("title"),
			time:        moment(doc.str("updated")),
			correlation: joined("/", doc.str("folderUID"), doc.str("title")),
			within:      10 * time.Minute,
		})
	}
	return in.emit(draft{
		typ:         joined(".", "com.grafana.alert", slug(doc.str("state"))),
		source:      origin(doc.str("ruleUrl")),
		subject:     firstOf(doc.str("ruleName"), doc.str("title")),
		correlation: joined("/", doc.str("dashboardId"), doc.str("panelId"), doc.str("ruleId")),
		within:      10 * time.Minute,
	})
}
