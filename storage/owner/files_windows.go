package owner

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// Windows has neither flag; reparse points show as symbolic links or irregular
// files and are refused by system.check.
const (
	noFollow = 0
	noBlock  = 0
)

// checkOwner relies on the access list a file inherits in the person's profile.
func (s system) checkOwner(string, fs.FileInfo) error { return nil }

// checkMode: only the read-only attribute shows in the mode.
func checkMode(path string, info fs.FileInfo) error {
	if info.Mode().Perm()&0o200 == 0 {
		return refuse(path, "is read-only", "clear its read-only attribute")
	}
	return nil
}

func writableDir(string) error { return nil }

func writableFile(string) error { return nil } // checkMode has said it

func dirWarnings(string, fs.FileInfo) []string { return nil }

const stillActive = 259 // STILL_ACTIVE of minwinbase.h

// alive reports whether a process of that id runs; one that may not be asked
// counts.
func alive(pid int) bool {
	if pid <= 0 {
		return false
	}
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return err == windows.ERROR_ACCESS_DENIED
	}
	defer windows.CloseHandle(h)
	var code uint32
	return windows.GetExitCodeProcess(h, &code) != nil || code == stillActive
}
