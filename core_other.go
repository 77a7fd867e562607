//go:build !unix

package main

// noCore has nothing to do: there are no core files.
func noCore() {}
