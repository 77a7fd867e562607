//go:build unix

package owner

import (
	"fmt"
	"io/fs"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	noFollow = unix.O_NOFOLLOW
	noBlock  = unix.O_NONBLOCK // a FIFO put in a file's place must not hang us
)

func (s system) checkOwner(path string, info fs.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("owner: no Unix stat for %s", path)
	}
	if int(st.Uid) != s.uid {
		return refuse(path, fmt.Sprintf("belongs to another user (uid %d, not %d)", st.Uid, s.uid),
			"run as that user, or choose another --store")
	}
	if st.Nlink > 1 {
		return refuse(path, fmt.Sprintf("has %d hard links", st.Nlink), "copy it, and use the copy")
	}
	return nil
}

func checkMode(path string, info fs.FileInfo) error {
	mode := info.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if mode == 0o600 {
		return nil
	}
	what := "has an unusual mode"
	switch {
	case mode&0o077 != 0:
		what = "is open to other users"
	case mode&0o200 == 0:
		what = "is read-only"
	}
	return refuse(path, fmt.Sprintf("%s (mode %04o)", what, bits(mode)), "run chmod 600 "+printable(path))
}

// bits writes a mode as chmod does.
func bits(mode fs.FileMode) uint32 {
	all := uint32(mode.Perm())
	for bit, flag := range map[uint32]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if mode&flag != 0 {
			all |= bit
		}
	}
	return all
}

func writableDir(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}

func writableFile(path string) error {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS)
}

func dirWarnings(dir string, info fs.FileInfo) []string {
	if info.Mode().Perm()&0o002 == 0 || info.Mode()&fs.ModeSticky != 0 {
		return nil
	}
	return []string{fmt.Sprintf("every user can replace files in %s: run chmod o-w %s", printable(dir), printable(dir))}
}

// alive reports whether a process of that id exists; a foreign user's counts.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	err := unix.Kill(pid, 0)
	return err == nil || err == unix.EPERM
}
