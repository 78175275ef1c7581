//go:build unix

package spool

import (
	"os"
	"syscall"
)

// hold takes the lock of a folder, which the kernel frees when the process ends.
func hold(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
