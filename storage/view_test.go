package storage

import (
	"context"
	"slices"
	"testing"
)

// viewBed has five indexed emails, of which the last is destroyed.
func viewBed(t *testing.T) *bed {
	t.Helper()
	b := newBed(t)
	inbox := b.mailbox("INBOX", 7)
	for uid := UID(1); uid <= 5; uid++ {
		b.store(inbox, 7, b.arrival(uid, int(uid)))
	}
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "former"} })
	write(t, b.Store, func(w *Writer) error {
		if err := w.Expunge(inbox, 7, []UID{5}); err != nil {
			return err
		}
		_, err := w.SettleOrphans(b.account)
		return err
	})
	return b
}

// outdated lists what is to be made again.
func (b *bed) outdated(limit int, bytes int64) (batch []EmailRow, left int64) {
	b.t.Helper()
	read(b.t, b.Store, func(r *Reader) (err error) { batch, left, err = r.OutdatedViews(limit, bytes); return err })
	return batch, left
}

func (b *bed) renew(views ...NewView) (changed int) {
	b.t.Helper()
	if err := b.WriteAlone(context.Background(), func(w *Writer) (err error) {
		changed, err = w.RenewViews(views)
		return err
	}); err != nil {
		b.t.Fatal(err)
	}
	return changed
}

// A view is outdated once for each rise of the reader's version, unless the
// message has no body. A reader that went back is believed when it rises again.
func TestOutdateViews(t *testing.T) {
	b := viewBed(t)
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`UPDATE email SET digest = NULL WHERE id = 4`)
		return err
	})
	for _, step := range []struct {
		version int
		want    []EmailRow
	}{
		{2, []EmailRow{1, 2, 3, 5}}, {2, nil}, {3, []EmailRow{1, 2, 3, 5}}, {2, nil}, {3, []EmailRow{1, 2, 3, 5}},
	} {
		write(t, b.Store, func(w *Writer) error { return w.OutdateViews(step.version) })
		if got, left := b.outdated(10, 1<<20); !slices.Equal(got, step.want) || int(left) != len(step.want) {
			t.Errorf("version %d: %v of %d, want %v", step.version, got, left, step.want)
		}
		write(t, b.Store, func(w *Writer) error { _, err := w.tx.Exec(`DELETE FROM outdated_view`); return err })
	}
	write(t, b.Store, func(w *Writer) error { return w.OutdateAll() })
	write(t, b.Store, func(w *Writer) error { return w.OutdateAll() })
	size := number(t, b.Store, `SELECT size FROM email WHERE id = 1`)
	for _, c := range []struct {
		limit int
		bytes int64
		want  int
	}{{3, 1 << 20, 3}, {10, 2*size + 1, 2}, {10, 1, 1}} {
		if got, left := b.outdated(c.limit, c.bytes); len(got) != c.want || left != 4 {
			t.Errorf("at most %d emails and %d bytes: %v of %d", c.limit, c.bytes, got, left)
		}
	}
}

// A view that is the same writes neither a row nor a change. One that differs is
// told as updated, unless the email is gone. What cannot be read stays as it is.
func TestRenewViews(t *testing.T) {
	b := viewBed(t)
	write(t, b.Store, func(w *Writer) error {
		for _, s := range []string{`CREATE TABLE written (id INTEGER)`,
			`CREATE TRIGGER see AFTER UPDATE ON email BEGIN INSERT INTO written VALUES (new.id); END`,
			`INSERT INTO unindexed VALUES (3)`, `DELETE FROM search WHERE rowid = 3`} {
			if _, err := w.tx.Raw().Exec(s); err != nil {
				return err
			}
		}
		return w.OutdateAll()
	})
	before := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`)
	same := headerOf(1)
	same.ThreadKeys = append(same.ThreadKeys, "<later@example.org>")
	threads := number(t, b.Store, `SELECT count(*) FROM thread_reference`)
	if n := b.renew(NewView{Email: 1, Read: true, Header: same, Doc: IndexDoc{Text: "fresh"}},
		NewView{Email: 4}, NewView{Email: 77, Read: true}); n != 0 {
		t.Errorf("%d views changed that are the same", n)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM written`); n != 0 {
		t.Errorf("%d rows were written that are the same", n)
	}
	if n := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`); n != before {
		t.Errorf("the change number went from %d to %d", before, n)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM thread_reference`); n != threads+1 {
		t.Errorf("%d references, want %d", n, threads+1)
	}
	if got := b.find("fresh", 10); got != "1" {
		t.Errorf("the text that was read again is found in %q", got)
	}
	if got, _ := b.outdated(10, 1<<20); !slices.Equal(got, []EmailRow{2, 3, 5}) {
		t.Errorf("still outdated: %v", got)
	}
	other := func(n int) Header { h := headerOf(n); h.Subject, h.Partial = "better", true; return h }
	if n := b.renew(NewView{Email: 2, Read: true, Header: other(2)}, NewView{Email: 3, Read: true, Header: other(3)},
		NewView{Email: 5, Read: true, Header: other(5)}, NewView{Email: 1, Read: true, Header: other(1)}); n != 3 {
		t.Errorf("%d views changed, want 3: one is not outdated", n)
	}
	if got := text(t, b.Store, `SELECT group_concat(id, ' ') FROM email WHERE subject = 'better'
		AND partial = 1`); got != "2 3 5" {
		t.Errorf("changed: %s", got)
	}
	if got := text(t, b.Store, `SELECT group_concat(e.id, ' ' ORDER BY e.id) FROM change c
		JOIN email e ON e.jmap_id = c.object_id
		WHERE c.type = 'Email' AND c.destroyed = 0 AND c.changed_no > ?`, before); got != "2 3" {
		t.Errorf("told as updated: %s", got)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM unindexed WHERE email_id = 3`); n != 1 {
		t.Error("an email that waits for the index does so no longer")
	}
	if got, left := b.outdated(10, 1<<20); len(got) != 0 || left != 0 {
		t.Errorf("still outdated: %v", got)
	}
}

// What an older reader made, and is listed to be made again, is no finding.
func TestCheckOutdated(t *testing.T) {
	b := viewBed(t)
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`UPDATE email SET subject = 'older' WHERE id = 2`)
		return err
	})
	look := func(reader int) int {
		found, err := b.Check(t.Context(), CheckOptions{Parse: parseRaw, Reader: reader})
		if err != nil {
			t.Fatal(err)
		}
		return len(found)
	}
	if look(0) != 1 || look(2) != 0 {
		t.Errorf("%d findings, and %d by a newer reader", look(0), look(2))
	}
	write(t, b.Store, func(w *Writer) error { return w.OutdateViews(2) })
	if n := look(2); n != 0 {
		t.Errorf("%d findings in what is outdated", n)
	}
	write(t, b.Store, func(w *Writer) error { _, err := w.tx.Exec(`DELETE FROM outdated_view`); return err })
	if n := look(2); n != 1 {
		t.Errorf("%d findings, want 1", n)
	}
}
