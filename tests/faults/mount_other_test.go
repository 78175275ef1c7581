//go:build !linux

package faults_test

import "errors"

var errNoMount = errors.New("only Linux's mounts are known")

func mount(string, string, string, uintptr, string) error { return errNoMount }
func remountReadOnly(string) error                        { return errNoMount }
func unmount(string) error                                { return errNoMount }
