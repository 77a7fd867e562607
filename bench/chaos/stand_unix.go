//go:build unix

package main

import (
	"syscall"

	"mailcote/testkit/child"
)

// stand stops a program where it is.
func stand(p *child.Proc) error { return p.Signal(syscall.SIGSTOP) }

// walk lets it go on.
func walk(p *child.Proc) error { return p.Signal(syscall.SIGCONT) }
