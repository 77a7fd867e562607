package storage

import (
	"testing"
	"time"
)

// An unanswered sign-in is kept as it was put, and the zero one takes it away.
func TestSignIn(t *testing.T) {
	b := newBed(t)
	at := time.Date(2026, 7, 1, 12, 0, 0, int(5*time.Millisecond), time.UTC)
	for _, want := range []SignIn{{}, {SentAt: at, Dropped: 1}, {SentAt: at.Add(time.Hour), Silent: 1, Dropped: 2},
		{}} {
		write(t, b.Store, func(w *Writer) error { return w.PutSignIn(b.account, want) })
		read(t, b.Store, func(r *Reader) error {
			got, err := r.SignInOf(b.account)
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			return err
		})
	}
}
