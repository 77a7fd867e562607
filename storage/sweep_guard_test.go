package storage

import (
	"testing"
	"time"
)

// TestSweepSpares: what is still being received, and a conversation that other mail is in, outlast a sweep.
func TestSweepSpares(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	answer := b.arrival(2, 2)
	answer.Header.ThreadKeys = append(answer.Header.ThreadKeys, headerOf(1).ThreadKeys...)
	answer.Header.BaseSubject = headerOf(1).BaseSubject
	b.store(box, 7, b.arrival(1, 1), answer)
	write(t, b.Store, func(w *Writer) error {
		if _, err := w.addStaged(); err != nil {
			return err
		}
		return w.Expunge(box, 7, []UID{1})
	})
	b.settle()
	if done := b.sweep(time.Now().Add(31*day), 30*day); done.Emails != 1 || done.Blobs != 1 {
		t.Errorf("%+v", done)
	}
	if got := text(t, b.Store, `SELECT (SELECT count(*) FROM blob WHERE state = 'staged') || ' ' || (SELECT count(*)
		FROM thread) || ' ' || (SELECT count(*) FROM email)`); got != "1 1 1" {
		t.Errorf("left: staged blobs, threads, emails %s", got)
	}
}
