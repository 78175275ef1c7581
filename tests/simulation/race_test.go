//go:build race

package simulation_test

// raceEnabled says that the race detector watches.
const raceEnabled = true
