//go:build unix

package export

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/testkit/form"
)

// everything lists a directory: each path below it, with what it is and what is in it.
func everything(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		all[name] = d.Type().String()
		if d.Type().IsRegular() {
			text, err := os.ReadFile(path)
			all[name] += string(text)
			return err
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestInTheWay puts links, pipes and directories in the place of all that an export makes, one after the other,
// and of what it makes on its way. It ends, nothing outside is changed, and they stay what they are.
func TestInTheWay(t *testing.T) {
	b := newBed(t)
	inbox := b.mailbox("ada", "INBOX")
	b.add(inbox, `\Seen Work`, []byte("Subject: 1\r\n\r\n"))
	first := map[Format]string{}
	for _, format := range Formats() {
		first[format] = t.TempDir()
		b.export(Options{Format: format, Dir: first[format]})
	}
	b.add(inbox, `Later`, []byte("Subject: 2\r\n\r\n"))
	b.add(b.mailbox("ada", "New"), `New`, []byte("Subject: 3\r\n\r\n"))
	link := func(to string) func(outside, path string) error {
		return func(outside, path string) error { return os.Symlink(filepath.Join(outside, to), path) }
	}
	tries := 0
	for format, begun := range first {
		if !form.Long() && format != Maildir && format != EML {
			continue
		}
		last := t.TempDir()
		b.export(Options{Format: format, Dir: last})
		names := everything(t, last)
		for _, name := range slices.Collect(maps.Keys(names)) {
			dir, base := filepath.Split(name)
			id := strings.TrimSuffix(base[strings.Index(base, ".")+1:], ".eml")
			for _, way := range []string{name + partialSuffix, dir + "." + id + partialSuffix,
				strings.Replace(strings.TrimSuffix(name, filepath.Ext(name)), "cur/", "tmp/", 1)} {
				names[way] = "" // where it is written first
			}
		}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			for what, put := range map[string]func(outside, path string) error{
				"a link to a file":      link("file"),
				"a link to a directory": link("."),
				"a link to nothing":     link("new"),
				"a pipe":                func(_, path string) error { return syscall.Mkfifo(path, 0o600) },
				"a directory": func(_, path string) error {
					return os.MkdirAll(filepath.Join(path, "in"), 0o700)
				},
			} {
				if !form.Long() && what != "a pipe" && what != "a link to a file" {
					continue
				}
				outside, dir := t.TempDir(), filepath.Join(t.TempDir(), "out")
				path := filepath.Join(dir, name)
				if err := errors.Join(os.WriteFile(filepath.Join(outside, "file"), []byte("mine"), 0o600),
					os.CopyFS(dir, os.DirFS(begun)), os.RemoveAll(path), os.MkdirAll(filepath.Dir(path), 0o700),
					put(outside, path)); err != nil {
					t.Fatal(err)
				}
				tries++
				ended := make(chan error, 1)
				go func() {
					_, err := Run(t.Context(), b.Store, Options{Format: format, Dir: dir})
					ended <- err
				}()
				select {
				case err := <-ended:
					one := format == Maildir || format == EML
					if err == nil && one && strings.Contains(names[name], "Subject: ") {
						t.Errorf("%s: %s at %s counts as a message", format, what, name)
					}
				case <-time.After(20 * time.Second):
					t.Fatalf("%s: %s at %s: it hangs", format, what, name)
				}
				if there := everything(t, outside); len(there) != 1 || there["file"] != "----------mine" {
					t.Fatalf("%s: %s at %s: outside there is %v", format, what, name, there)
				}
				if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() && names[name] != "" {
					t.Errorf("%s: %s at %s was overwritten", format, what, name)
				}
			}
		}
	}
	t.Logf("%d things in the way", tries)
}
