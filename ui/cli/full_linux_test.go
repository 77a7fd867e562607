package cli_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
)

// TestDiskFull fills a small disk in the middle of a sync: it stops with one line that says what to do, what is stored can
// be read and checked, and the next sync after making room completes.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(61, 1000, 6, corpus.Options{AvgSize: 8000})
	r.small("5m")
	args := []string{"sync", r.url(), "--once"}
	o := r.exits(75, args...)
	t.Logf("full: %s%s", o.out, o.errs)
	if strings.Count(o.errs, "\n") != 1 || !strings.Contains(o.errs, "the disk is full") || !strings.Contains(o.errs, "free disk space") {
		t.Errorf("stderr: %s", o.errs)
	}
	r.sound()
	kept := r.number(someMail)
	if kept == 0 || kept == 1000 {
		t.Errorf("%d messages were stored before the disk was full", kept)
	}
	r.exits(0, "status")
	r.exits(0, "search", "is:unread", "--limit", "3")
	// Again, while nothing has changed: the same, and nothing is lost.
	r.exits(75, args...)
	r.sound()
	if again := r.number(someMail); again < kept {
		t.Errorf("%d messages, %d before", again, kept)
	}
	r.small("64m")
	r.sync()
	r.whole(r.truth())
}

// TestFileLimit lets every write beyond a file size fail with an I/O error: the program ends at once, and loses nothing.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(62, 400, 4, corpus.Options{AvgSize: 8000})
	o := r.end(child.Start(t, []string{"sh", "-c", `ulimit -f 2000 && exec mailcote sync --once "$0"`, r.url()}, r.env)) // in 512 or 1024 bytes
	if o.code != 1 || !strings.Contains(o.errs, "disk I/O error") || !strings.Contains(o.errs, "check the disk") {
		t.Errorf("status %d: %s%s", o.code, o.out, o.errs)
	}
	r.sound()
	if kept := r.number(someMail); kept == 400 {
		t.Error("everything fitted under the limit")
	}
	r.sync()
	r.whole(r.truth())
}

// small puts the rig's directory on a disk of its own, or changes that one's size.
func (r *rig) small(size string) {
	r.t.Helper()
	if filepath.Base(r.dir) == "disk" {
		if err := syscall.Mount("tmpfs", r.dir, "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
			r.t.Fatal(err)
		}
		return
	}
	r.home(filepath.Join(r.dir, "disk"))
	err := syscall.Mount("tmpfs", r.dir, "tmpfs", 0, "mode=700,size="+size)
	if errors.Is(err, syscall.EPERM) && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		r.t.Skip("only root may make a small disk")
	}
	if err != nil {
		r.t.Fatalf("make a small disk: %v", err)
	}
	r.t.Cleanup(func() {
		if err := syscall.Unmount(r.dir, 0); err != nil {
			r.t.Error(err)
		}
	})
}
