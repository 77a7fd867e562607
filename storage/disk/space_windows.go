package disk

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// Of asks for the room on the volume that path is on.
func Of(path string) (Space, error) {
	dir, err := windows.UTF16PtrFromString(filepath.Dir(path))
	if err != nil {
		return Space{}, fmt.Errorf("ask for the free space of %s: %w", path, err)
	}
	var free, size uint64
	if err := windows.GetDiskFreeSpaceEx(dir, &free, &size, nil); err != nil {
		return Space{}, fmt.Errorf("ask for the free space of %s: %w", path, err)
	}
	//nolint:gosec // bounded
	return Space{Free: int64(min(free, math.MaxInt64)), Size: int64(min(size, math.MaxInt64))}, nil
}

// Full reports whether an error of the system means that a disk, or a user's
// share of it, is full.
func Full(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) ||
		errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED)
}

// Exhausted reports whether an error of the system means that the process has
// no handle left.
func Exhausted(err error) bool {
	return errors.Is(err, windows.ERROR_TOO_MANY_OPEN_FILES) || errors.Is(err, windows.WSAEMFILE)
}
