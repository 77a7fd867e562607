package engine

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mailcote/testkit/courier"
	"mailcote/testkit/form"
)

// TestMailboxNobodyOpened: Courier keeps no numbers of a mailbox until a client SELECTs it. Every STATUS and EXAMINE
// gives another UIDVALIDITY. Passes over it cost what passes over any quiet mailbox cost: no rows, no change
// numbers, next to no bytes.
func TestMailboxNobodyOpened(t *testing.T) {
	s := courier.Start(t)
	const box = "INBOX.Lists"
	count := volume(3000)
	for n := range count {
		must(t, s.Put(box, mail(box, uint32(n)), time.Date(2020, 1, 1, 0, 0, n, 0, time.UTC)))
	}
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(s.Host(), s.Port())
	if first := w.complete(); first.Fetched != int64(count) {
		t.Fatalf("fetched %d of %d", first.Fetched, count)
	}
	rows := func() string {
		return w.text(`SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'entry') || ' entries, ' ||
			(SELECT seq FROM sqlite_sequence WHERE name = 'email') || ' emails, change number ' ||
			(SELECT value FROM meta WHERE key = 'change_no')`)
	}
	emails, began := w.emails(), rows()
	passes := 3
	if form.Long() {
		passes = 20
	}
	var most int64
	for pass := range passes {
		nextSecond()
		sum := w.complete()
		most = max(most, sum.Wire)
		if now := rows(); now != began || sum.Fetched != 0 || sum.Wire > 20_000 {
			t.Errorf("pass %d: %d fetched, %d bytes, %s, before %s", pass+1, sum.Fetched, sum.Wire, now, began)
		}
	}
	t.Logf("%d passes, at most %d bytes each", passes, most)
	if w.emails() != emails {
		t.Error("emails have other ids")
	}
	// News arrive, and the mailbox stays one that nobody opened.
	must(t, s.Put(box, mail(box, uint32(count)), time.Time{}))
	nextSecond()
	if sum := w.complete(); sum.Fetched != 1 {
		t.Errorf("%d fetched, want the new one", sum.Fetched)
	}
	if n := w.stored(box); n != fmt.Sprint(count+1) {
		t.Errorf("%s messages, want %d", n, count+1)
	}
	w.clean()
}

// nextSecond waits for another number of Courier's, which is the time in seconds.
func nextSecond() {
	now := time.Now()
	<-time.After(now.Truncate(time.Second).Add(time.Second + time.Millisecond).Sub(now))
}
