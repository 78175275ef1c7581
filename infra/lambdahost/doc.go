// Package lambdahost runs Lambda functions on this host: the real binary of a
// function, as a process behind Lambda's Runtime API, with what Lambda does around
// it: deadlines, concurrency, a restart after a crash or a time-out, SIGTERM
// before the end.
//
// It serves tests and development. It limits neither memory nor CPU, and gives
// the function no credentials.
package lambdahost
