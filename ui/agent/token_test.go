package agent

import (
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

func onlyFile(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v in the state directory: %v", entries, err)
	}
	return filepath.Join(dir, entries[0].Name())
}

func TestTokenIsStableAndPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "state")
	first, err := Token(dir, "/home/robin/mail.db")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Token(dir, "/home/robin/mail.db"); err != nil || again != first || len(first) < 43 {
		t.Errorf("token changed or short: %v", err)
	}
	file := onlyFile(t, dir)
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{file: 0o600, dir: 0o700 | os.ModeDir} {
			if info, err := os.Stat(path); err != nil || info.Mode() != want {
				t.Errorf("%s has mode %v, want %v: %v", path, info.Mode(), want, err)
			}
		}
	}
	other, err := Token(dir, "/home/robin/other.db")
	if err != nil || other == first {
		t.Errorf("another store has the same token: %v", err)
	}
}

func TestTokenRefusesWhatOthersCouldHaveMade(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("modes and links of Unix")
	}
	for name, spoil := range map[string]func(path string) error{
		"readable by the group": func(p string) error { return os.Chmod(p, 0o640) },
		"readable by all":       func(p string) error { return os.Chmod(p, 0o604) },
		"writable by all":       func(p string) error { return os.Chmod(p, 0o602) },
		"symlink": func(p string) error {
			if err := os.Rename(p, p+"-moved"); err != nil {
				return err
			}
			return os.Symlink(p+"-moved", p)
		},
		"dangling symlink": func(p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Symlink(p+"-nowhere", p)
		},
		"directory": func(p string) error {
			if err := os.Remove(p); err != nil {
				return err
			}
			return os.Mkdir(p, 0o700)
		},
		"empty": func(p string) error { return os.Truncate(p, 0) },
		"short": func(p string) error { return os.WriteFile(p, []byte("c2hvcnQ\n"), 0o600) },
		"another owner": func(p string) error {
			if os.Geteuid() != 0 {
				return os.Chmod(p, 0o644) // only root can give a file away
			}
			return os.Chown(p, 12345, -1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Token(dir, "store"); err != nil {
				t.Fatal(err)
			}
			if err := spoil(onlyFile(t, dir)); err != nil {
				t.Fatal(err)
			}
			if token, err := Token(dir, "store"); err == nil || token != "" {
				t.Errorf("accepted: %q, %v", token, err)
			}
		})
	}
}

func TestTokenWithManyStarters(t *testing.T) {
	dir := t.TempDir()
	tokens := make([]string, 16)
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			token, err := Token(dir, "store")
			if err != nil {
				t.Error(err)
			}
			tokens[i] = token
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if token != tokens[0] {
			t.Fatal("two tokens for one store")
		}
	}
	onlyFile(t, dir)
}
