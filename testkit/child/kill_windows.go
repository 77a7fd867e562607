package child

import (
	"os"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

// killGroup ends the program only: Windows has no process groups in this sense.
func killGroup(p *os.Process) { _ = p.Kill() }
