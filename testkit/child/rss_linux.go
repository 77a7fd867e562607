package child

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"time"
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

// clockTick is the unit of times in /proc: USER_HZ is 100 on every Linux that
// Go runs on (proc(5), sysconf(3)).
const clockTick = time.Second / 100

// groupCPU adds up /proc/PID/stat of a process group. What ended is in the
// figures of the process that waited for it.
func groupCPU(group int) (total time.Duration) {
	all, _ := filepath.Glob("/proc/[0-9]*/stat") // the pattern is sound
	for _, path := range all {
		stat, err := os.ReadFile(path)
		if err != nil { // it has just ended
			continue
		}
		// pid (comm) state ppid pgrp …: comm may hold blanks and brackets
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		const pgrp, utime, cstime = 2, 11, 14
		if len(fields) <= cstime || string(fields[pgrp]) != strconv.Itoa(group) {
			continue
		}
		for _, field := range fields[utime : cstime+1] { // utime, stime, cutime, cstime
			ticks, err := strconv.ParseInt(string(field), 10, 64)
			if err == nil {
				total += time.Duration(ticks) * clockTick
			}
		}
	}
	return total
}
