package storage

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// linked is a message that names others by their Message-IDs.
func (b *bed) linked(uid UID, subject string, keys ...string) Arrival {
	a := b.arrival(uid, int(uid))
	a.Header.ThreadKeys, a.Header.BaseSubject = keys, subject
	return a
}

// partition tells which UIDs are one thread: "1 2, 3".
func (b *bed) partition() string {
	b.t.Helper()
	return text(b.t, b.Store, `SELECT coalesce(group_concat(uids, ', '), '') FROM (SELECT group_concat(uid, ' ') AS uids
		FROM (SELECT uid, thread_id FROM mail JOIN account a ON a.name = mail.account WHERE a.id = ? ORDER BY uid)
		GROUP BY thread_id ORDER BY min(uid))`, b.account)
}

func (b *bed) idOf(uid UID) EmailID {
	b.t.Helper()
	return EmailID(text(b.t, b.Store, "SELECT email_id FROM mail WHERE uid = ?", uid))
}

func (b *bed) threadOf(uid UID) string {
	b.t.Helper()
	return text(b.t, b.Store, "SELECT thread_id FROM mail WHERE uid = ?", uid)
}

// rowOf resolves an id as a door does; 0 is not found.
func (b *bed) rowOf(id EmailID) (row EmailRow) {
	b.t.Helper()
	read(b.t, b.Store, func(r *Reader) (err error) {
		if row, _, err = r.FindEmail(string(id)); errors.Is(err, ErrNotFound) {
			err = nil
		}
		return err
	})
	return row
}

// sound wants a check to find nothing.
func (b *bed) sound() {
	b.t.Helper()
	if found, err := b.Check(b.t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
		b.t.Errorf("check: %v, %v", found, err)
	}
}

// TestLateLink: a message that names two threads makes them one. Ids of the smaller one change, row keys, entries
// and blobs do not.
func TestLateLink(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.linked(1, "tide", "a"), b.linked(2, "tide", "b"), b.linked(3, "tide", "c", "b"),
		b.linked(4, "kelp", "a"))
	if got := b.partition(); got != "1, 2 3, 4" {
		t.Fatalf("before the link: %s", got)
	}
	state := number(t, b.Store, "SELECT value FROM meta WHERE key = 'change_no'")
	one, two, gone, kept := b.idOf(1), b.idOf(2), b.threadOf(1), b.threadOf(2)
	lasting := func() string {
		return text(t, b.Store, `SELECT group_concat(n.id || '/' || n.uid || '/' || n.email_id || '/' || n.blob_id)
			FROM entry n WHERE n.uid < 5 ORDER BY n.id`)
	}
	before := lasting()

	b.store(box, 7, b.linked(5, "tide", "d", "a", "b"))
	if got := b.partition(); got != "1 2 3 5, 4" {
		t.Errorf("after the link: %s", got)
	}
	if after := lasting(); after != before {
		t.Errorf("row keys were %s and are %s", before, after)
	}
	if b.idOf(2) != two || b.threadOf(5) != kept {
		t.Error("ids of the larger thread changed")
	}
	if now := b.idOf(1); now == one || b.rowOf(one) != b.rowOf(now) || b.rowOf(one) == 0 {
		t.Errorf("the email was %s and is %s; the old id leads to %d", one, now, b.rowOf(one))
	}
	feed := func(id string) string {
		return text(t, b.Store, `SELECT iif(destroyed, 'destroyed', iif(created_no > ?1, 'created', 'updated'))
			FROM change WHERE object_id = ?2 AND changed_no > ?1`, state, id)
	}
	for id, want := range map[string]string{string(one): "destroyed", string(b.idOf(1)): "created", gone: "destroyed",
		kept: "updated", string(b.idOf(5)): "created"} {
		if got := feed(id); got != want {
			t.Errorf("the feed tells of %s: %s, want %s", id, got, want)
		}
	}
	if n := number(t, b.Store, `SELECT count(*) FROM change WHERE changed_no > ? AND object_id = ?`, state,
		two); n != 0 {
		t.Error("the feed tells of an email that did not change")
	}
	b.sound()
}

// TestFormerIDs: every id that an email had leads to it, through several merges, for 30 days.
func TestFormerIDs(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.linked(1, "tide", "a"), b.linked(2, "tide", "b"), b.linked(3, "tide", "b"),
		b.linked(11, "tide", "c"), b.linked(12, "tide", "c"), b.linked(13, "tide", "c"), b.linked(14, "tide", "c"),
		b.linked(15, "tide", "c"))
	first, row := b.idOf(1), b.rowOf(b.idOf(1))
	b.store(box, 7, b.linked(4, "tide", "a", "b"))
	second := b.idOf(1)
	b.store(box, 7, b.linked(5, "tide", "a", "c"))
	if got := b.partition(); got != "1 2 3 4 5 11 12 13 14 15" {
		t.Fatal(got)
	}
	for _, id := range []EmailID{first, second, b.idOf(1)} {
		if got := b.rowOf(id); got != row {
			t.Errorf("%s leads to email %d, want %d", id, got, row)
		}
	}
	for _, typed := range []EmailID{first, EmailID(first.Typed()[:8]), EmailID(second.Typed()[:8]),
		EmailID(b.idOf(1).Typed()[:8])} {
		read(t, b.Store, func(r *Reader) error {
			found, present, err := r.FindEmail(string(typed))
			if err != nil || found != row || present != b.idOf(1) {
				t.Errorf("%s finds email %d, %s, %v", typed, found, present, err)
			}
			return nil
		})
	}
	if first == second || second == b.idOf(1) {
		t.Errorf("ids %s, %s, %s", first, second, b.idOf(1))
	}
	old := number(t, b.Store, "SELECT count(*) FROM email_alias")
	if done := b.sweep(time.Now().Add(29*day), -1); done.Aliases != 0 || b.rowOf(first) != row {
		t.Errorf("after 29 days: %+v", done)
	}
	if due, err := b.SweepDue(t.Context(), time.Now().Add(31*day), -1); err != nil || !due {
		t.Errorf("a sweep is due: %t, %v", due, err)
	}
	if done := b.sweep(time.Now().Add(31*day), -1); done.Aliases != old || b.rowOf(first) != 0 {
		t.Errorf("after 31 days: %+v, want %d aliases", done, old)
	}
	if b.rowOf(b.idOf(1)) != row {
		t.Error("the present id is gone, too")
	}
}

// TestLinksOfEveryKind: links that come late, whatever is between the messages.
func TestLinksOfEveryKind(t *testing.T) {
	for name, c := range map[string]struct {
		steps []string // each is a batch: "subject key key; subject key"
		want  string
	}{
		"in one batch":             {[]string{"x a; x b; x c a b"}, "1 2 3"},
		"three at once":            {[]string{"x a; x b; x c", "x d a b c"}, "1 2 3 4"},
		"one after the other":      {[]string{"x a; x b; x c; x d", "x e a b", "x f c d", "x g e f"}, "1 2 3 4 5 6 7"},
		"through a missing one":    {[]string{"x a lost; x b", "x c b", "x d c lost"}, "1 2 3 4"},
		"of another subject":       {[]string{"x a; x b", "y c a b"}, "1, 2, 3"},
		"a subject between":        {[]string{"x a; y b a; x c b", "x d a b"}, "1 3 4, 2"},
		"the same id twice":        {[]string{"x a; x a; x b", "x c a b a b"}, "1 2 3 4"},
		"each names itself":        {[]string{"x a a; x b b", "x a b a"}, "1 2 3"},
		"in a ring":                {[]string{"x a b; x b c; x d", "x c a d"}, "1 2 3 4"},
		"newest first":             {[]string{"x e d; x c b", "x d c", "x b a", "x a"}, "1 2 3 4 5"},
		"two that do not know it":  {[]string{"x a r; x b s", "x r t; x s t"}, "1 2 3 4"},
		"one without any id":       {[]string{"x; x a; x b", "x c a b"}, "1, 2 3 4"},
		"an id under two subjects": {[]string{"x a; y a; x b; y b", "x c a b", "y d a b"}, "1 3 5, 2 4 6"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			box, uid := b.mailbox("INBOX", 7), UID(0)
			for _, step := range c.steps {
				var all []Arrival
				for message := range strings.SplitSeq(step, ";") {
					uid++
					words := strings.Fields(message)
					all = append(all, b.linked(uid, words[0], words[1:]...))
				}
				b.store(box, 7, all...)
			}
			if got := b.partition(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			b.sound()
		})
	}
}

// TestAnyOrder: the threads are the same in whatever order and batches the messages come.
func TestAnyOrder(t *testing.T) {
	b, accounts := newBed(t), 0
	rapid.Check(t, func(rt *rapid.T) {
		ids, want := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g"}), make([]int, 8)
		all := make([]Arrival, len(want))
		root := func(i int) int {
			for want[i] != i {
				i = want[i]
			}
			return i
		}
		first := map[string]int{}
		for i := range all {
			want[i] = i
			subject := rapid.SampledFrom([]string{"tide", "tide", "kelp"}).Draw(rt, "subject")
			keys := rapid.SliceOfN(ids, 0, 3).Draw(rt, "keys")
			for _, key := range keys {
				if j, ok := first[subject+key]; ok {
					want[max(root(i), root(j))] = min(root(i), root(j))
				} else {
					first[subject+key] = i
				}
			}
			all[i] = b.linked(UID(i+1), subject, keys...)
		}
		accounts++
		one := *b
		write(t, b.Store, func(w *Writer) (err error) {
			name := fmt.Sprint(accounts)
			one.account, err = w.AddAccount(Account{Name: name, User: name, Host: "localhost", Port: 143,
				Security: "plain"})
			return err
		})
		box := one.mailbox("INBOX", 7)
		for _, some := range slices.Collect(slices.Chunk(rapid.Permutation(all).Draw(rt, "order"),
			rapid.IntRange(1, 8).Draw(rt, "batch"))) {
			one.store(box, 7, some...)
		}
		classes := map[int][]string{}
		for i := range want {
			classes[root(i)] = append(classes[root(i)], fmt.Sprint(i+1))
		}
		var text []string
		for _, class := range slices.Sorted(maps.Keys(classes)) {
			text = append(text, strings.Join(classes[class], " "))
		}
		if got := one.partition(); got != strings.Join(text, ", ") {
			rt.Fatalf("threads %s, want %s", got, strings.Join(text, ", "))
		}
	})
	b.sound()
}

// TestMergeDestroyed: mail that is gone moves with its thread and comes back into the right one.
func TestMergeDestroyed(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.linked(1, "tide", "a"), b.linked(2, "tide", "b"), b.linked(3, "tide", "b"))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{1}) })
	b.settle()
	b.store(box, 7, b.linked(4, "tide", "a", "b"))
	b.sound()
	b.store(box, 7, b.linked(1, "tide", "a"))
	if got := b.partition(); got != "1 2 3 4" {
		t.Error(got)
	}
	b.sound()
	// The larger thread may hold nothing but mail that is gone.
	b.store(box, 7, b.linked(5, "kelp", "c"), b.linked(6, "kelp", "c"), b.linked(7, "kelp", "d"))
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{5, 6}) })
	b.settle()
	row := b.rowOf(b.idOf(7))
	write(t, b.Store, func(w *Writer) error {
		return w.JoinThreads(row, Header{ThreadKeys: []string{"d", "c"}, BaseSubject: "kelp"})
	})
	b.sound()
	b.store(box, 7, b.linked(5, "kelp", "c"), b.linked(6, "kelp", "c"))
	if got := b.partition(); got != "1 2 3 4, 5 6 7" {
		t.Error(got)
	}
	b.sound()
}

// TestJoinThreads: an email that is read anew joins what its new header names, and parts from nothing.
func TestJoinThreads(t *testing.T) {
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	b.store(box, 7, b.linked(1, "tide", "a"), b.linked(2, "re: tide", "b", "a"), b.linked(3, "re: tide", "c", "b"),
		b.linked(4, "re: tide", "d", "a"))
	if got := b.partition(); got != "1, 2 3 4" {
		t.Fatal(got)
	}
	rows := map[UID]EmailRow{}
	for uid := UID(1); uid <= 4; uid++ {
		rows[uid] = b.rowOf(b.idOf(uid))
	}
	join := func(uid UID, keys ...string) int64 {
		write(t, b.Store, func(w *Writer) error {
			return w.JoinThreads(rows[uid], Header{ThreadKeys: keys, BaseSubject: "tide"})
		})
		b.sound()
		return number(t, b.Store, "SELECT value FROM meta WHERE key = 'change_no'")
	}
	join(3, "c", "b")
	if got := b.partition(); got != "1, 2 3 4" {
		t.Errorf("without a common id: %s", got)
	}
	state := join(2, "b", "a")
	if got := b.partition(); got != "1 2 3 4" {
		t.Errorf("with one: %s", got)
	}
	if again := join(2, "b", "a"); again != state {
		t.Error("joining again tells of a change")
	}
	join(1)
	join(4, "unknown")
	if got := b.partition(); got != "1 2 3 4" {
		t.Errorf("a header that names nothing: %s", got)
	}
	err := b.Write(t.Context(), Bulk, 0, func(w *Writer) error { return w.JoinThreads(99, Header{}) })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("an email that is not there: %v", err)
	}
}

// TestThreadKeys: of a message that names too many, the first and the last count.
func TestThreadKeys(t *testing.T) {
	var ids []string
	for n := range 3 * maxThreadKeys {
		ids = append(ids, fmt.Sprint(n))
	}
	keys := threadKeys(Header{ThreadKeys: ids, BaseSubject: "tide"})
	if len(keys) != maxThreadKeys || !slices.Equal(keys[0], threadKey("0", "tide")) ||
		!slices.Equal(keys[len(keys)-1], threadKey("2999", "tide")) {
		t.Errorf("%d keys", len(keys))
	}
}

// TestSalvageThreads: mail whose link comes after it is one thread again in a store that was saved.
func TestSalvageThreads(t *testing.T) {
	keys := [][]string{1: {"a"}, 2: {"b"}, 3: {"b", "lost"}, 4: {"c", "a", "b"}, 5: {"d"}, 6: {"e", "lost"}}
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	for n := 1; n < len(keys); n++ {
		b.store(box, 7, b.linked(UID(n), "tide", keys[n]...))
	}
	want, old, now := b.partition(), b.rowOf(b.idOf(1)), b.idOf(1)
	if want != "1 2 3 4 6, 5" {
		t.Fatal(want)
	}
	former := EmailID(text(t, b.Store, "SELECT jmap_id FROM email_alias WHERE email_id = ?", old))
	parse := func(r io.Reader) Header {
		h := parseRaw(r)
		var n int
		if _, err := fmt.Sscanf(h.Subject, "message %d", &n); err != nil || n >= len(keys) {
			return Header{}
		}
		h.BaseSubject, h.ThreadKeys = "tide", keys[n]
		return h
	}
	path := filepath.Join(t.TempDir(), "saved.db")
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := SalvageInto(t.Context(), b.Path(), path, Salvage{Parse: parse}); err != nil {
		t.Fatal(err)
	}
	b.Store = openAt(t, path, Options{})
	if got := b.partition(); got != want {
		t.Errorf("saved threads %s, want %s", got, want)
	}
	if b.idOf(1) != now || b.rowOf(former) != b.rowOf(now) {
		t.Error("an id was lost")
	}
	if found, err := b.Check(t.Context(), CheckOptions{Parse: parse}); err != nil || len(found) > 0 {
		t.Errorf("check: %v, %v", found, err)
	}
}
