package storage

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestFaultGroups: one problem is one group, the latest first; what has no fingerprint stands alone.
func TestFaultGroups(t *testing.T) {
	b := newBed(t)
	write(t, b.Store, func(w *Writer) error {
		for i, print := range []string{"old", "a", "b", "a", "", "", "a", "b"} {
			if err := w.RecordFault(Fault{At: time.Unix(int64(10*i), 0), Account: b.account, Class: "network",
				Scope: "account", Detail: strconv.Itoa(i), Fingerprint: print}); err != nil {
				return err
			}
		}
		return nil
	})
	var got []string
	read := func(since int64, limit int) {
		t.Helper()
		got = nil
		if err := b.Read(t.Context(), func(r *Reader) error {
			groups, err := r.FaultGroups(time.Unix(since, 0), limit)
			for _, g := range groups {
				got = append(got, fmt.Sprintf("%s %d×%d-%d %s %s", g.Fault.Fingerprint, g.Count, g.First.Unix(),
					g.Last.Unix(), g.Fault.Detail, g.Fault.AccountName))
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	read(10, 100)
	want := []string{"b 2×20-70 7 ada", "a 3×10-60 6 ada", " 1×50-50 5 ada", " 1×40-40 4 ada"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	read(30, 2)
	if want := []string{"b 1×70-70 7 ada", "a 2×30-60 6 ada"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
