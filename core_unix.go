//go:build unix

package main

import "syscall"

// noCore keeps memory, and the passwords in it, out of core files. Programs
// started from here may raise the limit again.
func noCore() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_CORE, &limit) == nil {
		limit.Cur = 0
		_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit) // lowering one's own limit is always allowed
	}
	undumpable()
}
