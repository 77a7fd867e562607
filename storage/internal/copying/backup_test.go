package copying

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestName: a copy gets its name, and replaces a file that came in the last moment only if that was asked for.
func TestName(t *testing.T) {
	for name, c := range map[string]struct {
		there, force bool
		is           error
		want         string
	}{
		"new":            {want: "copy"},
		"new, by force":  {force: true, want: "copy"},
		"came":           {there: true, is: fs.ErrExist, want: "came"},
		"came, by force": {there: true, force: true, want: "copy"},
	} {
		dir := t.TempDir()
		partial, to := filepath.Join(dir, "mail.db.partial"), filepath.Join(dir, "mail.db")
		if err := os.WriteFile(partial, []byte("copy"), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.there {
			if err := os.WriteFile(to, []byte("came"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := (Options{Force: c.force}).name(partial, to); !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
		text, err := os.ReadFile(to)
		if _, left := os.Lstat(partial); err != nil || string(text) != c.want ||
			errors.Is(left, fs.ErrNotExist) != (c.is == nil) {
			t.Errorf("%s: %s, %v, %v", name, text, err, left)
		}
	}
}
