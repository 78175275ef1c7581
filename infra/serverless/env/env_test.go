package env_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/serverless/env"
)

func load(vars map[string]string) (env.Settings, error) {
	return env.Load(func(k string) string { return vars[k] })
}

func TestLoad(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("geheim\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := load(map[string]string{"HAYATE_QUEUES": "local=http://q/run  workflow=http://q/wf amqp:tokyo=http://q/t", "HAYATE_TOKEN_FILE": file,
		"HAYATE_WEBHOOKS": `{"github":{"kind":"github","secret":"s"}}`})
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	if s.Queues[""] != "http://q/run" || s.Queues["workflow"] != "http://q/wf" || s.Queues["amqp:tokyo"] != "http://q/t" || s.Token != "geheim" {
		t.Errorf("got queues %v and token %q", s.Queues, s.Token)
	}
	if m := s.Webhooks["github"]; m.Kind != "github" || string(m.Secret) != "s" {
		t.Errorf("got webhook %+v", m)
	}
}

func TestLoadSaysAllThatIsWrongAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := load(map[string]string{"HAYATE_QUEUES": "nowhere", "HAYATE_LEASE": "long", "HAYATE_WEBHOOKS": `{"github":"geheim"}`})
	for _, want := range []string{`HAYATE_QUEUES: found "nowhere"`, "HAYATE_LEASE", "HAYATE_WEBHOOKS"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
	if !errors.Is(err, hayate.ErrInvalid) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("error %v is no invalid, or gives a secret away", err)
	}
}

// TestReferenceIsWhole holds docs/reference/functions.md against the table.
func TestReferenceIsWhole(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../../docs/reference/functions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range env.List() {
		if row := env.Row(s); !strings.Contains(string(b), row) {
			t.Errorf("docs/reference/functions.md lacks the row\n%s", row)
		}
	}
}
