package storage

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

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
