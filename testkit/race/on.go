//go:build race

package race

// On says that the race detector watches this build.
const On = true
