package reconcile

import (
	"fmt"
	"hash/maphash"
	"path/filepath"
	"testing"
	"time"

	"mailcote/engine/fetch"
	"mailcote/engine/mailbox"
	"mailcote/storage"
)

// TestFlagWindow: in whatever order a server answers, each message is compared with its own stored flags. One that
// is gone from the store is compared with nothing. Windows are read ahead, and late answers alone.
func TestFlagWindow(t *testing.T) {
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the test is over
	packer, err := storage.NewPacker()
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close() //nolint:errcheck // as above
	const n = flagWindow + 200
	var box storage.MailboxID
	if err := s.Write(t.Context(), storage.Bulk, 0, func(w *storage.Writer) error {
		account, err := w.AddAccount(storage.Account{Name: "ada", User: "ada", Host: "localhost", Port: 143,
			Security: "plain"})
		if err != nil {
			return err
		}
		if box, err = w.PutMailbox(storage.Mailbox{Account: account, Raw: "INBOX", Path: "INBOX", Delimiter: "/",
			Selectable: true, Priority: 5}); err != nil {
			return err
		}
		if err := w.OpenGeneration(box, 7, 1, 0); err != nil {
			return err
		}
		b := storage.Batch{Mailbox: box, Validity: 7}
		for i := range n {
			b.Arrivals = append(b.Arrivals, storage.Arrival{UID: storage.UID(2 * (i + 1)),
				Flags:        storage.NewFlags([]string{fmt.Sprint("flag", i)}),
				InternalDate: time.Unix(1_700_000_000, 0), Body: packer.Pack(fmt.Appendf(nil, "Subject: %d\r\n\r\n",
					i))})
		}
		if _, err = w.StoreBatch(b); err != nil {
			return err
		}
		return w.Expunge(box, 7, []storage.UID{20})
	}); err != nil {
		t.Fatal(err)
	}
	var stored []storage.UID
	if err := s.Read(t.Context(), func(r *storage.Reader) (err error) {
		stored, err = r.UIDs(box, 7, 3)
		return err
	}); err != nil || len(stored) != n-1 || stored[9] != 22 {
		t.Fatalf("%d are stored, %v", len(stored), err)
	}
	stored = append(stored[:9:9], append([]storage.UID{20}, stored[9:]...)...) // as if it left meanwhile
	p := &pass{box: &mailbox.Mailbox{Validity: 7}, row: storage.Mailbox{ID: box}, seed: maphash.MakeSeed(),
		Task: Task{Fetcher: fetch.New(fetch.Process{Store: s}, nil, nil)}}
	ahead := &flagCheck{p: flagSync{p}, stored: stored}
	for _, i := range []int{9, 5, 6, 9, 10, 4, 0, n - 1, n - 2, 5, flagWindow + 20, n - 1, 1} {
		have, err := ahead.at(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		if i == 9 {
			if len(have) != 0 {
				t.Errorf("what is gone is %+v", have)
			}
			continue
		}
		if want := storage.NewFlags([]string{fmt.Sprint("flag", i)}); len(have) != 1 || have[0].UID != stored[i] ||
			have[0].Flags != want.Sum(p.seed) {
			t.Errorf("message %d is %+v", i, have)
		}
	}
	if first := ahead.window[0].UID; first != stored[n-1] {
		t.Errorf("the window begins at UID %d: a late answer replaced it", first)
	}
	if ahead.reset(); len(ahead.window) > 0 {
		t.Error("a comparison that begins anew would find every answer late")
	}
}
