package disk

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// SyncDir makes the names in the directory of path last. Windows has no such
// call and needs none.
func SyncDir(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
