package normalize_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize"
)

// told is a body with the source that the address names and the event that
// must come of it.
type told struct{ name, hint, body, want string }

// check compares the events of bodies with what is wanted, as attributes shows
// them.
//
// HASH stands for one in the id: which one does not matter, that it depends on
// the request alone is tested with every id.
func check(t *testing.T, tests []told) {
	t.Helper()
	hash := regexp.MustCompile(`\b[0-9a-f]{32}\b`)
	for _, tt := range tests {
		e := one(t, request("fresh", tt.hint, []byte(tt.body)))
		if again := one(t, request("again", tt.hint, []byte(tt.body))); again.ID != e.ID {
			t.Errorf("%s: the id is %s, and %s when it comes again", tt.name, e.ID, again.ID)
		}
		if got := hash.ReplaceAllString(attributes(e), "HASH"); got != tt.want {
			t.Errorf("%s: event is\n%s, want\n%s", tt.name, got, tt.want)
		}
	}
}

func zabbix(more string) string {
	return `{"zabbix_url":"https://zbx.example/","event_id":"41","event_source":"0","event_name":"ディスク","event_tags":"[{\"tag\":\"host\",\"value\":\"Web①\"}]","event_nseverity":"4","host_name":"web","trigger_id":"9",` +
		`"event_update_action":"{EVENT.UPDATE.ACTION}","event_recovery_id":"{EVENT.RECOVERY.ID}",` + more + `}`
}

// Problem, update and recovery are three types with one key.
func TestZabbix(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"a problem", "zabbix", zabbix(`"event_value":"1","event_update_status":"0","event_timestamp":"1767323045"`),
			"com.zabbix.problem https://zbx.example subject=web id=41.problem 2026-01-02T03:04:05Z key=zbx.example/41"},
		{"a recovery", "zabbix", zabbix(`"event_value":"0","event_update_status":"0","event_timestamp":"1767323045","event_recovery_timestamp":"1767323645"`),
			"com.zabbix.recovery https://zbx.example subject=web id=41.recovery 2026-01-02T03:14:05Z key=zbx.example/41"},
		{"a recovery by its status", "", zabbix(`"event_status":"RESOLVED"`),
			"com.zabbix.recovery https://zbx.example subject=web id=41.recovery - key=zbx.example/41"},
		{"a recovery by its own event", "zabbix", `{"event_id":"41","trigger_id":"9","host":"web","event_recovery_id":"42"}`,
			"com.zabbix.recovery /webhooks/zabbix subject=web id=41.recovery - key=41"},
		{"an acknowledgement without its status", "zabbix", `{"event_id":"41","trigger_id":"9","host":"web","event_update_action":"acknowledged"}`,
			"com.zabbix.update /webhooks/zabbix subject=web id=41.update.HASH - key=41"},
		{"names of macros", "zabbix", `{"EVENT.ID":"41","TRIGGER.ID":"9","EVENT.VALUE":"1","HOST.NAME":"web","EVENT.UPDATE.STATUS":"{EVENT.UPDATE.STATUS}"}`,
			"com.zabbix.problem /webhooks/zabbix subject=web id=41.problem - key=41"},
		{"the event's number in the link", "", `{"hostname":"web","severity":"High","status":"OK","trigger":"t","link":"https://zbx.example/z/tr_events.php?triggerid=9&eventid=41"}`,
			"com.zabbix.recovery https://zbx.example/z subject=web id=41.recovery - key=zbx.example/41"},
		{"a discovery", "zabbix", `{"event_id":"5","event_source":"1","host":"10.0.0.1"}`,
			"com.zabbix.discovery /webhooks/zabbix subject=10.0.0.1 id=5.discovery - key=5"},
		{"an update", "zabbix", zabbix(`"event_value":"1","event_update_status":"1","event_update_timestamp":"1767323105","event_update_message":"見ています"`),
			"com.zabbix.update https://zbx.example subject=web id=41.update.HASH 2026-01-02T03:05:05Z key=zbx.example/41"},
	})
	first := one(t, request("a", "zabbix", []byte(zabbix(`"event_update_status":"1","event_update_message":"one"`))))
	second := one(t, request("b", "zabbix", []byte(zabbix(`"event_update_status":"1","event_update_message":"two"`))))
	if first.ID == second.ID || first.Extension(hayate.ExtCorrelation) != second.Extension(hayate.ExtCorrelation) {
		t.Errorf("two updates are %s and %s", attributes(first), attributes(second))
	}
}

func TestNagios(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"a notification of a service", "nagios", `{"NAGIOS_HOSTNAME":"web","NAGIOS_SERVICEDESC":"http","NAGIOS_SERVICESTATE":"CRITICAL","NAGIOS_SERVICESTATETYPE":"HARD","NAGIOS_SERVICEATTEMPT":"3","NAGIOS_NOTIFICATIONTYPE":"PROBLEM","NAGIOS_TIMET":"1767323045"}`,
			"com.nagios.service.problem /webhooks/nagios subject=web/http id=web!http.problem.CRITICAL.HARD.3.20260102T030405Z 2026-01-02T03:04:05Z key=web!http"},
		{"its recovery", "nagios", `{"host_name":"web","service_desc":"http","service_state":"OK","state_type":"HARD","notification_type":"RECOVERY","timestamp":"1767323105"}`,
			"com.nagios.service.recovery /webhooks/nagios subject=web/http id=web!http.recovery.OK.HARD.20260102T030505Z 2026-01-02T03:05:05Z key=web!http"},
		{"an event handler of a host", "icinga", `{"HOSTNAME":"web","HOSTSTATE":"DOWN","HOSTSTATETYPE":"SOFT","HOSTATTEMPT":"1","HOSTEVENTID":"12","SERVICEDESC":"$SERVICEDESC$"}`,
			"com.nagios.host.problem /webhooks/icinga subject=web id=web.12.problem.SOFT.1 - key=web"},
		{"without a hint", "", `{"hostname":"web","hoststate":"UP"}`, "com.nagios.host.recovery /webhooks subject=web id=HASH - key=web"},
	})
	e := one(t, request("a", "nagios", []byte(`{"host":"web","service":"http","state":"CRITICAL","state_type":"SOFT","attempt":"2"}`)))
	if e.Extension("statetype") != "SOFT" {
		t.Errorf("statetype is %q, want SOFT", e.Extension("statetype"))
	}
}

const alertBatch = `{"receiver":"r","status":"firing","groupKey":"g","groupLabels":{"alertname":"Disk"},"commonLabels":{"alertname":"Disk"},"commonAnnotations":{},"externalURL":"http://am.example:9093","version":"4","truncatedAlerts":0,"alerts":[` +
	`{"status":"firing","labels":{"alertname":"Disk","instance":"a"},"annotations":{},"startsAt":"2026-01-02T03:04:05.678Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"u","fingerprint":"00000000000000aa"},` +
	`{"status":"resolved","labels":{"alertname":"Disk","instance":"b"},"annotations":{},"startsAt":"2026-01-02T03:00:00Z","endsAt":"2026-01-02T03:04:00Z","generatorURL":"u","fingerprint":"00000000000000bb"}]}`

func TestAlertmanager(t *testing.T) {
	t.Parallel()
	events, err := normalize.Events(request("id", "alertmanager", []byte(alertBatch)))
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %v; want 2", len(events), err)
	}
	want := []string{
		"io.prometheus.alert.firing http://am.example:9093 subject=Disk id=00000000000000aa.firing.20260102T030405.678000000Z 2026-01-02T03:04:05.678Z key=00000000000000aa",
		"io.prometheus.alert.resolved http://am.example:9093 subject=Disk id=00000000000000bb.resolved.20260102T030000.000000000Z 2026-01-02T03:04:00Z key=00000000000000bb",
	}
	for i := range events {
		if got := attributes(events[i]); got != want[i] {
			t.Errorf("alert %d is\n%s, want\n%s", i, got, want[i])
		}
	}
	// An alert keeps its own status and gains what the batch has in common.
	data := string(events[1].Data)
	if !strings.HasPrefix(data, `{"status":"resolved","labels":{"alertname":"Disk","instance":"b"}`) || strings.Count(data, `"status"`) != 1 ||
		!strings.Contains(data, `"groupKey":"g"`) || strings.Contains(data, `"alerts"`) {
		t.Errorf("data is %s", data)
	}
	events, err = normalize.Events(request("id", "alertmanager", []byte(`{"receiver":"r","alerts":[]}`)))
	if err != nil || len(events) != 0 {
		t.Errorf("a batch of nothing: %d events, %v; want none", len(events), err)
	}
}

// The test alert that every Grafana sends has this fingerprint.
func TestFingerprintWhereAlertmanagerSendsNone(t *testing.T) {
	t.Parallel()
	body := `{"receiver":"r","commonLabels":{},"alerts":[{"status":"firing","labels":{"instance":"Grafana","alertname":"TestAlert"},"startsAt":"2026-01-02T03:04:05Z"}]}`
	e := one(t, request("id", "", []byte(body)))
	if got := e.Extension(hayate.ExtCorrelation); got != "57c6d9296de2ad39" {
		t.Errorf("fingerprint is %s, want 57c6d9296de2ad39", got)
	}
}

func TestGrafana(t *testing.T) {
	t.Parallel()
	unified := strings.Replace(alertBatch, `"receiver":"r"`, `"orgId":1,"receiver":"r"`, 1)
	events, err := normalize.Events(request("id", "", []byte(unified)))
	if err != nil || len(events) != 2 || events[1].Type != "com.grafana.alert.resolved" {
		t.Errorf("%d events of %s, %v; want firing and resolved", len(events), typesOf(events), err)
	}
	e := one(t, request("id", "", []byte(`{"dashboardId":1,"panelId":2,"ruleId":3,"ruleName":"Disk","ruleUrl":"https://g.example/d/x","state":"ok","title":"[OK] Disk","evalMatches":[]}`)))
	if e.Type != "com.grafana.alert.ok" || e.Source != "https://g.example" || e.Extension(hayate.ExtCorrelation) != "1/2/3" {
		t.Errorf("event is %s", attributes(e))
	}
}

func TestIncidentTools(t *testing.T) {
	t.Parallel()
	check(t, []told{
		{"pagerduty", "", `{"event":{"id":"E1","event_type":"incident.acknowledged","occurred_at":"2026-01-02T03:04:05.678Z","data":{"id":"P1","type":"incident","self":"https://api.pagerduty.com/incidents/P1","service":{"self":"https://api.pagerduty.com/services/S1"}}}}`,
			"com.pagerduty.incident.acknowledged https://api.pagerduty.com/services/S1 subject=P1 id=E1 2026-01-02T03:04:05.678Z key=P1"},
		{"a note of pagerduty", "", `{"event":{"id":"E2","event_type":"incident.annotated","occurred_at":"2026-01-02T03:04:05Z","data":{"id":"N1","type":"incident_note","incident":{"id":"P1","self":"https://api.pagerduty.com/incidents/P1"}}}}`,
			"com.pagerduty.incident.annotated https://api.pagerduty.com/incidents/P1 subject=N1 id=E2 2026-01-02T03:04:05Z key=P1"},
		{"the older pagerduty", "", `{"messages":[{"id":"M1","event":"incident.resolve","created_on":"2026-01-02T03:04:05Z","incident":{"id":"P1","html_url":"https://x.pagerduty.com/incidents/P1"}}]}`,
			"com.pagerduty.incident.resolve https://x.pagerduty.com subject=P1 id=M1 2026-01-02T03:04:05Z key=P1"},
		{"the oldest pagerduty", "", `{"messages":[{"id":"M2","type":"incident.trigger","created_on":"2026-01-02T03:04:05Z","data":{"incident":{"id":"P1","html_url":"https://x.pagerduty.com/incidents/P1"}}}]}`,
			"com.pagerduty.incident.trigger https://x.pagerduty.com subject=P1 id=M2 2026-01-02T03:04:05Z key=P1"},
		{"opsgenie", "", `{"action":"Close","alert":{"alertId":"A1","message":"disk","updatedAt":1767323045678000000},"integrationId":"I1"}`,
			"com.opsgenie.alert.close com.opsgenie/I1 subject=disk id=A1.close.1767323045678000000 2026-01-02T03:04:05.678Z key=A1"},
		{"datadog by its transition", "", `{"id":"7","alert_id":"12","alert_transition":"Recovered","title":"[Recovered] disk","last_updated":"1767323045678"}`,
			"com.datadog.alert.recovered https://app.datadoghq.com/monitors/12 subject=[Recovered] disk id=7.recovered 2026-01-02T03:04:05.678Z key=12"},
		{"datadog by its title", "", `{"id":"8","org":{"id":"1"},"event_type":"query_alert_monitor","last_updated":"1767323045678","title":"[Triggered on {host:web}] disk","body":"x [[Monitor Status](https://app.datadoghq.com/monitors#12?group=x)]"}`,
			"com.datadog.alert.triggered https://app.datadoghq.com/monitors/12 subject=[Triggered on {host:web}] disk id=8 2026-01-02T03:04:05.678Z key=12"},
		{"newrelic", "", `{"id":"N1","issueUrl":"https://one.newrelic.com/x","title":"disk","state":"CLOSED","trigger":"INCIDENT_CLOSED","updatedAt":1767323045678}`,
			"com.newrelic.issue.closed https://one.newrelic.com subject=disk id=N1.closed.incident_closed.1767323045678 2026-01-02T03:04:05.678Z key=N1"},
		{"uptimerobot", "", `{"monitorID":"1","monitorFriendlyName":"web","alertType":"2","alertDateTime":"1767323045"}`,
			"com.uptimerobot.up https://dashboard.uptimerobot.com/monitors/1 subject=web id=1.2.1767323045 2026-01-02T03:04:05Z key=1"},
		{"librenms", "", `{"device_id":"2","rule_id":"3","alert_id":"4","uid":"5","state":"1","severity":"critical","hostname":"sw","timestamp":"2026-01-02 03:04:05"}`,
			"org.librenms.alert /librenms subject=sw id=5.alert.2026-01-02 03:04:05 - key=2/3"},
		{"checkmk", "", `{"what":"SERVICE","notification_type":"PROBLEM","host":"web","service":"http","site":"s","id":"9","short_date_time":"2026-01-02 03:04:05","long_date_time":"Fri Jan  2 03:04:05 UTC 2026"}`,
			"com.checkmk.service.problem /checkmk/s subject=web/http id=9.web.http.problem.2026-01-02 03:04:05 2026-01-02T03:04:05Z key=s!web!http"},
	})
}

// Where a body says neither which event it is nor when it was made, equal
// ones shortly after each other are one event, later ones another.
func TestEqualBodiesWithinAWindow(t *testing.T) {
	t.Parallel()
	r := request("fresh", "", []byte(`{"monitorID":"1","alertType":"1"}`))
	first := one(t, r)
	r.Now = r.Now.Add(time.Minute)
	if e := one(t, r); e.ID != first.ID {
		t.Errorf("a minute later the id is %s, want %s again", e.ID, first.ID)
	}
	r.Now = r.Now.Add(time.Hour)
	if e := one(t, r); e.ID == first.ID {
		t.Errorf("an hour later the id is %s still", e.ID)
	}
}

// What a batch has in common is copied into each event; that has a bound.
func TestCommonFieldsDoNotMultiplyWithoutBound(t *testing.T) {
	t.Parallel()
	alerts := strings.Repeat(`{"labels":{}},`, 999) + `{"labels":{}}`
	body := `{"receiver":"` + strings.Repeat("r", 100_000) + `","commonLabels":{},"alerts":[` + alerts + `]}`
	if _, err := normalize.Events(request("id", "", []byte(body))); !errors.Is(err, hayate.ErrTooLarge) {
		t.Errorf("100 MB of events from %d bytes: got %v, want ErrTooLarge", len(body), err)
	}
}
