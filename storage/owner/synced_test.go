package owner

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSyncedFolders: FAULTS L12, a folder that a program copies to other machines is refused with the program's name.
func TestSyncedFolders(t *testing.T) {
	for _, c := range []struct{ dir, mark, by string }{
		{"Dropbox/mail", "Dropbox/.dropbox", "Dropbox"},
		{"Dropbox (Work)/a/b", "Dropbox (Work)/.dropbox.cache/", "Dropbox"},
		{"sync/a", "sync/.stfolder/", "Syncthing"},
		{"cloud", "cloud/.nextcloudsync.log", "Nextcloud"},
		{"OneDrive - Company/mail", "", "OneDrive"},
		{"OneDrive", "", "OneDrive"},
		{"Library/Mobile Documents/com~apple~CloudDocs", "", "iCloud Drive"},
		{"Library/CloudStorage/GoogleDrive-ada@example.org", "", "a cloud provider"},
		{"Library/Application Support/mailcote", "", ""},
		{"home/mail", "home/.dropbox/", ""}, // its settings, not its folder
		{"OneDriver", "", ""},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, filepath.FromSlash(c.dir))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		mark := filepath.Join(root, filepath.FromSlash(c.mark))
		switch {
		case strings.HasSuffix(c.mark, "/"):
			if err := os.MkdirAll(mark, 0o700); err != nil {
				t.Fatal(err)
			}
		case c.mark != "":
			if err := os.WriteFile(mark, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Prepare(filepath.Join(dir, "mail.db"), false)
		var refused *RefusedError
		if c.by == "" && err != nil || c.by != "" && (!errors.As(err, &refused) ||
			!strings.Contains(err.Error(), "that "+c.by+" keeps")) {
			t.Errorf("%s with %q: %v, want %q", c.dir, c.mark, err, c.by)
		}
	}
}
