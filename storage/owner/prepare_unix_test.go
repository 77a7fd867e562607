//go:build unix

package owner

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func local(string) (string, error) { return "", nil }

func write(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPrepareRefuses(t *testing.T) {
	me := os.Geteuid()
	tests := []struct {
		name  string
		set   func(t *testing.T, path string)
		sys   system
		wants []string // in the message; none: accepted
	}{
		{name: "missing", set: func(*testing.T, string) {}},
		{name: "ours", set: func(t *testing.T, p string) { write(t, p, 0o600) }},
		{name: "with its log", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
			write(t, p+"-wal", 0o600)
			write(t, p+"-shm", 0o600)
		}},
		{name: "group may read", set: func(t *testing.T, p string) {
			write(t, p, 0o640)
		}, wants: []string{"0640", "chmod 600"}},
		{name: "all may read", set: func(t *testing.T, p string) {
			write(t, p, 0o604)
		}, wants: []string{"0604", "chmod 600"}},
		{name: "all may write", set: func(t *testing.T, p string) {
			write(t, p, 0o666)
		}, wants: []string{"0666", "chmod 600"}},
		{name: "executable", set: func(t *testing.T, p string) {
			write(t, p, 0o700)
		}, wants: []string{"0700", "chmod 600"}},
		{name: "setuid", set: func(t *testing.T, p string) {
			write(t, p, 0o600|os.ModeSetuid)
		}, wants: []string{"4600", "chmod 600"}},
		{name: "read-only", set: func(t *testing.T, p string) {
			write(t, p, 0o400)
		}, wants: []string{"read-only", "0400", "chmod 600"}},
		{name: "symlink", set: func(t *testing.T, p string) {
			write(t, p+".x", 0o600)
			must(t, os.Symlink(p+".x", p))
		}, wants: []string{"symbolic link"}},
		{name: "dangling symlink", set: func(t *testing.T, p string) {
			must(t, os.Symlink(p+".x", p))
		}, wants: []string{"symbolic link"}},
		{name: "directory", set: func(t *testing.T, p string) {
			must(t, os.Mkdir(p, 0o700))
		}, wants: []string{"not a regular file"}},
		{name: "fifo", set: func(t *testing.T, p string) {
			must(t, syscall.Mkfifo(p, 0o600))
		}, wants: []string{"not a regular file"}},
		{name: "hard link", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
			must(t, os.Link(p, p+".x"))
		}, wants: []string{"2 hard links", "copy"}},
		{name: "foreign", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
		}, sys: system{uid: me + 1, remote: local}, wants: []string{"another user", "uid"}},
		{name: "log is a symlink", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
			must(t, os.Symlink("/dev/null", p+"-wal"))
		}, wants: []string{"-wal", "symbolic link"}},
		{name: "journal is open to all", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
			write(t, p+"-journal", 0o644)
		}, wants: []string{"-journal", "chmod 600"}},
		{name: "shm is a directory", set: func(t *testing.T, p string) {
			write(t, p, 0o600)
			must(t, os.Mkdir(p+"-shm", 0o700))
		}, wants: []string{"-shm", "not a regular file"}},
		{name: "lock is a symlink", set: func(t *testing.T, p string) {
			must(t, os.Symlink(p+".x", p+lockSuffix))
		}, wants: []string{lockSuffix, "symbolic link"}},
		{name: "log without store", set: func(t *testing.T, p string) {
			write(t, p+"-wal", 0o600)
		}, wants: []string{"-wal", "its store is not", "put the store back"}},
		{name: "network", set: func(*testing.T, string) {}, sys: system{uid: me, remote: func(string) (string, error) {
			return "NFS", nil
		}}, wants: []string{"NFS", "local disk"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "mail.db")
			tt.set(t, path)
			sys := tt.sys
			if sys.remote == nil {
				sys = thisProcess()
			}
			before := listing(t, dir)
			warnings, err := sys.prepare(path, false)
			if len(warnings) != 0 {
				t.Errorf("warnings %q", warnings)
			}
			if tt.wants == nil {
				if err != nil {
					t.Fatal(err)
				}
				if st, err := os.Lstat(path); err != nil || st.Mode() != 0o600 {
					t.Fatalf("store: %v, %v", st, err)
				}
				return
			}
			wantRefused(t, err, tt.wants...)
			if after := listing(t, dir); after != before {
				t.Errorf("a refusal changed the directory:\n%s\nto\n%s", before, after)
			}
		})
	}
}

func wantRefused(t *testing.T, err error, wants ...string) {
	t.Helper()
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Advice == "" {
		t.Fatalf("got %v, want a refusal", err)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is more than a line", err)
	}
}

func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		fmt.Fprintln(&b, e.Name(), info.Mode(), info.Size())
	}
	return b.String()
}

func TestPrepareDirectory(t *testing.T) {
	base := t.TempDir()
	_, err := Prepare(filepath.Join(base, "none", "mail.db"), false)
	wantRefused(t, err, "does not exist", "--store")

	write(t, filepath.Join(base, "file"), 0o600)
	_, err = Prepare(filepath.Join(base, "file", "mail.db"), false)
	if err == nil {
		t.Error("a store inside a file was accepted")
	}

	deep := filepath.Join(base, "share", "mailcote", "mail.db")
	_, err = Prepare(deep, true)
	must(t, err)
	for _, dir := range []string{filepath.Dir(deep), filepath.Dir(filepath.Dir(deep))} {
		if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, st, err)
		}
	}

	for mode, warned := range map[os.FileMode]bool{0o755: false, 0o775: false, 0o777: true,
		0o777 | os.ModeSticky: false} {
		dir := filepath.Join(base, fmt.Sprint("mode ", mode))
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.Chmod(dir, mode))
		warnings, err := Prepare(filepath.Join(dir, "mail.db"), false)
		must(t, err)
		if (len(warnings) == 1) != warned {
			t.Errorf("%v: warnings %q, want some: %v", mode, warnings, warned)
		}
		if st, err := os.Stat(dir); err != nil || st.Mode()&(os.ModePerm|os.ModeSticky) != mode {
			t.Errorf("%v: the person's directory became %v, %v", mode, st.Mode(), err)
		}
	}
}

// Modes do not depend on the umask (FAULTS X8).
func TestUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	path := filepath.Join(t.TempDir(), "new", "mail.db")
	_, err := Prepare(path, true)
	must(t, err)
	acquire(t, path)
	for name, want := range map[string]os.FileMode{
		filepath.Dir(path): os.ModeDir | 0o700, path: 0o600, path + lockSuffix: 0o600, path + ownerSuffix: 0o600,
	} {
		if st, err := os.Lstat(name); err != nil || st.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, st.Mode(), err, want)
		}
	}
}

// Root may write anywhere, so as root the checks of an ordinary user run in a process of one.
func TestPrepareUnprivileged(t *testing.T) {
	if os.Geteuid() == 0 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestPrepareUnprivileged$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "TMPDIR=/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: TestPrepareUnprivileged") {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "mail.db")
	write(t, path, 0o600)
	must(t, os.Chmod(dir, 0o500))
	_, err := Prepare(path, false)
	wantRefused(t, err, "cannot be written", dir)
	must(t, os.Chmod(dir, 0o700))
	_, err = Prepare(path, false)
	must(t, err)
	_, err = Prepare("/etc/passwd", false)
	wantRefused(t, err)
}

// A name that leads to a pipe must not hang a second owner.
func TestOwnerFileIsPipe(t *testing.T) {
	path := newStore(t)
	acquire(t, path)
	must(t, os.Remove(path+ownerSuffix))
	must(t, syscall.Mkfifo(path+ownerSuffix, 0o600))
	began := time.Now()
	_, err := Acquire(path, "second")
	wantHeld(t, err, time.Since(began), 0)
}

func TestForeignLockFile(t *testing.T) {
	path := newStore(t)
	target := filepath.Join(t.TempDir(), "elsewhere")
	must(t, os.Symlink(target, path+lockSuffix))
	_, err := Acquire(path, "test")
	wantRefused(t, err, "symbolic link")
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}

func TestMoved(t *testing.T) {
	tests := map[string]func(t *testing.T, path string){
		"store renamed":  func(t *testing.T, p string) { must(t, os.Rename(p, p+".old")) },
		"store replaced": func(t *testing.T, p string) { write(t, p+".new", 0o600); must(t, os.Rename(p+".new", p)) },
		"lock removed":   func(t *testing.T, p string) { must(t, os.Remove(p+lockSuffix)) },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			path := newStore(t)
			lock := acquire(t, path)
			must(t, lock.SameFile())
			change(t, path)
			if err := lock.SameFile(); !errors.Is(err, ErrMoved) {
				t.Errorf("SameFile = %v", err)
			}
			must(t, lock.Release())
		})
	}
}

// What cannot be looked at was not moved, so far as anybody knows.
func TestNotToBeSeen(t *testing.T) {
	path := newStore(t)
	lock := acquire(t, path)
	dir := filepath.Dir(path)
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Symlink(dir, dir)) // a way that leads nowhere
	if err := lock.SameFile(); err == nil || errors.Is(err, ErrMoved) {
		t.Errorf("the store: SameFile = %v", err)
	}
	must(t, os.Remove(dir))
	must(t, os.Rename(dir+".old", dir))
	must(t, lock.SameFile())
	lock.path = filepath.Join(dir, strings.Repeat("x", 254))
	must(t, os.Link(path, lock.path))
	if err := lock.SameFile(); err == nil || errors.Is(err, ErrMoved) { // the lock's name is too long
		t.Errorf("the lock: SameFile = %v", err)
	}
	must(t, os.Remove(lock.path))
	lock.path = path
	must(t, lock.SameFile())
}
