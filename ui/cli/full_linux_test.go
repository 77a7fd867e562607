package cli_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/corpus"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
)

// TestDiskFull fills a small disk in the middle of a sync: it stops with one line that says what to do, what is
// stored can be read and checked, and the next sync after making room completes.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(61, 1000, 6, corpus.Options{AvgSize: 8000})
	r.small("5m")
	args := []string{"sync", r.url(), "--once"}
	o := r.exits(75, args...)
	t.Logf("full: %s%s", o.out, o.errs)
	if strings.Count("\n"+o.errs, "\nmailcote: ") != 1 || !strings.Contains(o.errs, "the disk is full") ||
		!strings.Contains(o.errs, "free disk space") {
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

// TestDiskFillsUnderAgent fills the disk under a running agent, first to the reserve and then to the last byte:
// intake stops within 5 s, what is stored can be read, one row tells of it, no task fails, and when there is room
// it goes on by itself within a minute.
func TestDiskFillsUnderAgent(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(63, 600, 4, corpus.Options{AvgSize: 8000})
	r.small("64m")
	r.exits(0, "account", "add", r.url())
	r.leave(10 << 20)
	p := r.start("run", "--port", "0", "--json")
	r.ready(p)
	started := time.Now()
	for !strings.Contains(r.exits(0, "status", "--json").out, `"rests":"the disk is full: `) {
		if time.Since(started) > time.Minute {
			t.Fatal("the agent never pauses")
		}
	}
	kept := r.number(someMail)
	if kept == 0 || kept == 600 {
		t.Errorf("%d messages were stored before the disk was full", kept)
	}
	r.exits(0, "search", "is:unread", "--limit", "3")
	r.leave(0)
	t.Logf("paused %v after the start with %d messages stored", time.Since(started).Round(time.Millisecond), kept)
	if err := os.Remove(filepath.Join(r.dir, "filler")); err != nil {
		t.Fatal(err)
	}
	room := time.Now()
	r.awaits(600, someMail)
	r.awaits(1, `SELECT count(*) = 0 AS n FROM sync_tasks WHERE status IN ('pending', 'processing')`)
	if took := time.Since(room); took > time.Minute {
		t.Errorf("it went on and ended after %v", took)
	} else {
		t.Logf("went on and ended %v after there was room", took.Round(time.Millisecond))
	}
	if n := r.number(`SELECT count(*) AS n FROM sync_errors WHERE class = 'storage'`); n != 1 {
		t.Errorf("%d rows tell of one pause", n)
	}
	if n := r.number(`SELECT count(*) AS n FROM sync_tasks WHERE status = 'failed' OR retry_count > 0`); n != 0 {
		t.Errorf("%d tasks failed or counted an attempt", n)
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if o := r.end(p); o.code != 0 {
		t.Errorf("the agent ended with %d: %s", o.code, o.errs)
	}
	r.whole(r.truth())
}

// TestReadOnlyPlaces: a folder or a store that cannot be written is refused at the start, by every command that
// writes, in one line that says what to do; what only reads goes on where SQLite can read at all.
func TestReadOnlyPlaces(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(64, 20, 2, corpus.Options{AvgSize: 3000})
	r.small("64m")
	r.exits(0, "sync", r.url())
	writing := [][]string{{"sync"}, {"run", "--port", "0"}, {"account", "pause", account}, {"account", "add", r.url()}}
	reading := [][]string{{"status"}, {"search", "is:unread", "--limit", "3"}, {"errors"}, {"check"}, {"sql", someMail}}
	tell := func(where string, wants ...string) {
		t.Helper()
		t.Log(where)
		for _, args := range writing {
			r.refuses(1, args, wants)
		}
	}
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", r.dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}

	remount(syscall.MS_RDONLY)
	tell("the folder, and nothing beside the store", r.dir+" cannot be written", "read-only file system",
		"make it writable, or choose another --store")
	for _, args := range reading {
		r.refuses(1, args, []string{r.dir + " cannot be written", "SQLite keeps files beside the store",
			"make it writable"})
	}
	remount(0)
	r.exits(0, "status") // a reader leaves the log
	remount(syscall.MS_RDONLY)
	tell("the folder", r.dir+" cannot be written", "read-only file system",
		"make it writable, or choose another --store")
	for _, args := range reading {
		r.exits(0, args...)
	}
	remount(0)

	t.Cleanup(func() { _ = syscall.Unmount(r.store, 0) }) //nolint:errcheck // it is there only if the test ended early
	if err := errors.Join(syscall.Mount(r.store, r.store, "", syscall.MS_BIND, ""),
		syscall.Mount("", r.store, "", syscall.MS_REMOUNT|syscall.MS_BIND|syscall.MS_RDONLY, "")); err != nil {
		t.Fatal(err)
	}
	tell("the file", r.store+" cannot be written", "read-only file system",
		"make it writable, or choose another --store")
	for _, args := range reading {
		r.exits(0, args...)
	}
	if err := syscall.Unmount(r.store, 0); err != nil {
		t.Fatal(err)
	}

	if err := os.Chmod(r.store, 0o400); err != nil {
		t.Fatal(err)
	}
	tell("the file's mode", " is read-only (mode 0400)", "run chmod 600 "+r.store)
	for _, args := range reading {
		r.exits(0, args...)
	}
	for _, name := range []string{r.store, r.store + "-wal"} { // SQLite gives the latter the store's mode
		if err := os.Chmod(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.sync()
	r.whole(r.truth())
}

// leave writes a file until only so much of the rig's disk is free.
func (r *rig) leave(free int64) {
	r.t.Helper()
	f, err := os.OpenFile(filepath.Join(r.dir, "filler"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // its size is what counts
	for chunk := make([]byte, 64<<10); ; {
		var st syscall.Statfs_t
		if err := syscall.Statfs(r.dir, &st); err != nil {
			r.t.Fatal(err)
		}
		if int64(st.Bavail)*st.Bsize <= free {
			return
		}
		if _, err := f.Write(chunk); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			r.t.Fatal(err)
		}
	}
}

// TestFileLimit lets every write beyond a file size fail with an I/O error: the program ends at once, and loses
// nothing.
func TestFileLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(62, 400, 4, corpus.Options{AvgSize: 8000})
	// in 512 or 1024 bytes
	o := r.end(child.Start(t, []string{"sh", "-c", `ulimit -f 2000 && exec mailcote sync --once "$0"`, r.url()}, r.env))
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
	smallDisk(r.t, r.dir, size)
}

// smallDisk puts a directory on a disk of its own.
func smallDisk(t *testing.T, dir, size string) {
	t.Helper()
	err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=700,size="+size)
	if errors.Is(err, syscall.EPERM) && os.Getenv("MAILCOTE_REQUIRE_ALL") != "1" {
		t.Skip("only root may make a small disk")
	}
	if err != nil {
		t.Fatalf("make a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
}

// resize gives a small disk another size.
func resize(t *testing.T, dir string, size int64) {
	t.Helper()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFullLeaving has too little room for a backup, an export and a restore, from none at all to all but the
// last page. Each says that the disk is full, nothing that looks whole is left, and with room it is done.
func TestDiskFullLeaving(t *testing.T) {
	t.Parallel()
	r := newRig(t, dovecot.Config{})
	r.fill(65, 150, 3, corpus.Options{AvgSize: 6000})
	r.sync()
	info, err := os.Stat(r.store)
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	smallDisk(t, disk, "64m")
	full := []string{"the disk is full", "make room on the disk"}
	list := func() (all []string) {
		for name := range files(t, disk) {
			all = append(all, name)
		}
		return all
	}
	backup := filepath.Join(disk, "b.db")
	for _, room := range []int64{info.Size() / 2, info.Size() + 4096} {
		resize(t, disk, room)
		r.refuses(75, []string{"backup", backup}, full)
		if left := list(); len(left) > 0 {
			t.Errorf("a backup with room for %d of %d bytes leaves %v", room, info.Size(), left)
		}
	}
	resize(t, disk, 64<<20)
	r.exits(0, "backup", backup)

	formats := []string{"mbox", "maildir"}
	if form.Long() {
		formats = append(formats, "eml", "jsonl")
	}
	for _, format := range formats {
		alone, out := filepath.Join(r.dir, format), filepath.Join(disk, format)
		r.exits(0, "export", "--format", format, "--out", alone)
		want := files(t, alone)
		for _, room := range []int64{8 << 10, 400 << 10} {
			resize(t, disk, used(t, disk)+room)
			r.refuses(75, []string{"export", "--format", format, "--out", out}, full)
			for name, sum := range files(t, out) {
				unfinished := strings.HasSuffix(name, ".partial") || filepath.Base(filepath.Dir(name)) == "tmp"
				if !unfinished && want[name] != sum && filepath.Base(name) != "dovecot-keywords" {
					t.Errorf("%s with room for %d bytes leaves %s, which is not whole", format, room, name)
				}
			}
		}
		resize(t, disk, 64<<20)
		r.exits(0, "export", "--format", format, "--out", out)
		if got := files(t, out); !maps.Equal(got, want) {
			t.Errorf("%s after the disk was full: %d files, want %d, or others", format, len(got), len(want))
		}
		if err := os.RemoveAll(out); err != nil {
			t.Fatal(err)
		}
	}

	old := r.beside(t)
	old.home(filepath.Join(disk, "old"))
	old.exits(0, "restore", "--yes", backup)
	old.exits(0, "account", "pause", account)
	paused := `SELECT count(*) AS n FROM accounts WHERE state = 'paused'`
	for _, room := range []int64{info.Size() / 2, 2*info.Size() - 8192} {
		resize(t, disk, used(t, disk)+room)
		old.refuses(75, []string{"restore", "--yes", backup}, full)
		for _, name := range list() {
			if strings.Contains(name, "restor") {
				t.Errorf("a restore with room for %d bytes leaves %s", room, name)
			}
		}
		resize(t, disk, 64<<20)
		old.sound()
		if old.number(paused) != 1 {
			t.Errorf("a restore with room for %d bytes replaced the store", room)
		}
	}
	old.exits(0, "restore", "--yes", backup)
	old.sound()
	if old.number(paused) != 0 {
		t.Error("nothing was restored")
	}
}

// used is how many bytes of a disk are taken.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}
