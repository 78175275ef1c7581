// Package memory implements the ports of router in the memory of one process.
// It forgets everything when the process ends. It is the fake of the unit tests,
// and the plainest reading of what the ports promise: where another adapter
// behaves differently, one of the two is wrong.
package memory
