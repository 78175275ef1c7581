package lambdahost

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/hayate-run/hayate"
)

// StackConfig is what a Stack needs. Template, Command and Session are required.
type StackConfig struct {
	Template *Template
	Name     string // of the stack, and what the names of its queues begin with; default hayate
	// Command is the binary of the function with that logical id.
	Command func(id string) []string
	// Env is added to every function's environment, and wins over the template's.
	Env map[string]string
	// Session reaches an emulator of SQS and S3, in which the stack's queues and
	// buckets are made. It must name an endpoint: nothing is made in AWS itself.
	Session aws.Config
	// Concurrency is the most processes of a function at once; default 4.
	Concurrency int
	// Visibility replaces the queues' visibility time-outs; default: the template's.
	Visibility time.Duration
	// Unreliable delivers messages in disorder and some of them twice, and refuses
	// some batches, as SQS and a throttled function do.
	Unreliable bool
	// Listen is the host that functions' URLs are served on; default 127.0.0.1.
	Listen string
	Log    *slog.Logger // default: silence
	// Output takes what functions write; default: nowhere.
	Output io.Writer
}

// Stack runs the functions of a template with what invokes them: queues, URLs,
// schedules, and Lambda's API for invocations. Run it once.
type Stack struct {
	c         StackConfig
	queues    *sqs.Client
	buckets   *s3.Client
	urls      map[string]string    // of queues and functions, by logical id
	functions map[string]*deployed // by logical id
	api       net.Listener
	listeners map[string]net.Listener // of functions' URLs, by logical id
	work      sync.WaitGroup          // asynchronous invocations
}

// deployed is a function of the stack.
type deployed struct {
	*Function
	id, name string
	resource Resource
}

// NewStack reads what the template says. It starts nothing.
func NewStack(c StackConfig) (*Stack, error) {
	if c.Template == nil || c.Command == nil {
		return nil, fmt.Errorf("stack: Template and Command are required: %w", hayate.ErrInvalid)
	}
	if c.Session.BaseEndpoint == nil {
		return nil, fmt.Errorf("no emulator is named; set AWS_ENDPOINT_URL: %w", hayate.ErrInvalid)
	}
	if c.Name == "" {
		c.Name = "hayate"
	}
	if c.Concurrency == 0 {
		c.Concurrency = 4
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1"
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Output == nil {
		c.Output = io.Discard
	}
	c.Output = &locked{w: c.Output}
	return &Stack{c: c, queues: sqs.NewFromConfig(c.Session), buckets: s3.NewFromConfig(c.Session, func(o *s3.Options) { o.UsePathStyle = true }),
		urls: map[string]string{}, functions: map[string]*deployed{}, listeners: map[string]net.Listener{}}, nil
}

// Run makes the queues and buckets, serves until ctx ends, and calls ready once
// all is served. Processes end before it returns; queues and buckets stay.
func (s *Stack) Run(ctx context.Context, ready func(*Stack)) (err error) {
	if err := s.create(ctx); err != nil {
		return err
	}
	defer s.close()
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.deploy(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	servers := []*http.Server{s.serve(&group, s.api, s.invocations())}
	for id, l := range s.listeners {
		servers = append(servers, s.serve(&group, l, s.url(s.functions[id])))
	}
	for _, id := range slices.Sorted(maps.Keys(s.functions)) {
		if err := s.subscribe(ctx, &group, s.functions[id]); err != nil {
			cancel()
			group.Wait()
			return errors.Join(err, closeAll(servers))
		}
	}
	ready(s)
	<-ctx.Done()
	err = closeAll(servers)
	group.Wait()
	return err
}

func closeAll(servers []*http.Server) error {
	var errs []error
	for _, srv := range servers {
		errs = append(errs, srv.Close())
	}
	return errors.Join(errs...)
}

// serve serves until the server is closed.
func (s *Stack) serve(group *sync.WaitGroup, l net.Listener, h http.Handler) *http.Server {
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(s.c.Log.Handler(), slog.LevelDebug)}
	group.Go(func() { _ = srv.Serve(l) }) // ends when it is closed, and says just that
	return srv
}

// close ends the processes and the listeners.
func (s *Stack) close() {
	var group sync.WaitGroup
	for _, f := range s.functions {
		group.Go(func() { _ = f.Close() }) // always nil
	}
	group.Wait()
	s.work.Wait() // they end with the functions
	if s.api != nil {
		s.api.Close()
	}
	for _, l := range s.listeners {
		l.Close()
	}
}

// URL is where a queue or a function's URL is, "" where it has none.
func (s *Stack) URL(id string) string { return s.urls[id] }

// URLs are the addresses of the functions that have one.
func (s *Stack) URLs() map[string]string {
	out := map[string]string{}
	for id := range s.listeners {
		out[id] = s.urls[id]
	}
	return out
}

// Function is the function with a logical id, nil where there is none.
func (s *Stack) Function(id string) *Function {
	if f := s.functions[id]; f != nil {
		return f.Function
	}
	return nil
}

// queueAttributes are those of a template's queue that are an emulator's too.
var queueAttributes = []string{"VisibilityTimeout", "DelaySeconds", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "FifoQueue", "ContentBasedDeduplication"}

// create makes the queues, those for dead letters first, and the buckets.
func (s *Stack) create(ctx context.Context) error {
	list, err := s.c.Template.Resources("AWS::SQS::Queue")
	if err != nil {
		return err
	}
	slices.SortStableFunc(list, func(a, b Resource) int {
		return boolInt(a.Properties["RedrivePolicy"] != nil) - boolInt(b.Properties["RedrivePolicy"] != nil)
	})
	arns := map[string]string{}
	s.c.Template.Value = func(id, attribute string) string {
		switch {
		case attribute == "Arn" && arns[id] != "":
			return arns[id]
		case attribute == "QueueName":
			return s.physical(id)
		case attribute == "" && s.urls[id] != "", attribute == "FunctionUrl":
			return s.urls[strings.TrimSuffix(id, "Url")]
		case attribute == "Arn":
			return "arn:aws:lambda:" + region + ":" + accountID + ":function:" + s.physical(id)
		}
		return s.physical(id)
	}
	for _, r := range list {
		attributes := map[string]string{}
		for _, a := range queueAttributes {
			if v, ok := r.Properties[a]; ok {
				attributes[a] = textOf(v)
			}
		}
		if _, ok := attributes["VisibilityTimeout"]; ok && s.c.Visibility > 0 {
			attributes["VisibilityTimeout"] = strconv.Itoa(int(s.c.Visibility / time.Second))
		}
		if dead, ok := at(r.Properties, "RedrivePolicy").(map[string]any); ok {
			attributes["RedrivePolicy"] = textOf(map[string]any{"maxReceiveCount": dead["maxReceiveCount"], "deadLetterTargetArn": arns[s.idOf(list, textOf(dead["deadLetterTargetArn"]), arns)]})
		}
		name := s.physical(r.ID)
		out, err := s.queues.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
		if err != nil {
			return fmt.Errorf("make queue %s: %w", name, err)
		}
		s.urls[r.ID] = aws.ToString(out.QueueUrl)
		if arns[r.ID], err = s.arn(ctx, s.urls[r.ID]); err != nil {
			return err
		}
	}
	list, err = s.c.Template.Resources("AWS::S3::Bucket")
	for _, r := range list {
		name := strings.ToLower(s.physical(r.ID))
		if _, e := s.buckets.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); e != nil {
			return fmt.Errorf("make bucket %s: %w", name, e)
		}
		s.urls[r.ID] = name
	}
	return err
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// idOf finds the queue that a resolved ARN is of: properties were resolved before
// the queues were made, so that it may be a name of our own.
func (s *Stack) idOf(list []Resource, arn string, arns map[string]string) string {
	for _, r := range list {
		if arn == arns[r.ID] || strings.Contains(arn, r.ID+".") || strings.HasSuffix(arn, s.physical(r.ID)) {
			return r.ID
		}
	}
	return ""
}

func (s *Stack) arn(ctx context.Context, url string) (string, error) {
	out, err := s.queues.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		return "", fmt.Errorf("read the ARN of %s: %w", url, err)
	}
	return out.Attributes[string(types.QueueAttributeNameQueueArn)], nil
}

// physical is the name of a resource that has no name of its own.
func (s *Stack) physical(id string) string { return s.c.Name + "-" + id }

// listen takes the ports of Lambda's API and of the functions' URLs.
func (s *Stack) listen() (err error) {
	if s.api, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("serve Lambda's API: %w", err)
	}
	list, err := s.c.Template.Resources("AWS::Serverless::Function")
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Properties["FunctionUrlConfig"] == nil {
			continue
		}
		if s.listeners[r.ID], err = net.Listen("tcp", net.JoinHostPort(s.c.Listen, "0")); err != nil {
			return fmt.Errorf("serve the URL of %s: %w", r.ID, err)
		}
		s.urls[r.ID] = "http://" + s.listeners[r.ID].Addr().String() + "/"
	}
	return nil
}

// deploy makes the functions, with every reference known by now.
func (s *Stack) deploy() error {
	list, err := s.c.Template.Resources("AWS::Serverless::Function")
	if err != nil {
		return err
	}
	for _, r := range list {
		name := strings.Replace(textOf(r.Properties["FunctionName"]), pseudo["AWS::StackName"], s.c.Name, 1)
		if name == "" {
			name = s.physical(r.ID)
		}
		timeout, _ := strconv.Atoi(textOf(r.Properties["Timeout"])) // 0, which is the default, for none
		memory, _ := strconv.Atoi(textOf(r.Properties["MemorySize"]))
		f, err := New(Config{Name: name, Command: s.c.Command(r.ID), Env: s.environment(r), Memory: memory, Timeout: time.Duration(timeout) * time.Second,
			Concurrency: s.c.Concurrency, Log: s.c.Output})
		if err != nil {
			return err
		}
		s.functions[r.ID] = &deployed{Function: f, id: r.ID, name: name, resource: r}
	}
	return nil
}

// environment are a function's variables. What the template takes out of a store
// of secrets is left out unless Env gives it.
func (s *Stack) environment(r Resource) []string {
	env := map[string]string{}
	if v, ok := at(r.Properties, "Environment", "Variables").(map[string]any); ok {
		for name, value := range v {
			if text := textOf(value); !strings.Contains(text, "{{") {
				env[name] = text
			}
		}
	}
	credentials, err := s.c.Session.Credentials.Retrieve(context.Background())
	if err == nil {
		env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"], env["AWS_SESSION_TOKEN"] = credentials.AccessKeyID, credentials.SecretAccessKey, credentials.SessionToken
	}
	env["AWS_ENDPOINT_URL"], env["AWS_ENDPOINT_URL_LAMBDA"] = *s.c.Session.BaseEndpoint, "http://"+s.api.Addr().String()
	maps.Copy(env, s.c.Env)
	list := make([]string, 0, len(env))
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}

// subscribe begins what invokes a function.
func (s *Stack) subscribe(ctx context.Context, group *sync.WaitGroup, f *deployed) error {
	all, _ := f.resource.Properties["Events"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		properties, _ := at(all[name], "Properties").(map[string]any)
		switch typ := textOf(at(all[name], "Type")); typ {
		case "SQS":
			p, err := s.poller(f, properties)
			if err != nil {
				return fmt.Errorf("event %s of %s: %w", name, f.id, err)
			}
			for range p.width {
				group.Go(func() { p.run(ctx) })
			}
		case "Schedule", "ScheduleV2":
			every, err := rate(textOf(first(properties["ScheduleExpression"], properties["Schedule"])))
			if err != nil {
				return fmt.Errorf("event %s of %s: %w", name, f.id, err)
			}
			if textOf(properties["State"]) == "DISABLED" {
				continue
			}
			group.Go(func() { s.tick(ctx, f, every, textOf(properties["Input"])) })
		default:
			s.c.Log.Warn("event source not served here", "function", f.id, "event", name, "type", typ)
		}
	}
	return nil
}

func first(a, b any) any {
	if a != nil {
		return a
	}
	return b
}

// rate reads rate(N unit).
func rate(expression string) (time.Duration, error) {
	var n int
	var unit string
	if _, err := fmt.Sscanf(strings.Trim(strings.TrimPrefix(expression, "rate"), "()"), "%d %s", &n, &unit); err == nil && n > 0 {
		switch strings.TrimSuffix(unit, "s") {
		case "minute":
			return time.Duration(n) * time.Minute, nil
		case "hour":
			return time.Duration(n) * time.Hour, nil
		case "day":
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	return 0, fmt.Errorf("schedule %q: only rate(N minutes|hours|days) is served here: %w", expression, hayate.ErrInvalid)
}

// tick invokes a function at a rate.
func (s *Stack) tick(ctx context.Context, f *deployed, every time.Duration, input string) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if input == "" {
			input = `{"source":"aws.events","detail-type":"Scheduled Event","detail":{}}`
		}
		if _, err := f.Invoke(ctx, []byte(input)); err != nil && ctx.Err() == nil {
			s.c.Log.Error("scheduled invocation failed", "function", f.id, "err", err)
		}
	}
}
