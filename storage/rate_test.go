package storage

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// What is put comes back; slots grow, and go when no day counts them.
func TestPutRates(t *testing.T) {
	b := newBed(t)
	now := time.Now().UTC().Truncate(time.Second)
	slot := func(ago time.Duration, n int64) RateSlot { return RateSlot{At: now.Add(-ago), Bytes: n} }
	rows := []Rate{
		{Kind: "bytes", Provider: "gmail", Allowed: 2500, Window: 24 * time.Hour, At: now, Used: 7, Pace: 0.5,
			Resumes: now.Add(time.Hour)},
		{Kind: "commands", Provider: "gmail", Allowed: 100, Window: time.Minute, At: now.Add(-2 * time.Minute),
			Used: 40, Pace: 0.5},
		{Kind: "connections", Provider: "gmail", Allowed: 3, At: now, Used: 2, Pace: 0.5, Ceiling: 3,
			Until: now.Add(24 * time.Hour)},
	}
	for _, slots := range [][]RateSlot{
		{slot(26*time.Hour, 100), slot(20*time.Minute, 10), slot(10*time.Minute, 20)},
		{slot(20*time.Minute, 10), slot(10*time.Minute, 25), slot(0, 5), slot(-48*time.Hour, 9)},
		{slot(20*time.Minute, 10), slot(10*time.Minute, 25), slot(0, 5)},
	} {
		write(t, b.Store, func(w *Writer) error { return w.PutRates(b.account, rows, slots, now) })
	}
	read(t, b.Store, func(r *Reader) error {
		gotRows, err := r.Rates(b.account)
		if err != nil {
			return err
		}
		gotSlots, err := r.RateSlots(b.account)
		if err != nil {
			return err
		}
		uses, err := r.RateUses("ada")
		if diff := cmp.Diff(rows, gotRows) + cmp.Diff([]RateSlot{slot(20*time.Minute, 10), slot(10*time.Minute, 25),
			slot(0, 5)}, gotSlots); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]RateUse{
			{Provider: "gmail", Kind: "bytes", Used: 40, Allowed: 2500, Window: 24 * time.Hour, Pace: 0.5,
				Resumes: now.Add(time.Hour)},
			{Provider: "gmail", Kind: "commands", Allowed: 100, Window: time.Minute, Pace: 0.5},
			{Provider: "gmail", Kind: "connections", Used: 2, Allowed: 3, Pace: 0.5, Learned: 3,
				LearnedUntil: now.Add(24 * time.Hour)},
		}, uses); diff != "" {
			t.Error(diff)
		}
		return err
	})
}
