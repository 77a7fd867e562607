// Package form says in which form a test runs: the short one of each `go test ./...`, or the full one that
// MAILCOTE_LONG=1 asks for; from which seed; and whether the race detector is on, which makes our code up to
// twenty times slower and a program three times larger: less is done then, and figures that are promised of an
// ordinary build are not asked for.
package form
