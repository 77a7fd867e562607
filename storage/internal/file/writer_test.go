package file

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modernc.org/sqlite"
)

// together queues requests at one instant, so that the writer meets them in one group, and gives their outcomes.
func together(t *testing.T, s *File, requests ...*request) []error {
	t.Helper()
	w := s.writer
	w.mu.Lock()
	w.groupTime = time.Minute
	for _, r := range requests {
		if r.ctx == nil {
			r.ctx = t.Context()
		}
		r.done = make(chan error, 1)
		w.queues[Bulk] = append(w.queues[Bulk], r)
	}
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	var outcomes []error
	for _, r := range requests {
		outcomes = append(outcomes, <-r.done)
	}
	return outcomes
}

// commits counts COMMITs on the writer's connection.
func commits(t *testing.T, s *File) *int {
	t.Helper()
	n := new(int)
	if err := s.writer.stmts.conn.Raw(func(c any) error {
		c.(sqlite.HookRegisterer).RegisterCommitHook(func() int32 { *n++; return 0 })
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return n
}

func sink(t *testing.T, s *File) {
	t.Helper()
	write(t, s, func(w *Tx) error { _, err := w.tx.Exec("CREATE TABLE sink (who TEXT, what BLOB)"); return err })
}

// put is a closure that leaves a mark and counts its runs.
func put(name string, runs *int) func(*Tx) error {
	return func(w *Tx) error {
		if runs != nil {
			*runs++
		}
		_, err := w.Exec("INSERT INTO sink (who) VALUES (?)", name)
		return err
	}
}

func marks(t *testing.T, s *File) string {
	t.Helper()
	return text(t, s, "SELECT coalesce(group_concat(who, ' '), '') FROM (SELECT who FROM sink ORDER BY rowid)")
}

func TestGroupIsOneCommit(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	n := commits(t, s)
	for i, err := range together(t, s, &request{fn: put("a", nil)}, &request{fn: put("b", nil)},
		&request{fn: put("c", nil)}) {
		if err != nil {
			t.Errorf("closure %d: %v", i, err)
		}
	}
	if *n != 1 {
		t.Errorf("%d commits for three closures", *n)
	}
	if got := marks(t, s); got != "a b c" {
		t.Errorf("kept %q", got)
	}
}

func TestGroupClosesAtItsSize(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	n := commits(t, s)
	together(t, s, &request{fn: put("a", nil), size: groupSize}, &request{fn: put("b", nil), size: 1},
		&request{fn: put("c", nil)})
	if *n != 2 {
		t.Errorf("%d commits, want 2: one for the large closure, one for the rest", *n)
	}
}

func TestInteractiveGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := openTest(t)
		sink(t, s)
		started, release := make(chan struct{}), make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			_ = s.Write(context.Background(), Bulk, groupSize, func(w *Tx) error {
				close(started)
				<-release
				return nil
			})
		})
		<-started
		wg.Go(func() { _ = s.Write(context.Background(), Bulk, 0, put("bulk", nil)) })
		synctest.Wait() // it is queued
		wg.Go(func() { _ = s.Write(context.Background(), Interactive, 0, put("interactive", nil)) })
		synctest.Wait()
		close(release)
		wg.Wait()
		if got := marks(t, s); got != "interactive bulk" {
			t.Errorf("order %q", got)
		}
	})
}

func TestOwnErrorAndPanicCostOnlyThemselves(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	n := commits(t, s)
	mine := errors.New("mine")
	got := together(t, s,
		&request{fn: put("a", nil)},
		&request{fn: func(w *Tx) error { return errors.Join(put("b", nil)(w), mine) }},
		&request{fn: func(w *Tx) error { _ = put("c", nil)(w); panic("oops") }},
		&request{fn: func(w *Tx) error { _, err := w.Exec("INSERT INTO sink (nosuch) VALUES (1)"); return err }},
		&request{fn: put("d", nil)},
	)
	var p *PanicError
	if got[0] != nil || !errors.Is(got[1], mine) || !errors.As(got[2], &p) || got[3] == nil || got[4] != nil {
		t.Errorf("outcomes %v", got)
	}
	if p != nil && !strings.Contains(string(p.Stack), "writer_test.go") {
		t.Error("the stack does not lead to the panic")
	}
	if m := marks(t, s); m != "a d" || *n != 1 {
		t.Errorf("kept %q in %d commits", m, *n)
	}
}

// full fills the file's limit; the limit leaves room for its neighbours.
func full(w *Tx) error {
	var pages int
	if err := w.tx.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		return err
	}
	if _, err := w.tx.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+20)); err != nil {
		return err
	}
	_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('full', zeroblob(10000000))")
	return err
}

func TestFullCostsNoNeighbour(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	var runs int
	got := together(t, s, &request{fn: put("a", &runs)}, &request{fn: full}, &request{fn: put("b", nil)})
	if got[0] != nil || !errors.Is(got[1], ErrFull) || got[2] != nil {
		t.Errorf("outcomes %v", got)
	}
	if m := marks(t, s); m != "a b" {
		t.Errorf("kept %q", m)
	}
	if runs != 2 {
		t.Errorf("the neighbour ran %d times, want 2: in the group and alone", runs)
	}
	write(t, s, func(w *Tx) error {
		if _, err := w.tx.Exec("PRAGMA max_page_count = 4294967294"); err != nil {
			return err
		}
		return put("c", nil)(w)
	})
	if m := marks(t, s); m != "a b c" {
		t.Errorf("after the disk had room again: %q", m)
	}
}

// A closure whose statement is cancelled loses SQLite's whole transaction, neighbours included; they are run again.
func TestCancelledStatementCostsNoNeighbour(t *testing.T) {
	for at := range 3 {
		for _, swallow := range []bool{false, true} {
			t.Run(fmt.Sprintf("place %d, swallowed %v", at, swallow), func(t *testing.T) {
				s := openTest(t)
				sink(t, s)
				cancelled := &request{fn: func(w *Tx) (err error) {
					for range 100 { // the time may be over before the statement begins
						if stillOpen(context.Background(), w.tx) != nil {
							break
						}
						ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
						_, err = w.tx.ExecContext(ctx,
							"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) INSERT INTO sink (who) "+
								"SELECT 'c' || x FROM c")
						cancel()
					}
					if swallow {
						return nil
					}
					return err
				}}
				all := []*request{{fn: put("a", nil)}, {fn: put("b", nil)}}
				got := together(t, s, slices.Insert(all, at, cancelled)...)
				if got[at] == nil {
					t.Error("a closure whose transaction was lost was acknowledged")
				}
				if got = slices.Delete(got, at, at+1); got[0] != nil || got[1] != nil {
					t.Errorf("neighbours: %v", got)
				}
				if m := marks(t, s); m != "a b" {
					t.Errorf("kept %.80q", m)
				}
				write(t, s, put("c", nil))
			})
		}
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	started, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.Write(context.Background(), Bulk, groupSize, func(w *Tx) error {
			close(started)
			<-release
			return put("first", nil)(w)
		})
	}()
	<-started
	for _, alone := range []bool{false, true} {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
		var err error
		if alone {
			err = s.WriteAlone(ctx, put("never", nil))
		} else {
			err = s.Write(ctx, Bulk, 0, put("never", nil))
		}
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("alone %v: %v", alone, err)
		}
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	write(t, s, put("last", nil))
	if m := marks(t, s); m != "first last" {
		t.Errorf("kept %q", m)
	}
}

// Cancelled inside a group: the caller hears what became of it, not that it was cancelled.
func TestCancelledInGroup(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	if err := s.Write(ctx, Bulk, 0, func(w *Tx) error { cancel(); return put("kept", nil)(w) }); err != nil {
		t.Errorf("a committed write was reported as %v", err)
	}
	if m := marks(t, s); m != "kept" {
		t.Errorf("kept %q", m)
	}
}

func TestCancelledBehindAnother(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	ctx, cancel := context.WithCancel(context.Background())
	got := together(t, s,
		&request{fn: func(w *Tx) error { cancel(); return put("a", nil)(w) }},
		&request{fn: put("b", nil), ctx: ctx},
		&request{fn: put("c", nil), ctx: ctx, alone: true},
		&request{fn: put("d", nil)})
	if got[0] != nil || !errors.Is(got[1], context.Canceled) || !errors.Is(got[2], context.Canceled) || got[3] != nil {
		t.Errorf("outcomes %v", got)
	}
	if m := marks(t, s); m != "a d" {
		t.Errorf("kept %q", m)
	}
}

func TestAloneHasNoSavepoint(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	n := commits(t, s)
	got := together(t, s, &request{fn: put("a", nil)}, &request{alone: true, fn: func(w *Tx) error {
		if _, err := w.tx.Exec("RELEASE member"); err == nil {
			t.Error("it runs in a savepoint")
		}
		return put("b", nil)(w)
	}}, &request{fn: put("c", nil)})
	if slices.ContainsFunc(got, func(err error) bool { return err != nil }) {
		t.Errorf("outcomes %v", got)
	}
	if m := marks(t, s); m != "a b c" || *n != 3 {
		t.Errorf("kept %q in %d commits", m, *n)
	}
}

// The first of a group needs no savepoint, which would make a large batch dear. Its failure undoes only itself, too.
func TestFirstHasNoSavepoint(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	mine := errors.New("mine")
	inSavepoint := func(name string, want bool, fails error) *request {
		return &request{fn: func(w *Tx) error {
			if err := put(name, nil)(w); err != nil {
				return err
			}
			_, err := w.tx.Exec("RELEASE member")
			if got := err == nil; got != want {
				t.Errorf("%s runs in a savepoint: %t, want %t", name, got, want)
			}
			if err == nil {
				_, err = w.tx.Exec("SAVEPOINT member")
				return err
			}
			return fails
		}}
	}
	for i, fails := range []error{nil, mine} {
		first := fmt.Sprintf("first%d", i)
		got := together(t, s, inSavepoint(first, false, fails), &request{fn: put(first+"b", nil)},
			&request{fn: put(first+"c", nil)})
		if !errors.Is(got[0], fails) || got[1] != nil || got[2] != nil {
			t.Errorf("outcomes %v", got)
		}
	}
	got := together(t, s, &request{fn: put("a", nil)}, inSavepoint("second", true, nil))
	if got[0] != nil || got[1] != nil {
		t.Errorf("outcomes %v", got)
	}
	if m := marks(t, s); m != "first0 first0b first0c first1b first1c a second" {
		t.Errorf("kept %q", m)
	}
}

func TestCloseLetsQueuedWritesFinish(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	started, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	outcomes := make(chan error, 2)
	wg.Go(func() {
		outcomes <- s.Write(context.Background(), Bulk, 0, func(w *Tx) error {
			close(started)
			<-release
			return put("a", nil)(w)
		})
	})
	<-started
	wg.Go(func() { close(release) })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := <-outcomes; err != nil {
		t.Error(err)
	}
	if m := marks(t, beside(t, s, nil)); m != "a" {
		t.Errorf("kept %q", m)
	}
}

// Checkpoints keep the WAL short however much is written, also while readers come and go.
func TestCheckpointsBoundTheWAL(t *testing.T) {
	s := openTest(t)
	sink(t, s)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := s.Read(context.Background(), func(r *Snapshot) error {
				var n int
				return r.QueryRow("SELECT count(*) FROM meta").Scan(&n)
			}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	junk := make([]byte, 4<<20)
	rand.Read(junk)
	var longest int64
	for range 50 { // 200 MB
		if err := s.Write(t.Context(), Bulk, len(junk), func(w *Tx) error {
			_, err := w.Exec("INSERT INTO sink (what) VALUES (?)", junk)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(s.Path() + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		longest = max(longest, info.Size())
	}
	t.Logf("200 MB written, the WAL was %d MB at most", longest>>20)
	if longest > 100<<20 {
		t.Errorf("the WAL grew to %d MB", longest>>20)
	}
}

// A reader that stays lets the WAL grow, but does not hold up every group, and the WAL shrinks after it.
func TestReaderThatStays(t *testing.T) {
	l := StandardLimits()
	l.Snapshot = time.Hour // the reader stays however slow the machine is
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: &l})
	sink(t, s)
	write(t, s, put("seen", nil))
	junk := make([]byte, 4<<20)
	rand.Read(junk)
	grow := func(times int) {
		for range times {
			if err := s.Write(t.Context(), Bulk, len(junk), func(w *Tx) error {
				_, err := w.Exec("INSERT INTO sink (what) VALUES (?)", junk)
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	read(t, s, func(r *Snapshot) error {
		var n int
		if err := r.QueryRow("SELECT count(*) FROM sink").Scan(&n); err != nil {
			return err
		}
		start := time.Now()
		grow(25)
		if took := time.Since(start); took > time.Minute { // 25 groups that each wait out a busy time of 5 s take two
			t.Errorf("writing 100 MB beside a reader took %s", took)
		}
		return nil
	})
	grow(10)
	var pages, busy, copied int
	write(t, s, func(w *Tx) error { return nil })
	if err := s.writer.stmts.conn.QueryRowContext(t.Context(), "PRAGMA wal_checkpoint(NOOP)").Scan(&busy, &pages,
		&copied); err != nil {
		t.Fatal(err)
	}
	if pages > (restartTimes+1)*checkpointPages {
		t.Errorf("%d pages of WAL after the reader had gone", pages)
	}
}

// A group is told of once, with the notes of those that were committed. Of one
// that is undone, or that changes no row, nothing is told.
func TestCommittedIsToldOfGroups(t *testing.T) {
	var told [][]any
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{
		Committed: func(notes []any) { told = append(told, notes) },
		Doubted:   func() { t.Error("a COMMIT is doubted") },
	})
	sink(t, s)
	told = nil
	mine := errors.New("mine")
	noting := func(name string, err error) func(*Tx) error {
		return func(tx *Tx) error {
			tx.Note = name
			return errors.Join(put(name, nil)(tx), err)
		}
	}
	nothing := func(tx *Tx) error { tx.Note = "nothing"; return nil }
	for name, requests := range map[string][]*request{
		"one that fails":  {{fn: noting("a", mine)}},
		"alone":           {{fn: noting("a", mine), alone: true}},
		"empty":           {{fn: nothing}},
		"empty and alone": {{fn: nothing, alone: true}},
		"no row": {{fn: func(tx *Tx) error {
			_, err := tx.Exec("DELETE FROM sink WHERE who = 'nobody'")
			return err
		}}},
	} {
		if together(t, s, requests...); len(told) > 0 {
			t.Errorf("%s: told %q", name, told)
		}
	}
	together(t, s, &request{fn: noting("a", nil)}, &request{fn: noting("b", mine)}, &request{fn: noting("c", nil)})
	together(t, s, &request{fn: noting("d", nil), alone: true})
	if want := [][]any{{"a", "c"}, {"d"}}; !reflect.DeepEqual(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
