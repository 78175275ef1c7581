package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
)

// tags are those that the function is deployed with.
const tags = "lambda.norpc"

// TestImports holds what the function links against what it needs: everything
// more is paid for at each cold start.
func TestImports(t *testing.T) {
	t.Parallel()
	cmd := exec.Command("go", "list", "-deps", "-tags", tags, ".")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	deps := strings.Fields(string(out))
	for _, want := range []string{"go.mongodb.org/mongo-driver/v2/mongo", "github.com/aws/aws-lambda-go/lambda"} {
		if !slices.Contains(deps, want) {
			t.Errorf("the list lacks %s: it is not the function's", want)
		}
	}
	for _, d := range deps {
		for _, no := range []string{"modernc.org/", "database/sql", "github.com/spf13/", "github.com/rabbitmq/", "github.com/prometheus/", "go.uber.org/",
			"github.com/cloudevents/", "github.com/aws/aws-sdk-go-v2", "net/rpc", "github.com/hayate-run/hayate/infra/embedded",
			"github.com/hayate-run/hayate/infra/cli", "github.com/hayate-run/hayate/infra/httpapi"} {
			if strings.HasPrefix(d, no) {
				t.Errorf("the function links %s", d)
			}
		}
	}
}

// maxBinary is what the binary may weigh, in bytes.
const maxBinary = 20 << 20

func TestSize(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "bootstrap")
	cmd := exec.Command("go", "build", "-tags", tags, "-trimpath", "-ldflags", "-s -w", "-o", path, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi.Size() > maxBinary {
		t.Errorf("the binary has %d bytes, the limit is %d", fi.Size(), maxBinary)
	}
	t.Logf("the binary has %.1f MiB", float64(fi.Size())/(1<<20))
}

func TestBuild(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "uri")
	if err := os.WriteFile(file, []byte("mongodb://127.0.0.1:1/events\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want string // in the error; "" for none
	}{
		"a URI is enough":                   {map[string]string{"HAYATE_MONGODB_URI": "mongodb://127.0.0.1:1"}, ""},
		"a file holds the URI":              {map[string]string{"HAYATE_MONGODB_URI_FILE": file}, ""},
		"no URI is refused":                 {nil, "HAYATE_MONGODB_URI or HAYATE_MONGODB_URI_FILE must be set"},
		"a file that is not there":          {map[string]string{"HAYATE_MONGODB_URI_FILE": file + "x"}, "HAYATE_MONGODB_URI_FILE: open"},
		"a lease that is none":              {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_LEASE": "long"}, "HAYATE_LEASE: "},
		"a level that is none":              {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_LOG_LEVEL": "loud"}, "HAYATE_LOG_LEVEL: "},
		"a pack that is not in the binary":  {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_SHIPPED": "core,cure"}, `no pack "cure"`},
		"a folder of packs that is missing": {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_PACKS": dir + "/none"}, "read packs"},
		"a URI that is none":                {map[string]string{"HAYATE_MONGODB_URI": "http://user:geheim@host"}, "open MongoDB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(func(k string) string { return c.env[k] }, io.Discard)
			switch {
			case c.want == "" && err != nil:
				t.Errorf("build: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("build: %v, want an error with %q", err, c.want)
			case c.want != "" && !errors.Is(err, hayate.ErrInvalid) && !errors.Is(err, hayate.ErrNotFound):
				t.Errorf("build: %v is of no kind", err)
			case err != nil && strings.Contains(err.Error(), "geheim"):
				t.Errorf("build: %v gives the password away", err)
			}
		})
	}
}
