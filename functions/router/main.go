// Command router is the Lambda function that takes events of SNS, EventBridge,
// SQS and everything else that hayate recognises, routes them into MongoDB, and
// does at once what needs no host.
package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/aws"
	"github.com/hayate-run/hayate/infra/keyfile"
	"github.com/hayate-run/hayate/infra/mongo"
	"github.com/hayate-run/hayate/infra/packdir"
	"github.com/hayate-run/hayate/packs"
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/noop"
)

func main() {
	f, err := build(os.Getenv, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "router:", err)
		os.Exit(1)
	}
	lambda.Start(f.Invoke)
}

// build makes the function from its environment:
//
//	HAYATE_MONGODB_URI       the store; or
//	HAYATE_MONGODB_URI_FILE  a file that holds it
//	HAYATE_MONGODB_DATABASE  the database; default: the one that the URI names, else hayate
//	HAYATE_PACKS             folders of packs, separated by colons; default: packs beside the binary
//	HAYATE_SHIPPED           packs of the binary to register too, separated by commas; default core
//	HAYATE_KEYS              folder of the keys that seal secrets; without it, none can be sealed
//	HAYATE_LEASE             longer than the function's time-out; default 1m
//	HAYATE_LOG_LEVEL         debug, info, warn or error; default info
func build(getenv func(string) string, stderr io.Writer) (*aws.Function, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(or(getenv("HAYATE_LOG_LEVEL"), "info"))); err != nil {
		return nil, fmt.Errorf("HAYATE_LOG_LEVEL: %v: %w", err, hayate.ErrInvalid)
	}
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level}))
	uri, err := secret(getenv, "HAYATE_MONGODB_URI")
	if err != nil {
		return nil, err
	}
	lease, err := time.ParseDuration(or(getenv("HAYATE_LEASE"), "1m"))
	if err != nil {
		return nil, fmt.Errorf("HAYATE_LEASE: %v: %w", err, hayate.ErrInvalid)
	}
	store, err := mongo.New(mongo.Config{URI: uri, Database: getenv("HAYATE_MONGODB_DATABASE"), Serverless: true, Log: log})
	if err != nil {
		return nil, err
	}
	var secrets router.Secrets = noKeys{}
	if dir := getenv("HAYATE_KEYS"); dir != "" {
		if secrets, err = keyfile.Open(dir); err != nil {
			return nil, err
		}
	}
	rt, err := router.New(router.Config{Store: store, Queue: store.Queue(), Registry: store.Registry(), Datastore: store.Datastore(),
		Blobs: store.Blobs(), Secrets: secrets, Runners: []router.Runner{noop.New()}, Log: log, Workers: -1, Lease: lease})
	if err != nil {
		return nil, err
	}
	content, err := content(getenv, log)
	if err != nil {
		return nil, err
	}
	return aws.NewFunction(aws.FunctionConfig{Router: rt, Content: content, Log: log})
}

// content reads the packs. What is wrong with single files is logged; the rest
// is in effect.
func content(getenv func(string) string, log *slog.Logger) (router.Content, error) {
	dirs := filepath.SplitList(getenv("HAYATE_PACKS"))
	if len(dirs) == 0 {
		dir := filepath.Join(or(getenv("LAMBDA_TASK_ROOT"), "/var/task"), "packs")
		if _, err := os.Stat(dir); err == nil {
			dirs = []string{dir}
		}
	}
	content, found, err := packdir.Load(packdir.Config{Dirs: dirs, Shipped: strings.Split(or(getenv("HAYATE_SHIPPED"), "core"), ","),
		Unpack: filepath.Join(os.TempDir(), "hayate-packs"), Log: log})
	for _, d := range found {
		if d.Severity == packs.Error {
			log.Error("pack file refused", "at", d.String())
		}
	}
	return content, err
}

// secret reads what a variable holds, or the file that the variable with _FILE names.
func secret(getenv func(string) string, name string) (string, error) {
	if v := getenv(name); v != "" {
		return v, nil
	}
	file := getenv(name + "_FILE")
	if file == "" {
		return "", fmt.Errorf("%s or %s_FILE must be set: %w", name, name, hayate.ErrInvalid)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("%s_FILE: %v: %w", name, err, hayate.ErrInvalid)
	}
	return strings.TrimSpace(string(b)), nil
}

func or(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}

// noKeys stands where no keys are configured: nothing secret can be kept.
type noKeys struct{}

var errNoKeys = errors.New("HAYATE_KEYS is not set, so secrets can be neither sealed nor opened")

func (noKeys) Seal(string) (string, error) {
	return "", fmt.Errorf("%w: %w", errNoKeys, hayate.ErrInvalid)
}
func (noKeys) Open(string) (string, error) {
	return "", fmt.Errorf("%w: %w", errNoKeys, hayate.ErrInvalid)
}
