package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"mailcote/storage/internal/file"
)

// blobs looks at all blobs, a window at a time, and not at a list of
// candidates, which could be lost: a blob that nobody names is rare. It begins
// with the window in which the last sweep was stopped.
func (sw *sweep) blobs() error {
	var left int64 // where that window begins; 0: there is none
	if err := sw.store.Read(sw.ctx, func(r *Reader) error {
		return r.snap.QueryRow(`SELECT coalesce((SELECT value FROM meta WHERE key = 'sweep_blob'), 0)`).Scan(&left)
	}); err != nil {
		return err
	}
	for from := max(left, 1); ; from += sweepWindow {
		last, err := sw.window(from)
		if err != nil {
			return errors.Join(err, sw.leave(from))
		}
		if from+sweepWindow <= last {
			continue
		}
		if left > 0 {
			return sw.leave(0)
		}
		return nil
	}
}

// leave notes where the next sweep begins to look at blobs.
func (sw *sweep) leave(from int64) error {
	return sw.store.Write(context.WithoutCancel(sw.ctx), Bulk, 0, func(w *Writer) error {
		_, err := w.tx.Exec(`INSERT INTO meta (key, value) VALUES ('sweep_blob', ?)
			ON CONFLICT DO UPDATE SET value = excluded.value`, from)
		return err
	})
}

// window looks at the blobs from a number on and gives the last number of the
// store.
func (sw *sweep) window(from int64) (last int64, err error) {
	var free []freeBlob
	if err := sw.store.Read(sw.ctx, func(r *Reader) error {
		if err := r.snap.QueryRow(`SELECT coalesce(max(id), 0) FROM blob`).Scan(&last); err != nil {
			return err
		}
		rows, err := r.snap.Query(`SELECT id, stored FROM blob b
			WHERE id >= ?1 AND id < ?1 + ?2 AND state = 'sealed' AND created_at < ?3
			AND NOT EXISTS (SELECT 1 FROM entry WHERE blob_id = b.id)
			AND NOT EXISTS (SELECT 1 FROM account a CROSS JOIN email e ON e.account_id = a.id AND e.digest = b.sha256)`,
			from, sweepWindow, millis(sw.at.Add(-blobAge)))
		return file.Each(rows, err, func(rows *sql.Rows) error {
			var one freeBlob
			err := rows.Scan(&one.id, &one.stored)
			free = append(free, one)
			return err
		})
	}); err != nil {
		return 0, err
	}
	for len(free) > 0 {
		n, bytes := 0, int64(0)
		for n < len(free) && n < sweepRows && bytes < sweepBytes {
			bytes += free[n].stored
			n++
		}
		if err := sw.drop(free[:n]); err != nil {
			return 0, err
		}
		free = free[n:]
	}
	return last, nil
}

// freeBlob was named by nobody when it was looked at.
type freeBlob struct{ id, stored int64 }

// drop deletes blobs that are still free: the same bytes may have arrived
// meanwhile.
func (sw *sweep) drop(free []freeBlob) error {
	var gone Swept
	if err := sw.store.Write(sw.ctx, Bulk, 1<<20, func(w *Writer) error {
		gone = Swept{}
		for _, one := range free {
			took, err := w.dropFree(one.id)
			if err != nil {
				return err
			}
			if took {
				gone.Blobs, gone.Bytes = gone.Blobs+1, gone.Bytes+one.stored
			}
		}
		return nil
	}); err != nil {
		return err
	}
	sw.done.Blobs, sw.done.Bytes = sw.done.Blobs+gone.Blobs, sw.done.Bytes+gone.Bytes
	return nil
}

// dropFree deletes a blob that nobody names.
func (w *Writer) dropFree(id int64) (gone bool, err error) {
	result, err := w.tx.Exec(`DELETE FROM blob WHERE id = ? AND NOT EXISTS (SELECT 1 FROM entry
		WHERE blob_id = blob.id)
		AND NOT EXISTS (SELECT 1 FROM account a CROSS JOIN email e ON e.account_id = a.id
		AND e.digest = blob.sha256)`, id)
	if err != nil {
		return false, fmt.Errorf("drop blob: %w", err)
	}
	n, err := result.RowsAffected()
	return n > 0, err
}
