//go:build !unix

package spool

import "os"

// hold does nothing where there are no such locks: give each worker its own folder.
func hold(*os.File) error { return nil }
