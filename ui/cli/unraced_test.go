//go:build !race

package cli_test

// raced says that the race detector is on: programs take ten times the memory and the time.
const raced = false
