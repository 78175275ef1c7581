package routertest

import "testing"

var historyTests, upkeepTests, durabilityTests map[string]func(*testing.T, *fixture)
