package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hayate-run/hayate"
)

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
		"a file that is not there":          {map[string]string{"HAYATE_MONGODB_URI_FILE": file + "x"}, "HAYATE_MONGODB_URI: open"},
		"a lease that is none":              {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_LEASE": "long"}, "HAYATE_LEASE: "},
		"a level that is none":              {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_LOG_LEVEL": "loud"}, "HAYATE_LOG_LEVEL: "},
		"a pack that is not in the binary":  {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_SHIPPED": "core,cure"}, `no pack "cure"`},
		"a folder of packs that is missing": {map[string]string{"HAYATE_MONGODB_URI_FILE": file, "HAYATE_PACKS": dir + "/none"}, "read packs"},
		"a URI that is none":                {map[string]string{"HAYATE_MONGODB_URI": "http://user:geheim@host"}, "open MongoDB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := build(func(k string) string { return c.env[k] }, io.Discard, io.Discard)
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
