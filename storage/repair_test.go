package storage

import (
	"bytes"
	"context"
	"slices"
	"testing"
)

// repaired checks and repairs until nothing changes, and gives what is left.
func (b *bed) repaired(synced bool) []Finding {
	b.t.Helper()
	found := b.findings()
	for range 4 {
		if err := b.Repair(context.Background(), RepairOptions{Found: found, Parse: parseRaw,
			Synced: synced}); err != nil {
			b.t.Fatal(err)
		}
		b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
		views, _ := b.outdated(100, 1<<20)
		for _, email := range views {
			n := number(b.t, b.Store, `SELECT CAST(substr(message_id, 2) AS INTEGER) FROM email WHERE id = ?`, email)
			b.renew(NewView{Email: email, Read: n > 0, Header: headerOf(int(n)), Doc: IndexDoc{Text: "text"}})
		}
		next := b.findings()
		if len(next) == len(found) {
			return next
		}
		found = next
	}
	return found
}

func (b *bed) findings() []Finding {
	b.t.Helper()
	found, err := b.Check(context.Background(), CheckOptions{Parse: parseRaw})
	if err != nil {
		b.t.Fatal(err)
	}
	return found
}

func (b *bed) execute(statements ...string) {
	b.t.Helper()
	write(b.t, b.Store, func(w *Writer) error {
		for _, s := range statements {
			if _, err := w.tx.Raw().Exec(s); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bed) refetches(box MailboxID) (all []UID) {
	b.t.Helper()
	read(b.t, b.Store, func(r *Reader) (err error) { all, err = r.Refetch(box, 7); return err })
	return all
}

// Mail whose bytes are damaged stays in the views until they have come again, and
// for ever when they do not come.
func TestRepairDeletesNothing(t *testing.T) {
	b := checkBed(t)
	const tables = `SELECT (SELECT count(*) FROM entry) * 1000000 + (SELECT count(*) FROM email) * 1000
		+ (SELECT count(*) FROM blob)`
	rows := number(t, b.Store, tables)
	shown := number(t, b.Store, `SELECT count(*) FROM mail`)
	b.execute(`UPDATE blob_piece SET frame = substr(frame, 1, length(frame) - 5) WHERE blob_id IN (2, 9)`,
		`DELETE FROM blob_piece WHERE blob_id = 3`)
	for _, synced := range []bool{false, true} {
		if left := b.repaired(synced); len(left) != 3 {
			t.Errorf("left: %v", left)
		}
		if n := number(t, b.Store, tables); n != rows {
			t.Errorf("rows before %d, after %d", rows, n)
		}
		if n := number(t, b.Store, `SELECT count(*) FROM mail`); n != shown {
			t.Errorf("%d messages shown, %d before", n, shown)
		}
	}
	if got := b.refetches(1); len(got) != 2 || got[0] != 2 || got[1] != 3 {
		t.Errorf("to be fetched again: %v; the damaged one that was expunged is not on the server", got)
	}
	b.store(1, 7, b.arrival(2, 2), b.arrival(3, 3))
	if got := b.refetches(1); len(got) > 0 {
		t.Errorf("still to be fetched: %v", got)
	}
	if body, err := b.body(2); err != nil || !bytes.Equal(body, raw(2)) {
		t.Errorf("%q, %v", body, err)
	}
	if left := b.findings(); len(left) != 1 || left[0].What != "damaged message" {
		t.Errorf("left: %v", left)
	}
}

// A damaged message that was expunged by mistake is whole when the server delivers it again.
func TestRepairReturns(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{2}) })
	b.execute(`UPDATE blob_piece SET frame = (SELECT frame FROM blob_piece WHERE blob_id = 1) WHERE blob_id = 2`)
	b.repaired(false)
	b.store(box, 7, b.arrival(2, 2))
	if left := b.repaired(true); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Damaged bytes are replaced by whole ones that come as another message first.
func TestRepairByAnother(t *testing.T) {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 7)
	b.store(inbox, 7, b.arrival(1, 1), b.arrival(2, 2), b.arrival(3, 3))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{2}) })
	b.execute(`UPDATE blob_piece SET frame = (SELECT frame FROM blob_piece WHERE blob_id = 1) WHERE blob_id IN (2, 3)`)
	b.repaired(false)
	b.store(inbox, 7, b.arrival(9, 2))
	b.store(archive, 7, b.arrival(5, 3))
	if left := b.findings(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What is fetched again replaces the damaged bytes, whichever way it comes, and
// only then. An entry with a wrong email finds its own.
func TestRefetch(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	big := append(raw(1), bytes.Repeat([]byte("0123456789abcdef"), 5<<16)...)
	large := func() Arrival {
		body, err := b.Stage(t.Context(), b.packer, bytes.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		a := b.arrival(1, 1)
		a.Body = body
		return a
	}
	b.store(box, 7, large(), b.arrival(2, 2), b.arrival(3, 3))
	b.execute(`DELETE FROM blob_piece WHERE blob_id = 1 AND n = 1`)
	b.store(box, 7, large())
	if _, err := b.body(1); err == nil {
		t.Error("bytes that nobody missed were written anew")
	}
	b.execute(`INSERT INTO refetch VALUES (1)`)
	read(t, b.Store, func(r *Reader) error {
		held, err := r.Held(box, 7, AllUIDs())
		if len(held) != 2 || held[0].UID != 2 {
			t.Errorf("another message may be told by the damaged one: %v", held)
		}
		return err
	})
	b.store(box, 7, large())
	if body, err := b.body(1); err != nil || !bytes.Equal(body, big) {
		t.Errorf("%d bytes, %v", len(body), err)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM blob`); n != 3 {
		t.Errorf("%d blobs", n)
	}
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{3}) })
	b.execute(`UPDATE entry SET email_id = 3 WHERE id = 2`)
	if left := b.repaired(false); len(left) == 0 {
		t.Error("nothing is left before the message came again")
	}
	b.store(box, 7, b.arrival(2, 2))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	if email := number(t, b.Store, `SELECT email_id FROM entry WHERE id = 2`); email != 2 {
		t.Errorf("its email is %d", email)
	}
	if left := b.findings(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// What can be derived is mended without a server.
func TestRepairAlone(t *testing.T) {
	enough := raceShare(8)
	for name, c := range map[string]struct {
		damage string
		want   string // a query that gives 1
	}{
		"counters":      {`UPDATE mailbox SET total = 77, unread = 3`, `SELECT total = 8 FROM mailbox WHERE id = 1`},
		"a lost number": {`DELETE FROM meta WHERE key = 'change_no'`, `SELECT value = 2 FROM meta WHERE key = 'epoch'`},
		"a number behind": {`UPDATE meta SET value = 3 WHERE key = 'change_no'`,
			`SELECT value = 1 FROM meta WHERE key = 'epoch'`},
		"a generation": {`UPDATE mailbox SET uidvalidity = 8 WHERE id = 1`,
			`SELECT uidvalidity = 7 FROM mailbox WHERE id = 1`},
		"the email's digest": {`UPDATE email SET digest = randomblob(32) WHERE id = 3`,
			`SELECT digest = (SELECT sha256 FROM blob WHERE id = 3) FROM email WHERE id = 3`},
		"the blob's digest": {`UPDATE blob SET sha256 = randomblob(32) WHERE id = 3`,
			`SELECT digest = (SELECT sha256 FROM blob WHERE id = 3) FROM email WHERE id = 3`},
		"a counter behind, and an entry that leaves": {
			`UPDATE mailbox SET total = 0, unread = 0; UPDATE entry SET uidvalidity = 3 WHERE id = 2`,
			`SELECT expunged_at IS NOT NULL FROM entry WHERE id = 2`},
		"sizes":    {`UPDATE blob SET size = size + 1, stored = stored + 1; UPDATE entry SET size = 1`, `SELECT 1`},
		"coverage": {`DELETE FROM coverage`, `SELECT count(*) = 3 FROM coverage`},
		"a view": {`UPDATE email SET subject = 'x' WHERE id = 2`,
			`SELECT subject = 'message 2' FROM email WHERE id = 2`},
		"the feed":   {`DELETE FROM change WHERE object_id LIKE 'e%'`, `SELECT 1`},
		"a thread":   {`UPDATE email SET thread_id = 4 WHERE id = 2`, `SELECT thread_id = 2 FROM email WHERE id = 2`},
		"the index":  {`DELETE FROM search WHERE rowid < 4`, `SELECT 1`},
		"index rows": {`INSERT INTO search (rowid, text) VALUES (999, 'x')`, `SELECT 1`},
		"a former id": {`INSERT INTO email_alias SELECT jmap_id, 3, 0 FROM email WHERE id = 2`,
			`SELECT count(*) = 0 FROM email_alias`},
		"a key of another account": {`INSERT INTO account (name, user, host, port, security, created_at)
			VALUES ('b', 'b', 'b.example.org', 993, 'tls', 0);
			UPDATE thread_reference SET account_id = 2 WHERE thread_id = 2`,
			`SELECT count(*) = 0 FROM thread_reference WHERE account_id = 2`},
		"the queue": {`DELETE FROM goqite`, `SELECT state = 'cancelled' FROM sync_task`},
		"a quarantine of what is here": {`INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, first_at,
			last_at) SELECT mailbox_id, uidvalidity, uid, 'x', 1, 1 FROM entry WHERE id = 2`,
			`SELECT count(*) = 0 FROM quarantine`},
	} {
		if enough() {
			break
		}
		t.Run(name, func(t *testing.T) {
			b := checkBed(t)
			b.execute(c.damage)
			if len(b.findings()) == 0 {
				t.Fatal("it is no damage")
			}
			if left := b.repaired(false); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if number(t, b.Store, c.want) != 1 {
				t.Errorf("not so: %s", c.want)
			}
			if got := b.refetches(1); len(got) > 0 {
				t.Errorf("to be fetched again: %v", got)
			}
		})
	}
}

// Mailboxes, emails and threads of an account that does not exist belong to that
// of what they hold, or of what holds them. One mailbox of a name is live.
func TestRepairOwners(t *testing.T) {
	for name, c := range map[string]struct {
		damage string
		gone   int64 // mailboxes
	}{
		"mailbox": {`UPDATE mailbox SET account_id = 7 WHERE id = 1`, 0},
		"mailbox, listed anew": {`UPDATE mailbox SET account_id = 7 WHERE id = 1;
			INSERT INTO mailbox (account_id, raw, path) SELECT 1, raw, path FROM mailbox WHERE id = 1`, 1},
		"email":                   {`UPDATE email SET account_id = 7 WHERE id = 2`, 0},
		"thread":                  {`UPDATE thread SET account_id = 7 WHERE id = 2`, 0},
		"email, thread":           {`UPDATE email SET account_id = 7; UPDATE thread SET account_id = 8`, 0},
		"an email that is missed": {`UPDATE email SET account_id = 7 WHERE id = 2; DELETE FROM thread WHERE id = 2`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := checkBed(t)
			conn := another(t, b.Store)
			for _, statement := range []string{"PRAGMA foreign_keys = OFF", c.damage} {
				if _, err := conn.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			found := b.findings()
			if len(found) == 0 {
				t.Fatal("it is no damage")
			}
			for _, f := range found {
				if !f.Mends {
					t.Errorf("it is mended, and not told so: %v", f)
				}
			}
			if left := b.repaired(false); len(left) > 0 {
				t.Errorf("left: %v", left)
			}
			if n := number(t, b.Store, `SELECT count(*) FROM mailbox WHERE gone_at IS NOT NULL`); n != c.gone {
				t.Errorf("%d mailboxes are gone", n)
			}
		})
	}
}

// An index that differs from its table is made again.
func TestRepairTableIndex(t *testing.T) {
	b := checkBed(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	conn := another(t, b.Store)
	for _, statement := range []string{`PRAGMA writable_schema = ON`, `UPDATE sqlite_schema SET sql = replace(sql,
		'email_id)', 'email_id) WHERE id <> 3') WHERE name = 'entry_email'`, `PRAGMA writable_schema = RESET`,
		`REINDEX entry`, `PRAGMA writable_schema = ON`, `UPDATE sqlite_schema SET sql = replace(sql, ' WHERE id <> 3',
		'') WHERE name = 'entry_email'`, `PRAGMA writable_schema = RESET`} {
		if _, err := conn.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(statement, err)
		}
	}
	b.Store = openAt(t, b.Path(), Options{Holder: "test"})
	if found := b.findings(); len(found) == 0 || found[0].Index != "entry" {
		t.Fatalf("it is no damage: %v", found)
	}
	if left := b.repaired(false); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A store opens whose entry names a blob that counts as half received. A repair keeps its bytes, whether the server
// has the message or not. What is damaged of them is listed to be downloaded again.
func TestRepairHalfBlob(t *testing.T) {
	const cut = `; UPDATE blob_piece SET frame = substr(frame, 1, length(frame) - 5) WHERE blob_id = 2`
	enough := raceShare(8)
	for name, c := range map[string]struct {
		damage string
		left   string // the kind of finding; empty: nothing
		again  int    // messages
	}{
		"mark":                      {halved, "", 0},
		"piece":                     {halved + cut, "damaged message", 1},
		"mark, expunged":            {gone2 + halved, "", 0},
		"piece, expunged":           {gone2 + halved + cut, "damaged message", 0},
		"row, expunged":             {gone2 + `DELETE FROM blob WHERE id = 2`, "", 0},
		"row, email":                {`DELETE FROM blob WHERE id = 2; DELETE FROM email WHERE id = 2`, "", 0},
		"row, email expunged":       {gone2 + `DELETE FROM blob WHERE id = 2; DELETE FROM email WHERE id = 2`, "", 0},
		"mark, email expunged":      {gone2 + halved + `; DELETE FROM email WHERE id = 2`, "", 0},
		"all, expunged":             {gone2 + halved + cut + `; DELETE FROM email WHERE id = 2`, "missing message", 0},
		"mark, a digest of nothing": {halved + `; UPDATE email SET digest = randomblob(32) WHERE id = 2`, "", 0},
		"mark, another copy": {halved +
			`; INSERT INTO blob (sha256, size, stored, state, created_at) SELECT digest, size,
			1, 'sealed', 0 FROM email WHERE id = 2`, "", 0},
		"piece, another copy": {halved + `; INSERT INTO blob (id, sha256, size, stored, state, created_at)
			SELECT 99, digest, size, 1, 'sealed', 0 FROM email WHERE id = 2; INSERT INTO blob_piece (blob_id, n, frame)
			SELECT 99, n, frame FROM blob_piece WHERE blob_id = 2` + cut, "", 1},
	} {
		if enough() {
			break
		}
		t.Run(name, func(t *testing.T) {
			b := checkBed(t)
			pieces := number(t, b.Store, `SELECT count(*) FROM blob_piece`)
			conn := another(t, b.Store)
			for _, statement := range []string{"PRAGMA foreign_keys = OFF", c.damage} {
				if _, err := conn.ExecContext(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			var left []Finding
			for _, synced := range []bool{false, true} {
				left = slices.DeleteFunc(b.repaired(synced), func(f Finding) bool {
					return f.What == "stale field" // a view of an email that is new is the engine's to make
				})
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				b.Store = openAt(t, b.Path(), Options{Holder: "test"})
			}
			if c.left == "" && len(left) > 0 || c.left != "" && (len(left) != 1 || left[0].What != c.left) {
				t.Errorf("left: %v, want %q", left, c.left)
			}
			if got := b.refetches(1); len(got) != c.again {
				t.Errorf("to be fetched again: %v", got)
			}
			if n := number(t, b.Store, `SELECT count(*) FROM blob_piece`); n != pieces {
				t.Errorf("%d pieces, %d before", n, pieces)
			}
			blob := number(t, b.Store, `SELECT coalesce(blob_id, 0) FROM entry WHERE id = 2`)
			if body, err := b.body(BlobID(blob)); c.left == "" && (err != nil || !bytes.Equal(body, raw(2))) {
				t.Errorf("%q, %v", body, err)
			}
		})
	}
}

const (
	halved = `UPDATE blob SET state = 'staged', sha256 = NULL WHERE id = 2`
	gone2  = `UPDATE entry SET expunged_at = 5 WHERE blob_id = 2; UPDATE change SET destroyed = 1
		WHERE object_id = (SELECT jmap_id FROM email WHERE id = 2); `
)
