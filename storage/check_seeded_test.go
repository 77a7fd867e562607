package storage

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailcote/testkit/form"

	"github.com/klauspost/compress/zstd"
)

// TestCheckSeeded is the store's part of FAULTS' bar 22: every seeded corruption is found, and nothing in clean
// stores. What only the server can tell (flags, UIDs, arrival) is in ui/cli TestCheckRemote.
func TestCheckSeeded(t *testing.T) {
	clean, wanted := 3, 60
	if form.Long() {
		clean, wanted = 100, 1000
	}
	random := rand.New(rand.NewPCG(form.Seed(t, 0), 22))
	dir := t.TempDir()
	alarms, found := 0, 0
	for n := range clean {
		wanted := wanted
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		lived(t, path, random)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := findingsAt(t, path); len(got) > 0 {
			alarms++
			t.Errorf("false alarm: %v", got)
		}
		if untouched(t, path); len(findingsAt(t, path)) > 0 {
			t.Error("what a corruption needs besides is found itself")
		}
		for i := n; i < wanted; i += clean {
			c := corruptions()[i%len(corruptions())]
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			done := c.do(t, path, random)
			if done == "" { // there was nothing to change
				wanted += clean
			} else if len(findingsAt(t, path)) > 0 {
				found++
			} else {
				t.Errorf("%s: %s was not found", c.name, done)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d corruptions found, %d false alarms in %d clean stores", found, alarms, clean)
}

func findingsAt(t *testing.T, path string) []Finding {
	t.Helper()
	s, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		return []Finding{{What: "not opened", Detail: err.Error()}}
	}
	defer s.Close()
	found, err := s.Check(t.Context(), CheckOptions{Parse: parseRaw})
	if err != nil {
		found = append(found, Finding{What: "not read", Detail: err.Error()})
	}
	return found
}

// lived makes a store with a random past.
func lived(t *testing.T, path string, random *rand.Rand) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := bedOn(t, s)
	boxes := []MailboxID{b.mailbox("INBOX", 7), b.mailbox("Archive", 7)}
	next := []UID{1, 1}
	for range 12 {
		at := random.IntN(2)
		switch random.IntN(5) {
		case 0:
			if next[at] > 1 {
				write(t, s, func(w *Writer) error {
					if err := w.Expunge(boxes[at], 7, []UID{1 + UID(random.IntN(int(next[at]-1)))}); err != nil {
						return err
					}
					_, err := w.SettleOrphans(b.account)
					return err
				})
			}
		case 1:
			if _, err := s.Sweep(t.Context(), time.Now().Add(40*24*time.Hour), 30*24*time.Hour); err != nil {
				t.Fatal(err)
			}
		default:
			var batch []Arrival
			for range 1 + random.IntN(6) {
				batch = append(batch, b.arrival(next[at], random.IntN(60),
					[]string{`\Seen`, `$Work`}[:random.IntN(3)]...))
				next[at] += 1 + UID(random.IntN(2))
			}
			b.store(boxes[at], 7, batch...)
		}
	}
	for at, n := range []int{100, 101} { // each mailbox has something
		b.store(boxes[at], 7, b.arrival(next[at], n), b.arrival(next[at]+1, n+10))
	}
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	write(t, s, func(w *Writer) error {
		if _, err := w.tx.Raw().Exec(`INSERT INTO goqite (id, queue, body) VALUES ('m_1', 'q', x'00')`); err != nil {
			return err
		}
		_, err := w.tx.Raw().Exec(`INSERT INTO sync_task (account_id, task_type, message_id, created_at)
			VALUES (?, 'initial_sync', 'm_1', 0)`, b.account)
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// withoutTriggers lets a statement do what the store's own rules forbid.
const withoutTriggers = "DROP TRIGGER entry_stays; DROP TRIGGER entry_leaves; DROP TRIGGER entry_returns; "

func untouched(t *testing.T, path string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec(withoutTriggers)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// corruption changes one thing in a closed store and says what; "": there was nothing to change.
type corruption struct {
	name string
	do   func(t *testing.T, path string, random *rand.Rand) string
}

func corruptions() []corruption {
	var all []corruption
	add := func(name string, do func(db *sql.DB, random *rand.Rand) (string, error)) {
		all = append(all, corruption{name, func(t *testing.T, path string, random *rand.Rand) string {
			t.Helper()
			db, err := sql.Open("sqlite", "file:"+path+"?_pragma=foreign_keys(0)")
			if err != nil {
				t.Fatal(err)
			}
			db.SetMaxOpenConns(1)
			done, err := do(db, random)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			return done
		}})
	}
	run := func(name, statement string) {
		add(name, func(db *sql.DB, random *rand.Rand) (string, error) {
			result, err := db.Exec(withoutTriggers+statement, random.Uint32())
			if err != nil {
				return "", err
			}
			if n, err := result.RowsAffected(); err != nil || n == 0 {
				return "", err
			}
			return statement, nil
		})
	}
	// pick is a row of a table, drawn by the number that every statement is given.
	pick := func(table, key string) string {
		return fmt.Sprintf("%s = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET ?1 %% (SELECT count(*) FROM %s))", key,
			key, table, key, table)
	}
	live := "id = (SELECT id FROM entry WHERE expunged_at IS NULL ORDER BY id LIMIT 1 OFFSET ?1 % (SELECT count(*) " +
		"FROM entry WHERE expunged_at IS NULL))"
	add("flipped bit in a message", flipFrame)
	for _, column := range []string{"message_id", "subject", "sender", "preview"} {
		add("flipped bit in "+column, func(db *sql.DB, random *rand.Rand) (string, error) {
			return flipText(db, random, "email", column)
		})
	}
	for _, column := range []string{"sent_at", "size", "live"} {
		run("flipped bit in email."+column,
			`UPDATE email SET destroyed_at = iif('`+column+`' = 'live', NULL, destroyed_at),
				`+column+` = (`+column+` | 8) - (`+column+` & 8) WHERE `+pick("email", "id"))
	}
	for _, column := range []string{"has_attachment", "partial"} {
		run("flipped email."+column, `UPDATE email SET `+column+` = NOT `+column+` WHERE `+pick("email", "id"))
	}
	// one that is gone may be in no feed
	run("id of an email", `UPDATE email SET jmap_id = 'e' || ?1 WHERE destroyed_at IS NULL AND `+pick("email", "id"))
	run("recipients", `UPDATE email SET recipients = 'x' WHERE `+pick("email", "id"))
	run("digest of an email", `UPDATE email SET digest = randomblob(32) WHERE `+pick("email", "id"))
	run("thread of an email", `UPDATE email SET thread_id = (SELECT max(id) FROM thread WHERE id <> email.thread_id)
		WHERE `+pick("email", "id"))
	run("size of an entry", `UPDATE entry SET size = size + 4 WHERE `+pick("entry", "id"))
	run("size of a blob", `UPDATE blob SET size = size + 4 WHERE `+pick("blob", "id"))
	run("stored size of a blob", `UPDATE blob SET stored = stored + 4 WHERE `+pick("blob", "id"))
	run("digest of a blob", `UPDATE blob SET sha256 = randomblob(32) WHERE `+pick("blob", "id"))
	run("counter", `UPDATE mailbox SET total = total + 1 WHERE `+pick("mailbox", "id"))
	run("counter of unread", `UPDATE mailbox SET unread = unread + 1 WHERE `+pick("mailbox", "id"))
	run("generation of a mailbox", `UPDATE mailbox SET uidvalidity = 8 WHERE `+pick("mailbox", "id"))
	run("generation of an entry", `UPDATE entry SET uidvalidity = 3 WHERE `+live)
	for _, table := range []string{"account", "mailbox", "blob", "email", "thread"} {
		run("lost row of "+table, `DELETE FROM `+table+` WHERE `+pick(table, "id"))
	}
	run("lost entry", `DELETE FROM entry WHERE `+live)
	run("lost piece", `DELETE FROM blob_piece WHERE `+pick("blob_piece", "rowid"))
	run("lost coverage", `DELETE FROM coverage WHERE (mailbox_id, lo) = (SELECT mailbox_id, uid
		FROM (SELECT c.mailbox_id, c.lo AS uid FROM coverage c
		WHERE EXISTS (SELECT 1 FROM entry WHERE mailbox_id = c.mailbox_id AND uid BETWEEN c.lo AND c.hi
		AND expunged_at IS NULL)) LIMIT 1) OR ?1 < 0`)
	run("lost change", `DELETE FROM change WHERE (type, object_id) = (SELECT type, object_id FROM change c
		WHERE destroyed = 0
		AND (type <> 'Thread' OR EXISTS (SELECT 1 FROM email e JOIN thread t ON t.id = e.thread_id
		WHERE t.jmap_id = c.object_id AND e.destroyed_at IS NULL))
		ORDER BY changed_no LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM change WHERE destroyed = 0))`)
	run("lost fact", `DELETE FROM meta WHERE key = (SELECT key FROM meta ORDER BY key LIMIT 1 OFFSET ?1 % 4)`)
	run("lost message of the queue", `DELETE FROM goqite WHERE ?1 >= 0`)
	run("lost task", `DELETE FROM sync_task WHERE ?1 >= 0`)
	run("lost row of the index", `DELETE FROM search WHERE `+`rowid = (SELECT id FROM search_docsize ORDER BY id
		LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM search_docsize))`)
	run("stale row of the index", `INSERT INTO search (rowid, text) SELECT max(id) + 1 + ?1 % 5, 'stale' FROM email`)
	run("indexed email that waits", `INSERT INTO unindexed SELECT id FROM search_docsize ORDER BY id LIMIT 1
		OFFSET ?1 % (SELECT count(*) FROM search_docsize)`)
	run("swapped messages",
		`UPDATE entry SET blob_id = (SELECT max(id) FROM blob WHERE id <> entry.blob_id) WHERE `+pick("entry", "id"))
	run("swapped emails", `UPDATE OR IGNORE entry SET email_id = (SELECT max(id) FROM email
		WHERE id <> entry.email_id) WHERE `+live)
	run("swapped bytes", `UPDATE blob_piece SET frame = (SELECT frame FROM blob_piece p
		WHERE p.blob_id <> blob_piece.blob_id LIMIT 1) WHERE `+pick("blob_piece", "rowid"))
	return all
}

// flipFrame flips a bit of a packed message such that what is unpacked differs, or cannot be.
func flipFrame(db *sql.DB, random *rand.Rand) (string, error) {
	var row int64
	var frame []byte
	if err := db.QueryRow(`SELECT rowid, frame FROM blob_piece ORDER BY rowid LIMIT 1 OFFSET ? % (SELECT count(*)
		FROM blob_piece)`, random.Uint32()).Scan(&row, &frame); err != nil {
		return "", err
	}
	dec, err := zstd.NewReader(nil)
	if err != nil {
		return "", err
	}
	defer dec.Close()
	before, err := dec.DecodeAll(frame, nil)
	if err != nil {
		return "", err
	}
	for {
		flipped := bytes.Clone(frame)
		bit := random.IntN(8 * len(frame))
		flipped[bit/8] ^= 1 << (bit % 8)
		if after, err := dec.DecodeAll(flipped, nil); err == nil && bytes.Equal(before, after) {
			continue // one of the few bits that say nothing
		}
		_, err := db.Exec(`UPDATE blob_piece SET frame = ? WHERE rowid = ?`, flipped, row)
		return fmt.Sprintf("bit %d of piece %d", bit, row), err
	}
}

func flipText(db *sql.DB, random *rand.Rand, table, column string) (string, error) {
	var row int64
	var text string
	if err := db.QueryRow(fmt.Sprintf(`SELECT id, %s FROM %s ORDER BY id LIMIT 1 OFFSET ? %% (SELECT count(*)
		FROM %[2]s)`, column, table), random.Uint32()).Scan(&row, &text); err != nil || text == "" {
		return "", err
	}
	flipped := []byte(text)
	bit := random.IntN(8 * len(flipped))
	flipped[bit/8] ^= 1 << (bit % 8)
	_, err := db.Exec(fmt.Sprintf(`UPDATE %s SET %s = ? WHERE id = ?`, table, column), string(flipped), row)
	return fmt.Sprintf("bit %d of %s in row %d", bit, column, row), err
}
