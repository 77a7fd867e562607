package owner

import (
	"os"
	"path/filepath"
	"strings"
)

// syncedBy names the program that copies dir to other machines, by what such
// programs leave in the folders they keep, and by the names of those that leave
// nothing; "" when there is none.
func syncedBy(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	for ; ; dir = filepath.Dir(dir) {
		for mark, by := range map[string]string{
			".dropbox": "Dropbox", ".dropbox.cache": "Dropbox", ".stfolder": "Syncthing",
			".nextcloudsync.log": "Nextcloud", ".owncloudsync.log": "ownCloud",
		} {
			info, err := os.Lstat(filepath.Join(dir, mark))
			// in a home the directory holds Dropbox's own settings
			if err == nil && !(mark == ".dropbox" && info.IsDir()) {
				return by
			}
		}
		name, above := filepath.Base(dir), filepath.Base(filepath.Dir(dir))
		switch {
		case above == "Library" && name == "Mobile Documents":
			return "iCloud Drive"
		case above == "Library" && name == "CloudStorage":
			return "a cloud provider"
		case name == "OneDrive", strings.HasPrefix(name, "OneDrive - "):
			return "OneDrive"
		case name == "iCloudDrive":
			return "iCloud Drive"
		}
		if filepath.Dir(dir) == dir {
			return ""
		}
	}
}
