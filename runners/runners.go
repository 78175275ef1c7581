// Package runners holds what packs must know of the runners: the folders below
// perform actions, each in one way, and describe themselves in runner.yaml. This
// package links none of them.
package runners

import (
	"embed"
	"io/fs"
)

//go:embed runners.yaml */runner.yaml
var files embed.FS

// Descriptions returns the YAML files that describe the runners: a mapping from a
// runner's name to its description, aliases, parameters and output each.
func Descriptions() fs.FS { return files }
