//go:build !linux

package child

func peakRSS(int) int64 { return 0 }
