package storage

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailcote/storage/internal/file"
	"mailcote/storage/query"
)

// index brings the search index up to date from headers and a text by number.
func (b *bed) index(text func(EmailRow) IndexDoc) {
	b.t.Helper()
	for {
		var rows []EmailRow
		read(b.t, b.Store, func(r *Reader) (err error) { rows, err = r.Unindexed(100); return err })
		if len(rows) == 0 {
			return
		}
		var docs []IndexDoc
		for _, row := range rows {
			docs = append(docs, text(row))
		}
		if err := b.WriteAlone(context.Background(), func(w *Writer) error { return w.IndexDocs(docs) }); err != nil {
			b.t.Fatal(err)
		}
	}
}

// find gives the UIDs that a search finds, in its order.
func (b *bed) find(text string, limit int) string {
	b.t.Helper()
	q, err := query.Parse(text, time.UTC)
	if err != nil {
		b.t.Fatal(err)
	}
	var uids []string
	read(b.t, b.Store, func(r *Reader) error {
		found, err := r.Search(q, 0, limit)
		for _, m := range found {
			uids = append(uids, fmt.Sprint(m.UID))
		}
		return err
	})
	return strings.Join(uids, " ")
}

func TestSearch(t *testing.T) {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	texts := map[int]string{1: "invoice for the café", 2: "invoice paid", 3: "東京都の天気", 4: "nothing here"}
	var all []Arrival
	for uid := UID(1); uid <= 4; uid++ {
		a := b.arrival(uid, int(uid))
		if uid == 2 {
			a.Flags = `\Flagged \Seen`
			a.Header.Sender, a.Header.Recipients = "Bob <bob@example.org>", "Ada <ada@example.org>"
		}
		a.InternalDate = time.Date(2026, 3, int(uid), 12, 0, 0, 0, time.UTC)
		all = append(all, a)
	}
	b.store(inbox, 7, all...)
	b.index(func(row EmailRow) IndexDoc {
		return IndexDoc{Email: row, Subject: fmt.Sprintf("message %d", row), Text: texts[int(row)],
			People: "Ada <ada@example.org>\ncopy@example.net", Attachments: "plan.pdf"}
	})
	for text, want := range map[string]string{
		"invoice": "2 1", "cafe": "1", "café": "1", "inv*": "2 1", "message": "4 3 2 1", "subject:message": "4 3 2 1",
		"subject:invoice": "", "京都": "3",
		"from:bob": "2", "to:bob": "", "to:ada": "2", "from:ada": "4 3 1", "copy@example.net": "4 3 2 1",
		"plan.pdf": "4 3 2 1",
		"-invoice": "4 3", "message -invoice": "4 3", "is:unread": "4 3 1", "is:read": "2", "is:flagged": "2",
		"-is:flagged": "4 3 1", "": "4 3 2 1",
		"after:2026-03-03": "4 3", "before:2026-03-02": "1", "invoice after:2026-03-02": "2", `"for the"`: "1",
		`"the for"`: "",
	} {
		if got := b.find(text, 10); got != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
	}
	if got := b.find("message", 2); got != "4 3" {
		t.Errorf("at most two: %q", got)
	}
	// A second copy is the same email: found once, read only when both are.
	b.store(archive, 9, b.arrival(9, 2))
	if got := b.find("invoice", 10); got != "2 1" {
		t.Errorf("a copy doubled the hit: %q", got)
	}
	if got := b.find("is:read", 10); got != "" {
		t.Errorf("an email with an unread copy counts as read: %q", got)
	}
	write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{1, 2}) })
	if got := b.find("invoice", 10); got != "9" {
		t.Errorf("after an expunge: %q", got)
	}
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(archive) })
	if got := b.find("invoice", 10); got != "" {
		t.Errorf("in a lost mailbox: %q", got)
	}
}

// Conditions that are no text, alone and in expressions.
func TestSearchConditions(t *testing.T) {
	b := newBed(t)
	inbox, lists := b.mailbox("INBOX", 7), b.mailbox("Lists/Go", 9)
	write(t, b.Store, func(w *Writer) error {
		_, err := w.PutMailbox(Mailbox{Account: b.account, Raw: "Spam", Path: "Spam", Delimiter: "/", Role: "junk",
			Selectable: true, Priority: 5})
		return err
	})
	now := time.Now()
	age := []time.Duration{time.Hour, 50 * time.Hour, 20 * 24 * time.Hour, 400 * 24 * time.Hour}
	var all []Arrival
	for i, ago := range age {
		a := b.arrivalOf(UID(i+1), append(raw(i+1), strings.Repeat("x", i*1000)...), i+1)
		a.InternalDate, a.Header.HasAttachment = now.Add(-ago), i%2 == 1
		if i == 2 {
			a.Flags = `\Flagged \Seen`
		}
		all = append(all, a)
	}
	b.store(inbox, 7, all...)
	copied := b.arrivalOf(5, append(raw(3), strings.Repeat("x", 2000)...), 3)
	copied.InternalDate = all[2].InternalDate
	b.store(lists, 9, copied)
	b.index(func(row EmailRow) IndexDoc {
		return IndexDoc{Email: row, Text: map[EmailRow]string{1: "red", 2: "red green", 3: "green", 4: "blue"}[row],
			Cc:  map[EmailRow]string{1: "Carol <carol@example.org>"}[row],
			Bcc: map[EmailRow]string{4: "dave@example.org"}[row]}
	})
	for text, want := range map[string]string{
		"has:attachment": "2 4", "-has:attachment": "1 3", "larger:1500": "3 4", "smaller:500": "1",
		"larger:1k smaller:2500": "2 3",
		"newer_than:2h":          "1", "older_than:30d": "4", "older_than:3d newer_than:1y": "3", "after:1m": "1 2 3",
		"before:2w": "3 4", "-newer_than:3d": "3 4", "newer_than:3d OR older_than:1y": "1 2 4",
		"in:inbox": "1 2 3 4", "in:INBOX red": "1 2", "in:go": "5", "in:lists/go": "5", "in:lists": "",
		"in:Lists/*": "5",
		"in:spam":    "", "in:junk": "", "-in:go": "1 2 4", "in:anywhere": "1 2 3 4", "in:go OR red": "1 2 3",
		"in:nowhere": "", "-in:nowhere": "1 2 3 4", "in:inbox in:go": "3",
		"account:ada": "1 2 3 4", "account:ADA@localhost": "1 2 3 4", "account:other": "",
		"account:other OR blue": "4",
		"-account:other":        "1 2 3 4", "account:other red": "",
		"cc:carol": "1", "bcc:dave": "4", "cc:dave": "", "cc:(carol OR dave)": "1",
		"red OR blue": "1 2 4", "red OR is:flagged": "1 2 3", "(red -green) OR is:flagged": "1 3",
		"-(red OR is:flagged)": "4", "-(red is:unread)": "3 4", "(red OR blue) has:attachment": "2 4",
		"red (green OR larger:3000)": "2", "(is:unread has:attachment) OR (is:read green)": "2 4",
		"is:unread is:flagged": "3", "is:unread OR is:read": "1 2 3 4", "-(is:read OR blue) -red": "3",
	} {
		got := b.find(text, 10)
		if got != want {
			t.Errorf("%q finds %q, want %q", text, got, want)
		}
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		read(t, b.Store, func(r *Reader) error {
			n, err := r.CountHits(q, 0)
			if int(n) != len(strings.Fields(want)) {
				t.Errorf("%q: %d in all", text, n)
			}
			return err
		})
	}
	read(t, b.Store, func(r *Reader) error {
		q, err := query.Parse("in:nowhere OR -account:other in:inbox", nil)
		if err != nil {
			return err
		}
		got, err := r.UnknownNames(q)
		if len(got) != 2 || got[0] != `There is no mailbox "nowhere".` || got[1] != `There is no account "other".` {
			t.Errorf("%q", got)
		}
		return err
	})
}

// A mailbox with a generation that is being fetched is found, and counts, by what it shows.
func TestSearchWhileBuilding(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1, `\Seen`, `\Flagged`), b.arrival(2, 2, `\Seen`))
	write(t, b.Store, func(w *Writer) error { return w.OpenGeneration(box, 8, 4, 0) })
	b.store(box, 8, b.arrival(1, 1), b.arrival(2, 2, `\Flagged`), b.arrival(3, 3, `\Flagged`))
	for text, want := range map[string]string{"": "2 1", "in:inbox": "2 1", "is:unread": "", "is:flagged": "1",
		"is:unread OR is:flagged": "1", "-is:unread": "2 1", "in:inbox is:unread": ""} {
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		read(t, b.Store, func(r *Reader) error {
			n, err := r.CountHits(q, 0)
			if found := b.find(text, 10); int(n) != len(strings.Fields(want)) || found != want {
				t.Errorf("%q: %d in all, found %q", text, n, found)
			}
			return err
		})
	}
}

// Mail of an account that is being removed is not found and does not count, and
// that of the others is.
func TestSearchWhileRemoving(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2, `\Seen`))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "word"} })
	gone := b.account
	b.secondAccount()
	b.store(b.mailbox("INBOX", 7), 7, b.arrival(3, 3))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "word"} })
	write(t, b.Store, func(w *Writer) error { return w.HideAccount(gone) })
	for _, text := range []string{"", "word", "in:inbox", "is:unread", "-is:flagged", "is:unread OR is:flagged"} {
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		read(t, b.Store, func(r *Reader) error {
			n, err := r.CountHits(q, 0)
			if found := b.find(text, 10); n != 1 || found != "3" {
				t.Errorf("%q: %d in all, found %q", text, n, found)
			}
			if n, err := r.CountHits(q, gone); n != 0 || err != nil {
				t.Errorf("%q: %d of the account (%v)", text, n, err)
			}
			return err
		})
	}
}

// meant is what a search may read from one end to the other.
var meant = regexp.MustCompile(`USING COVERING INDEX email_newest|entry USING .*INDEX entry_(unread|flagged)`)

// What a search asks of SQLite reads no table whole that it could read by an index.
func TestSearchPlans(t *testing.T) {
	b := checkBed(t)
	conn := another(t, b.Store)
	for _, text := range []string{"", "red", "-red", "is:unread", "is:flagged", "in:inbox", "in:inbox OR red",
		"account:ada",
		"larger:1k has:attachment", "(red OR is:flagged) -in:inbox newer_than:1y", "account:ada OR smaller:5"} {
		q, err := query.Parse(text, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		read(t, b.Store, func(r *Reader) error {
			s, err := r.plan(q, 0, false)
			if err != nil {
				return err
			}
			rows, err := conn.QueryContext(t.Context(), `EXPLAIN QUERY PLAN SELECT e.id FROM `+s.from+` WHERE `+s.where+
				` ORDER BY e.received_at DESC, e.id DESC LIMIT 50`, s.args...)
			return file.Each(rows, err, func(rows *sql.Rows) error {
				var id, parent, zero int
				var detail string
				err := rows.Scan(&id, &parent, &zero, &detail)
				if scan.MatchString(detail) && !small.MatchString(detail) && !meant.MatchString(detail) {
					t.Errorf("%q: %s", text, detail)
				}
				return err
			})
		})
	}
}

// What is indexed waits no more; indexing again changes what is found, not how often.
func TestIndexAgain(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "first"} })
	again := []IndexDoc{{Email: 1, Text: "second"}, {Email: 77}}
	if err := b.WriteAlone(t.Context(), func(w *Writer) error { return w.IndexDocs(again) }); err != nil {
		t.Fatal(err)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM unindexed"); n != 0 {
		t.Errorf("%d emails wait", n)
	}
	if b.find("first", 9) != "2" || b.find("second", 9) != "1" {
		t.Errorf("first finds %q, second %q", b.find("first", 9), b.find("second", 9))
	}
	if n := number(t, b.Store, "SELECT count(*) FROM search_docsize"); n != 2 {
		t.Errorf("%d index rows", n)
	}
}

// Many hits take the other plan and must give the same.
func TestSearchManyHits(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	var all []Arrival
	for uid := UID(1); uid <= fewHits+100; uid++ {
		a := b.arrival(uid, int(uid))
		a.InternalDate = time.Unix(1_700_000_000+int64(uid*7919%100_003), 0)
		all = append(all, a)
	}
	b.store(box, 7, all...)
	b.index(func(row EmailRow) IndexDoc {
		return IndexDoc{Email: row, Text: "common " + map[bool]string{true: "rare"}[row%500 == 0]}
	})
	want := text(t, b.Store, "SELECT group_concat(uid, ' ') FROM (SELECT uid FROM mail ORDER BY date DESC LIMIT 20)")
	if got := b.find("common", 20); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := b.find("common rare", 20); len(strings.Fields(got)) != 2 {
		t.Errorf("got %s", got)
	}
}

// Storing a body has its email indexed. One without a body waits for its own, and holds up none behind it.
func TestUnindexed(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	waiting := func() string {
		return text(t, b.Store, `SELECT coalesce(group_concat(email_id, ' ' ORDER BY email_id), '') FROM unindexed`)
	}
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`INSERT INTO email (account_id, jmap_id, thread_id, received_at, size)
			VALUES (?, 'ebare', 1, 1, 1)`, b.account)
		return err
	})
	b.store(box, 7, b.arrival(3, 3))
	if got := waiting(); got != "1 3" {
		t.Errorf("to be indexed: %q", got)
	}
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "word"} })
	if got := waiting(); got != "" || b.find("word", 9) != "3 1" {
		t.Errorf("to be indexed: %q; found %q", got, b.find("word", 9))
	}
	if err := b.WriteAlone(t.Context(), (*Writer).RenewIndex); err != nil {
		t.Fatal(err)
	}
	if got := waiting(); got != "1 3" {
		t.Errorf("after the index was made anew: %q", got)
	}
}
