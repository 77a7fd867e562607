package main

import (
	"fmt"
	"syscall"
)

// roomy is the size of the disk when it is not full, in bytes.
const roomy = 256 << 20

// disk is the file system the store lies on.
type disk struct {
	at    string
	small bool // it is a tmpfs of our own
}

func (d disk) String() string {
	if d.small {
		return "a tmpfs that is filled"
	}
	return "left alone (filling it takes root)"
}

// mount gives the store a disk of its own where that is allowed.
func mount(at string) disk {
	err := syscall.Mount("tmpfs", at, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", roomy))
	return disk{at, err == nil}
}

// fill leaves room for little more than what is there.
func (d disk) fill() error {
	var now syscall.Statfs_t
	if err := syscall.Statfs(d.at, &now); err != nil {
		return fmt.Errorf("the disk: %w", err)
	}
	used := int64(now.Blocks-now.Bfree) * now.Bsize
	return d.resize(used + 64<<10)
}

// free makes room again.
func (d disk) free() error { return d.resize(roomy) }

func (d disk) resize(bytes int64) error {
	// more was written meanwhile
	if err := syscall.Mount("tmpfs", d.at, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", bytes)); err != nil &&
		err != syscall.EINVAL {
		return fmt.Errorf("resize the disk: %w", err)
	}
	return nil
}

func (d disk) unmount() error {
	if !d.small {
		return nil
	}
	if err := syscall.Unmount(d.at, syscall.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount %s: %w", d.at, err)
	}
	return nil
}
