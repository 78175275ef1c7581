// Package awstest gives tests SQS, S3, SNS and EventBridge: those of the emulator
// that HAYATE_TEST_AWS_ENDPOINT names, or else of one in memory that lives as
// long as the test process and that tests/aws/build.sh installs. Where there is
// neither, tests are skipped; with HAYATE_REQUIRE_SERVERS=1, they fail.
package awstest

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	hayateaws "github.com/hayate-run/hayate/infra/aws"
)

// The environment variables that the package reads.
const (
	EnvEndpoint = "HAYATE_TEST_AWS_ENDPOINT"
	EnvRequire  = "HAYATE_REQUIRE_SERVERS"
)

const startTimeout = 60 * time.Second

// Server is an emulator that is started when it is first needed. A test package
// has one, as a variable of TestMain, and stops it when its tests have run. Its
// methods may be called from many goroutines.
type Server struct {
	once     sync.Once
	endpoint string
	err      error
	skip     error // why there is none
	cmd      *exec.Cmd
	stdin    io.Closer
}

// Endpoint returns the emulator's URL. The test is skipped where there is none.
func (s *Server) Endpoint(t testing.TB) string {
	t.Helper()
	s.once.Do(s.start)
	switch {
	case s.err != nil:
		t.Fatalf("start an emulator of AWS: %v", s.err)
	case s.skip != nil && os.Getenv(EnvRequire) == "1":
		t.Fatalf("no emulator of AWS, and %s=1 demands one: %v", EnvRequire, s.skip)
	case s.skip != nil:
		t.Skipf("no emulator of AWS: %v", s.skip)
	}
	return s.endpoint
}

// Env are the variables by which the SDK finds the emulator.
func (s *Server) Env(t testing.TB) []string {
	t.Helper()
	return []string{"AWS_ENDPOINT_URL=" + s.Endpoint(t), "AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true"}
}

// Session is the SDK's configuration for the emulator.
func (s *Server) Session(t testing.TB) aws.Config {
	t.Helper()
	env := map[string]string{}
	for _, v := range s.Env(t) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	c, err := hayateaws.Session(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// SQS is a client of the emulator.
func (s *Server) SQS(t testing.TB) *sqs.Client {
	t.Helper()
	return sqs.NewFromConfig(s.Session(t))
}

// S3 is a client of the emulator.
func (s *Server) S3(t testing.TB) *s3.Client {
	t.Helper()
	return s3.NewFromConfig(s.Session(t), func(o *s3.Options) { o.UsePathStyle = true })
}

// Name returns a name that no other test uses.
func Name(prefix string) string {
	b := make([]byte, 6)
	rand.Read(b) // never fails
	return prefix + "-" + hex.EncodeToString(b)
}

// Queue makes a queue of the test's own and returns its URL.
func (s *Server) Queue(t testing.TB, attributes map[string]string) string {
	t.Helper()
	c, name := s.SQS(t), Name("test")
	out, err := c.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: attributes})
	if err != nil {
		t.Fatalf("create a queue: %v", err)
	}
	t.Cleanup(func() {
		if _, err := c.DeleteQueue(context.Background(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl}); err != nil {
			t.Errorf("delete the queue: %v", err)
		}
	})
	return *out.QueueUrl
}

// ARN returns a queue's ARN.
func (s *Server) ARN(t testing.TB, url string) string {
	t.Helper()
	out, err := s.SQS(t).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn}})
	if err != nil {
		t.Fatalf("read the queue's attributes: %v", err)
	}
	return out.Attributes[string(types.QueueAttributeNameQueueArn)]
}

// Bucket makes a bucket of the test's own and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := Name("test")
	if _, err := s.S3(t).CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatalf("create a bucket: %v", err)
	}
	return name
}

func (s *Server) start() {
	if url := os.Getenv(EnvEndpoint); url != "" {
		s.endpoint = strings.TrimRight(url, "/")
		return
	}
	dir, err := folder()
	if err != nil {
		s.skip = err
		return
	}
	s.err = s.launch(filepath.Join(dir, "target", "venv", "bin", "python"), filepath.Join(dir, "server.py"))
}

// folder is tests/aws of the module that the test runs in.
func folder() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod here or above")
		}
		dir = up
	}
	dir = filepath.Join(dir, "tests", "aws")
	if _, err := os.Stat(filepath.Join(dir, "target", "venv", "bin", "python")); err != nil {
		return "", fmt.Errorf("%w; run tests/aws/build.sh, or set %s", err, EnvEndpoint)
	}
	return dir, nil
}

// launch starts the emulator and waits until it answers. It ends with its
// standard input, so that it does not outlive this process.
func (s *Server) launch(python, script string) error {
	cmd := exec.Command(python, script)
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	s.cmd, s.stdin = cmd, in
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Kill() // it did not answer; the read below ends
	})
	defer stop()
	port, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the emulator ended, or did not answer within %s: %w", startTimeout, err)
	}
	s.endpoint = "http://127.0.0.1:" + strings.TrimSpace(port)
	return answers(ctx, s.endpoint)
}

// answers waits until a server answers, whatever it says.
func answers(ctx context.Context, url string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		res, err := http.DefaultClient.Do(req)
		if err == nil {
			return res.Body.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the emulator does not answer: %w", err)
		}
	}
}

// Stop ends the emulator, if one was started.
func (s *Server) Stop() {
	if s.cmd == nil {
		return
	}
	s.stdin.Close()          // it ends with it; killing makes sure
	_ = s.cmd.Process.Kill() // it may have ended already
	_ = s.cmd.Wait()         // killed: the error says so
}
