package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"
)

// parseRaw reads what raw wrote, as arrivalOf would have it.
func parseRaw(r io.Reader) Header {
	text, err := io.ReadAll(r)
	n := 0
	if _, err2 := fmt.Sscanf(string(text), "Message-ID: <%d@", &n); err != nil || err2 != nil {
		return Header{Partial: true}
	}
	return headerOf(n)
}

func checkAll(t *testing.T, s *Store) []Finding {
	t.Helper()
	found, err := s.Check(t.Context(), CheckOptions{Parse: parseRaw})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// checkBed is a store with a past: two mailboxes, a thread, a staged message, expunges, a destroyed email, an
// index, a task.
func checkBed(t *testing.T) *bed {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	for uid := UID(1); uid <= 9; uid++ {
		b.store(inbox, 7, b.arrival(uid, int(uid)))
	}
	big := append(raw(10), bytes.Repeat([]byte("0123456789abcdef"), 5<<16)...)
	body, err := b.Stage(t.Context(), b.packer, bytes.NewReader(big))
	if err != nil {
		t.Fatal(err)
	}
	a := b.arrival(10, 10)
	a.Body = body
	b.store(inbox, 7, a)
	b.store(archive, 9, b.arrival(1, 1), b.arrival(2, 20))
	write(t, b.Store, func(w *Writer) error {
		if err := w.Expunge(inbox, 7, []UID{1, 9}); err != nil {
			return err
		}
		_, err := w.SettleOrphans(b.account)
		return err
	})
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	write(t, b.Store, func(w *Writer) error {
		if _, err := w.tx.Raw().Exec(`INSERT INTO goqite (id, queue, body) VALUES ('m_1', 'q', x'00')`); err != nil {
			return err
		}
		_, err := w.tx.Raw().Exec(`INSERT INTO sync_task (account_id, task_type, message_id, created_at)
			VALUES (?, 'initial_sync', 'm_1', 0)`, b.account)
		return err
	})
	return b
}

func TestCheckClean(t *testing.T) {
	b := checkBed(t)
	var last, total int64
	found, err := b.Check(t.Context(), CheckOptions{Parse: parseRaw, Progress: func(d, n int64) { last, total = d, n }})
	if err != nil || len(found) > 0 {
		t.Errorf("%v, %v", found, err)
	}
	if last != total || total == 0 {
		t.Errorf("progress ended at %d of %d", last, total)
	}
	if found := checkAll(t, openAt(t, b.Path(), Options{ReadOnly: true})); len(found) > 0 {
		t.Errorf("beside the owner: %v", found)
	}
	if _, err := b.Sweep(t.Context(), time.Now().Add(40*24*time.Hour), 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	if found := checkAll(t, b.Store); len(found) > 0 {
		t.Errorf("after a sweep: %v", found)
	}
}

func TestCheckFinds(t *testing.T) {
	enough := raceShare(8)
	for name, c := range map[string]struct {
		damage string
		what   string
		where  string
	}{
		"bit flip in a piece": {`UPDATE blob_piece SET frame = CAST(substr(frame, 1, 30) || x'ff' || substr(frame,
			32) AS BLOB) WHERE blob_id = 2`, "damaged message", "account ada, mailbox INBOX, UID 2"},
		"lost piece": {`DELETE FROM blob_piece WHERE blob_id = (SELECT id FROM blob ORDER BY size DESC
			LIMIT 1) AND n = 1`, "missing piece", "UID 10"},
		"superfluous piece": {`INSERT INTO blob_piece SELECT 2, 1, frame FROM blob_piece WHERE blob_id = 2`,
			"wrong size", "UID 2"},
		"swapped bodies": {`UPDATE entry SET blob_id = 3 WHERE id = 2`, "wrong message", "UID 2"},
		"swapped bytes": {`UPDATE blob_piece SET frame = (SELECT frame FROM blob_piece WHERE blob_id = 3)
			WHERE blob_id = 2`, "damaged message", "UID 2"},
		"lost blob":      {`DELETE FROM blob WHERE id = 2`, "missing message", "UID 2"},
		"body forgotten": {`UPDATE entry SET blob_id = NULL WHERE id = 2`, "false coverage", "UID 2"},
		"lost entry": {`DROP TRIGGER entry_stays; DELETE FROM entry WHERE id = 2`,
			"wrong counter", "INBOX"},
		"wrong total": {`UPDATE mailbox SET total = total + 1 WHERE path = 'INBOX'`,
			"wrong counter", "INBOX"},
		"wrong unread": {`UPDATE mailbox SET unread = unread - 1 WHERE path = 'INBOX'`,
			"wrong counter", "INBOX"},
		"wrong live":              {`UPDATE email SET live = live + 1 WHERE id = 2`, "wrong counter", "UID 2"},
		"lost coverage":           {`DELETE FROM coverage WHERE mailbox_id = 1`, "missing coverage", "INBOX"},
		"stray generation":        {`UPDATE entry SET uidvalidity = 5 WHERE id = 2`, "stray entry", "UID 2"},
		"wrong size":              {`UPDATE entry SET size = size + 1 WHERE id = 2`, "wrong size", "UID 2"},
		"changed subject":         {`UPDATE email SET subject = 'x' WHERE id = 2`, "stale field", "UID 2"},
		"changed preview":         {`UPDATE email SET preview = '' WHERE id = 2`, "stale field", "UID 2"},
		"changed sent date":       {`UPDATE email SET sent_at = NULL WHERE id = 2`, "stale field", "UID 2"},
		"changed attachment mark": {`UPDATE email SET has_attachment = 1 WHERE id = 2`, "stale field", "UID 2"},
		"wrong thread":            {`UPDATE email SET thread_id = 3 WHERE id = 2`, "wrong thread", "UID 2"},
		"reference of another thread": {`UPDATE thread_reference SET thread_id = 3 WHERE thread_id = (SELECT thread_id
			FROM email WHERE id = 2)`, "wrong thread", "UID 2"},
		"lost reference": {`DELETE FROM thread_reference WHERE thread_id = (SELECT thread_id FROM email WHERE id = 2)`,
			"wrong thread", "UID 2"},
		"reference of another account": {`UPDATE thread_reference SET account_id = 9 WHERE thread_id = 2`,
			"wrong account", "thread t"},
		"former id in use": {`INSERT INTO email_alias SELECT jmap_id, 3, 0 FROM email WHERE id = 2`,
			"wrong former id", "UID 2"},
		"former id of nothing": {`INSERT INTO email_alias VALUES ('Mformer', 99, 0)`, "broken reference",
			"email_alias"},
		"emptied thread": {`UPDATE email SET thread_id = 3 WHERE id = 2`, "empty thread", "thread t"},
		"lost change": {`DELETE FROM change WHERE object_id = (SELECT jmap_id FROM email WHERE id = 2)`,
			"missing change", "UID 2"},
		"false tombstone": {`UPDATE change SET destroyed = 1 WHERE object_id = (SELECT jmap_id FROM email
			WHERE id = 2)`, "wrong change", "UID 2"},
		"change of nothing": {`INSERT INTO change VALUES (1, 'Email', 'enothing', 1, 2, 0, 0)`,
			"change without object", "enothing"},
		"numbers went back": {`UPDATE meta SET value = 3 WHERE key = 'change_no'`,
			"wrong change number", "account ada"},
		"lost fact":      {`DELETE FROM meta WHERE key = 'store_id'`, "missing fact", "meta"},
		"stale index":    {`INSERT INTO unindexed VALUES (2)`, "stale index", "search row"},
		"lost index row": {`DELETE FROM search WHERE rowid = 2`, "not searchable", "UID 2"},
		"damaged index":  {`UPDATE search_data SET block = x'00' WHERE id > 10`, "damaged file", "search"},
		"stuck task":     {`DELETE FROM goqite`, "stuck task", "task 1"},
		"no queue table": {`DROP TABLE goqite`, "no queue table", "goqite"},
		"stray queue row": {`INSERT INTO goqite (id, queue, body) VALUES ('m_2', 'q', x'00')`,
			"stray queue row", "m_2"},
		"quarantined and here": {`INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, first_at, last_at)
			SELECT mailbox_id, uidvalidity, uid, 'x', 1, 1 FROM entry WHERE id = 2`, "stray quarantine", "UID 2"},
		"broken reference": {`UPDATE entry SET email_id = 999 WHERE id = 2`, "broken reference", "entry"},
		"damaged table index": {`PRAGMA writable_schema = ON; UPDATE sqlite_schema
			SET sql = 'CREATE INDEX entry_email ON entry (uid)' WHERE name = 'entry_email'; PRAGMA schema_version =
			99; PRAGMA writable_schema = RESET`, "damaged file", "entry"},
	} {
		if enough() {
			break
		}
		t.Run(name, func(t *testing.T) {
			b := checkBed(t)
			conn := another(t, b.Store)
			for _, statement := range []string{"PRAGMA foreign_keys = OFF", c.damage} {
				if _, err := conn.ExecContext(context.Background(), statement); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range checkAll(t, b.Store) {
				if f.What == c.what && strings.Contains(f.Where, c.where) && strings.HasSuffix(f.Detail, ".") {
					return
				}
			}
			t.Errorf("no finding %q at %q, but %+v", c.what, c.where, checkAll(t, b.Store))
		})
	}
}

// What a CHECK constraint forbids is found, although SQLite does not look for it on a connection that only reads.
func TestCheckFindsImpossibleValue(t *testing.T) {
	b := checkBed(t)
	conn := another(t, b.Store)
	for _, statement := range []string{"PRAGMA ignore_check_constraints = ON",
		"UPDATE mailbox SET priority = 99 WHERE path = 'INBOX'", "UPDATE account SET security = 'none'"} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	found := checkAll(t, b.Store)
	if len(found) != 2 || found[0].Where != "table account" || found[1].Where != "table mailbox" {
		t.Errorf("%+v", found)
	}
	for _, f := range found {
		if f.What != "impossible value" || f.Mends || !strings.Contains(f.Detail, ": 1; CHECK (") {
			t.Errorf("%+v", f)
		}
	}
}

// A change of one account's feed is not right because another account has the object.
func TestCheckFindsChangeOfAnother(t *testing.T) {
	b := checkBed(t)
	b.secondAccount()
	if found := checkAll(t, b.Store); len(found) > 0 {
		t.Fatalf("%v", found)
	}
	for _, object := range []string{"Email", "Thread"} {
		b.execute(`INSERT INTO change SELECT (SELECT max(id) FROM account), type, object_id,
			created_no, changed_no, 0, 0
			FROM change WHERE type = '` + object + `' AND destroyed = 0 LIMIT 1`)
	}
	found := checkAll(t, b.Store)
	if len(found) != 2 || found[0].What != "change without object" || found[1].What != found[0].What {
		t.Errorf("%+v", found)
	}
}

// Beside an owner that writes all the time nothing is found.
func TestCheckBesideAWriter(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		// a check must not chase a store that grows faster than it reads
		for uid := UID(1); ctx.Err() == nil && uid < 500; uid++ {
			a := b.arrival(uid, int(uid))
			if err := b.Write(ctx, Bulk, 0, func(w *Writer) error {
				_, err := w.StoreBatch(Batch{Mailbox: box, Validity: 7, Arrivals: []Arrival{a},
					Cover: []Range{{uid, uid}}})
				if err == nil && uid%3 == 0 {
					err = w.Expunge(box, 7, []UID{uid - 1})
				}
				if err == nil && uid%10 == 0 {
					_, err = w.SettleOrphans(b.account)
				}
				return err
			}); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
				return
			}
		}
	})
	for range 5 {
		if found := checkAll(t, b.Store); len(found) > 0 {
			t.Errorf("%v", found)
		}
	}
	stop()
	wg.Wait()
}

func TestCheckStops(t *testing.T) {
	b := checkBed(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Check(ctx, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
