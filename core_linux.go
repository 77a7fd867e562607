package main

import "golang.org/x/sys/unix"

// undumpable keeps a crash handler that is given cores by a pipe, which no limit stops, and other processes of this person from
// reading memory.
func undumpable() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // every Linux has it
}
