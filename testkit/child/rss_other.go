//go:build !linux

package child

import "time"

func peakRSS(int) int64 { return 0 }

func groupCPU(int) time.Duration { return 0 }

// ResetPeak resets this process's peak of memory and gives what it holds now,
// in bytes.
func ResetPeak() int64 { return 0 }

// Peak is this process's peak of memory since ResetPeak, in bytes; 0 where the system does not tell.
func Peak() int64 { return 0 }
