package engine

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/script"
)

// ages makes everything in the store that a retention counts from older.
func (w *world) ages(by time.Duration) {
	w.t.Helper()
	if err := w.store.Write(w.t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		for _, statement := range []string{
			`UPDATE entry SET expunged_at = expunged_at - ? WHERE expunged_at IS NOT NULL`,
			`UPDATE email SET destroyed_at = destroyed_at - ? WHERE destroyed_at IS NOT NULL`,
			`UPDATE blob SET created_at = created_at - ?`,
			`UPDATE change SET changed_at = changed_at - ?`,
			`UPDATE sync_error SET at = at - ?`,
		} {
			if _, err := tables.In(tx).Exec(statement, by.Milliseconds()); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
}

// old counts what is expunged or destroyed, and the blobs and faults.
func (w *world) old() string {
	w.t.Helper()
	return w.text(`SELECT (SELECT count(*) FROM entry WHERE expunged_at IS NOT NULL) || ' entries, ' ||
		(SELECT count(*) FROM email WHERE live = 0) || ' emails, ' ||
		(SELECT count(*) FROM blob) || ' blobs, ' || (SELECT count(*) FROM sync_error) || ' faults'`)
}

// TestSyncSweeps: for who never has the agent run, a sync deletes what was kept long enough.
func TestSyncSweeps(t *testing.T) {
	const kept, swept = "4 entries, 3 emails, 13 blobs, 1 faults", "0 entries, 0 emails, 10 blobs, 0 faults"
	for name, test := range map[string]struct {
		age       time.Duration
		keep      time.Duration
		mailboxes []string
		want      string
	}{
		"after its time":  {age: 31 * aDay, want: swept},
		"before its time": {age: 29 * aDay, want: kept},
		"a short one":     {age: 8 * aDay, keep: 7 * aDay, want: "0 entries, 0 emails, 10 blobs, 1 faults"},
		"for ever":        {age: 400 * aDay, keep: -1, want: "4 entries, 3 emails, 13 blobs, 0 faults"},
		"of one mailbox":  {age: 31 * aDay, mailboxes: []string{"Team"}, want: swept},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, w := scripted(t, 10, script.Options{}, Options{Keep: test.keep})
			put(s, "Team", 3)
			s.Change(func(m *script.Model) { m.Box("Team").Add(m.Box("INBOX").Messages[0].Raw) }) // in both
			w.complete()
			s.Change(func(m *script.Model) { m.Box("INBOX").Expunge(1, 2, 3, 4) })
			w.complete()
			w.engine.reportFault(fault.ErrDisagrees)
			w.ages(test.age)
			if got := w.old(); got != kept {
				t.Fatalf("at first %s", got)
			}
			w.restart()
			if sum := w.engine.Sync(t.Context(), []storage.AccountID{w.id},
				SyncOptions{Mailboxes: test.mailboxes})[0]; sum.Result != Complete {
				t.Errorf("%+v", sum)
			}
			if got := w.old(); got != test.want {
				t.Errorf("%s are left, want %s", got, test.want)
			}
			w.equals(s)
		})
	}
}

// TestSyncSweepsNowAndThen: a sync looks at all blobs every six hours, not each time, and not when it is
// interrupted or the clock is not to be believed.
func TestSyncSweepsNowAndThen(t *testing.T) {
	var wall hands
	_, w := scripted(t, 3, script.Options{}, Options{wall: wall.now})
	w.complete()
	if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
		_, err := tables.In(tx).Exec(`INSERT INTO blob (sha256, size, stored, state, created_at)
			VALUES (randomblob(32), 1, 1, 'sealed', 0)`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, one := range []struct {
		when  string
		ahead time.Duration
		ctx   context.Context
		want  string
	}{
		{"at once", 0, t.Context(), "4"},
		{"five hours later", 5 * time.Hour, t.Context(), "4"},
		{"ten years later", 3650 * aDay, t.Context(), "4"},
		{"interrupted", 7 * time.Hour, over, "4"},
		{"seven hours later", 7 * time.Hour, t.Context(), "3"},
	} {
		wall.set(one.ahead)
		w.engine.Sync(one.ctx, []storage.AccountID{w.id}, SyncOptions{})
		if got := w.text(`SELECT count(*) FROM blob`); got != one.want {
			t.Errorf("%s: %s blobs, want %s", one.when, got, one.want)
		}
	}
}

// TestSyncSweepsForAMoment: a sweep that finds no end keeps nobody waiting.
func TestSyncSweepsForAMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := script.Start(t, script.Options{Pipe: true})
		put(s, "INBOX", 3)
		w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{dialer: s.Dial}).account("127.0.0.1", 143)
		w.engine.UsePassword(w.id, secret.New(dovecot.Password))
		w.complete()
		taken, release := make(chan struct{}), make(chan struct{})
		go func() {
			if err := w.store.Write(context.Background(), storage.Interactive, 0, func(*storage.Writer) error {
				close(taken)
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		}()
		<-taken
		time.Sleep(storage.SweepEvery) // it is due, and cannot write
		began := time.Now()
		w.engine.sweepIfDue(t.Context())
		if took := time.Since(began); took != sweepTime {
			t.Errorf("it took %v, want %v", took, sweepTime)
		}
		close(release)
		if faults := w.faults(); len(faults) > 0 {
			t.Errorf("faults %+v", faults)
		}
	})
}
