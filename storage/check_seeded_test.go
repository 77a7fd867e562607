package storage

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mailcote/storage/packing"
	"mailcote/testkit/damage"
	"mailcote/testkit/form"
)

// TestCheckSeeded is the store's part of FAULTS' bar 22: every seeded corruption is found, and nothing in clean
// stores. What only the server can tell (flags, UIDs, arrival) is in ui/cli TestCheckRemote.
func TestCheckSeeded(t *testing.T) {
	clean, wanted := 3, 60
	if form.Long() {
		clean, wanted = 100, 1000
	}
	random := rand.New(rand.NewPCG(form.Seed(t, 0), 22))
	u, err := packing.NewUnpacker()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	damages := damage.All(u.Unpack)
	dir := t.TempDir()
	alarms, found := 0, 0
	for n := range clean {
		wanted := wanted
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		lived(t, path, random)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := findingsAt(t, path); len(got) > 0 {
			alarms++
			t.Errorf("false alarm: %v", got)
		}
		for i := n; i < wanted; i += clean {
			c := damages[i%len(damages)]
			if err := os.WriteFile(path, text, 0o600); err != nil {
				t.Fatal(err)
			}
			done := c.Do(t, path, random)
			if done == "" { // there was nothing to change
				wanted += clean
			} else if len(findingsAt(t, path)) > 0 {
				found++
			} else {
				t.Errorf("%s: %s was not found", c.Name, done)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d corruptions found, %d false alarms in %d clean stores", found, alarms, clean)
}

func findingsAt(t *testing.T, path string) []Finding {
	t.Helper()
	s, err := Open(t.Context(), path, Options{ReadOnly: true})
	if err != nil {
		return []Finding{{What: "not opened", Detail: err.Error()}}
	}
	defer s.Close()
	found, err := s.Check(t.Context(), CheckOptions{Parse: parseRaw})
	if err != nil {
		found = append(found, Finding{What: "not read", Detail: err.Error()})
	}
	return found
}

// lived makes a store with a random past.
func lived(t *testing.T, path string, random *rand.Rand) {
	t.Helper()
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := bedOn(t, s)
	boxes := []MailboxID{b.mailbox("INBOX", 7), b.mailbox("Archive", 7)}
	next := []UID{1, 1}
	for range 12 {
		at := random.IntN(2)
		switch random.IntN(5) {
		case 0:
			if next[at] > 1 {
				write(t, s, func(w *Writer) error {
					if err := w.Expunge(boxes[at], 7, []UID{1 + UID(random.IntN(int(next[at]-1)))}); err != nil {
						return err
					}
					_, err := w.SettleOrphans(b.account)
					return err
				})
			}
		case 1:
			if _, err := s.Sweep(t.Context(), time.Now().Add(40*24*time.Hour), 30*24*time.Hour); err != nil {
				t.Fatal(err)
			}
		default:
			var batch []Arrival
			for range 1 + random.IntN(6) {
				batch = append(batch, b.arrival(next[at], random.IntN(60),
					[]string{`\Seen`, `$Work`}[:random.IntN(3)]...))
				next[at] += 1 + UID(random.IntN(2))
			}
			b.store(boxes[at], 7, batch...)
		}
	}
	for at, n := range []int{100, 101} { // each mailbox has something
		b.store(boxes[at], 7, b.arrival(next[at], n), b.arrival(next[at]+1, n+10))
	}
	b.index(func(row EmailRow) IndexDoc { return IndexDoc{Email: row, Text: "text"} })
	write(t, s, func(w *Writer) error {
		if _, err := w.tx.Raw().Exec(`INSERT INTO goqite (id, queue, body) VALUES ('m_1', 'q', x'00')`); err != nil {
			return err
		}
		_, err := w.tx.Raw().Exec(`INSERT INTO sync_task (account_id, task_type, message_id, created_at)
			VALUES (?, 'initial_sync', 'm_1', 0)`, b.account)
		return err
	})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
