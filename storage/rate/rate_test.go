package rate

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailcote/storage"
)

// What is put comes back; slots grow, and go when no day counts them.
func TestPut(t *testing.T) {
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var id storage.AccountID
	now := time.Now().UTC().Truncate(time.Second)
	slot := func(ago time.Duration, n int64) Slot { return Slot{At: now.Add(-ago), Bytes: n} }
	rows := []Row{
		{Kind: "bytes", Provider: "gmail", Allowed: 2500, Window: 24 * time.Hour, At: now, Used: 7, Pace: 0.5, Resumes: now.Add(time.Hour)},
		{Kind: "commands", Provider: "gmail", Allowed: 100, Window: time.Minute, At: now.Add(-2 * time.Minute), Used: 40, Pace: 0.5},
		{Kind: "connections", Provider: "gmail", Allowed: 3, At: now, Used: 2, Pace: 0.5, Ceiling: 3, Until: now.Add(24 * time.Hour)},
	}
	for _, slots := range [][]Slot{
		{slot(26*time.Hour, 100), slot(20*time.Minute, 10), slot(10*time.Minute, 20)},
		{slot(20*time.Minute, 10), slot(10*time.Minute, 25), slot(0, 5), slot(-48*time.Hour, 9)},
		{slot(20*time.Minute, 10), slot(10*time.Minute, 25), slot(0, 5)},
	} {
		if err := s.Write(context.Background(), storage.Interactive, 0, func(w *storage.Writer) (err error) {
			if id == 0 {
				if id, err = w.AddAccount(storage.Account{Name: "a", User: "a", Host: "h", Port: 143, Security: "plain"}); err != nil {
					return err
				}
			}
			return Put(w, id, rows, slots, now)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Read(t.Context(), func(r *storage.Reader) error {
		gotRows, err := Rows(r, id)
		if err != nil {
			return err
		}
		gotSlots, err := Slots(r, id)
		if err != nil {
			return err
		}
		uses, err := Uses(r, "a")
		if diff := cmp.Diff(rows, gotRows) + cmp.Diff([]Slot{slot(20*time.Minute, 10), slot(10*time.Minute, 25), slot(0, 5)}, gotSlots); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]Use{
			{Provider: "gmail", Kind: "bytes", Used: 40, Allowed: 2500, Window: 24 * time.Hour, Pace: 0.5, Resumes: now.Add(time.Hour)},
			{Provider: "gmail", Kind: "commands", Allowed: 100, Window: time.Minute, Pace: 0.5},
			{Provider: "gmail", Kind: "connections", Used: 2, Allowed: 3, Pace: 0.5, Learned: 3, LearnedUntil: now.Add(24 * time.Hour)},
		}, uses); diff != "" {
			t.Error(diff)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
