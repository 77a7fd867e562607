//go:build race

package engine

// volume is how much of something a test does: a fifth under the race detector, where the store's engine is ten times slower.
func volume(n int) int { return n / 5 }
