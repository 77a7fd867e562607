// Package damage damages a store on purpose, from a seed: bits and rows of
// messages, entries, coverage, views, counters, the search index, threads and
// the queue.
package damage

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // damages the file behind the program's back
)

// Damage changes one thing in a closed store.
type Damage struct {
	Name string
	// Do says what it did; "": there was nothing to change.
	Do func(t testing.TB, path string, random *rand.Rand) string
}

// All gives every kind of damage.
func All() []Damage {
	var all []Damage
	add := func(name string, do func(db *sql.DB, random *rand.Rand) (string, error)) {
		all = append(all, Damage{name, func(t testing.TB, path string, random *rand.Rand) string {
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
			triggers, err := withoutTriggers(db)
			if err != nil {
				return "", err
			}
			result, err := db.Exec(statement, random.Uint32())
			if err == nil {
				_, err = db.Exec(triggers)
			}
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

// withoutTriggers lets a statement do what the store's own rules forbid. It
// gives what makes the triggers again.
func withoutTriggers(db *sql.DB) (again string, err error) {
	err = db.QueryRow(`SELECT group_concat(sql, ';') || ';' FROM sqlite_schema WHERE type = 'trigger'
		AND name IN ('entry_stays', 'entry_leaves', 'entry_returns')`).Scan(&again)
	if err == nil {
		_, err = db.Exec("DROP TRIGGER entry_stays; DROP TRIGGER entry_leaves; DROP TRIGGER entry_returns;")
	}
	return again, err
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
