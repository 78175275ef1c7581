// Package all lists the runners of a worker on a host. There is no registry: a new
// runner is a line here.
package all

import (
	"github.com/hayate-run/hayate/router"
	"github.com/hayate-run/hayate/runners/amqp"
	"github.com/hayate-run/hayate/runners/aws"
	"github.com/hayate-run/hayate/runners/http"
	"github.com/hayate-run/hayate/runners/inquirer"
	"github.com/hayate-run/hayate/runners/noop"
	"github.com/hayate-run/hayate/runners/shell"
)

// Config is what runners want to know of the process that links them.
type Config struct {
	Version string // of hayate, as it introduces itself to servers
	AWS     aws.Config
}

// New returns one of each runner.
func New(c Config) []router.Runner {
	return []router.Runner{
		noop.New(),
		inquirer.New(),
		shell.New(shell.Config{}),
		http.New(http.Config{Version: c.Version}),
		aws.New(c.AWS),
		amqp.New(),
	}
}
