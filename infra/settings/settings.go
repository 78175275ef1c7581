// Package settings is the one list of what can be set: each setting with its
// name, its default and its meaning. Flags win over the environment (HAYATE_…),
// the environment over the file (hayate.yaml). Secrets come from files.
package settings

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/internal/yamldoc"
)

// Settings are what a server is told.
type Settings struct {
	Data           string
	Packs          []string
	Configs        string
	Listen         string
	Shipped        []string
	LogLevel       string
	LogFormat      string
	Workers        int
	Lease          time.Duration
	Drain          time.Duration
	Retention      time.Duration
	RetainCount    int
	MaxBody        int
	MaxEvent       int
	MaxInFlight    int
	MaxBacklog     int
	WebhookOrigins []string
	SNSTopics      []string
	SNSUnsigned    bool
	CallbackURL    string
	TLSCert        string
	TLSKey         string
	Watch          bool
	Roles          []string
	Store          string
	Queue          string
	QueuePrefix    string
	QueueCA        string
	QueueCert      string
	QueueKey       string
	Keys           string
	EventQueues    []string
	ReadyDelay     time.Duration
	Timezone       *time.Location
	TimerMisfire   string
	TimerGrace     time.Duration
	WorkerLease    time.Duration
	// Of hayate worker only.
	Tags   []string
	Name   string
	Report string
	// Webhooks are the signatures of incoming webhooks; they stand in the file only.
	Webhooks map[string]Webhook
}

// Webhook says how the requests to /v1/webhooks/<name> are authenticated.
type Webhook struct {
	Kind, Header, Hash, Prefix, Encoding string
	Secret                               []byte
}

// Setting is one entry of the list.
type Setting struct {
	Name    string // of the flag and of the key in the file
	Default string
	Help    string
	set     func(*Settings, string) error
}

// Env is the name of the setting's environment variable.
func (s *Setting) Env() string {
	return "HAYATE_" + strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_"))
}

// List holds every setting, in the order of the documentation.
func List() []Setting {
	return []Setting{
		{"data", "hayate-data", "directory that holds everything durable", text(func(s *Settings) *string { return &s.Data })},
		{"packs", "", "folders of packs, joined by commas; each pack is a subfolder with a pack.yaml", list(func(s *Settings) *[]string { return &s.Packs })},
		{"configs", "", "folder of the packs' configurations: PACK.yaml each", text(func(s *Settings) *string { return &s.Configs })},
		{"listen", "127.0.0.1:9101", "address to serve on; port 0 picks a free one. Other than loopback every call needs a token", address(func(s *Settings) *string { return &s.Listen })},
		{"shipped", "core", "packs of the binary to register, joined by commas: core, amqp, aws, hello, samples", list(func(s *Settings) *[]string { return &s.Shipped })},
		{"watch", "true", "reload packs when their files change", boolean(func(s *Settings) *bool { return &s.Watch })},
		{"log-level", "info", "least level to log: debug, info, warn, error", oneOf(func(s *Settings) *string { return &s.LogLevel }, "debug", "info", "warn", "error")},
		{"log-format", "text", "form of the log: text or json", oneOf(func(s *Settings) *string { return &s.LogFormat }, "text", "json")},
		{"workers", "32", "actions performed at the same time", number(func(s *Settings) *int { return &s.Workers }, 1)},
		{"lease", "30s", "time without a heartbeat after which a worker counts as lost", duration(func(s *Settings) *time.Duration { return &s.Lease }, time.Second)},
		{"drain", "30s", "time that running actions get to end when the server stops", duration(func(s *Settings) *time.Duration { return &s.Drain }, 0)},
		{"retention", "30d", "age at which finished events and executions are removed; 0 keeps them for ever", duration(func(s *Settings) *time.Duration { return &s.Retention }, 0)},
		{"retain-count", "0", "most finished events and executions to keep, each; 0 has no bound", number(func(s *Settings) *int { return &s.RetainCount }, 0)},
		{"timezone", "UTC", "time zone of timers that name none: a name of the IANA database, such as Asia/Tokyo", zone(func(s *Settings) **time.Location { return &s.Timezone })},
		{"timer-misfire", "skip", "what becomes of ticks that a timer missed while nothing ran, unless its rule says it: skip, once (the newest comes late), all", oneOf(func(s *Settings) *string { return &s.TimerMisfire }, "skip", "once", "all")},
		{"timer-grace", "1m", "how late a tick may come and still count as in time", duration(func(s *Settings) *time.Duration { return &s.TimerGrace }, time.Second)},
		{"max-body", "1MiB", "largest request body", size(func(s *Settings) *int { return &s.MaxBody })},
		{"max-event", "1MiB", "largest data of an event", size(func(s *Settings) *int { return &s.MaxEvent })},
		{"max-in-flight", "512", "requests handled at the same time; beyond it the answer is 429", number(func(s *Settings) *int { return &s.MaxInFlight }, 1)},
		{"max-backlog", "100000", "executions that may wait; beyond it the answer is 429", number(func(s *Settings) *int { return &s.MaxBacklog }, 1)},
		{"webhook-origins", "", "origins granted by the CloudEvents webhook handshake, joined by commas; * for all", list(func(s *Settings) *[]string { return &s.WebhookOrigins })},
		{"sns-topics", "", "ARNs of the SNS topics whose subscription is confirmed, joined by commas", list(func(s *Settings) *[]string { return &s.SNSTopics })},
		{"sns-unsigned", "false", "take SNS messages without a valid signature; only for emulators", boolean(func(s *Settings) *bool { return &s.SNSUnsigned })},
		{"role", "api,router,worker", "what this process does, joined by commas: api answers HTTP, router steps workflows and sweeps, worker performs actions", someOf(func(s *Settings) *[]string { return &s.Roles }, "api", "router", "worker")},
		{"store", "", "address of a MongoDB that processes share, mongodb://…, or file:PATH of a file that holds it; default: a store of its own in the data directory", remote(func(s *Settings) *string { return &s.Store }, "mongodb://", "mongodb+srv://")},
		{"queue", "", "address of a RabbitMQ, amqp://… or amqps://…, or file:PATH of a file that holds it; default: the store hands tasks over", remote(func(s *Settings) *string { return &s.Queue }, "amqp://", "amqps://")},
		{"queue-prefix", "hayate", "what the names of all queues and exchanges begin with", text(func(s *Settings) *string { return &s.QueuePrefix })},
		{"queue-ca", "", "file of the certificates that vouch for the RabbitMQ server; default: the system's", text(func(s *Settings) *string { return &s.QueueCA })},
		{"queue-cert", "", "file of the certificate to show to the RabbitMQ server; without a user in the address it logs in with it", text(func(s *Settings) *string { return &s.QueueCert })},
		{"queue-key", "", "file of that certificate's key", text(func(s *Settings) *string { return &s.QueueKey })},
		{"event-queues", "", "queues of the RabbitMQ, joined by commas, whose messages are events: CloudEvents by the AMQP binding, or a source's own payloads", list(func(s *Settings) *[]string { return &s.EventQueues })},
		{"keys", "", "file of the keys that seal secrets; processes that share a store need the same. Default: keys in the data directory", text(func(s *Settings) *string { return &s.Keys })},
		{"ready-delay", "0s", "time between /readyz turning and the end of service when the server stops, for load balancers to notice", duration(func(s *Settings) *time.Duration { return &s.ReadyDelay }, 0)},
		{"worker-lease", "15m", "time for which a worker of hayate worker may be silent before it counts as lost; a RabbitMQ that is away does not count", duration(func(s *Settings) *time.Duration { return &s.WorkerLease }, time.Second)},
		{"callback-url", "", "address that is told to functions which are to call back: this server's /v1/callbacks, as they reach it", text(func(s *Settings) *string { return &s.CallbackURL })},
		{"tls-cert", "", "file of the certificate to serve HTTPS with", text(func(s *Settings) *string { return &s.TLSCert })},
		{"tls-key", "", "file of the certificate's key", text(func(s *Settings) *string { return &s.TLSKey })},
	}
}

// WorkerList holds every setting of hayate worker.
func WorkerList() []Setting {
	own := []Setting{
		{"tag", "", "tags whose tasks this worker performs, joined by commas: actions name them as target amqp:TAG", list(func(s *Settings) *[]string { return &s.Tags })},
		{"amqp", "", "address of the RabbitMQ, amqps://… or amqp://…, or file:PATH of a file that holds it", remote(func(s *Settings) *string { return &s.Queue }, "amqp://", "amqps://")},
		{"report", "", "address of an API to claim from and report to by HTTPS; default: over RabbitMQ", remote(func(s *Settings) *string { return &s.Report }, "https://", "http://")},
		{"name", "", "name of this worker, which must be its own; default: the host's", text(func(s *Settings) *string { return &s.Name })},
		{"data", "hayate-worker", "directory of the spool and of unpacked packs", text(func(s *Settings) *string { return &s.Data })},
	}
	for _, x := range List() {
		switch x.Name {
		case "queue-prefix", "queue-ca", "queue-cert", "queue-key", "workers", "drain", "log-level", "log-format":
			own = append(own, x)
		}
	}
	return own
}

// LoadWorker is Load for hayate worker.
func LoadWorker(flags map[string]string, getenv func(string) string, file string) (Settings, error) {
	s, err := load(WorkerList(), flags, getenv, file)
	var errs []error
	if len(s.Tags) == 0 {
		errs = append(errs, fmt.Errorf("--tag is missing: name the tasks that this worker performs: %w", hayate.ErrInvalid))
	}
	for _, tag := range s.Tags {
		if !hayate.ValidTarget("amqp:" + tag) {
			errs = append(errs, fmt.Errorf("tag %q: want letters, digits, dots, dashes and underscores, at most 64: %w", tag, hayate.ErrInvalid))
		}
	}
	if s.Queue == "" && err == nil {
		errs = append(errs, fmt.Errorf("--amqp is missing: name the RabbitMQ, amqps://USER:PASSWORD@HOST/VHOST, or file:PATH: %w", hayate.ErrInvalid))
	}
	return s, errors.Join(append(errs, err)...)
}

// Load reads the settings. flags holds those given on the command line, by name;
// file is the configuration file: where it is "" hayate.yaml in the working
// directory is taken if it is there. All mistakes are reported together.
func Load(flags map[string]string, getenv func(string) string, file string) (Settings, error) {
	s, err := load(List(), flags, getenv, file)
	errs := []error{err}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		errs = append(errs, fmt.Errorf("tls-cert and tls-key belong together, one of them is missing: %w", hayate.ErrInvalid))
	}
	if s.Store == "" && (len(s.Roles) < 3 || s.Queue != "") && len(s.Roles) > 0 {
		errs = append(errs, fmt.Errorf("role and queue are for processes that share a store: name it with --store mongodb://…: %w", hayate.ErrInvalid))
	}
	return s, errors.Join(errs...)
}

// load reads the settings of a list.
func load(all []Setting, flags map[string]string, getenv func(string) string, file string) (Settings, error) {
	var s Settings
	var errs []error
	given, err := readFile(&s, file, all)
	if err != nil {
		errs = append(errs, err)
	}
	for i := range all {
		x := &all[i]
		v, from := x.Default, "default"
		if t, ok := given[x.Name]; ok {
			v, from = t.value, t.place
		}
		if t := getenv(x.Env()); t != "" {
			v, from = t, x.Env()
		}
		if t, ok := flags[x.Name]; ok {
			v, from = t, "--"+x.Name
		}
		if err := x.set(&s, v); err != nil {
			errs = append(errs, fmt.Errorf("%s: %s: %w", from, err, hayate.ErrInvalid))
		}
	}
	if (s.QueueCert == "") != (s.QueueKey == "") {
		errs = append(errs, fmt.Errorf("queue-cert and queue-key belong together, one of them is missing: %w", hayate.ErrInvalid))
	}
	return s, errors.Join(errs...)
}

type placed struct{ value, place string }

// readFile reads the configuration file's flat keys, and webhooks into s.
func readFile(s *Settings, file string, all []Setting) (map[string]placed, error) {
	name := file
	if name == "" {
		name = "hayate.yaml"
	}
	src, err := os.ReadFile(name)
	switch {
	case errors.Is(err, os.ErrNotExist) && file == "":
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read settings: %v: %w", err, hayate.ErrInvalid)
	}
	doc, ds := yamldoc.Parse(src, yamldoc.Options{File: name, RefuseDuplicates: true})
	var errs []error
	for _, d := range ds {
		errs = append(errs, fmt.Errorf("%s: %w", d, hayate.ErrInvalid))
	}
	known := []string{"webhooks"}
	for _, x := range append(List(), WorkerList()...) {
		known = append(known, x.Name) // one file may serve both commands
	}
	out := map[string]placed{}
	for _, e := range doc.Entries() {
		place := fmt.Sprintf("%s:%d:%d", name, e.Key.Line(), e.Key.Column())
		key := e.Name()
		switch {
		case key == "webhooks":
			errs = append(errs, s.readWebhooks(e.Value, name)...)
		case !contains(known, key):
			errs = append(errs, fmt.Errorf("%s: unknown setting %q%s: %w", place, key, yamldoc.Suggest(key, known), hayate.ErrInvalid))
		default:
			out[key] = placed{flat(e.Value), place + ": " + key}
		}
	}
	return out, errors.Join(errs...)
}

// flat is a scalar's text, or a list's joined by commas.
func flat(n *yamldoc.Node) string {
	items := n.Items()
	if len(items) == 0 {
		return n.Text()
	}
	parts := make([]string, len(items))
	for i, it := range items {
		parts[i] = it.Text()
	}
	return strings.Join(parts, ",")
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// Kinds are the ways in which webhooks may be signed.
var kinds = []string{"github", "gitea", "gitlab", "bitbucket", "circleci", "pagerduty", "slack", "standard", "token", "hmac"}

func (s *Settings) readWebhooks(n *yamldoc.Node, file string) []error {
	var errs []error
	s.Webhooks = map[string]Webhook{}
	bad := func(at *yamldoc.Node, format string, args ...any) {
		errs = append(errs, fmt.Errorf("%s:%d:%d: %s: %w", file, at.Line(), at.Column(), fmt.Sprintf(format, args...), hayate.ErrInvalid))
	}
	keys := []string{"kind", "header", "hash", "prefix", "encoding", "secret-file"}
	for _, e := range n.Entries() {
		var w Webhook
		into := map[string]*string{"kind": &w.Kind, "header": &w.Header, "hash": &w.Hash, "prefix": &w.Prefix, "encoding": &w.Encoding}
		for _, f := range e.Value.Entries() {
			name := f.Name()
			if p := into[name]; p != nil {
				*p = f.Value.Text()
				continue
			}
			if name != "secret-file" {
				bad(f.Key, "unknown key %q%s", name, yamldoc.Suggest(name, keys))
				continue
			}
			path := f.Value.Text()
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(file), path)
			}
			b, err := os.ReadFile(path)
			if err != nil {
				bad(f.Value, "%v", err)
			}
			w.Secret = []byte(strings.TrimSpace(string(b)))
		}
		if !contains(kinds, w.Kind) {
			bad(e.Value, "webhook %s: unknown kind %q%s", e.Name(), w.Kind, yamldoc.Suggest(w.Kind, kinds))
		}
		if len(w.Secret) == 0 {
			bad(e.Value, "webhook %s: secret-file is missing or empty", e.Name())
		}
		if (w.Kind == "token" || w.Kind == "hmac") && w.Header == "" {
			bad(e.Value, "webhook %s: kind %s needs header", e.Name(), w.Kind)
		}
		s.Webhooks[e.Name()] = w
	}
	return errs
}

func text(p func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error { *p(s) = v; return nil }
}

// address reads HOST:PORT.
func address(p func(*Settings) *string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		host, port, err := net.SplitHostPort(v)
		if err != nil {
			return fmt.Errorf("found %q, want HOST:PORT, such as 127.0.0.1:9101 or :9101 for all addresses", v)
		}
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return fmt.Errorf("found the port %q, want a number up to 65535; 0 picks a free one", port)
		}
		*p(s) = net.JoinHostPort(host, port)
		return nil
	}
}

func list(p func(*Settings) *[]string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		*p(s) = nil
		for _, x := range strings.Split(v, ",") {
			if x = strings.TrimSpace(x); x != "" {
				*p(s) = append(*p(s), x)
			}
		}
		return nil
	}
}

func oneOf(p func(*Settings) *string, allowed ...string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if !contains(allowed, v) {
			return fmt.Errorf("found %q, want one of %s%s", v, strings.Join(allowed, ", "), yamldoc.Suggest(v, allowed))
		}
		*p(s) = v
		return nil
	}
}

// someOf reads a list of allowed words, each once.
func someOf(p func(*Settings) *[]string, allowed ...string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		*p(s) = nil
		for _, x := range strings.Split(v, ",") {
			x = strings.TrimSpace(x)
			switch {
			case !contains(allowed, x):
				return fmt.Errorf("found %q, want some of %s%s", x, strings.Join(allowed, ", "), yamldoc.Suggest(x, allowed))
			case !contains(*p(s), x):
				*p(s) = append(*p(s), x)
			}
		}
		return nil
	}
}

// remote reads a URL, or the file that holds it: URLs carry passwords. A mistake
// does not show what was found.
func remote(p func(*Settings) *string, schemes ...string) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		if path, ok := strings.CutPrefix(v, "file:"); ok {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			v = strings.TrimSpace(string(b))
			if v == "" {
				return fmt.Errorf("%s is empty", path)
			}
		}
		for _, scheme := range schemes {
			if strings.HasPrefix(v, scheme) {
				*p(s) = v
				return nil
			}
		}
		if v != "" {
			return fmt.Errorf("want an address that begins with %s", strings.Join(schemes, " or "))
		}
		*p(s) = ""
		return nil
	}
}

func boolean(p func(*Settings) *bool) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		b, err := strconv.ParseBool(v)
		if err != nil {
			return fmt.Errorf("found %q, want true or false", v)
		}
		*p(s) = b
		return nil
	}
}

// zone reads the name of a time zone. The host's own is not taken: which one that
// is depends on where the server runs.
func zone(p func(*Settings) **time.Location) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		loc, err := time.LoadLocation(v)
		if err != nil || v == "" || v == "Local" {
			return fmt.Errorf("found %q, want a time zone of the IANA database, such as UTC, Asia/Tokyo or Europe/Berlin", v)
		}
		*p(s) = loc
		return nil
	}
}

func number(p func(*Settings) *int, least int) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		n, err := strconv.Atoi(v)
		if err != nil || n < least {
			return fmt.Errorf("found %q, want a number of at least %d", v, least)
		}
		*p(s) = n
		return nil
	}
}

// duration reads Go's durations, and days: 30d.
func duration(p func(*Settings) *time.Duration, least time.Duration) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		d, err := ParseDuration(v)
		if err != nil || d < least {
			return fmt.Errorf("found %q, want a time such as 30s, 5m, 12h or 30d, at least %s", v, least)
		}
		*p(s) = d
		return nil
	}
}

// ParseDuration is time.ParseDuration that also knows days: 30d, 1d12h.
func ParseDuration(v string) (time.Duration, error) {
	if days, rest, ok := strings.Cut(v, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a duration: %w", v, hayate.ErrInvalid)
		}
		var more time.Duration
		if rest != "" {
			if more, err = time.ParseDuration(rest); err != nil {
				return 0, fmt.Errorf("%q is not a duration: %w", v, hayate.ErrInvalid)
			}
		}
		return time.Duration(n)*24*time.Hour + more, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration: %w", v, hayate.ErrInvalid)
	}
	return d, nil
}

// size reads bytes: 1048576, 64KiB, 1MiB.
func size(p func(*Settings) *int) func(*Settings, string) error {
	return func(s *Settings, v string) error {
		unit := 1
		for suffix, u := range map[string]int{"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30} {
			if t, ok := strings.CutSuffix(v, suffix); ok {
				v, unit = t, u
			}
		}
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 1 || n > 1<<40/unit {
			return fmt.Errorf("found %q, want a size such as 65536, 64KiB or 1MiB", v)
		}
		*p(s) = n * unit
		return nil
	}
}
