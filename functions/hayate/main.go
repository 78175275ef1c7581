// Command hayate is the server and the command line in one binary.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // timers and templates name time zones, also where the host has none

	"github.com/hayate-run/hayate/infra/cli"
)

// version is stamped at build time: -ldflags "-X main.version=…".
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with the world handed in. A second signal ends the process at once:
// signal.NotifyContext is released as soon as the first has arrived.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	context.AfterFunc(ctx, func() { signal.Reset(os.Interrupt, syscall.SIGTERM) })
	return cli.Run(ctx, cli.World{
		Args: args, Getenv: getenv, Stdin: stdin, Stdout: stdout, Stderr: stderr, Version: version,
		Up: up, Worker: worker, LambdaLocal: lambdaLocal, LambdaPlan: lambdaPlan, OpenStore: openStore, CreateToken: createToken,
	})
}
