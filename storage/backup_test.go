package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/storage/disk"
	"mailcote/storage/internal/file"
	"mailcote/storage/owner"
	"mailcote/testkit/form"
)

// epochOf reads the epoch without changing it.
func epochOf(t testing.TB, path string) (epoch int64, stamped bool) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro&immutable=1")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was only read
	if err := db.QueryRowContext(t.Context(), `SELECT (SELECT value FROM meta WHERE key = 'epoch'),
		EXISTS (SELECT 1 FROM meta WHERE key = 'copied_epoch')`).Scan(&epoch, &stamped); err != nil {
		t.Fatal(err)
	}
	return epoch, stamped
}

func agree(RestorePlan) error { return nil }

// TestBackupsWhileWriting takes backups while batches of three are committed. Each is the store after some batch.
func TestBackupsWhileWriting(t *testing.T) {
	b := checkBed(t)
	more := b.mailbox("More", 3)
	backups := 3
	if form.Long() {
		backups = 100
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	began := make(chan struct{})
	go func() {
		for uid := UID(1); ctx.Err() == nil; uid += 3 {
			batch := Batch{Mailbox: more, Validity: 3, Cover: []Range{{uid, uid + 2}}}
			for i := range UID(3) {
				batch.Arrivals = append(batch.Arrivals, b.arrival(uid+i, int(1000+uid+i)))
			}
			if err := b.Write(ctx, Bulk, 0, func(w *Writer) error {
				_, err := w.StoreBatch(batch)
				return err
			}); err != nil && ctx.Err() == nil {
				ended <- err
				return
			}
			if uid == 1 {
				close(began)
			}
		}
		ended <- nil
	}()
	<-began
	beside, err := Open(t.Context(), b.Path(), Options{ReadOnly: true}) // as another process has it
	if err != nil {
		t.Fatal(err)
	}
	defer beside.Close() //nolint:errcheck // it was only read
	dir := t.TempDir()
	last := int64(0)
	for i := range backups {
		to := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		facts, err := Backup(t.Context(), beside, to, BackupOptions{})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "restored.db")
		if _, err := Restore(t.Context(), to, path, RestoreOptions{Holder: "test", Confirm: agree}); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{Holder: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if found := checkAll(t, s); len(found) > 0 {
			t.Fatalf("backup %d: %v", i, found)
		}
		n := number(t, s, `SELECT count(*) FROM entry WHERE mailbox_id = ?`, more)
		if n%3 != 0 || n < last || number(t, s, `SELECT coalesce(max(hi), 0) FROM coverage WHERE mailbox_id = ?`,
			more) != n {
			t.Errorf("backup %d has %d messages after one with %d: no committed state", i, n, last)
		}
		if facts.Messages != number(t, s, `SELECT sum(total) FROM mailbox`) {
			t.Errorf("backup %d: says %d messages", i, facts.Messages)
		}
		last = n
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if last == 0 {
		t.Error("nothing was written meanwhile")
	}
}

// TestBackupOfLongLog backs a store up of which most is in the log, since a reader keeps that from being merged. All
// that is committed is in the copy, and nothing of the log changes.
func TestBackupOfLongLog(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	beside := openAt(t, b.Path(), Options{ReadOnly: true})
	read(t, beside, func(*Reader) error {
		for i := range 40 {
			big := b.arrival(UID(i+1), i)
			big.Body = b.packer.Pack(append(raw(i), noise(64<<10)...))
			b.store(box, 7, big)
		}
		info, err := os.Stat(b.Path())
		logged, failed := os.Stat(b.Path() + "-wal")
		if err != nil || failed != nil || logged.Size() < 2<<20 || info.Size() > logged.Size() {
			t.Fatalf("the log does not hold most of it: %v, %v; %v, %v", info, err, logged, failed)
		}
		to := filepath.Join(t.TempDir(), "b.db")
		facts, err := Backup(t.Context(), openAt(t, b.Path(), Options{ReadOnly: true}), to, BackupOptions{})
		if err != nil || facts.Messages != 40 {
			t.Fatalf("%d messages, %v", facts.Messages, err)
		}
		if after, err := os.Stat(b.Path() + "-wal"); err != nil || after.Size() != logged.Size() {
			t.Errorf("the log had %d bytes and has %d, %v", logged.Size(), after.Size(), err)
		}
		s := openAt(t, to, Options{ReadOnly: true})
		if n := number(t, s, someEntries); n != 40 {
			t.Errorf("the copy has %d messages", n)
		}
		return nil
	})
}

// noise are bytes that do not get smaller.
func noise(n int) []byte {
	all := make([]byte, n)
	random := rand.New(rand.NewPCG(1, uint64(n)))
	for i := range all {
		all[i] = byte(random.Uint32())
	}
	return all
}

// TestBackupIsOneFile looks at what a backup leaves, and that reading it changes nothing.
func TestBackupIsOneFile(t *testing.T) {
	b := checkBed(t)
	to := filepath.Join(t.TempDir(), "b.db")
	if _, err := Backup(t.Context(), b.Store, to, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(to)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	head := make([]byte, 20)
	f, err := os.Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if _, err := f.ReadAt(head, 0); err != nil || head[18] != 1 || head[19] != 1 {
		t.Errorf("the header asks for a log: %v, %v", head, err)
	}
	if names := ls(t, filepath.Dir(to)); names != "b.db" {
		t.Errorf("beside it: %s", names)
	}
	before, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), to, Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	if found := checkAll(t, s); len(found) > 0 {
		t.Error(found)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(to); err != nil || string(after) != string(before) {
		t.Errorf("reading it changed it (%v)", err)
	}
	if epoch, stamped := epochOf(t, to); epoch != 1 || !stamped {
		t.Errorf("epoch %d, stamped %v", epoch, stamped)
	}
}

func ls(t testing.TB, dir string) string {
	t.Helper()
	names, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, one := range names {
		all = append(all, one.Name())
	}
	return strings.Join(all, " ")
}

// TestEpochs follows the epoch through backups, restores and openings.
func TestEpochs(t *testing.T) {
	b := checkBed(t)
	dir := t.TempDir()
	backup, path := filepath.Join(dir, "b.db"), filepath.Join(dir, "s.db")
	if _, err := Backup(t.Context(), b.Store, backup, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	open := func(path string, want int64) {
		t.Helper()
		s, err := Open(t.Context(), path, Options{Holder: "test"})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close() //nolint:errcheck // below it is read again
		if got := number(t, s, `SELECT value FROM meta WHERE key = 'epoch'`); got != want {
			t.Errorf("epoch %d, want %d", got, want)
		}
		if n := number(t, s, `SELECT count(*) FROM meta WHERE key GLOB 'copied_*'`); n != 0 {
			t.Errorf("the stamp stays")
		}
	}
	restore := func(from string) Restored {
		t.Helper()
		r, err := Restore(t.Context(), from, path, RestoreOptions{Holder: "test", Confirm: agree})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	restore(backup)
	if epoch, stamped := epochOf(t, path); epoch != 1 || !stamped {
		t.Errorf("restored: epoch %d, stamped %v: only an owner begins an epoch", epoch, stamped)
	}
	open(path, 2)
	open(path, 2) // once
	kept := restore(backup).Kept
	open(path, 3) // what was replaced had published epoch 2
	restore(kept) // no backup, but a copy as well
	open(path, 4)
	open(backup, 2) // used in its own place
	if number(t, b.Store, `SELECT value FROM meta WHERE key = 'epoch'`) != 1 {
		t.Error("the original's epoch changed")
	}
}

// TestBackupRefuses tries names that a backup must not have.
func TestBackupRefuses(t *testing.T) {
	b := checkBed(t)
	dir := filepath.Dir(b.Path())
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	there := filepath.Join(dir, "there")
	foreign := filepath.Join(dir, "download.partial")
	symlink := filepath.Join(dir, "symlink")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "logged-wal"), []byte("mine"), 0o600),
		os.WriteFile(there, []byte("mine"), 0o600), os.WriteFile(foreign, []byte("mine"), 0o600),
		os.Symlink(b.Path(), symlink), os.Link(there, filepath.Join(dir, "hard"))); err != nil {
		t.Fatal(err)
	}
	before := dump(t, b.Store)
	for _, one := range []struct {
		to    string
		force bool
		want  error
	}{
		{b.Path(), true, ErrCopyName},
		{b.Path() + "-wal", true, ErrCopyName},
		{b.Path() + "-shm", true, ErrCopyName},
		{b.Path() + "-journal", false, ErrCopyName},
		{b.Path() + ".lock", true, ErrCopyName},
		{b.Path() + ".owner", true, ErrCopyName},
		{b.Path() + ".secrets", true, ErrCopyName},
		{b.Path() + ".salvaged", true, ErrCopyName},
		{b.Path() + ".restoring", false, ErrCopyName},
		{filepath.Join(link, "mail.db"), true, ErrCopyName},
		{filepath.Join(link, "mail.db-wal"), true, ErrCopyName},
		{filepath.Join(dir, "..", filepath.Base(dir), "mail.db"), true, ErrCopyName},
		{symlink, true, ErrCopyName},
		{there, false, fs.ErrExist},
		{dir, false, ErrCopyForeign},
		{dir, true, ErrCopyForeign},
		{os.DevNull, true, ErrCopyForeign},
		{filepath.Join(dir, "download"), true, ErrCopyForeign},
		{filepath.Join(dir, "logged"), false, ErrCopyForeign},
		{filepath.Join(dir, "logged"), true, ErrCopyForeign},
		{filepath.Join(dir, "none", "x.db"), false, fs.ErrNotExist},
	} {
		if _, err := Backup(t.Context(), b.Store, one.to, BackupOptions{Force: one.force}); !errors.Is(err, one.want) {
			t.Errorf("%s: %v, want %v", one.to, err, one.want)
		}
	}
	for _, name := range []string{there, foreign} {
		if text, err := os.ReadFile(name); err != nil || string(text) != "mine" {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if dump(t, b.Store) != before {
		t.Error("the store changed")
	}
	if _, err := Backup(t.Context(), b.Store, there, BackupOptions{Force: true}); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "hard")); err != nil || string(text) != "mine" {
		t.Errorf("what a forced backup replaced was written into: %q, %v", text, err)
	}
	// What a killed backup has left is no obstacle.
	partial := filepath.Join(dir, "killed.db.partial")
	if err := errors.Join(os.WriteFile(partial, make([]byte, 9000), 0o600),
		os.WriteFile(partial+"-journal", []byte("rubbish"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), b.Store, filepath.Join(dir, "killed.db"), BackupOptions{}); err != nil {
		t.Error(err)
	}
	if strings.Contains(ls(t, dir), "killed.db.partial") {
		t.Error(ls(t, dir))
	}
}

// TestBackupIsVerified damages what a backup copies. Structure is not forgiven, a damaged message is told.
func TestBackupIsVerified(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.db")
	if _, err := Backup(t.Context(), checkBed(t).Store, good, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	harm := func(name, statement string) *Store {
		t.Helper()
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(good)
		if err == nil {
			err = os.WriteFile(path, text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.ExecContext(t.Context(), statement)
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		s, err := Open(t.Context(), path, Options{ReadOnly: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	s := harm("message.db", `UPDATE blob_piece SET frame = zeroblob(40) WHERE blob_id = (SELECT min(id) FROM blob)`)
	facts, err := Backup(t.Context(), s, filepath.Join(dir, "1.db"), BackupOptions{})
	if err != nil || facts.Damaged != 1 {
		t.Errorf("%d damaged, %v", facts.Damaged, err)
	}
	s = harm("index.db", "SELECT 1")
	root := number(t, s, `SELECT rootpage FROM sqlite_schema WHERE name = 'entry_newest'`)
	f, err := os.OpenFile(s.Path(), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteAt(make([]byte, 8192), (root-1)*8192)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), s, filepath.Join(dir, "2.db"), BackupOptions{}); !errors.Is(err, ErrCopyUnsound) {
		t.Errorf("a damaged index: %v", err)
	}
	s = harm("search.db", `DELETE FROM search_data WHERE id > 10`) // it is made anew when it is used
	if _, err := Backup(t.Context(), s, filepath.Join(dir, "3.db"), BackupOptions{}); err != nil {
		t.Errorf("a damaged search index: %v", err)
	}
	if names := ls(t, dir); strings.Contains(names, "partial") || strings.Contains(names, "2.db") {
		t.Error(names)
	}
}

// TestBackupEnds cancels one and lacks room for one: nothing is left.
func TestBackupEnds(t *testing.T) {
	limits := file.StandardLimits()
	var full atomic.Bool
	limits.Space = func(string) (disk.Space, error) {
		if full.Load() {
			return disk.Space{Free: 4096, Size: 1 << 41}, nil
		}
		return disk.Space{Free: 1 << 40, Size: 1 << 41}, nil
	}
	b := bedOn(t, openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Holder: "test", limits: &limits}))
	b.store(b.mailbox("INBOX", 7), 7, b.arrival(1, 1))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Backup(ctx, b.Store, filepath.Join(dir, "b.db"), BackupOptions{Progress: func(int64, int64) { cancel() }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	full.Store(true)
	if _, err := Backup(t.Context(), b.Store, filepath.Join(dir, "b.db"), BackupOptions{}); !errors.Is(err, ErrFull) {
		t.Errorf("%v", err)
	}
	if names := ls(t, dir); names != "" {
		t.Errorf("left: %s", names)
	}
}

// TestRestoreRefuses tries what is no backup, or must not be replaced.
func TestRestoreRefuses(t *testing.T) {
	b := checkBed(t)
	dir := t.TempDir()
	backup, path := filepath.Join(dir, "b.db"), filepath.Join(dir, "s.db")
	if _, err := Backup(t.Context(), b.Store, backup, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(name string, change func([]byte) []byte) string {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), change(append([]byte(nil), sound...)), 0o600); err != nil {
			t.Fatal(err)
		}
		return filepath.Join(dir, name)
	}
	no := errors.New("no")
	for _, one := range []struct {
		from    string
		confirm func(RestorePlan) error
		want    error
	}{
		{changed("text", func([]byte) []byte { return []byte("no store") }), agree, ErrNotStore},
		{changed("empty", func([]byte) []byte { return nil }), agree, ErrNotStore},
		{changed("foreign", func(b []byte) []byte { copy(b[68:], "abcd"); return b }), agree, nil},
		{changed("newer", func(b []byte) []byte { b[63] = 200; return b }), agree, ErrNewer},
		{changed("cut", func(b []byte) []byte { return b[:len(b)/2] }), agree, nil},
		{changed("zeros", func(b []byte) []byte { clear(b[3*8192 : 12*8192]); return b }), agree, nil},
		{filepath.Join(dir, "none"), agree, nil},
		{dir, agree, nil},
		{path, agree, ErrCopyName},
		{path + "-wal", agree, ErrCopyName},
		{backup, func(RestorePlan) error { return no }, no},
	} {
		for _, there := range []bool{false, true} {
			_ = os.Remove(path)
			if there {
				if err := os.WriteFile(path, sound, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := Restore(t.Context(), one.from, path, RestoreOptions{Holder: "test", Confirm: one.confirm})
			if err == nil || one.want != nil && !errors.Is(err, one.want) {
				t.Errorf("%s: %v, want %v", one.from, err, one.want)
			}
			now, err := os.ReadFile(path)
			if there && (err != nil || string(now) != string(sound)) || !there && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: the store changed (%v)", one.from, err)
			}
			if names := ls(t, dir); strings.Contains(names, "restor") {
				t.Errorf("%s: left %s", one.from, names)
			}
		}
	}
	var held *owner.HeldError
	if _, err := Restore(t.Context(), backup, b.Path(), RestoreOptions{Holder: "second",
		Confirm: agree}); !errors.As(err,
		&held) || held.Holder.Command != "test" {
		t.Errorf("%v", err)
	}
	thesis := changed("thesis", func([]byte) []byte { return []byte("my only copy") })
	if _, err := Restore(t.Context(), backup, thesis, RestoreOptions{Confirm: agree}); !errors.Is(err, ErrNotStore) {
		t.Errorf("another program's file: %v", err)
	}
}

// TestRestoreKeeps restores over stores of several kinds. What was there stays beside, with its log.
func TestRestoreKeeps(t *testing.T) {
	b := checkBed(t)
	backup := filepath.Join(t.TempDir(), "b.db")
	if _, err := Backup(t.Context(), b.Store, backup, BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	all := number(t, b.Store, someEntries)
	later := filepath.Join(t.TempDir(), "later.db")
	if _, err := Restore(t.Context(), backup, later, RestoreOptions{Holder: "test", Confirm: agree}); err != nil {
		t.Fatal(err)
	}
	c := &bed{Store: openAt(t, later, Options{Holder: "test"}), t: t, packer: b.packer, account: b.account}
	c.store(c.mailbox("Later", 5), 5, c.arrival(1, 500), c.arrival(2, 501))
	store, err := os.ReadFile(later)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(later + "-wal") // as a killed owner leaves it
	if err != nil || len(log) == 0 {
		t.Fatal(len(log), err)
	}
	damaged := append([]byte(nil), store...)
	clear(damaged[2*8192 : 10*8192])
	for _, one := range []struct {
		name    string
		store   []byte
		readOld bool
	}{{"killed", store, true}, {"damaged", damaged, false}, {"no header", make([]byte, 20000), false}} {
		t.Run(one.name, func(t *testing.T) {
			if one.name == "no header" {
				copy(one.store, store[:100]) // it is to look like a store
			}
			path := filepath.Join(t.TempDir(), "s.db")
			if err := errors.Join(os.WriteFile(path, one.store, 0o600), os.WriteFile(path+"-wal", log, 0o600),
				os.WriteFile(path+".secrets", []byte("secret"), 0o600)); err != nil {
				t.Fatal(err)
			}
			r, err := Restore(t.Context(), backup, path, RestoreOptions{Holder: "test",
				Confirm: func(p RestorePlan) error {
					if !p.Replace || p.Copy.CopiedAt.IsZero() || one.readOld != (p.Unread == nil) {
						t.Errorf("%+v", p)
					}
					return nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			s := openAt(t, path, Options{Holder: "test"})
			if found := checkAll(t, s); len(found) > 0 || number(t, s, someEntries) != all {
				t.Errorf("%v, %d entries, want %d", found, number(t, s, someEntries), all)
			}
			if text, err := os.ReadFile(path + ".secrets"); err != nil || string(text) != "secret" {
				t.Errorf("the passwords: %q, %v", text, err)
			}
			if !one.readOld {
				return
			}
			if _, err := os.Stat(r.Kept + "-wal"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the log of the old store was not merged: a kill before the rename would have lost it (%v)",
					err)
			}
			old := openAt(t, r.Kept, Options{Holder: "test"})
			if n := number(t, old, someEntries); n != all+2 {
				t.Errorf("%d entries are kept, want %d: its log is lost", n, all+2)
			}
			if info, err := os.Stat(r.Kept); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%v, %v", info, err)
			}
		})
	}
}

const someEntries = `SELECT count(*) FROM entry`
