package normalize

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Prometheus Alertmanager: one event an alert of the batch. The data is the
// alert with the batch's common fields beside its own. The correlation key is
// the fingerprint, which only depends on the labels.

func isAlertmanager(in *input) bool {
	doc := in.doc
	return doc.get("alerts").isArray() && (doc.has("groupLabels") || doc.has("commonLabels") || doc.has("receiver"))
}

func alertmanagerEvents(in *input) error {
	if !in.doc.get("alerts").isArray() {
		return in.emit(alertDraft("io.prometheus.alert", in.doc, value{}))
	}
	return in.alertBatch("io.prometheus.alert")
}

// alertBatch emits the alerts of a batch in Alertmanager's format.
func (in *input) alertBatch(prefix string) error {
	doc := in.doc
	var common []member
	for name, v := range doc.members() {
		if name != "alerts" {
			common = append(common, member{name, v.raw()})
		}
	}
	for a := range doc.get("alerts").items() {
		if !a.isObject() {
			continue
		}
		d := alertDraft(prefix, a, doc)
		d.data = merged(a, common...)
		if err := in.emit(d); err != nil {
			return err
		}
	}
	return nil
}

// alertDraft describes one alert; batch is what it came in, if anything.
func alertDraft(prefix string, a, batch value) draft {
	status := firstOf(a.str("status"), batch.str("status"), "firing")
	starts, ends := moment(a.str("startsAt")), moment(a.str("endsAt"))
	fingerprint := a.str("fingerprint")
	if fingerprint == "" {
		fingerprint = labelsFingerprint(a.get("labels"))
	}
	d := draft{
		typ:         joined(".", prefix, slug(status)),
		source:      batch.str("externalURL"),
		subject:     firstOf(a.str("labels", "alertname"), a.str("summary"), a.str("annotations", "summary")),
		time:        starts,
		correlation: fingerprint,
		within:      10 * time.Minute,
	}
	if status == "resolved" {
		d.time = firstTime(ends, starts)
	}
	if !starts.IsZero() {
		d.id = joined(".", fingerprint, slug(status), starts.Format("20060102T150405.000000000Z"))
	}
	return d
}

// labelsFingerprint is the fingerprint that Prometheus gives a set of labels
// (FNV-1a, 64 bits, over the sorted names and values with 0xff behind each), for
// versions that do not send it.
func labelsFingerprint(labels value) string {
	type label struct{ name, text string }
	var sorted []label
	for name, v := range labels.members() {
		sorted = append(sorted, label{name, v.str()})
	}
	slices.SortFunc(sorted, func(a, b label) int { return strings.Compare(a.name, b.name) })
	h := uint64(14695981039346656037)
	add := func(s string) {
		for i := range len(s) {
			h = (h ^ uint64(s[i])) * 1099511628211
		}
		h = (h ^ 0xff) * 1099511628211
	}
	for _, l := range sorted {
		add(l.name)
		add(l.text)
	}
	return fmt.Sprintf("%016x", h)
}
