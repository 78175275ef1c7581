package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/settings"
)

type flag = pflag.Flag

func (a *app) upCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "up",
		Short: "serve: take events in, apply rules, run actions",
		Long: "Serves until it is told to stop (Ctrl-C, SIGTERM): then it takes no more work and waits for the actions that run.\n" +
			"Each setting may also stand in hayate.yaml, or in the environment as HAYATE_…; flags win over the environment, the environment over the file.",
		Example: "  hayate up --data /var/lib/hayate --packs /etc/hayate/packs\n  hayate up --listen 127.0.0.1:0",
		Args:    exactly(0),
	}
	given := a.settingFlags(c, settings.List())
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := settings.Load(given(), a.Getenv, a.config)
		if err != nil {
			return &exit{exitUsage, err}
		}
		scheme := "http"
		if s.TLSCert != "" {
			scheme = "https"
		}
		err = a.Up(c.Context(), s, a.Stderr, func(addr string) {
			fmt.Fprintf(a.Stdout, "hayate %s serves on %s://%s\n", a.Version, scheme, addr)
		})
		if errors.Is(err, hayate.ErrInvalid) {
			return &exit{exitUsage, err}
		}
		return err
	}
	return c
}

func (a *app) workerCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "worker",
		Short: "perform tasks of a tag behind a firewall: outward connections only, no store",
		Long: "Receives the tasks of its tags from RabbitMQ, performs them here and reports what came of them. It opens no port and touches no store:\n" +
			"all connections lead outwards. What it has claimed and what came of it is kept in its spool until it was answered, so a network that is\n" +
			"away for any time, or the worker's own end, loses nothing. Actions choose a worker by their target, amqp:TAG.",
		Example: "  hayate worker --tag tokyo --amqp file:/etc/hayate/amqp.url --data /var/lib/hayate-worker\n" +
			"  hayate worker --tag tokyo --amqp amqps://mq.example.com/hayate --queue-ca ca.pem --queue-cert worker.pem --queue-key worker.key",
		Args: exactly(0),
	}
	given := a.settingFlags(c, settings.WorkerList())
	c.RunE = func(c *cobra.Command, _ []string) error {
		s, err := settings.LoadWorker(given(), a.Getenv, a.config)
		if err != nil {
			return &exit{exitUsage, err}
		}
		return a.Worker(c.Context(), s, a.Stderr, func(name string) {
			fmt.Fprintf(a.Stdout, "hayate %s works as %s for %s\n", a.Version, name, strings.Join(s.Tags, ", "))
		})
	}
	return c
}

// settingFlags gives a command a flag for each setting; the returned function
// yields those that were given.
func (a *app) settingFlags(c *cobra.Command, all []settings.Setting) func() map[string]string {
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&a.config, "config", "", "configuration file (default: hayate.yaml here, if there is one)")
	values := map[string]*string{}
	for _, s := range all {
		values[s.Name] = f.String(s.Name, s.Default, s.Help+" ("+s.Env()+")")
	}
	return func() map[string]string {
		out := map[string]string{}
		f.Visit(func(x *flag) {
			if v, ok := values[x.Name]; ok {
				out[x.Name] = *v
			}
		})
		return out
	}
}

// background runs the server beside a command and returns its address once it
// serves. stop ends it and waits.
func (a *app) background(ctx context.Context, s settings.Settings) (addr string, stop func() error, err error) {
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan string, 1), make(chan error, 1)
	go func() { done <- a.Up(ctx, s, a.Stderr, func(addr string) { ready <- addr }) }()
	select {
	case addr := <-ready:
		return addr, func() error { cancel(); return <-done }, nil
	case err := <-done:
		cancel()
		return "", nil, err
	}
}
