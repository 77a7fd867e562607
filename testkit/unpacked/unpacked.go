// Package unpacked finds programs of Debian packages that are unpacked beside
// the system and not installed. IMAP servers conflict as packages, so only one
// of them can be installed.
//
// `.ci/run install` unpacks them. They are in the directory that
// MAILCOTE_SERVERS names, otherwise in mailcote-servers in the user's cache
// directory. For root that is /var/cache: servers that give up root's rights
// must reach their programs.
package unpacked

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// ErrMissing is given when a program is not there.
var ErrMissing = errors.New("not unpacked; unpack it with: .ci/run install")

// Dir is where the packages are.
func Dir() (string, error) {
	if dir := os.Getenv("MAILCOTE_SERVERS"); dir != "" {
		return filepath.Abs(dir)
	}
	if os.Getuid() == 0 {
		return "/var/cache/mailcote-servers", nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("unpacked: %w", err)
	}
	return filepath.Join(cache, "mailcote-servers"), nil
}

// Find gives the full name of a file of a package, such as "usr/bin/imapd".
func Find(name string) (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	full := filepath.Join(dir, filepath.FromSlash(name))
	if _, err := os.Stat(full); err != nil {
		return "", fmt.Errorf("%s: %w", full, ErrMissing)
	}
	return full, nil
}

// Libraries is the environment variable that lets the programs find their own libraries.
func Libraries() (string, error) {
	dir, err := Dir()
	if err != nil {
		return "", err
	}
	nested, err := filepath.Glob(filepath.Join(dir, "usr", "lib", "*-linux-gnu*"))
	if err != nil {
		return "", fmt.Errorf("unpacked: %w", err)
	}
	outer, err := filepath.Glob(filepath.Join(dir, "lib", "*-linux-gnu*"))
	if err != nil {
		return "", fmt.Errorf("unpacked: %w", err)
	}
	all := append(append(nested, outer...), filepath.Join(dir, "usr", "lib"))
	return "LD_LIBRARY_PATH=" + strings.Join(all, string(filepath.ListSeparator)), nil
}

// Home makes the directory of a server for one test. The path of a socket must
// stay under 108 bytes and names of tests are long, so it is no t.TempDir.
func Home(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "mail")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("remove the server's directory: %v", err)
		}
	})
	return dir
}

// Require ends a test that cannot have its server. Where the server is only
// missing the test is skipped, unless MAILCOTE_REQUIRE_ALL=1.
func Require(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
