package storage

import (
	"context"
	"errors"
	"testing"
	"time"

	"mailcote/storage/class"
	"mailcote/testkit/faultvfs"
)

// woken reports whether a subscriber was woken. A write publishes before it returns, so nobody waits.
func woken(w *Watch) bool {
	select {
	case <-w.C:
		return true
	default:
		return false
	}
}

func TestChangedTells(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	watch := b.Changed()
	defer watch.Close()
	if woken(watch) || watch.News().Any {
		t.Error("a subscriber is told of what was there before")
	}
	b.store(box, 7, b.arrival(1, 1))
	if !woken(watch) {
		t.Fatal("no signal after a batch")
	}
	no := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`)
	if got, want := watch.News(), (News{Any: true, Types: allTypes, ChangeNo: no}); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
	if got := watch.News(); got.Any {
		t.Errorf("told twice: %+v", got)
	}
	write(t, b.Store, func(w *Writer) error {
		_, err := w.ApplyFlags(box, 7, []FlagChange{{UID: 1, Flags: `\Seen`}})
		return err
	})
	if got := watch.News(); got.Types != Emails|Mailboxes || got.ChangeNo <= no {
		t.Errorf("after a change of flags: %+v", got)
	}
	woken(watch)
	write(t, b.Store, func(w *Writer) error { return w.PauseAccount(b.account, class.Manual, "") })
	if got := watch.News(); !woken(watch) || got != (News{Any: true}) {
		t.Errorf("after an account was paused: %+v", got)
	}
	watch.Close()
	write(t, b.Store, func(w *Writer) error { return w.ResumeAccount(b.account) })
	if woken(watch) || watch.News().Any {
		t.Error("a closed subscription is served")
	}
}

// A closure that is undone, or that changes nothing, gives no signal.
func TestChangedTellsOfCommits(t *testing.T) {
	b := newBed(t)
	sink(t, b.Store)
	box := b.mailbox("INBOX", 7)
	mine := errors.New("mine")
	watch := b.Changed()
	defer watch.Close()
	for name, fn := range map[string]func(*Writer) error{
		"one that fails": func(w *Writer) error {
			if err := put("b")(w); err != nil {
				return err
			}
			w.touchMailbox(b.account, box)
			return errors.Join(w.finish(), mine)
		},
		"empty": func(*Writer) error { return nil },
		"no row": func(w *Writer) error {
			_, err := w.tx.Exec("DELETE FROM sink WHERE who = 'nobody'")
			return err
		},
	} {
		for alone, err := range map[bool]error{
			false: b.Write(t.Context(), Bulk, 0, fn),
			true:  b.WriteAlone(t.Context(), fn),
		} {
			if err != nil && !errors.Is(err, mine) {
				t.Errorf("%s, alone %v: %v", name, alone, err)
			}
		}
		if news := watch.News(); woken(watch) || news.Any {
			t.Errorf("%s: told %+v", name, news)
		}
	}
}

// One group of closures is one signal, with what all of them changed.
func TestChangedTellsOfGroups(t *testing.T) {
	b := newBed(t)
	watch := b.Changed()
	defer watch.Close()
	b.committed([]any{News{Types: Emails, ChangeNo: 7}, nil, News{}, News{Types: Threads, ChangeNo: 9},
		News{ChangeNo: 8}})
	if !woken(watch) || woken(watch) {
		t.Error("not one signal for one group")
	}
	if got, want := watch.News(), (News{Any: true, Types: Emails | Threads, ChangeNo: 9}); got != want {
		t.Errorf("told %+v, want %+v", got, want)
	}
	b.committed([]any{nil})
	if got := watch.News(); got != (News{Any: true}) {
		t.Errorf("told %+v of rows that are no mail's", got)
	}
}

// A subscriber that is woken sees in the store what woke it. One that never looks delays nobody.
func TestChangedComesAfterCommit(t *testing.T) {
	b := newBed(t)
	sink(t, b.Store)
	watch, idle := b.Changed(), b.Changed()
	defer watch.Close()
	defer idle.Close()
	const writes = 50
	failed := make(chan error, 1)
	go func() {
		for range writes {
			if err := b.Write(context.Background(), Interactive, 0, func(w *Writer) error {
				n, err := w.number()
				if err == nil {
					_, err = w.tx.Exec("INSERT INTO sink (who) VALUES (?)", n)
				}
				return err
			}); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	for {
		select {
		case <-watch.C:
		case <-time.After(time.Minute):
			t.Fatal("a commit woke nobody")
		}
		news := watch.News()
		if n := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`); n < news.ChangeNo {
			t.Fatalf("told of change %d while a reader sees %d", news.ChangeNo, n)
		}
		if number(t, b.Store, `SELECT count(*) FROM sink`) == writes {
			break
		}
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
	if got := idle.News(); got.ChangeNo != number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`) {
		t.Errorf("one that never looked is told %+v", got)
	}
}

// Nobody knows what a COMMIT that failed has kept, so whoever watches looks.
func TestChangedAfterUnknownOutcome(t *testing.T) {
	s := faulty(t)
	watch := s.Changed()
	defer watch.Close()
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	if err := s.Write(t.Context(), Interactive, 0, put("a")); !errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("told %v", err)
	}
	if got := watch.News(); !woken(watch) || got != (News{Any: true, Types: allTypes}) {
		t.Errorf("told %+v", got)
	}
}

func TestDataVersion(t *testing.T) {
	b := newBed(t)
	sink(t, b.Store)
	beside := openAt(t, b.Path(), Options{ReadOnly: true})
	version := func(s *Store) int64 {
		t.Helper()
		n, err := s.DataVersion(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for name, s := range map[string]*Store{"beside the owner": beside, "the owner": b.Store} {
		was := version(s)
		if again := version(s); again != was {
			t.Errorf("%s: %d became %d without a commit", name, was, again)
		}
		write(t, b.Store, put("a"))
		if now := version(s); now == was {
			t.Errorf("%s: %d stays after a commit", name, was)
		}
	}
	if err := beside.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := beside.DataVersion(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A store that was reopened is watched on a new connection, which counts from its beginning. No number is given twice.
func TestDataVersionAfterReopening(t *testing.T) {
	s := faulty(t)
	seen := map[int64]bool{}
	for range 3 {
		n, err := s.DataVersion(t.Context())
		if err != nil || seen[n] {
			t.Errorf("%d, seen %v, %v", n, seen, err)
		}
		seen[n] = true
		write(t, s, put("a"))
	}
	faultvfs.Fail(faultvfs.Sync, "-wal", 1, faultvfs.IOErrSync)
	if err := s.Write(t.Context(), Interactive, 0, put("b")); !errors.Is(err, ErrOutcomeUnknown) {
		t.Fatalf("told %v", err)
	}
	if n, err := s.DataVersion(t.Context()); err != nil || seen[n] {
		t.Errorf("after reopening: %d, seen %v, %v", n, seen, err)
	}
}
