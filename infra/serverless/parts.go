// Package serverless puts together what the Lambda functions on the store are
// made of: settings from the environment, the store in MongoDB, the queues of
// SQS, keys, packs. It is one list instead of one in every function, and the only
// package of infra that knows several adapters.
package serverless

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"
	_ "time/tzdata" // rules and timers name time zones, and a function's image has none

	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/aws/sqs"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/infra/packdir"
	"github.com/hayate-run/hayate/infra/packshare"
	"github.com/hayate-run/hayate/infra/serverless/env"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/router/remote"
)

// Parts are what the functions on the store have in common.
type Parts struct {
	Settings env.Settings
	Log      *slog.Logger
	Store    *mongo.Store
	Router   *router.Router
	Secrets  router.Secrets
	// Function is to be completed by the function; it has everything above.
	Function aws.FunctionConfig

	client   *sdk.Client // nil: there are no queues
	unpacked string      // where the packs of the binary are written to
}

// EventQueue is Role.Receives of the function that decides on events.
const EventQueue = "events"

// Role says what a function is.
type Role struct {
	Name    string                             // as in metrics and logs
	Runners func(env.Settings) []router.Runner // nil: none
	// Receives is the target whose queue invokes the function: "" for local tasks,
	// EventQueue for the queue of events, anything else for none.
	Receives string
}

// timerGrace is how late a tick of a timer still counts as in time: functions look
// once a minute, and may miss a turn.
const timerGrace = 5 * time.Minute

// Open makes the parts of a function. It connects to nothing: the first invocation
// does.
func Open(getenv func(string) string, stdout, stderr io.Writer, role Role) (*Parts, error) {
	s, err := env.Load(getenv)
	if err != nil {
		return nil, err
	}
	if s.MongoURI == "" {
		return nil, fmt.Errorf("HAYATE_MONGODB_URI or HAYATE_MONGODB_URI_FILE must be set: %w", hayate.ErrInvalid)
	}
	p := &Parts{Settings: s, Log: s.NewLog(stderr, role.Name), unpacked: filepath.Join(os.TempDir(), "hayate-packs")}
	if p.Store, err = mongo.New(mongo.Config{URI: s.MongoURI, Database: s.MongoDatabase, Serverless: true, Log: p.Log}); err != nil {
		return nil, err
	}
	secrets, err := openSecrets(s)
	if err != nil {
		return nil, err
	}
	p.Secrets = secrets
	queue, err := p.openQueue(getenv)
	if err != nil {
		return nil, err
	}
	retention := s.Retention
	if retention == 0 {
		retention = -1
	}
	var runners []router.Runner
	if role.Runners != nil {
		runners = role.Runners(s)
	}
	p.Router, err = router.New(router.Config{Store: p.Store, Queue: queue, Registry: p.Store.Registry(), Datastore: p.Store.Datastore(),
		Blobs: p.Store.Blobs(), Secrets: secrets, Runners: runners, RunnerTypes: packs.Runners(), Log: p.Log, Workers: -1,
		Lease: s.Lease, SweepEvery: s.Tick, Frozen: p.client != nil, SharedQueue: p.client != nil, Retention: retention,
		Leases: p.Store.Leases(), Timers: p.Store.Timers(), Zone: s.Timezone, TimerGrace: timerGrace})
	if err != nil {
		return nil, err
	}
	content, err := p.content()
	if err != nil {
		return nil, err
	}
	p.Function = aws.FunctionConfig{Router: p.Router, Content: content, HandOver: p.client != nil, Log: p.Log,
		Batches: p.batches(role.Receives), Metrics: &aws.Metrics{Function: role.Name, Out: stdout}}
	return p, nil
}

// Desk applies what workers elsewhere say.
func (p *Parts) Desk() (*remote.Desk, error) {
	return remote.NewDesk(remote.DeskConfig{Router: p.Router, Secrets: p.Secrets, Lease: p.Settings.WorkerLease, Bundle: p.bundle})
}

// bundle is the pack as a worker unpacks it. The packs of the binary are in the
// worker's too.
func (p *Parts) bundle(_ context.Context, ref string) (io.ReadCloser, string, int64, error) {
	for i := range p.Function.Content.Packs {
		x := &p.Function.Content.Packs[i]
		if x.Ref != ref || filepath.Dir(x.Dir) == p.unpacked {
			continue
		}
		var b bytes.Buffer
		if err := packshare.Pack(&b, os.DirFS(x.Dir)); err != nil {
			return nil, "", 0, fmt.Errorf("bundle pack %s: %w", ref, err)
		}
		return io.NopCloser(&b), x.Digest, int64(b.Len()), nil
	}
	return nil, "", 0, fmt.Errorf("pack %s: %w", ref, hayate.ErrNotFound)
}

func openSecrets(s env.Settings) (router.Secrets, error) {
	switch {
	case s.KeyRing != "":
		return keyfile.Parse([]byte(s.KeyRing))
	case s.Keys != "":
		return keyfile.Open(s.Keys)
	}
	return noKeys{}, nil
}

// openQueue is the queue of tasks: SQS, or without it the store's own, which
// nobody is told of.
func (p *Parts) openQueue(getenv func(string) string) (router.Queue, error) {
	if len(p.Settings.Queues) == 0 {
		return p.Store.Queue(), nil
	}
	session, err := aws.Session(getenv)
	if err != nil {
		return nil, err
	}
	p.client = sdk.NewFromConfig(session)
	// Whoever waits in SQS is counted by its own metrics; a function asks for nothing.
	return sqs.NewQueue(sqs.QueueConfig{Client: p.client, URLs: p.Settings.Queues, Others: p.Store.Queue(), DepthEvery: -1, RoundUp: true, Log: p.Log})
}

// batches says what becomes of messages that fail.
func (p *Parts) batches(target string) aws.Batches {
	if p.client == nil {
		return aws.Batches{}
	}
	url := p.Settings.Queues[target]
	if target == EventQueue {
		url = p.Settings.EventQueue
	}
	return Batches(p.client, url, p.Settings.DeadLetters)
}

// Batches says what becomes of messages of the queue with that URL that fail.
func Batches(client *sdk.Client, url, deadLetters string) aws.Batches {
	var b aws.Batches
	if url != "" {
		b.Own, b.OwnName = sqs.NewSender(client, url), url[strings.LastIndexByte(url, '/')+1:]
	}
	if deadLetters != "" {
		b.DeadLetters = sqs.NewSender(client, deadLetters)
	}
	return b
}

// content reads the packs. What is wrong with single files is logged; the rest
// is in effect.
func (p *Parts) content() (router.Content, error) {
	content, found, err := packdir.Load(packdir.Config{Dirs: p.Settings.Packs, Shipped: p.Settings.Shipped,
		Unpack: p.unpacked, Log: p.Log})
	for _, d := range found {
		if d.Severity == packs.Error {
			p.Log.Error("pack file has an error", "at", d.String())
		}
	}
	return content, err
}

// noKeys stands where no keys are configured: nothing secret can be kept.
type noKeys struct{}

var errNoKeys = errors.New("HAYATE_KEY_RING is not set, so secrets can be neither sealed nor opened")

func (noKeys) Seal(string) (string, error) {
	return "", fmt.Errorf("%w: %w", errNoKeys, hayate.ErrInvalid)
}
func (noKeys) Open(string) (string, error) {
	return "", fmt.Errorf("%w: %w", errNoKeys, hayate.ErrInvalid)
}
