//go:build linux || darwin

package disk

import (
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// Of asks for the room on the file system that path, which exists, is on.
func Of(path string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return Space{}, fmt.Errorf("ask for the free space of %s: %w", path, err)
	}
	block := uint64(st.Bsize) //nolint:gosec // a block has a positive size
	return Space{Free: bytesOf(st.Bavail, block), Size: bytesOf(st.Blocks, block)}, nil
}

// bytesOf does not overflow: some file systems claim 2^64 blocks.
func bytesOf(blocks, size uint64) int64 {
	if size == 0 || blocks > math.MaxInt64/size {
		return math.MaxInt64
	}
	return int64(blocks * size) //nolint:gosec // compared above
}

// Full reports whether an error of the system means that a disk, or a user's
// share of it, is full.
func Full(err error) bool { return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) }

// Exhausted reports whether an error of the system means that the process, or
// the machine, has no file descriptor left.
func Exhausted(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }
