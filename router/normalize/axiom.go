package normalize

// Axiom monitors: open and close of an alert.

func isAxiom(in *input) bool { return in.doc.has("action") && in.doc.has("event", "monitorID") }

func axiomEvents(in *input) error {
	e := in.doc.get("event")
	return in.emit(draft{
		typ:         joined(".", "co.axiom.alert", slug(in.doc.str("action"))),
		source:      joined("/", "https://app.axiom.co/monitors", e.str("monitorID")),
		subject:     e.str("title"),
		same:        true,
		time:        moment(e.str("timestamp")),
		correlation: e.str("monitorID"),
	})
}
