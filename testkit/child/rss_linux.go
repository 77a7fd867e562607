package child

import (
	"bytes"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
)

// peakRSS reads VmHWM; 0 when the process is gone.
func peakRSS(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(status, []byte("VmHWM:"))
	if !found {
		return 0
	}
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}

// ResetPeak resets this process's peak of memory and gives what it holds now,
// in bytes.
func ResetPeak() int64 {
	debug.FreeOSMemory()
	// The peak stays the old one where the kernel does not allow this.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
	return Peak()
}

// Peak is this process's peak of memory since ResetPeak, in bytes; 0 where the system does not tell.
func Peak() int64 { return peakRSS(os.Getpid()) }
