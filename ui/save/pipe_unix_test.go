//go:build unix

package save

import (
	"path/filepath"
	"syscall"
	"testing"
)

// pipes makes named pipes in a directory.
func pipes(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := syscall.Mkfifo(filepath.Join(dir, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
