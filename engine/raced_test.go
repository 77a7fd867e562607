//go:build race

package engine

import "time"

// volume is how much of something a test does: a fifth under the race detector, where the store's engine is ten times slower.
func volume(n int) int { return n / 5 }

// patience is how long a server may be silent in tests that do not want to wait.
const patience = 5 * time.Second

const raced = true
