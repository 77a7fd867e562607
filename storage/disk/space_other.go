//go:build !linux && !darwin && !windows

package disk

import (
	"errors"
	"syscall"
)

// Of does not know this system: nothing is ever short.
func Of(string) (Space, error) { return Space{}, nil }

// Full reports whether an error of the system means that a disk, or a user's
// share of it, is full.
func Full(err error) bool { return errors.Is(err, syscall.ENOSPC) }

// Exhausted reports whether an error of the system means that the process has
// no file descriptor left.
func Exhausted(err error) bool { return errors.Is(err, syscall.EMFILE) }
