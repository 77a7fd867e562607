//go:build unix

package child

import (
	"os"
	"syscall"
)

// killGroup ignores errors: the group may have gone in this very moment, and the caller waits for it anyway.
func killGroup(p *os.Process) { _ = syscall.Kill(-p.Pid, syscall.SIGKILL) }
