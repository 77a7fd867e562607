// Package form says how a test runs.
//
// The short form is that of each `go test ./...`. MAILCOTE_LONG=1 asks for the
// full one. The seed of a random test is printed and can be given. Under the
// race detector our code is up to twenty times slower and a program three
// times larger: tests do less there, and do not check figures that are promised
// of an ordinary build.
package form
