package storage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// named gives the emails of a mailbox, by number, these JMAP ids.
func (b *bed) named(ids ...string) []EmailRow {
	b.t.Helper()
	box := b.mailbox("INBOX", 7)
	var rows []EmailRow
	for i, id := range ids {
		done := b.store(box, 7, b.arrival(UID(i+1), i+1))
		row := EmailRow(number(b.t, b.Store, `SELECT email_id FROM entry WHERE uid = ?`, i+1))
		if len(done.Emails) != 1 {
			b.t.Fatalf("stored %+v", done)
		}
		write(b.t, b.Store, func(w *Writer) error {
			_, err := w.tx.Exec(`UPDATE email SET jmap_id = ? WHERE id = ?`, id, row)
			return err
		})
		rows = append(rows, row)
	}
	return rows
}

func TestFindEmail(t *testing.T) {
	b := newBed(t)
	rows := b.named("e000111aaa", "e000111bbb", "e0002", "e00023", "e0003gone", "e0003here", "e0004gone")
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`UPDATE email SET live = 0 WHERE jmap_id LIKE '%gone'`)
		return err
	})
	for _, one := range []struct {
		typed string
		want  int // the number of the email; 0: none, -1: several
	}{
		{"e000111aaa", 1}, {"e000111a", 1}, {"e000111b", 2}, {"e000111", -1}, {"e000", -1},
		{"e0002", 3}, {"e00023", 4}, // a whole id that another one begins with
		{"e0003", 6}, {"e0004", 7}, {"e0003g", 5}, // one that is gone only if no other is meant
		{"e00", 0}, {"e", 0}, {"", 0}, {"e000111aaaa", 0}, {"E000111A", 0}, {"e%%%", 0}, {"e___", 0}, {"zzzz", 0},
		{"e0001\xff", 0}, {strings.Repeat("e", 5000), 0},
	} {
		read(t, b.Store, func(r *Reader) error {
			row, id, err := r.FindEmail(one.typed)
			several := (*AmbiguousError)(nil)
			switch {
			case one.want == 0 && errors.Is(err, ErrNotFound), one.want < 0 && errors.As(err, &several):
			case one.want > 0 && err == nil && row == rows[one.want-1] && strings.HasPrefix(string(id), one.typed):
			default:
				t.Errorf("%q: %d %q %v, want the email %d", one.typed, row, id, err, one.want)
			}
			return nil
		})
	}
}

func TestAmbiguousIDListsWhatItMayMean(t *testing.T) {
	b := newBed(t)
	b.named("e0001aa", "e0001ab", "e0001b")
	read(t, b.Store, func(r *Reader) error {
		_, _, err := r.FindEmail("e0001")
		want := `e0001 begins the ids of several messages: e0001aa "message 1", e0001ab "message 2", ` +
			`e0001b "message 3"; type more of it`
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		return nil
	})
	many := newBed(t)
	many.named("e0001a", "e0001b", "e0001c", "e0001d", "e0001e", "e0001f")
	read(t, many.Store, func(r *Reader) error {
		_, _, err := r.FindEmail("e0001")
		if several := (*AmbiguousError)(nil); !errors.As(err, &several) || len(several.Emails) != 5 || !several.More ||
			!strings.Contains(err.Error(), `"message 5" and others; type`) {
			t.Errorf("got %v", err)
		}
		return nil
	})
}

func TestShortID(t *testing.T) {
	b := newBed(t)
	all := []string{"e000000000aaa", "e000000000aab", "e000000000b", "e1", "e23456789", "e23456789a", "e99999999999"}
	b.named(all...)
	want := []string{"e000000000aaa", "e000000000aab", "e000000000b", "e1", "e23456789", "e23456789a", "e9999999"}
	read(t, b.Store, func(r *Reader) error {
		for i, id := range all {
			short, err := r.ShortID(EmailID(id))
			if err != nil || short != want[i] {
				t.Errorf("%s: %q %v, want %q", id, short, err, want[i])
			}
			if _, found, err := r.FindEmail(short); err != nil || string(found) != id {
				t.Errorf("%s finds %q %v, want %s", short, found, err, id)
			}
		}
		return nil
	})
}

// Ids of a store lie next to each other in the order in which they were made. What is typed of one is random, and so
// are the ids of before.
func TestIDsThatAscend(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	const groups, each = 4, 5
	var all []EmailID
	for n := range groups * each {
		if n%each == 0 { // as if much had changed meanwhile
			b.execute(`UPDATE meta SET value = value + 5000 WHERE key = 'change_no'`)
		}
		b.store(box, 7, b.arrival(UID(n+1), n+1))
		all = append(all, b.idOf(UID(n+1)))
	}
	former := EmailID("e" + strings.Repeat("0", 24)) // of before
	b.execute(fmt.Sprintf(`UPDATE email SET jmap_id = '%s' WHERE jmap_id = '%s'`, former, all[0]))
	all[0] = former
	heads := map[EmailID]bool{}
	for n, id := range all {
		if len(id) != 25 || n > 0 && n%each == 0 && id < all[n-1] {
			t.Errorf("id %s after %s", id, all[n-1])
		}
		heads[id[:9]] = true
		read(t, b.Store, func(r *Reader) error {
			short, err := r.ShortID(id)
			if err != nil || len(short) != ShortID || n > 0 && short[1:] != string(id[9:16]) {
				t.Errorf("%s is shown as %s, %v", id, short, err)
			}
			for _, typed := range []string{short, id.Typed(), string(id), string(id[:24])} {
				if _, found, err := r.FindEmail(typed); err != nil || found != id {
					t.Errorf("%s finds %s, %v; want %s", typed, found, err, id)
				}
				if some, err := r.IDs(typed, 5); err != nil || len(some) != 1 || some[0].ID != id {
					t.Errorf("%s may be %v, %v; want %s", typed, some, err, id)
				}
			}
			return nil
		})
	}
	if len(heads) != groups+1 {
		t.Errorf("the ids begin with %v", heads)
	}
	read(t, b.Store, func(r *Reader) error {
		for _, prefix := range []string{"e", "evvv"} {
			if some, err := r.IDs(prefix, 100); err != nil || len(some) != len(all) && prefix == "e" ||
				len(some) != len(all)-1 && prefix != "e" {
				t.Errorf("%d ids begin with %s, %v", len(some), prefix, err)
			}
		}
		_, _, err := r.FindEmail(string(all[1][:9]))
		if err == nil || !strings.Contains(err.Error(), string(all[1][:10])) {
			t.Errorf("the first characters of several ids: %v", err)
		}
		return nil
	})
	b.execute(fmt.Sprintf(`INSERT INTO email_alias (jmap_id, email_id, created_at)
		SELECT 'evvv0000vhadbefore1234567', id, 0 FROM email WHERE jmap_id = '%s'`, all[2])) // alone in its group
	if row := b.rowOf("ehadbefo"); row == 0 || row != b.rowOf(all[2]) {
		t.Errorf("a former id leads to %d", row)
	}
	same := all[1][:9] + "0000000000000000"
	b.execute(fmt.Sprintf(`UPDATE email SET jmap_id = '%s' WHERE jmap_id = '%s'`, same, all[1]))
	read(t, b.Store, func(r *Reader) error {
		_, _, err := r.FindEmail("e000000")
		if err == nil || !strings.Contains(err.Error(),
			former.Typed()[:18]+` "message 1", `+same.Typed()+` "message 2";`) {
			t.Errorf("an id of before and one that ascends: %v", err)
		}
		return nil
	})
}

// TestManyIDs looks ids up among 100,000 by what a table shows of them. Every other one ascends.
func TestManyIDs(t *testing.T) {
	b := newBed(t)
	b.named("e0000000000000")
	write(t, b.Store, func(w *Writer) error {
		_, err := w.tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
			INSERT INTO email (account_id, jmap_id, thread_id, subject, received_at, size, live)
			SELECT account_id, iif(i % 2, 'e', printf('evvv%05d', i / 1000)) || lower(hex(randomblob(12))),
			thread_id, 'copy', 1, 1, 1 FROM email, n`)
		return err
	})
	read(t, b.Store, func(r *Reader) error {
		rows, err := r.snap.Query(`SELECT jmap_id FROM email WHERE id % 500 = 0 OR id % 500 = 1`)
		if err != nil {
			return err
		}
		var ids []EmailID
		for rows.Next() {
			var id EmailID
			if err := rows.Scan(&id); err != nil {
				return errors.Join(err, rows.Close())
			}
			ids = append(ids, id)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		var longest time.Duration
		for _, id := range ids {
			began := time.Now()
			short, err := r.ShortID(id)
			if err == nil && len(short) > 10 {
				err = fmt.Errorf("%s is shown as %s", id, short)
			}
			if err != nil {
				return err
			}
			if _, found, err := r.FindEmail(short); err != nil || found != id {
				return fmt.Errorf("%s finds %s: %w", short, found, err)
			}
			if _, _, err := r.FindEmail(short[:4]); err == nil {
				return fmt.Errorf("%s finds one email of 100,000", short[:4])
			}
			longest = max(longest, time.Since(began))
		}
		t.Logf("%d ids, at most %v for three questions", len(ids), longest)
		return nil
	})
}

// What is typed may begin both an id and its random part: the email is one all the same.
func TestMeantTwice(t *testing.T) {
	b := newBed(t)
	b.store(b.mailbox("INBOX", 7), 7, b.arrival(1, 1))
	b.execute(`UPDATE email SET jmap_id = 'evvv00000vvv0123456789abc'`)
	read(t, b.Store, func(r *Reader) error {
		if _, id, err := r.FindEmail("evvv"); err != nil || id != "evvv00000vvv0123456789abc" {
			t.Errorf("%s, %v", id, err)
		}
		all, err := r.IDs("ev", 10)
		if len(all) != 1 {
			t.Errorf("%v", all)
		}
		return err
	})
}
