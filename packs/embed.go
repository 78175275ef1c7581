package packs

import (
	"embed"
	"io/fs"
)

// all: keeps files that begin with a dot or an underscore, too.
//
//go:embed all:amqp all:aws all:core all:hello all:samples
var shipped embed.FS

// Shipped returns the packs that come with hayate, a folder each: core, which
// rules and workflows count on, aws, for Amazon's services, amqp, for RabbitMQ, and hello and
// samples, to start from.
func Shipped() fs.FS { return shipped }
