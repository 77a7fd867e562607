//go:build race

package form

// Race reports whether the race detector is on in this build.
const Race = true
