package storage

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
	"mailcote/testkit/failpoint"
)

const (
	// FaultAge is how long the store keeps a fault.
	FaultAge = 30 * 24 * time.Hour
	// SweepEvery is the time from one sweep to the next.
	SweepEvery = 6 * time.Hour
)

const (
	sweepRows     = 500      // rows one sweeping transaction deletes
	sweepBytes    = 16 << 20 // stored bytes of blobs one sweeping transaction deletes
	sweepWindow   = 5000     // blobs one snapshot looks at
	blobAge       = time.Hour
	tombstoneAge  = 30 * 24 * time.Hour
	historyAge    = 7 * 24 * time.Hour  // finished tasks and runs
	keptOfAccount = 100                 // finished tasks and runs that stay however old they are
	vacuumPages   = 256                 // pages one vacuuming transaction gives back, and free pages that stay
	sweepSample   = 500                 // of the oldest expunged entries, when it is asked whether a sweep is due
	clockStep     = 2 * 24 * time.Hour  // what may lie between two sweeps, on the wall
	clockAgain    = 24 * time.Hour      // after which a wall clock that moved farther is believed
	clockApart    = 30 * 24 * time.Hour // looks at it that far apart do not say the same
)

// Swept says how many rows a sweep deleted and what it gave back.
type Swept struct {
	Entries, Emails, Blobs, Mailboxes int64
	Bytes                             int64 // stored bytes of the blobs
	Tombstones, Tasks, Runs, Faults   int64
	Aliases                           int64 // ids that emails had before
	Pages                             int64 // pages given back to the file system
}

// Sweep deletes what has been kept long enough. keep is how long expunged mail
// stays; negative means for ever. It works in small transactions of the bulk
// lane, each of which looks again before it deletes. It may be stopped and
// repeated at will: the next sweep goes on where ctx ended this one.
func (s *Store) Sweep(ctx context.Context, at time.Time, keep time.Duration) (Swept, error) {
	sw := sweep{store: s, ctx: ctx, at: at}
	steps := []func() error{sw.tombstones, sw.aliases, sw.history, sw.vacuum}
	if keep >= 0 {
		sw.before = millis(at.Add(-keep))
		steps = []func() error{sw.entries, sw.emails, sw.mailboxes, sw.blobs, sw.tombstones, sw.aliases, sw.history,
			sw.vacuum}
	}
	for _, step := range steps {
		failpoint.Hit("storage.sweepStep")
		if err := step(); err != nil {
			return sw.done, fmt.Errorf("sweep: %w", err)
		}
	}
	return sw.done, nil
}

// SweepDue reports whether it is time for a sweep: SweepEvery after the last
// one, when that was stopped among the blobs, or when something should have
// gone SweepEvery ago. It only reads, and no more in a larger store.
func (s *Store) SweepDue(ctx context.Context, at time.Time, keep time.Duration) (due bool, err error) {
	late := func(age time.Duration) int64 { return millis(at.Add(-age - SweepEvery)) }
	err = s.Read(ctx, func(r *Reader) error {
		known, _, err := r.sweptAt()
		if err != nil {
			return err
		}
		if apart := millis(at) - known; max(apart, -apart) >= SweepEvery.Milliseconds() {
			due = true
			return nil
		}
		if err := r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM meta WHERE key = 'sweep_blob' AND value > 0)
			OR EXISTS (SELECT 1 FROM change WHERE destroyed = 1 AND changed_at < ?)
			OR EXISTS (SELECT 1 FROM email_alias WHERE created_at < ?)
			OR EXISTS (SELECT 1 FROM sync_error WHERE at < ?)`, late(tombstoneAge), late(aliasAge), late(FaultAge)).
			Scan(&due); err != nil || due || keep < 0 {
			return err
		}
		return r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM email WHERE destroyed_at < ?1) OR EXISTS (SELECT 1
			FROM email e
			WHERE e.id IN (SELECT email_id FROM entry WHERE expunged_at < ?1 ORDER BY expunged_at LIMIT ?2)
			AND (e.live > 0 OR e.destroyed_at IS NOT NULL))`, late(keep), sweepSample).Scan(&due)
	})
	return due, explain("look whether a sweep is due", err)
}

// MaySweep reports whether retentions may end by the wall clock's time at. They
// may when it is near the last time that was believed, or when a clock that
// moved far still says so a day later. The clock may have been set wrong, and
// what a sweep deletes does not come back when it is set right.
func (s *Store) MaySweep(ctx context.Context, at time.Time) (ok bool, err error) {
	err = s.Write(ctx, Bulk, 0, func(w *Writer) error {
		known, doubted, err := w.sweptAt()
		if err != nil {
			return err
		}
		ok, doubted = believed(millis(at), known, doubted)
		if ok {
			known = millis(at)
		}
		_, err = w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('swept_at', ?), ('swept_doubt', ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, known, doubted)
		return err
	})
	return ok, explain("look at the clock", err)
}

// sweptAt gives what MaySweep noted: the last time it believed the clock, and
// when it began to doubt the clock. 0 is never.
func (r *Reader) sweptAt() (known, doubted int64, err error) {
	err = r.snap.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'swept_at'), 0),
		coalesce((SELECT value FROM meta WHERE key = 'swept_doubt'), 0)`).
		Scan(&known, &doubted)
	return known, doubted, explain("read when the store was swept", err)
}

// believed is MaySweep's rule, in Unix milliseconds; 0 is none. doubted is the
// first look at a clock that moved far from known, forward or back.
func believed(at, known, doubted int64) (ok bool, doubt int64) {
	switch {
	case known == 0, max(at-known, known-at) <= clockStep.Milliseconds():
		return true, 0
	case doubted == 0, (doubted > known) != (at > known), at < doubted, at-doubted > clockApart.Milliseconds():
		return false, at
	}
	if at-doubted < clockAgain.Milliseconds() {
		return false, doubted
	}
	return true, 0
}

type sweep struct {
	store  *Store
	ctx    context.Context
	at     time.Time
	before int64 // mail expunged before it goes
	done   Swept
}

// rows repeats a statement that deletes at most sweepRows until it finds
// nothing more.
func (sw *sweep) rows(count *int64, query string, args ...any) error {
	for {
		var n int64
		if err := sw.store.Write(sw.ctx, Bulk, 1<<20, func(w *Writer) error {
			result, err := w.tx.Exec(query, args...)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		}); err != nil {
			return err
		}
		*count += n
		if n < sweepRows {
			return nil
		}
	}
}

// entries spares those of an email that the change feed still shows: it shows
// their old mailbox.
func (sw *sweep) entries() error {
	return sw.rows(&sw.done.Entries, `DELETE FROM entry WHERE id IN (SELECT n.id FROM entry n
		JOIN email e ON e.id = n.email_id
		WHERE n.expunged_at < ? AND (e.live > 0 OR e.destroyed_at IS NOT NULL) LIMIT ?)`, sw.before, sweepRows)
}

// emails go with their search row and, when it was the last of it, their
// thread.
func (sw *sweep) emails() error {
	for {
		var emails, threads []int64
		if err := sw.store.WriteAlone(sw.ctx, func(w *Writer) error {
			emails, threads = nil, nil
			rows, err := w.tx.Query(`SELECT id, thread_id FROM email WHERE destroyed_at < ? AND NOT EXISTS (SELECT 1
				FROM entry WHERE email_id = email.id) LIMIT ?`, sw.before, sweepRows)
			if err := file.Each(rows, err, func(rows *sql.Rows) error {
				var email, thread int64
				err := rows.Scan(&email, &thread)
				emails, threads = append(emails, email), append(threads, thread)
				return err
			}); err != nil {
				return err
			}
			for i, email := range emails {
				if err := w.dropEmail(email, threads[i]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
		sw.done.Emails += int64(len(emails))
		if len(emails) < sweepRows {
			return nil
		}
	}
}

// dropEmail deletes an email without entries.
func (w *Writer) dropEmail(email, thread int64) error {
	if err := w.dropIndexRow(EmailRow(email)); err != nil {
		return err
	}
	if _, err := w.tx.Exec(`DELETE FROM email WHERE id = ?`, email); err != nil {
		return fmt.Errorf("drop email: %w", err)
	}
	if _, err := w.tx.Exec(`DELETE FROM thread WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM email
		WHERE thread_id = ?1)`, thread); err != nil {
		return fmt.Errorf("drop thread: %w", err)
	}
	return nil
}

func (sw *sweep) mailboxes() error {
	return sw.rows(&sw.done.Mailboxes, `DELETE FROM mailbox WHERE id IN (SELECT id FROM mailbox m
		WHERE gone_at < ? AND NOT EXISTS (SELECT 1 FROM entry WHERE mailbox_id = m.id) LIMIT ?)`,
		sw.before, sweepRows)
}

// tombstones raises the floor in the transaction that forgets what was below
// it.
func (sw *sweep) tombstones() error {
	for {
		var n int64
		if err := sw.store.Write(sw.ctx, Bulk, 1<<20, func(w *Writer) error {
			before := millis(sw.at.Add(-tombstoneAge))
			if _, err := w.tx.Exec(`INSERT INTO change_floor (account_id, type, floor_no)
				SELECT account_id, type, max(changed_no) FROM (SELECT account_id, type, changed_no FROM change
				WHERE destroyed = 1 AND changed_at < ? ORDER BY changed_at, changed_no LIMIT ?)
				GROUP BY account_id, type
				ON CONFLICT DO UPDATE SET floor_no = max(floor_no, excluded.floor_no)`, before, sweepRows); err != nil {
				return fmt.Errorf("raise the floor of changes: %w", err)
			}
			result, err := w.tx.Exec(`DELETE FROM change WHERE (account_id, type, object_id) IN
				(SELECT account_id, type, object_id FROM change WHERE destroyed = 1 AND changed_at < ?
				ORDER BY changed_at, changed_no LIMIT ?)`, before, sweepRows)
			if err != nil {
				return fmt.Errorf("drop tombstones: %w", err)
			}
			n, err = result.RowsAffected()
			return err
		}); err != nil {
			return err
		}
		if sw.done.Tombstones += n; n < sweepRows {
			return nil
		}
	}
}

func (sw *sweep) history() error {
	var accounts []Account
	if err := sw.store.Read(sw.ctx, func(r *Reader) (err error) {
		accounts, err = r.Accounts()
		return err
	}); err != nil {
		return err
	}
	before := millis(sw.at.Add(-historyAge))
	for _, a := range accounts {
		if err := sw.rows(&sw.done.Tasks, `DELETE FROM sync_task WHERE id IN (SELECT id FROM sync_task
			WHERE account_id = ?1 AND completed_at < ?2
			AND id <= (SELECT id FROM sync_task WHERE account_id = ?1 AND completed_at IS NOT NULL ORDER BY id DESC
			LIMIT 1 OFFSET ?3) LIMIT ?4)`,
			a.ID, before, keptOfAccount, sweepRows); err != nil {
			return err
		}
		if err := sw.rows(&sw.done.Runs, `DELETE FROM sync_run WHERE id IN (SELECT id FROM sync_run
			WHERE account_id = ?1 AND started_at < ?2 AND ended_at IS NOT NULL
			AND started_at < (SELECT started_at FROM sync_run WHERE account_id = ?1 ORDER BY started_at DESC
			LIMIT 1 OFFSET ?3 - 1) LIMIT ?4)`,
			a.ID, before, keptOfAccount, sweepRows); err != nil {
			return err
		}
	}
	return sw.rows(&sw.done.Faults, `DELETE FROM sync_error WHERE id IN (SELECT id FROM sync_error WHERE at < ?
		LIMIT ?)`, millis(sw.at.Add(-FaultAge)), sweepRows)
}

// vacuum gives free pages back. It leaves a twentieth of the file, which the
// next mail will use.
func (sw *sweep) vacuum() error {
	for {
		var took int64
		if err := sw.store.Write(sw.ctx, Bulk, vacuumPages*schema.PageSize, func(w *Writer) error {
			var pages, free int64
			if err := w.tx.QueryRow(`PRAGMA page_count`).Scan(&pages); err != nil {
				return err
			}
			if err := w.tx.QueryRow(`PRAGMA freelist_count`).Scan(&free); err != nil {
				return err
			}
			if took = min(free-max(pages/20, vacuumPages), vacuumPages); took <= 0 {
				return nil
			}
			// It gives a row for each page: all must be read.
			rows, err := w.tx.Raw().Query(fmt.Sprintf("PRAGMA incremental_vacuum(%d)", took))
			return file.Each(rows, err, func(*sql.Rows) error { return nil })
		}); err != nil {
			return fmt.Errorf("give pages back: %w", err)
		}
		if took <= 0 {
			return nil
		}
		sw.done.Pages += took
	}
}
