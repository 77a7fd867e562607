//go:build race

package form

// Race says that the race detector watches this build.
const Race = true
