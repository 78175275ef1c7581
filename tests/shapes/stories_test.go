package shapes

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hayate-run/hayate/tests/internal/hayatetest"
)

// patience is how long a story waits for an end, on a busy machine.
const patience = 60 * time.Second

// place is where a story is told: a shape that serves the suite's packs.
type place struct {
	*hayatetest.Server
	effects *effects
}

// stories are the suite. Each is a promise of the product, said the same way in
// every shape.
var stories = []struct {
	name string
	tell func(*testing.T, *place)
}{
	{"a Zabbix problem restarts a service, once", restart},
	{"an event that no rule wants is explained", explained},
	{"an HTTP action has its effect once", callOnce},
	{"a workflow joins, repeats and passes typed values on", workflow},
	{"a workflow whose task fails takes the other way", remedy},
	{"a workflow of workflows waits for its children", nested},
	{"a question waits for its answer", question},
	{"a canceled workflow starts nothing more", canceled},
	{"a paused workflow goes on where it was", paused},
	{"an action that fails is failed, and is run again", rerun},
	{"a secret of the datastore reaches the action, and nobody else", secret},
	{"an action that is delayed waits", delayed},
}

// send sends a payload as a source would, and returns the event's id.
func (p *place) webhook(t *testing.T, source, body string) hayatetest.Accepted {
	t.Helper()
	r := p.Do(t, http.MethodPost, "/v1/webhooks/"+source, []byte(body), "Content-Type", "application/json")
	var out struct{ Events []hayatetest.Accepted }
	if err := json.Unmarshal(r.Body, &out); err != nil || r.Status != http.StatusAccepted || len(out.Events) != 1 {
		t.Fatalf("POST /v1/webhooks/%s: status %d, %s", source, r.Status, r.Body)
	}
	return out.Events[0]
}

// ofEvent waits for the end of the one execution that an event leads to.
func (p *place) ofEvent(t *testing.T, event string) hayatetest.Execution {
	t.Helper()
	var id string
	hayatetest.Eventually(t, patience, "event "+event+" leads to an execution", func() (bool, string) {
		xs := p.Executions(t, "parent=null&trigger_instance="+event)
		if len(xs) > 0 {
			id = xs[0].ID
		}
		return len(xs) == 1, fmt.Sprint(len(xs))
	})
	return p.AwaitEnd(t, id, patience)
}

// run runs an action to its end.
func (p *place) run(t *testing.T, action string, parameters map[string]any) hayatetest.Execution {
	t.Helper()
	return p.AwaitEnd(t, p.Start(t, action, parameters), patience)
}

func wantStatus(t *testing.T, x hayatetest.Execution, want string) {
	t.Helper()
	if x.Status != want {
		t.Fatalf("execution %s of %s ended %s with %v, want %s", x.ID, x.Action.Ref, x.Status, x.Result, want)
	}
}

// output is a workflow's output as JSON, its keys in order.
func output(t *testing.T, x hayatetest.Execution) string {
	t.Helper()
	b, err := json.Marshal(x.Result["output"])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func restart(t *testing.T, p *place) {
	const problem = `{"event_id": "77", "event_name": "Service web is down", "event_value": "1", "trigger_id": "5", "severity": "High",
		"host": "web-1", "tags": {"service": "web"}, "event_timestamp": "1767323045"}`
	first := p.webhook(t, "zabbix", problem)
	x := p.ofEvent(t, first.ID)
	wantStatus(t, x, "succeeded")
	if out, _ := x.Result["stdout"].(string); out != "web on web-1 is restarted" {
		t.Errorf("the action printed %q", out)
	}
	p.webhook(t, "zabbix", problem)
	// What comes behind it has overtaken nothing: when that is decided, it is too.
	behind := p.Send(t, hayatetest.Event("//shapes", "behind", "shapes.call", `{"n":"behind"}`))
	p.ofEvent(t, behind.ID)
	if n := len(p.Executions(t, "action=shapes.restart")); n != 1 {
		t.Errorf("the same problem twice leads to %d executions, want 1", n)
	}
	if code, out, errs := p.CLI(t, "execution", "get", x.ID); code != 0 || !strings.Contains(out, "shapes.restart") {
		t.Errorf("execution get: exit code %d, %s%s", code, out, errs)
	}
}

func explained(t *testing.T, p *place) {
	a := p.webhook(t, "zabbix", `{"event_id": "78", "event_name": "Slow", "event_value": "1", "trigger_id": "6", "severity": "Low", "host": "web-2", "event_timestamp": "1767323046"}`)
	// Where a queue stands between the answer and the rules, the event is decided later.
	hayatetest.Eventually(t, time.Minute, "the event is explained", func() (bool, string) {
		code, out, errs := p.CLI(t, "event", "explain", a.ID)
		ok := code == 0 && strings.Contains(out, "rule shapes.restart does not match") && strings.Contains(out, "severity")
		return ok, fmt.Sprintf("exit code %d:\n%s%s", code, out, errs)
	})
	if n := len(p.Executions(t, "trigger_instance="+a.ID)); n != 0 {
		t.Errorf("%d executions, want none", n)
	}
}

func callOnce(t *testing.T, p *place) {
	x := p.ofEvent(t, p.Send(t, hayatetest.Event("//shapes", "call-1", "shapes.call", `{"n":"call-1"}`)).ID)
	wantStatus(t, x, "succeeded")
	p.effects.once(t, "call-1")
}

func workflow(t *testing.T, p *place) {
	x := p.run(t, "shapes.flow", map[string]any{"hosts": []string{"a", "b", "日本"}, "base": 40})
	wantStatus(t, x, "succeeded")
	if got, want := output(t, x), `{"all":["a-41","b-41","日本-41"],"list":[1,2.5,true,null,{"k":"値"}],"sum":41}`; got != want {
		t.Errorf("the output is %s, want %s", got, want)
	}
	for _, n := range []string{"a-41", "b-41", "日本-41", "left", "right", "joined"} {
		p.effects.once(t, n)
	}
}

func remedy(t *testing.T, p *place) {
	x := p.run(t, "shapes.remedy", nil)
	wantStatus(t, x, "succeeded")
	if got := output(t, x); got != `{"way":"repaired"}` {
		t.Errorf("the output is %s", got)
	}
	p.effects.once(t, "repaired")
	p.effects.never(t, "all is well")
}

func nested(t *testing.T, p *place) {
	x := p.run(t, "shapes.outer", map[string]any{"n": "nested"})
	wantStatus(t, x, "succeeded")
	if got := output(t, x); got != `{"deep":"nested-inner"}` {
		t.Errorf("the output is %s", got)
	}
	p.effects.once(t, "nested-inner")
}

func question(t *testing.T, p *place) {
	id := p.Start(t, "shapes.approve", nil)
	p.Await(t, id, patience, "paused")
	var asked []struct{ ID string }
	hayatetest.Eventually(t, patience, "the question is listed", func() (bool, string) {
		p.Get(t, "/api/v1/inquiries?limit=-1", &asked)
		return len(asked) == 1, fmt.Sprint(asked)
	})
	answer := func(body string) hayatetest.Reply {
		return p.Do(t, http.MethodPut, "/api/v1/inquiries/"+asked[0].ID, []byte(body), "Content-Type", "application/json")
	}
	if r := answer(`{"response": {"approve": "perhaps"}}`); r.Status != http.StatusBadRequest {
		t.Errorf("an answer that does not fit gets %d, want 400", r.Status)
	}
	if r := answer(`{"response": {"approve": true}}`); r.Status != http.StatusOK {
		t.Fatalf("the answer gets %d: %s", r.Status, r.Body)
	}
	x := p.AwaitEnd(t, id, patience)
	wantStatus(t, x, "succeeded")
	p.effects.once(t, "approved True")
}

func canceled(t *testing.T, p *place) {
	id := p.Start(t, "shapes.waits", map[string]any{"n": "canceled"})
	hayatetest.Eventually(t, patience, "the first task has run", func() (bool, string) {
		n := p.effects.count("canceled-1")
		return n == 1, fmt.Sprint(n)
	})
	if r := p.Do(t, http.MethodDelete, "/api/v1/executions/"+id, nil); r.Status != http.StatusOK {
		t.Fatalf("cancel: status %d, %s", r.Status, r.Body)
	}
	wantStatus(t, p.AwaitEnd(t, id, patience), "canceled")
	p.effects.never(t, "canceled-2")
}

func paused(t *testing.T, p *place) {
	id := p.Start(t, "shapes.gate", map[string]any{"n": "paused"})
	hayatetest.Eventually(t, patience, "the first task runs", func() (bool, string) {
		n := p.effects.count("paused-1")
		return n == 1, fmt.Sprint(n)
	})
	set := func(status string) {
		body := []byte(`{"status": "` + status + `"}`)
		if r := p.Do(t, http.MethodPut, "/api/v1/executions/"+id, body, "Content-Type", "application/json"); r.Status != http.StatusOK {
			t.Fatalf("%s: status %d, %s", status, r.Status, r.Body)
		}
	}
	set("pausing")
	p.effects.open("paused-1")
	p.Await(t, id, patience, "paused")
	p.effects.never(t, "paused-2")
	set("resuming")
	wantStatus(t, p.AwaitEnd(t, id, patience), "succeeded")
	p.effects.once(t, "paused-1")
	p.effects.once(t, "paused-2")
}

func rerun(t *testing.T, p *place) {
	x := p.run(t, "shapes.call", map[string]any{"n": "refuse"})
	wantStatus(t, x, "failed")
	r := p.Do(t, http.MethodPost, "/api/v1/executions/"+x.ID+"/re_run", []byte(`{"parameters": {"n": "accepted"}}`), "Content-Type", "application/json")
	var again hayatetest.Execution
	if err := json.Unmarshal(r.Body, &again); err != nil || r.Status != http.StatusCreated {
		t.Fatalf("re-run: status %d, %s", r.Status, r.Body)
	}
	wantStatus(t, p.AwaitEnd(t, again.ID, patience), "succeeded")
	if again.ID == x.ID {
		t.Error("the re-run has the id of the first")
	}
	p.effects.once(t, "accepted")
}

func secret(t *testing.T, p *place) {
	const value = "S3cr3t-of-the-shapes"
	r := p.Do(t, http.MethodPut, "/api/v1/keys/shapes_password", []byte(`{"name": "shapes_password", "value": "`+value+`", "secret": true}`), "Content-Type", "application/json")
	if r.Status != http.StatusOK {
		t.Fatalf("set the key: status %d, %s", r.Status, r.Body)
	}
	x := p.ofEvent(t, p.Send(t, hayatetest.Event("//shapes", "secret-1", "shapes.secret", `{}`)).ID)
	wantStatus(t, x, "succeeded")
	if out, _ := x.Result["stdout"].(string); out != "length 20, ********" {
		t.Errorf("the action printed %q", out)
	}
	for _, path := range []string{"/api/v1/executions/" + x.ID, "/api/v1/keys/shapes_password", "/v1/events?limit=100"} {
		if r := p.Do(t, http.MethodGet, path, nil); strings.Contains(string(r.Body), value) {
			t.Errorf("%s shows the secret", path)
		}
	}
}

func delayed(t *testing.T, p *place) {
	began := time.Now()
	r := p.Do(t, http.MethodPost, "/api/v1/executions", []byte(`{"action": "shapes.call", "parameters": {"n": "delayed"}, "delay": 1500}`), "Content-Type", "application/json")
	var x hayatetest.Execution
	if err := json.Unmarshal(r.Body, &x); err != nil || r.Status != http.StatusCreated {
		t.Fatalf("start: status %d, %s", r.Status, r.Body)
	}
	x = p.AwaitEnd(t, x.ID, patience)
	wantStatus(t, x, "succeeded")
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("it took %s, and should have waited for 1.5 s", took)
	}
	if !slices.ContainsFunc(x.Log, func(l hayatetest.ExecutionStatus) bool { return l.Status == "delayed" }) {
		t.Errorf("its log is %+v, without a delay", x.Log)
	}
	p.effects.once(t, "delayed")
}
