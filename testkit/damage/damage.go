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

	_ "modernc.org/sqlite" // damages the file behind the program's back
)

// Damage changes one thing in a closed store.
type Damage struct {
	Name string
	// Do says what it did; "": there was nothing to change.
	Do func(t testing.TB, path string, random *rand.Rand) string
}

// kinds are some kinds of damage.
type kinds []Damage

func (k *kinds) add(name string, do func(db *sql.DB, random *rand.Rand) (string, error)) {
	*k = append(*k, Damage{name, func(t testing.TB, path string, random *rand.Rand) string {
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

// run adds a statement that breaks the store's own rules.
func (k *kinds) run(name, statement string) {
	k.add(name, func(db *sql.DB, random *rand.Rand) (string, error) {
		triggers, err := withoutTriggers(db)
		if err != nil {
			return "", err
		}
		done, err := execute(db, random, statement)
		if err == nil {
			_, err = db.Exec(triggers)
		}
		return done, err
	})
}

// keep adds a statement after which counters are right.
func (k *kinds) keep(name, statement string) {
	k.add(name, func(db *sql.DB, random *rand.Rand) (string, error) { return execute(db, random, statement) })
}

func execute(db *sql.DB, random *rand.Rand, statement string) (string, error) {
	result, err := db.Exec(statement, random.Uint32())
	if err != nil {
		return "", err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return "", err
	}
	return statement, nil
}

// pick is a row of a table, drawn by the number that every statement is given.
func pick(table, key string) string { return pickOf(table, key, "true") }

func pickOf(table, key, where string) string {
	return fmt.Sprintf("%s = (SELECT %s FROM %s WHERE %s ORDER BY %s LIMIT 1 OFFSET ?1 %% (SELECT max(1, count(*)) "+
		"FROM %s WHERE %s))", key, key, table, where, key, table, where)
}

// live draws an entry that is shown.
func live() string { return pickOf("entry", "id", "expunged_at IS NULL") }

// All gives every kind of damage that a check finds. unpack reads a frame of a
// message.
func All(unpack func(frame []byte) ([]byte, error)) []Damage {
	var all kinds
	add, run, live := all.add, all.run, live()
	add("flipped bit in a message", func(db *sql.DB, random *rand.Rand) (string, error) {
		return flipFrame(db, random, unpack)
	})
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
	run("entry taken away", `UPDATE entry SET expunged_at = 1 WHERE `+live)
	run("entry shown again", `UPDATE OR IGNORE entry SET expunged_at = NULL WHERE `+pickOf("entry", "id",
		"expunged_at IS NOT NULL"))
	run("UID of an entry", `UPDATE entry SET uid = uid + 40000 WHERE `+live)
	run("body of an entry", `UPDATE entry SET blob_id = NULL WHERE `+live)
	run("email of another account", `UPDATE email SET account_id = account_id + 1 + ?1 % 3
		WHERE destroyed_at IS NULL AND `+pick("email", "id"))
	for _, table := range []string{"mailbox", "thread"} {
		run(table+" of another account", `UPDATE `+table+` SET account_id = account_id + 1 + ?1 % 3 WHERE `+
			pick(table, "id"))
	}
	run("half a blob", `UPDATE blob SET state = 'staged', sha256 = NULL WHERE `+pick("blob", "id"))
	run("number of a piece", `UPDATE blob_piece SET n = n + 1 WHERE `+pick("blob_piece", "rowid"))
	run("extra piece", `INSERT INTO blob_piece (blob_id, n, frame) SELECT blob_id, n + 1, frame FROM blob_piece b
		WHERE NOT EXISTS (SELECT 1 FROM blob_piece WHERE blob_id = b.blob_id AND n = b.n + 1)
		AND `+pick("blob_piece", "rowid"))
	run("overlapping coverage", `INSERT OR IGNORE INTO coverage (mailbox_id, uidvalidity, level, lo, hi)
		SELECT mailbox_id, uidvalidity, level, lo + 1, hi FROM coverage WHERE hi > lo
		ORDER BY mailbox_id, lo LIMIT 1 OFFSET ?1 % (SELECT max(1, count(*)) FROM coverage WHERE hi > lo)`)
	run("mailbox that is gone", `UPDATE mailbox SET gone_at = 1 WHERE gone_at IS NULL AND `+pick("mailbox", "id"))
	run("change that says gone", `UPDATE change SET destroyed = 1 WHERE (type, object_id) = (SELECT type, object_id
		FROM change WHERE destroyed = 0 ORDER BY changed_no LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM change
		WHERE destroyed = 0))`)
	run("change of nothing", `INSERT INTO change (account_id, type, object_id, created_no, changed_no, changed_at)
		SELECT account_id, type, object_id || ?1, 1, 1 + (SELECT max(changed_no) FROM change), 1 FROM change LIMIT 1`)
	run("number of a change", `UPDATE change SET changed_no = 1000000 + changed_no WHERE (type, object_id) =
		(SELECT type, object_id FROM change ORDER BY changed_no LIMIT 1 OFFSET ?1 % (SELECT count(*) FROM change))`)
	run("highest change number", `UPDATE meta SET value = 1 + ?1 % 3 WHERE key = 'change_no'`)
	run("lost reference of a thread", `DELETE FROM thread_reference WHERE EXISTS (SELECT 1 FROM email
		WHERE thread_id = thread_reference.thread_id AND destroyed_at IS NULL) AND (SELECT count(*) FROM
		thread_reference r WHERE r.thread_id = thread_reference.thread_id) = 1 AND `+pick("thread_reference", "key"))
	run("reference of another thread", `UPDATE thread_reference SET thread_id = (SELECT max(id) FROM thread
		WHERE id <> thread_reference.thread_id) WHERE EXISTS (SELECT 1 FROM email
		WHERE thread_id = thread_reference.thread_id AND destroyed_at IS NULL) AND (SELECT count(*) FROM
		thread_reference r WHERE r.thread_id = thread_reference.thread_id) = 1 AND `+pick("thread_reference", "key"))
	run("pages of the index", `UPDATE search_data SET block = zeroblob(length(block)) WHERE `+
		pickOf("search_data", "id", "id > 10"))
	run("queue row of nothing", `INSERT INTO goqite (id, queue, body) VALUES ('m_' || ?1, 'q', x'00')`)
	for _, table := range []string{"unindexed", "outdated_view"} {
		run(table+" of nothing", `INSERT INTO `+table+` (email_id) SELECT max(id) + 1 + ?1 % 5 FROM email`)
	}
	run("refetch of nothing", `INSERT INTO refetch (entry_id) SELECT max(id) + 1 + ?1 % 5 FROM entry`)
	run("former id of nothing", `INSERT INTO email_alias (jmap_id, email_id, created_at)
		SELECT 'e' || ?1, max(id) + 1, 1 FROM email`)
	run("former id that is one", `INSERT INTO email_alias (jmap_id, email_id, created_at)
		SELECT jmap_id, id, 1 FROM email WHERE `+pick("email", "id"))
	run("quarantine of nothing", `INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, first_at, last_at)
		SELECT max(id) + 1 + ?1 % 5, 1, 1, 'x', 1, 1 FROM mailbox`)
	run("quarantined and here", `INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, first_at, last_at)
		SELECT mailbox_id, uidvalidity, uid, 'x', 1, 1 FROM entry WHERE `+live+` ON CONFLICT DO NOTHING`)
	return all
}

// Silent gives the kinds of damage that only the server can tell from a sound
// store.
func Silent() []Damage {
	var all kinds
	keep := all.keep
	keep("flags of an entry", `UPDATE entry SET flags = iif(?1 & 1, '$Other', '\Seen') WHERE `+live())
	keep("entry expunged", `UPDATE entry SET expunged_at = 1 WHERE `+live())
	keep("entry back", `UPDATE OR IGNORE entry SET expunged_at = NULL WHERE `+
		pickOf("entry", "id", "expunged_at IS NOT NULL"))
	keep("modification sequence", `UPDATE mailbox SET modseq = modseq + 1000000, pass_modseq = modseq WHERE `+
		pick("mailbox", "id"))
	keep("what a pass saw", `UPDATE mailbox SET pass_uidnext = pass_uidnext + 7, pass_total = pass_total + 7,
		flags_uid = 4000000, flags_at = 4000000000000 WHERE `+pick("mailbox", "id"))
	keep("generation that is fetched", `UPDATE mailbox SET building = uidvalidity / 2 WHERE `+pick("mailbox", "id"))
	keep("name of a mailbox", `UPDATE mailbox SET raw = CAST('x' || id AS BLOB) WHERE `+pick("mailbox", "id"))
	keep("path of a mailbox", `UPDATE mailbox SET path = 'x' || id, delimiter = '|', role = 'junk', selectable = 0
		WHERE `+pick("mailbox", "id"))
	keep("quarantined and unknown", `INSERT INTO quarantine (mailbox_id, uidvalidity, uid, reason, attempts, alone,
		first_at, last_at)
		SELECT mailbox_id, uidvalidity, 1 + max(uid), 'x', 50, 1, 4000000000000, 4000000000000 FROM entry
		GROUP BY mailbox_id ORDER BY mailbox_id LIMIT 1 OFFSET ?1 % (SELECT count(DISTINCT mailbox_id) FROM entry)
		ON CONFLICT DO NOTHING`)
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
func flipFrame(db *sql.DB, random *rand.Rand, unpack func([]byte) ([]byte, error)) (string, error) {
	var row int64
	var frame []byte
	if err := db.QueryRow(`SELECT rowid, frame FROM blob_piece ORDER BY rowid LIMIT 1 OFFSET ? % (SELECT count(*)
		FROM blob_piece)`, random.Uint32()).Scan(&row, &frame); err != nil {
		return "", err
	}
	before, err := unpack(frame)
	if err != nil {
		return "", err
	}
	for {
		flipped := bytes.Clone(frame)
		bit := random.IntN(8 * len(frame))
		flipped[bit/8] ^= 1 << (bit % 8)
		if after, err := unpack(flipped); err == nil && bytes.Equal(before, after) {
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
