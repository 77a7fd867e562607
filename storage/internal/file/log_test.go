package file

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/storage/disk"
	"mailcote/testkit/child"
	"mailcote/testkit/form"
)

// hold is another program that reads the store and does not stop; the test binary plays it.
func hold(path string) error {
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	var n int
	if err := tx.QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
		return err
	}
	fmt.Println("holds")
	time.Sleep(24 * time.Hour)
	return tx.Rollback()
}

// bulk writes so many bytes as a batch does.
func bulk(ctx context.Context, s *File, size int) error {
	return s.Write(ctx, Bulk, size, func(w *Tx) error {
		_, err := w.Exec("INSERT INTO sink (who, what) VALUES ('bulk', randomblob(?))", size)
		return err
	})
}

// TestLongReader is FAULTS C20: while another program holds a snapshot the log stays within its bound, and soon
// after it has ended the log is short again. The short form holds it for a moment under small limits, the full
// one for as long as MAILCOTE_HOLD says (20 minutes) under those that ship.
func TestLongReader(t *testing.T) {
	l, pages, size, held, calm := hasty(), 40, 64<<10, 300*time.Millisecond, 10*time.Millisecond
	l.Probe, l.LogMost, l.LogPause = 200*time.Millisecond, 1<<20, 7<<19
	bound := int64(4 << 20)
	if form.Long() {
		shipped := StandardLimits()
		l, pages, size, held, calm, bound = &shipped, 0, 1<<20, 20*time.Minute, 10*time.Second, 256<<20
		if text := os.Getenv("MAILCOTE_HOLD"); text != "" {
			var err error
			if held, err = time.ParseDuration(text); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: l, Pages: pages})
	sink(t, s)
	reader := child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_HOLDS=" + s.Path()})
	if _, err := reader.WaitLine(t.Context(), func(line string) bool { return line == "holds" }); err != nil {
		t.Fatal(err)
	}
	began, most, paused := time.Now(), int64(0), time.Time{}
	for time.Since(began) < held || paused.IsZero() {
		switch err := bulk(t.Context(), s, size); {
		case errors.Is(err, ErrPaused):
			if errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			if paused.IsZero() {
				paused = time.Now()
			}
			write(t, s, put("person", nil))
			time.Sleep(calm)
		case err != nil:
			t.Fatal(err)
		}
		most = max(most, s.logSize())
	}
	if p, rests := s.Pause(); !rests || p.Cause != disk.Log {
		t.Errorf("%+v, %v", p, rests)
	}
	beside := beside(t, s, l)
	if p, rests := beside.Pause(); !rests || p.Cause != disk.Log {
		t.Errorf("beside: %+v, %v", p, rests)
	}
	if n := number(t, s, "SELECT count(*) FROM sink WHERE who = 'person'"); n == 0 {
		t.Error("reading did not go on")
	}
	reader.Kill()
	ended := time.Now()
	<-s.Opened()
	open := time.Since(ended)
	if size := s.logSize(); most > bound || open > time.Minute || size > l.LogMost {
		t.Errorf("the log grew to %d, bound %d; writing went on after %v with a log of %d", most, bound, open, size)
	}
	if err := bulk(t.Context(), s, size); err != nil {
		t.Error(err)
	}
	t.Logf("a reader held for %v: paused after %v, log at most %.1f MiB of %.0f; %v after its end writing goes on "+
		"and the log has %.1f MiB",
		ended.Sub(began).Round(time.Millisecond), paused.Sub(began).Round(time.Millisecond), float64(most)/(1<<20),
		float64(bound)/(1<<20), open.Round(time.Millisecond), float64(s.logSize())/(1<<20))
}

// TestSnapshotTooOld: our own readings, in the owner and beside it, are ended before anything has to rest for them.
func TestSnapshotTooOld(t *testing.T) {
	l := hasty()
	l.Snapshot, l.LogMost = 40*time.Millisecond, 1<<20
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: l, Pages: 40})
	sink(t, s)
	write(t, s, put("a", nil))
	beside := beside(t, s, l)
	grow := func() {
		for s.logSize() <= l.LogMost {
			if err := bulk(t.Context(), s, 64<<10); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, from := range map[string]*File{"owner": s, "beside": beside} {
		t.Run(name, func(t *testing.T) {
			<-s.shortened(l.LogMost) // a log that is long already need not grow, and does not end the snapshot
			err := from.Read(t.Context(), func(r *Snapshot) error {
				var n int
				if err := r.QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
					return err
				}
				grow()
				<-r.ctx.Done()
				return r.QueryRow("SELECT count(*) FROM meta").Scan(&n)
			})
			if !errors.Is(err, ErrSnapshotTooOld) {
				t.Errorf("a reading was told %v", err)
			}
			<-s.shortened(l.LogMost)
			rows := 0
			err = rowsAlone(t, from,
				"WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c, meta", func() error {
					if rows++; rows == 1 { // a pager that nobody scrolls
						grow()
						<-s.shortened(l.LogMost)
					}
					return nil
				})
			if !errors.Is(err, ErrSnapshotTooOld) {
				t.Errorf("a statement was told %v", err)
			}
		})
	}
}

// TestSnapshotOfLongLog: a log's file that is long from earlier, or a wait for a connection, ends no reading.
func TestSnapshotOfLongLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := hasty()
		l.Snapshot, l.LogMost = 40*time.Millisecond, 1<<20
		s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: l})
		sink(t, s)
		write(t, s, put("a", nil))
		if err := bulk(t.Context(), s, 3<<20); err != nil {
			t.Fatal(err)
		}
		if busy, _, err := s.writer.empty(false); busy != 0 || err != nil { // the writer is idle
			t.Fatal(busy, err)
		}
		if s.logSize() <= l.LogMost {
			t.Fatal("the log's file is short")
		}
		beside := beside(t, s, l)
		for name, from := range map[string]*File{"owner": s, "beside": beside} {
			if err := from.Read(t.Context(), func(r *Snapshot) error {
				var n int
				if err := r.QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
					return err
				}
				time.Sleep(4 * l.Snapshot) // what is tested is that nothing happens in this time
				return r.QueryRow("SELECT count(*) FROM meta").Scan(&n)
			}); err != nil {
				t.Errorf("%s: a reading was told %v", name, err)
			}
			rows := 0
			if err := rowsAlone(t, from, "SELECT key FROM meta", func() error {
				if rows++; rows == 1 {
					time.Sleep(4 * l.Snapshot)
				}
				return nil
			}); err != nil {
				t.Errorf("%s: a statement was told %v", name, err)
			}
		}

		var taken []*sql.Conn
		for range 4 { // every connection
			conn, err := beside.readers.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			taken = append(taken, conn)
		}
		fifth := make(chan error)
		go func() {
			fifth <- beside.Read(context.Background(), func(r *Snapshot) error {
				var n int
				return r.QueryRow("SELECT count(*) FROM meta").Scan(&n)
			})
		}()
		synctest.Wait() // it waits for a connection
		if err := bulk(t.Context(), s, 3<<20); err != nil {
			t.Fatal(err)
		}
		if s.logSize() <= l.LogMost {
			t.Fatal("the log is short")
		}
		time.Sleep(4 * l.Snapshot)
		for _, conn := range taken {
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-fifth; err != nil {
			t.Errorf("who waited for a connection was told %v", err)
		}
	})
}

// TestSnapshotThatStopsMail: a reading that began when the log was long already is ended when bulk writing rests
// for it.
func TestSnapshotThatStopsMail(t *testing.T) {
	l := hasty()
	l.Snapshot, l.LogMost, l.LogPause = 40*time.Millisecond, 1<<20, 2<<20
	s := openAt(t, filepath.Join(t.TempDir(), "mail.db"), Options{Limits: l, Pages: 40})
	sink(t, s)
	write(t, s, put("a", nil))
	beside := beside(t, s, l)
	for name, from := range map[string]*File{"owner": s, "beside": beside} {
		t.Run(name, func(t *testing.T) {
			reader := child.Start(t, []string{os.Args[0]}, []string{"MAILCOTE_HOLDS=" + s.Path()})
			if _, err := reader.WaitLine(t.Context(), func(line string) bool { return line == "holds" }); err != nil {
				t.Fatal(err)
			}
			for {
				if err := bulk(t.Context(), s, 64<<10); errors.Is(err, ErrPaused) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
			err := from.Read(t.Context(), func(r *Snapshot) error {
				var n int
				if err := r.QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
					return err
				}
				<-r.ctx.Done()
				return r.ctx.Err()
			})
			if !errors.Is(err, ErrSnapshotTooOld) {
				t.Errorf("told %v", err)
			}
			reader.Kill()
			<-s.Opened()
		})
	}
}

// shortened gives a channel that is closed when the log is short: then no snapshot holds it.
func (s *File) shortened(most int64) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		for deadline := time.Now().Add(30 * time.Second); s.logSize() > most &&
			time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			_ = bulk(context.Background(), s, 1) //nolint:errcheck // it only wakes the writer
		}
	}()
	return done
}
