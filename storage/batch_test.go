package storage

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func (b *bed) shown() string {
	b.t.Helper()
	return text(b.t, b.Store, `SELECT coalesce(group_concat(line, ', '), '') FROM
		(SELECT mailbox || ':' || uid || ' ' || substr(subject, 9) || ' [' || flags || ']' AS line FROM mail
		ORDER BY mailbox, uid)`)
}

func TestReplayChangesNothing(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	all := []Arrival{b.arrival(1, 1, `\Seen`), b.arrival(2, 2), b.arrival(5, 3)}
	if done := b.store(box, 7, all...); done.New != 3 || len(done.Conflicts) != 0 ||
		done.Bytes != int64(len(raw(1))*3) {
		t.Errorf("first: %+v", done)
	}
	before := dump(t, b.Store)
	if done := b.store(box, 7, all...); done.New != 0 || done.Bytes != 0 {
		t.Errorf("replay: %+v", done)
	}
	if after := dump(t, b.Store); after != before {
		t.Errorf("a replay changed the store:\n%s\nbecame\n%s", before, after)
	}
	var cover []Range
	read(t, b.Store, func(r *Reader) (err error) { cover, err = r.Coverage(box, 7, LevelBody); return err })
	if fmt.Sprint(cover) != "[{1 2} {5 5}]" {
		t.Errorf("coverage %v", cover)
	}
}

// A message that comes twice in one batch, into a generation that held nothing, is stored once.
func TestTwiceInABatch(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	if done := b.store(box, 7, b.arrival(3, 1), b.arrival(2, 2), b.arrival(3, 1)); done.New != 2 {
		t.Errorf("%+v", done)
	}
	if got := b.shown(); got != "INBOX:2 2 [], INBOX:3 1 []" {
		t.Error(got)
	}
	b.sound()
}

// A thread that several messages of a batch join is told of once, and again after its end.
func TestThreadToldOnce(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.linked(1, "tide", "a"))
	object := b.threadOf(1)
	state := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`)
	b.store(box, 7, b.linked(2, "tide", "a"), b.linked(3, "tide", "a"), b.linked(4, "tide", "a"))
	if n := number(t, b.Store, `SELECT value FROM meta WHERE key = 'change_no'`) - state; n != 3+1+1 {
		t.Errorf("%d changes of three emails, their thread and mailbox", n)
	}
	write(t, b.Store, func(w *Writer) error {
		m, err := w.Mailbox(box)
		if err != nil {
			return err
		}
		for _, err := range []error{
			w.tellThread(m.Account, 1, ""), w.bury(m.Account, typeThread, object), w.tellThread(m.Account, 1, ""),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	})
	b.sound()
}

// dump is the whole content of the tables that a batch writes.
func dump(t *testing.T, s *Store) string {
	t.Helper()
	var out strings.Builder
	read(t, s, func(r *Reader) error {
		for _, table := range []string{"meta", "mailbox", "entry", "email", "thread", "thread_reference", "blob",
			"coverage", "change"} {
			rows, err := r.snap.Query("SELECT * FROM " + table)
			if err != nil {
				return err
			}
			columns, err := rows.Columns()
			if err != nil {
				return err
			}
			for rows.Next() {
				values := make([]any, len(columns))
				for i := range values {
					values[i] = new(any)
				}
				if err := rows.Scan(values...); err != nil {
					return err
				}
				out.WriteString(table)
				for _, v := range values {
					fmt.Fprintf(&out, " %v", *v.(*any))
				}
				out.WriteByte('\n')
			}
			if err := errors.Join(rows.Err(), rows.Close()); err != nil {
				return err
			}
		}
		return nil
	})
	return out.String()
}

func TestOneOfEach(t *testing.T) {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	twin := bytes.Replace(raw(1), []byte("the text"), []byte("The Text"), 1) // same headers and size, other body
	b.store(inbox, 7, b.arrival(1, 1), b.arrivalOf(2, twin, 1))
	if n := number(t, b.Store, "SELECT count(DISTINCT email_id) FROM mail"); n != 2 {
		t.Errorf("two mails with one header are %d emails", n)
	}
	if n := number(t, b.Store, "SELECT count(DISTINCT thread_id) FROM mail"); n != 1 {
		t.Errorf("they are in %d threads", n)
	}
	b.store(archive, 9, b.arrival(4, 1))
	if n := number(t, b.Store, "SELECT count(DISTINCT email_id) FROM mail WHERE sha256 = ?",
		fmt.Sprintf("%x", b.packer.Pack(raw(1)).SHA256)); n != 1 {
		t.Errorf("the same mail in two mailboxes is %d emails", n)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob"); n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
	b.store(inbox, 7, b.arrival(3, 1))
	if n := number(t, b.Store, "SELECT count(DISTINCT email_id) FROM mail WHERE mailbox = 'INBOX'"); n != 3 {
		t.Errorf("two copies in one mailbox: %d emails there, want 3", n)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob"); n != 2 {
		t.Errorf("%d blobs, want 2", n)
	}
}

// A mailbox of equal copies must not be quadratic.
func TestEqualCopiesAreLinear(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	const copies = 1200
	var all []Arrival
	for i := range copies {
		all = append(all, b.arrival(UID(i+1), 1))
	}
	start := time.Now()
	b.store(box, 7, all[:copies/2]...)
	first := time.Since(start)
	start = time.Now()
	b.store(box, 7, all[copies/2:]...)
	if second := time.Since(start); second > 4*first+time.Second {
		t.Errorf("the first half took %s, the second %s", first, second)
	}
	if n := number(t, b.Store, "SELECT count(DISTINCT email_id) FROM mail"); n != copies {
		t.Errorf("%d emails", n)
	}
}

func TestOtherBytesUnderAKnownUID(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	done := b.store(box, 7, b.arrival(1, 2, `\Seen`))
	if fmt.Sprint(done.Conflicts) != "[1]" || done.New != 1 {
		t.Errorf("%+v", done)
	}
	if got := b.shown(); got != `INBOX:1 2 [\Seen]` {
		t.Errorf("shown %s", got)
	}
	if got := text(t, b.Store, "SELECT total || '/' || unread FROM mailbox"); got != "1/0" {
		t.Errorf("counters %s", got)
	}
	write(t, b.Store, func(w *Writer) error {
		n, err := w.SettleOrphans(b.account)
		if n != 1 {
			t.Errorf("%d orphans", n)
		}
		return err
	})
	if got := text(t, b.Store,
		"SELECT group_concat(e.live || ' ' || (e.destroyed_at IS NULL)) FROM email e JOIN entry n ON n.email_id = "+
			"e.id"); got != "1 1" {
		t.Errorf("the email that is shown: live, not destroyed: %s", got)
	}
}

func TestStagedBody(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	big := make([]byte, 9<<20+123)
	rand.Read(big)
	stage := func() Body {
		body, err := b.Stage(t.Context(), b.packer, bytes.NewReader(big))
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	one, two := stage(), stage()
	if n := number(t, b.Store, "SELECT count(*) FROM blob WHERE state = 'staged'"); n != 2 {
		t.Fatalf("%d staged blobs", n)
	}
	for uid, body := range map[UID]Body{1: one, 2: two, 3: stage(), 4: b.packer.Pack(big)} {
		a := b.arrival(uid, 1)
		a.Body = body
		b.store(box, 7, a)
	}
	if got := text(t, b.Store,
		"SELECT count(*) || ' ' || group_concat(state) || ' ' || sum(size) FROM blob"); got != fmt.Sprintf("1 sealed "+
		"%d", len(big)) {
		t.Errorf("blobs: %s", got)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob_piece"); n != 10 {
		t.Errorf("%d pieces, want 10", n)
	}
	if n := number(t, b.Store, "SELECT stored - (SELECT sum(length(frame)) FROM blob_piece) FROM blob"); n != 0 {
		t.Errorf("stored is off by %d", n)
	}
	got, err := b.body(BlobID(number(t, b.Store, "SELECT id FROM blob")))
	if err != nil || !bytes.Equal(got, big) {
		t.Errorf("%d bytes read back, %v", len(got), err)
	}
	if err := b.Unstage(t.Context(), stage()); err != nil {
		t.Error(err)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob"); n != 1 {
		t.Errorf("%d blobs after Unstage", n)
	}
	broken := errors.New("line dead")
	if _, err := b.Stage(t.Context(), b.packer, &failing{after: 6 << 20, err: broken}); !errors.Is(err, broken) {
		t.Errorf("a dead line: %v", err)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob"); n != 1 {
		t.Errorf("%d blobs after a failed Stage", n)
	}
}

type failing struct {
	after int
	err   error
}

func (f *failing) Read(p []byte) (int, error) {
	if f.after <= 0 {
		return 0, f.err
	}
	n := min(len(p), f.after)
	f.after -= n
	return n, nil
}

func TestDeadStagedRowsGoAtOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mail.db")
	b := bedOn(t, openAt(t, path, Options{}))
	if _, err := b.Stage(t.Context(), b.packer, bytes.NewReader(make([]byte, 5<<20))); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	s := openAt(t, path, Options{})
	if n := number(t, s, "SELECT (SELECT count(*) FROM blob) + (SELECT count(*) FROM blob_piece)"); n != 0 {
		t.Errorf("%d rows of a dead process stay", n)
	}
}

func TestDamagedBlobIsNotRead(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Raw().Exec("UPDATE blob_piece SET frame = ?", b.packer.Pack(raw(2)).frames[0])
		return err
	})
	if _, err := b.body(1); !errors.Is(err, errDigest) {
		t.Errorf("swapped bytes were read: %v", err)
	}
}

func TestExpungeSettleRevive(t *testing.T) {
	b := newBed(t)
	inbox, archive := b.mailbox("INBOX", 7), b.mailbox("Archive", 9)
	b.store(inbox, 7, b.arrival(1, 1), b.arrival(2, 2))
	id := text(t, b.Store, "SELECT email_id FROM mail WHERE uid = 1")
	thread := text(t, b.Store, "SELECT thread_id FROM mail WHERE uid = 1")
	feed := func(object string) string {
		return text(t, b.Store,
			"SELECT CASE destroyed WHEN 1 THEN 'destroyed' ELSE 'live' END FROM change WHERE object_id = ?", object)
	}
	write(t, b.Store, func(w *Writer) error { return w.Expunge(inbox, 7, []UID{1}) })
	if got := b.shown(); got != "INBOX:2 2 []" {
		t.Errorf("after the expunge: %s", got)
	}
	if got := feed(id); got != "live" {
		t.Errorf("an email whose move may be under way is %s", got)
	}
	created := number(t, b.Store, "SELECT created_no FROM change WHERE object_id = ?", id)
	write(t, b.Store, func(w *Writer) error { _, err := w.SettleOrphans(b.account); return err })
	if feed(id) != "destroyed" || feed(thread) != "destroyed" {
		t.Errorf("after settling: email %s, thread %s", feed(id), feed(thread))
	}
	b.store(archive, 9, b.arrival(1, 1))
	if got := text(t, b.Store, "SELECT email_id FROM mail WHERE mailbox = 'Archive'"); got != id {
		t.Errorf("a later copy has id %s, want %s", got, id)
	}
	if feed(id) != "live" || feed(thread) != "live" {
		t.Errorf("after the revival: email %s, thread %s", feed(id), feed(thread))
	}
	if n := number(t, b.Store, "SELECT created_no FROM change WHERE object_id = ?", id); n <= created {
		t.Errorf("a revived id has created_no %d, before it was %d", n, created)
	}
	// The server shows the first one again under its old UID.
	write(t, b.Store, func(w *Writer) error { return w.Expunge(archive, 9, []UID{1}) })
	write(t, b.Store, func(w *Writer) error { _, err := w.SettleOrphans(b.account); return err })
	b.store(inbox, 7, b.arrival(1, 1))
	if feed(id) != "live" || feed(thread) != "live" {
		t.Errorf("after its return: email %s, thread %s", feed(id), feed(thread))
	}
	if got := b.shown(); got != "INBOX:1 1 [], INBOX:2 2 []" {
		t.Errorf("after its return: %s", got)
	}
}

func TestThreads(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	message := func(uid UID, subject string, keys ...string) Arrival {
		a := b.arrival(uid, int(uid))
		a.Header.ThreadKeys, a.Header.BaseSubject = keys, subject
		return a
	}
	b.store(box, 7,
		message(1, "plan", "reply", "parent"), // a reply seen before its parent
		message(2, "plan", "parent"),
		message(3, "other", "third", "parent"), // another subject: RFC 8621 §3
		message(4, "plan", "fourth"),           // never by subject alone
		message(5, "plan"), message(6, "plan"), // without any id
	)
	thread := func(uid int) string { return text(t, b.Store, "SELECT thread_id FROM mail WHERE uid = ?", uid) }
	if thread(1) != thread(2) {
		t.Error("a reply and its parent are apart")
	}
	if n := number(t, b.Store, "SELECT count(DISTINCT thread_id) FROM mail"); n != 5 {
		t.Errorf("%d threads, want 5", n)
	}
}

func TestGenerations(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	open := func(v UIDValidity) {
		write(t, b.Store, func(w *Writer) error { return w.OpenGeneration(box, v, 1, 3) })
	}
	open(8)
	b.store(box, 8, b.arrival(11, 1))
	if got := b.shown(); got != "INBOX:1 1 [], INBOX:2 2 []" {
		t.Errorf("while building: %s", got)
	}
	if got := text(t, b.Store, "SELECT total || '/' || unread FROM mailbox"); got != "2/2" {
		t.Errorf("while building, counters %s", got)
	}
	if err := b.Write(t.Context(), Bulk, 0, func(w *Writer) error {
		_, err := w.StoreBatch(Batch{Mailbox: box, Validity: 99, Arrivals: []Arrival{b.arrival(1, 1)}})
		return err
	}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a batch of an unknown generation: %v", err)
	}
	open(9) // changed again: the unfinished one is given up
	if n := number(t, b.Store, "SELECT count(*) FROM coverage WHERE uidvalidity = 8"); n != 0 {
		t.Error("an abandoned generation is still vouched for")
	}
	b.store(box, 9, b.arrival(21, 1), b.arrival(22, 2, `\Seen`), b.arrival(23, 3))
	id := text(t, b.Store, "SELECT email_id FROM mail WHERE uid = 1")
	late := text(t, b.Store, "SELECT e.jmap_id FROM email e JOIN entry n ON n.email_id = e.id WHERE n.uid = 23")
	before := number(t, b.Store, "SELECT value FROM meta WHERE key = 'change_no'")
	write(t, b.Store, func(w *Writer) error { return w.SwitchGeneration(box, 5) })
	if got := b.shown(); got != `INBOX:21 1 [], INBOX:22 2 [\Seen], INBOX:23 3 []` {
		t.Errorf("after the switch: %s", got)
	}
	if got := text(t, b.Store, "SELECT email_id FROM mail WHERE uid = 21"); got != id {
		t.Errorf("the email of UID 1 became %s, want %s", got, id)
	}
	if got := text(t, b.Store,
		"SELECT total || '/' || unread || ' ' || uidvalidity || ' ' || modseq FROM mailbox"); got != "3/2 9 5" {
		t.Errorf("mailbox %s", got)
	}
	if n := number(t, b.Store, "SELECT changed_no FROM change WHERE object_id = ?", late); n <= before {
		t.Error("an email that the switch brought is not in the changes since")
	}
	if n := number(t, b.Store,
		"SELECT max(changed_no) - (SELECT value FROM meta WHERE key = 'change_no') FROM change"); n != 0 {
		t.Errorf("the highest change is %d off the published number", n)
	}
	// The server goes back to the first generation, then to the second: both come back without doubling.
	open(7)
	b.store(box, 7, b.arrival(1, 1))
	open(9)
	if got := b.shown(); got != `INBOX:21 1 [], INBOX:22 2 [\Seen], INBOX:23 3 []` {
		t.Errorf("after going back: %s", got)
	}
	open(7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2))
	write(t, b.Store, func(w *Writer) error { return w.SwitchGeneration(box, 5) })
	if got := b.shown(); got != "INBOX:1 1 [], INBOX:2 2 []" {
		t.Errorf("at last: %s", got)
	}
}

// TestBind: a listed message takes email and blob of an entry, and never an email that another message of its
// generation has.
func TestBind(t *testing.T) {
	b := newBed(t)
	box, other := b.mailbox("INBOX", 7), b.mailbox("Other", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2, `\Seen`), b.arrival(3, 3))
	b.store(other, 7, b.arrival(1, 4))
	emails := text(t, b.Store,
		"SELECT group_concat(email_id) FROM (SELECT email_id FROM mail WHERE mailbox = 'INBOX' ORDER BY uid)")
	entry := func(box MailboxID, validity UIDValidity, uid UID) EntryID {
		return EntryID(number(t, b.Store, "SELECT id FROM entry WHERE mailbox_id = ? AND uidvalidity = ? AND uid = ?",
			box, validity, uid))
	}
	bind := func(validity UIDValidity, want []UID, all ...Binding) {
		t.Helper()
		var got []UID
		write(t, b.Store, func(w *Writer) (err error) {
			if err := w.OpenGeneration(box, validity, 1, 3); err != nil {
				return err
			}
			got, err = w.Bind(box, validity, all)
			return err
		})
		if !slices.Equal(got, want) {
			t.Errorf("bound %v, want %v", got, want)
		}
	}
	bind(8, []UID{11, 12},
		Binding{UID: 11, From: entry(box, 7, 1), Flags: `\Seen`},
		Binding{UID: 12, From: entry(box, 7, 2), InternalDate: time.UnixMilli(5000)},
		Binding{UID: 13, From: entry(box, 7, 2)},   // its email has UID 12
		Binding{UID: 11, From: entry(box, 7, 3)},   // the UID is taken
		Binding{UID: 14, From: entry(other, 7, 1)}, // of another mailbox
		Binding{UID: 15, From: EntryID(1 << 40)})   // of none
	if got := b.shown(); got != `INBOX:1 1 [], INBOX:2 2 [\Seen], INBOX:3 3 [], Other:1 4 []` {
		t.Errorf("while building: %s", got)
	}
	bind(8, []UID{13}, Binding{UID: 13, From: entry(box, 7, 3)})
	write(t, b.Store, func(w *Writer) error {
		if err := w.Vouch(box, 8, []Range{{1, 13}}); err != nil {
			return err
		}
		return w.SwitchGeneration(box, 1)
	})
	if got := b.shown(); got != `INBOX:11 1 [\Seen], INBOX:12 2 [], INBOX:13 3 [], Other:1 4 []` {
		t.Errorf("after the switch: %s", got)
	}
	if got := text(t, b.Store,
		"SELECT group_concat(email_id) FROM (SELECT email_id FROM mail WHERE mailbox = 'INBOX' ORDER BY "+
			"uid)"); got != emails {
		t.Errorf("emails %s, want %s", got, emails)
	}
	if got := text(t, b.Store, "SELECT total || '/' || unread FROM mailbox WHERE path = 'INBOX'"); got != "3/2" {
		t.Errorf("counts %s", got)
	}
	// Back again: the entries are there and come back to life, under an email that was destroyed meanwhile too.
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 8, []UID{11}) })
	write(t, b.Store, func(w *Writer) error { _, err := w.SettleOrphans(b.account); return err })
	bind(7, []UID{1, 2}, Binding{UID: 1, From: entry(box, 7, 1)}, Binding{UID: 2, From: entry(box, 8, 12)})
	write(t, b.Store, func(w *Writer) error { return w.SwitchGeneration(box, 1) })
	if got := b.shown(); got != `INBOX:1 1 [], INBOX:2 2 [], Other:1 4 []` {
		t.Errorf("after going back: %s", got)
	}
	if n := number(t, b.Store, "SELECT count(*) FROM entry WHERE mailbox_id = ?", box); n != 6 {
		t.Errorf("%d entries, want 6", n)
	}
}

func TestLostMailbox(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(box) })
	if got := b.shown(); got != "" {
		t.Errorf("a lost mailbox shows %s", got)
	}
	if n := number(t, b.Store, "SELECT destroyed FROM change WHERE type = 'Mailbox'"); n != 1 {
		t.Error("the feed does not say that it is gone")
	}
	if n := number(t, b.Store, "SELECT count(*) FROM blob"); n != 1 {
		t.Error("its mail was deleted at once")
	}
	if again := b.mailbox("INBOX", 7); again != box {
		t.Errorf("it came back as %d", again)
	}
	if n := number(t, b.Store, "SELECT destroyed FROM change WHERE type = 'Mailbox'"); n != 0 {
		t.Error("the feed does not say that it is back")
	}
	b.store(box, 7, b.arrival(1, 1))
	if got := b.shown(); got != "INBOX:1 1 []" {
		t.Errorf("after its return: %s", got)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		in   []string
		want Flags
	}{
		{nil, ""},
		{[]string{`\seen`, `\RECENT`, "zeta", "Alpha", `\Seen`, "alpha"}, `Alpha \Seen zeta`},
		{[]string{"with space", "\x00", "$Junk"}, `$Junk withspace`},
	} {
		if got := NewFlags(c.in); got != c.want {
			t.Errorf("%q gives %q, want %q", c.in, got, c.want)
		}
	}
	if !Flags(`Alpha \Seen`).Has(`\seen`) || Flags(`Alpha \Seen`).Has("Alp") {
		t.Error("Has")
	}
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1), b.arrival(2, 2, `\Seen`))
	var moved int
	write(t, b.Store, func(w *Writer) (err error) {
		moved, err = w.ApplyFlags(box, 7, []FlagChange{{1, `\Seen`, 9}, {2, `\Seen`, 9}, {3, `\Seen`, 9}})
		return err
	})
	if moved != 1 {
		t.Errorf("%d moved, want 1", moved)
	}
	if got := text(t, b.Store, "SELECT total || '/' || unread FROM mailbox"); got != "2/0" {
		t.Errorf("counters %s", got)
	}
}

// TestManyFlags: of many flags the same are dropped as of a few, those too that differ in the case of letters
// which have three.
func TestManyFlags(t *testing.T) {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("$k%d", i), fmt.Sprintf("$K%d", i), fmt.Sprintf("$\u212a%d", i), `\SEEN`)
	}
	got := NewFlags(many)
	few := NewFlags(many[:4])
	if n := len(strings.Fields(string(got))); n != 101 || few != `$k0 \Seen` {
		t.Errorf("%d flags, %q", n, few)
	}
}

func TestQuarantine(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	for range 2 {
		write(t, b.Store, func(w *Writer) error {
			return w.Quarantine(Quarantined{Mailbox: box, Validity: 7, UID: 4, Reason: "unreadable", Claimed: -1})
		})
	}
	var all []Quarantined
	list := func() {
		read(t, b.Store, func(r *Reader) (err error) { all, err = r.QuarantineOf(b.account); return err })
	}
	if list(); len(all) != 1 || all[0].UID != 4 || all[0].Attempts != 2 || all[0].Path != "INBOX" {
		t.Errorf("%+v", all)
	}
	b.store(box, 7, b.arrival(4, 4))
	if list(); len(all) != 0 {
		t.Errorf("it arrived and stays quarantined: %+v", all)
	}
	write(t, b.Store, func(w *Writer) error {
		return w.Quarantine(Quarantined{Mailbox: box, Validity: 7, UID: 5, Reason: "unreadable", Claimed: -1})
	})
	write(t, b.Store, func(w *Writer) error { return w.LoseMailbox(box) })
	if list(); len(all) != 0 {
		t.Errorf("the mailbox went and its messages stay quarantined: %+v", all)
	}
}

func TestNewestPages(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	var all []Arrival
	for uid := UID(1); uid <= 25; uid++ {
		a := b.arrival(uid, int(uid))
		a.InternalDate = time.Unix(1_700_000_000+int64(uid/4), 0) // several share a date
		all = append(all, a)
	}
	b.store(box, 7, all...)
	var got []UID
	var at Cursor
	for {
		var page []Mail
		read(t, b.Store, func(r *Reader) (err error) { page, err = r.Newest(box, at, 7); return err })
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			got = append(got, m.UID)
		}
		at = Cursor{page[len(page)-1].Date, page[len(page)-1].Entry}
	}
	if len(got) != 25 || got[0] != 25 || got[24] != 1 {
		t.Errorf("%v", got)
	}
}

func TestFaultsAndRuns(t *testing.T) {
	b := newBed(t)
	var first, second RunID
	write(t, b.Store, func(w *Writer) (err error) { first, err = w.StartRun(b.account); return err })
	write(t, b.Store, func(w *Writer) (err error) { second, err = w.StartRun(b.account); return err })
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.CountRun(second, 3, 900), w.EndRun(second, "partial", "1 quarantined", 4, 1),
			w.RecordFault(Fault{At: time.Unix(5, 0), Account: b.account, Class: "parsing", Scope: "message",
				ServerText: strings.Repeat("é", 2000)}))
	})
	read(t, b.Store, func(r *Reader) error {
		one, err := r.Run(first)
		two, err2 := r.Run(second)
		if one.Result != "interrupted" || two.Result != "partial" || two.Fetched != 3 || two.Bytes != 900 ||
			two.Mailboxes != 4 {
			t.Errorf("%+v, %+v", one, two)
		}
		faults, err3 := r.Faults(time.Time{}, 10)
		if len(faults) != 1 || faults[0].AccountName != "ada" || len(faults[0].ServerText) > 1030 ||
			faults[0].Attempt != 1 {
			t.Errorf("%+v", faults)
		}
		_, err4 := r.Run(99)
		if !errors.Is(err4, ErrNotFound) {
			t.Errorf("a run that is not there: %v", err4)
		}
		return errors.Join(err, err2, err3)
	})
}

func TestPauseAndAccounts(t *testing.T) {
	b := newBed(t)
	write(t, b.Store, func(w *Writer) error {
		return errors.Join(w.PauseAccount(b.account, "auth", "wrong password"), w.SetSecretRef(b.account, "file"),
			w.SetServer(b.account, "dovecot", "IMAP4rev1"),
			w.SetAccountEndpoint(b.account, 993, "tls", false), w.MarkSuccess(b.account, time.Unix(9, 0)))
	})
	read(t, b.Store, func(r *Reader) error {
		a, err := r.AccountByIdentity("ada", "localhost", 993)
		if !a.Paused || a.PauseClass != "auth" || a.Port != 993 || a.SecretRef != "file" || a.ServerID != "dovecot" ||
			!a.LastSuccess.Equal(time.Unix(9, 0)) {
			t.Errorf("%+v", a)
		}
		_, missing := r.AccountByName("nobody")
		if !errors.Is(missing, ErrNotFound) {
			t.Errorf("nobody: %v", missing)
		}
		return err
	})
	write(t, b.Store, func(w *Writer) error { return w.ResumeAccount(b.account) })
	if err := b.Write(context.Background(), Bulk, 0, func(w *Writer) error {
		_, err := w.AddAccount(Account{Name: "other", User: "ada", Host: "localhost", Port: 993, Security: "tls"})
		return err
	}); err == nil {
		t.Error("an identity was added twice")
	}
	if _, err := os.Stat(b.Path()); err != nil {
		t.Error(err)
	}
}

// TestCopyTakesEmail: a copy takes the email of an expunged one; when the first comes back they are two emails again.
func TestCopyTakesEmail(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.arrival(1, 1))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{1}) })
	b.store(box, 7, b.arrival(2, 1))
	if n := number(t, b.Store, `SELECT count(*) FROM email`); n != 1 {
		t.Fatalf("%d emails: the copy did not take the free one", n)
	}
	if done := b.store(box, 7, b.arrival(1, 1)); len(done.Conflicts) > 0 {
		t.Errorf("the same bytes are other ones: %+v", done)
	}
	if n := number(t, b.Store, `SELECT count(DISTINCT email_id) FROM entry WHERE expunged_at IS NULL`); n != 2 {
		t.Errorf("%d emails for two copies in one mailbox", n)
	}
	if n := number(t, b.Store, `SELECT total FROM mailbox WHERE id = ?`, box); n != 2 {
		t.Errorf("the mailbox counts %d", n)
	}
	if found := checkAll(t, b.Store); len(found) > 0 {
		t.Errorf("%v", found)
	}
}
