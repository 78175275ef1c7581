// Package env reads the settings of Lambda functions from their environment.
package env

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/router/normalize/signature"
)

// Settings are those of a function. A function reads those that it needs.
type Settings struct {
	MongoURI, MongoDatabase string
	Packs, Shipped          []string
	Keys                    string // a key file
	KeyRing                 string // or its text
	Lease, Tick             time.Duration
	Level                   slog.Level
	Queues                  map[string]string // URLs by target
	EventQueue              string            // URL
	DeadLetters             string            // URL
	Bucket                  string
	Token                   string
	Webhooks                map[string]signature.Method
	Retention               time.Duration
	CallbackURL             string
	Timezone                *time.Location
	AMQPURI, AMQPPrefix     string
	WorkerLease             time.Duration
}

// Setting is a line of the table of settings.
type Setting struct {
	Name, Default, Help string
	// Secret says that NAME_FILE may name a file that holds it.
	Secret bool
	set    func(*Settings, string) error
}

func text(field func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		*field(s) = v
		return nil
	}
}

func duration(field func(*Settings) *time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := time.ParseDuration(v)
		*field(s) = d
		return err
	}
}

// List is the table of settings.
func List() []Setting {
	return []Setting{
		{Name: "HAYATE_MONGODB_URI", Secret: true, Help: "the store's connection string", set: text(func(s *Settings) *string { return &s.MongoURI })},
		{Name: "HAYATE_MONGODB_DATABASE", Help: "the database; without it the one that the URI names, else hayate", set: text(func(s *Settings) *string { return &s.MongoDatabase })},
		{Name: "HAYATE_EVENT_QUEUE", Help: "URL of the queue that carries events from ingest to router", set: text(func(s *Settings) *string { return &s.EventQueue })},
		{Name: "HAYATE_QUEUES", Help: "queues that carry tasks, as TARGET=URL with spaces between; the targets are local, workflow, and what actions name, such as amqp:* for workers elsewhere. Without it router does at once what it can",
			set: func(s *Settings, v string) error { return s.readQueues(v) }},
		{Name: "HAYATE_DEAD_LETTERS", Help: "URL of the queue for messages that can never be done, with the reason", set: text(func(s *Settings) *string { return &s.DeadLetters })},
		{Name: "HAYATE_BUCKET", Help: "bucket for events of more than 200 KB on their way; without it they are refused", set: text(func(s *Settings) *string { return &s.Bucket })},
		{Name: "HAYATE_PACKS", Help: "folders of packs, with colons between; without it packs beside the binary", set: func(s *Settings, v string) error {
			s.Packs = filepath.SplitList(v)
			return nil
		}},
		{Name: "HAYATE_SHIPPED", Default: "core,aws", Help: "packs of the binary to register too, with commas between", set: func(s *Settings, v string) error {
			s.Shipped = strings.Split(v, ",")
			return nil
		}},
		{Name: "HAYATE_KEYS", Help: "file with the keys that seal secrets; without keys, none can be sealed", set: text(func(s *Settings) *string { return &s.Keys })},
		{Name: "HAYATE_KEY_RING", Secret: true, Help: "the text of such a file", set: text(func(s *Settings) *string { return &s.KeyRing })},
		{Name: "HAYATE_LEASE", Default: "1m", Help: "how long an attempt counts as alive without a sign of it", set: duration(func(s *Settings) *time.Duration { return &s.Lease })},
		{Name: "HAYATE_TICK", Default: "1m", Help: "how often the workflow function is told to tick; what was not dispatched for twice as long counts as forgotten", set: duration(func(s *Settings) *time.Duration { return &s.Tick })},
		{Name: "HAYATE_RETENTION", Default: "720h", Help: "how long finished history is kept; 0 for ever", set: duration(func(s *Settings) *time.Duration { return &s.Retention })},
		{Name: "HAYATE_TIMEZONE", Default: "UTC", Help: "time zone of timers that name none", set: func(s *Settings, v string) (err error) {
			s.Timezone, err = time.LoadLocation(v)
			return err
		}},
		{Name: "HAYATE_CALLBACK_URL", Help: "what functions that are to call back are told: the api function's URL with /v1/callbacks", set: text(func(s *Settings) *string { return &s.CallbackURL })},
		{Name: "HAYATE_AMQP_URI", Secret: true, Help: "address of the RabbitMQ that workers elsewhere receive tasks from, for the function desk", set: text(func(s *Settings) *string { return &s.AMQPURI })},
		{Name: "HAYATE_AMQP_PREFIX", Default: "hayate", Help: "what the names of its queues begin with", set: text(func(s *Settings) *string { return &s.AMQPPrefix })},
		{Name: "HAYATE_WORKER_LEASE", Default: "15m", Help: "how long such a worker may be silent before its attempt counts as lost", set: duration(func(s *Settings) *time.Duration { return &s.WorkerLease })},
		{Name: "HAYATE_TOKEN", Secret: true, Help: "bearer token that lets callers in: events at ingest, everything at api", set: text(func(s *Settings) *string { return &s.Token })},
		{Name: "HAYATE_WEBHOOKS", Secret: true, Help: `signatures of webhooks, as JSON: {"github":{"kind":"github","secret":"…"}}`, set: func(s *Settings, v string) error { return s.readWebhooks(v) }},
		{Name: "HAYATE_LOG_LEVEL", Default: "info", Help: "debug, info, warn or error", set: func(s *Settings, v string) error { return s.Level.UnmarshalText([]byte(v)) }},
	}
}

// Load reads the settings from the environment. Everything wrong is reported
// together, and no value of a secret in it.
func Load(getenv func(string) string) (Settings, error) {
	var s Settings
	var errs []error
	for _, x := range List() {
		v, err := x.value(getenv)
		if err == nil && v != "" {
			err = x.set(&s, v)
		}
		if err != nil {
			if !errors.Is(err, hayate.ErrInvalid) {
				err = fmt.Errorf("%v: %w", err, hayate.ErrInvalid)
			}
			errs = append(errs, fmt.Errorf("%s: %w", x.Name, err))
		}
	}
	if len(s.Packs) == 0 {
		if dir := filepath.Join(or(getenv("LAMBDA_TASK_ROOT"), "/var/task"), "packs"); exists(dir) {
			s.Packs = []string{dir}
		}
	}
	return s, errors.Join(errs...)
}

func (x *Setting) value(getenv func(string) string) (string, error) {
	if v := getenv(x.Name); v != "" {
		return v, nil
	}
	file := ""
	if x.Secret {
		file = getenv(x.Name + "_FILE")
	}
	if file == "" {
		return x.Default, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func or(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

// localTarget is how people write the target "", of what needs no certain worker.
const localTarget = "local"

func (s *Settings) readQueues(v string) error {
	s.Queues = map[string]string{}
	for word := range strings.FieldsSeq(v) {
		target, url, ok := strings.Cut(word, "=")
		if !ok || target == "" || url == "" {
			return fmt.Errorf("found %q, want TARGET=URL: %w", word, hayate.ErrInvalid)
		}
		if target == localTarget {
			target = ""
		}
		s.Queues[target] = url
	}
	return nil
}

func (s *Settings) readWebhooks(v string) error {
	var list map[string]struct {
		Kind, Secret, Header, Hash, Prefix, Encoding string
	}
	if err := json.Unmarshal([]byte(v), &list); err != nil {
		return fmt.Errorf("it is not JSON as wanted: %w", hayate.ErrInvalid) // the error would show a part of it
	}
	s.Webhooks = make(map[string]signature.Method, len(list))
	for name, w := range list {
		if w.Kind == "" || w.Secret == "" {
			return fmt.Errorf("%s: kind and secret are needed: %w", name, hayate.ErrInvalid)
		}
		s.Webhooks[name] = signature.Method{Kind: w.Kind, Secret: []byte(w.Secret), Header: w.Header, Hash: w.Hash, Prefix: w.Prefix, Encoding: w.Encoding}
	}
	return nil
}

// NewLog is a function's log: lines of JSON, which CloudWatch can be asked for.
func (s *Settings) NewLog(w io.Writer, function string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: s.Level})).With("function", function)
}

// Row is the setting's row in docs/reference/functions.md.
func Row(s Setting) string {
	name := "`" + s.Name + "`"
	if s.Secret {
		name += ", or `" + s.Name + "_FILE`"
	}
	value := ""
	if s.Default != "" {
		value = "`" + s.Default + "`"
	}
	return "| " + name + " | " + value + " | " + s.Help + " |"
}
