//go:build unix && !linux

package main

// undumpable has nothing to add to the limit here.
func undumpable() {}
