package attempt

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/storage"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened is a store with one account.
func opened(t *testing.T) (s *storage.Store, id storage.AccountID) {
	t.Helper()
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	write(t, s, func(w *storage.Writer) (err error) {
		id, err = w.AddAccount(storage.Account{Name: "a", User: "a", Host: "h", Port: 143, Security: "plain"})
		return err
	})
	return s, id
}

func write(t *testing.T, s *storage.Store, do func(w *storage.Writer) error) {
	t.Helper()
	if err := s.Write(context.Background(), storage.Interactive, 0, do); err != nil {
		t.Fatal(err)
	}
}

func TestSignIn(t *testing.T) {
	s, id := opened(t)
	at := time.Date(2026, 7, 1, 12, 0, 0, int(5*time.Millisecond), time.UTC)
	for _, want := range []SignIn{{}, {SentAt: at, Dropped: 1}, {SentAt: at.Add(time.Hour), Silent: 1, Dropped: 2}, {}} {
		write(t, s, func(w *storage.Writer) error { return PutSignIn(w, id, want) })
		if err := s.Read(t.Context(), func(r *storage.Reader) error {
			got, err := SignInOf(r, id)
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
}
