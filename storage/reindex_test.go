package storage

import (
	"fmt"
	"strings"
	"testing"

	"mailcote/storage/internal/schema"
	"mailcote/storage/query"
)

// respelled is a store as the fourth schema left it: the index in the old spelling, with n mails in it.
func respelled(t *testing.T, n int) *bed {
	t.Helper()
	b := newBed(t)
	box := b.mailbox("INBOX", 7)
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		return w.define("make an old index", `DROP TABLE search`, strings.Replace(schema.SearchTable("search"),
			`"ascii"`, `"unicode61 remove_diacritics 2"`, 1), setState(query.Bigrams, 0))
	}); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		b.store(box, 7, b.arrival(UID(i+1), i+1))
	}
	b.index(respell)
	return b
}

func respell(row EmailRow) IndexDoc {
	if row == 7 {
		return IndexDoc{Email: row, Text: "second"}
	}
	return IndexDoc{Email: row, Text: fmt.Sprintf("Straße 東京都 ประเทศไทย %d", row), Cc: "Carol <carol@example.org>"}
}

// step does one step of building the index anew, with at most two emails, and says whether there is more.
func (b *bed) step() (more bool) {
	b.t.Helper()
	var rows []EmailRow
	var building, outdated bool
	read(b.t, b.Store, func(r *Reader) (err error) { rows, building, outdated, err = r.Rebuild(2); return err })
	var docs []IndexDoc
	for _, row := range rows {
		docs = append(docs, respell(row))
	}
	do := (*Writer).SwapIndex
	switch {
	case outdated:
		do = (*Writer).RebuildIndex
	case !building:
		return false
	case len(rows) > 0:
		do = func(w *Writer) error { return w.RebuildDocs(docs) }
	}
	if err := b.WriteAlone(b.t.Context(), do); err != nil {
		b.t.Fatal(err)
	}
	return true
}

func (b *bed) reindexing() (n int64) {
	b.t.Helper()
	read(b.t, b.Store, func(r *Reader) error {
		c, err := r.Count()
		n = c.Reindexing
		return err
	})
	return n
}

// A new index is built beside the old one, which answers as it did, also for mail that comes meanwhile. A restart goes
// on where it was. Then the new one answers, and nothing is left of the old.
func TestRebuildIndex(t *testing.T) {
	b := respelled(t, 5)
	old := map[string]string{"straße": "5 4 3 2 1", "strasse": "", "東京": "5 4 3 2 1", "ไทย": "", "from:ada 3": "3"}
	check := func(want map[string]string) {
		t.Helper()
		for text, uids := range want {
			if got := b.find(text, 9); got != uids {
				t.Errorf("%q finds %q, want %q", text, got, uids)
			}
		}
		if found, err := b.Check(t.Context(), CheckOptions{}); err != nil || len(found) > 0 {
			t.Errorf("%v, %v", found, err)
		}
	}
	check(old)
	if n := b.reindexing(); n != 5 {
		t.Errorf("%d to go at the start", n)
	}
	b.step() // begins
	b.step() // writes two
	if n := b.reindexing(); n != 3 {
		t.Errorf("%d to go", n)
	}
	check(old)
	path := b.Path()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	b.Store = openAt(t, path, Options{})
	if n := b.reindexing(); n != 3 {
		t.Errorf("%d to go after a restart", n)
	}
	box := MailboxID(number(t, b.Store, `SELECT id FROM mailbox`))
	b.store(box, 7, b.arrival(6, 6), b.arrival(7, 7))
	b.index(respell)
	write(t, b.Store, func(w *Writer) error { return w.Expunge(box, 7, []UID{1}) })
	check(map[string]string{"straße": "6 5 4 3 2", "ไทย": "", "second": "7", "cc:carol": ""})
	// an email that goes is in neither
	if err := b.WriteAlone(t.Context(), func(w *Writer) error { return w.dropIndexRow(2) }); err != nil {
		t.Fatal(err)
	}
	if n := number(t, b.Store, `SELECT count(*) FROM search_next_docsize WHERE id = 2`); n != 0 {
		t.Error("an email that was dropped is in the new index")
	}
	again := func(w *Writer) error { return w.IndexDocs([]IndexDoc{respell(2)}) }
	if err := b.WriteAlone(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	b.store(box, 7, b.arrival(8, 8)) // waits to be indexed while the indexes change places
	for n := 0; b.step(); n++ {
		if n > 9 {
			t.Fatal("it does not end")
		}
	}
	check(map[string]string{"straße": "6 5 4 3 2", "strasse": "6 5 4 3 2", "ไทย": "6 5 4 3 2", "都": "6 5 4 3 2",
		"second": "7", "cc:carol": "6 5 4 3 2", "subject:x": ""})
	if got := text(t, b.Store, `SELECT coalesce(group_concat(name), '') FROM sqlite_schema
		WHERE name LIKE 'search_next%'`); got != "" {
		t.Errorf("left: %s", got)
	}
	if n := b.reindexing(); n != 0 {
		t.Errorf("%d to go at the end", n)
	}
	b.index(respell)
	check(map[string]string{"strasse": "8 6 5 4 3 2"})
}

// A repair takes rows of nothing out of both indexes.
func TestRepairOfTwoIndexes(t *testing.T) {
	b := respelled(t, 3)
	b.step()
	b.step()
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		_, err := w.tx.Raw().Exec(`INSERT INTO search_next (rowid, text) VALUES (99, 'x')`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Repair(t.Context(), RepairOptions{Found: []Finding{{What: "stale index", Mends: true}}}); err != nil {
		t.Fatal(err)
	}
	if got := text(t, b.Store, `SELECT group_concat(id) FROM search_next_docsize`); got != "1,2" {
		t.Errorf("the index that is built has %s", got)
	}
}

// An index can be built anew at any time, and one that was begun in a spelling that is old by now is begun again.
func TestRebuildIndexAgain(t *testing.T) {
	b := respelled(t, 3)
	for range 4 {
		b.step()
	}
	if err := b.WriteAlone(t.Context(), (*Writer).RebuildIndex); err != nil {
		t.Fatal(err)
	}
	if n := b.reindexing(); n != 3 {
		t.Errorf("%d to go", n)
	}
	b.step()
	if err := b.WriteAlone(t.Context(), func(w *Writer) error {
		return w.define("pretend", `UPDATE index_state SET next = 1`)
	}); err != nil {
		t.Fatal(err)
	}
	b.step()
	if n := b.reindexing(); n != 3 {
		t.Errorf("%d to go", n)
	}
	for b.step() {
	}
	if got := b.find("strasse", 9); got != "3 2 1" {
		t.Errorf("found %q", got)
	}
	// Damage ends it: one index, in the newest spelling.
	b.step()
	if err := b.WriteAlone(t.Context(), (*Writer).RebuildIndex); err != nil {
		t.Fatal(err)
	}
	if err := b.WriteAlone(t.Context(), (*Writer).RenewIndex); err != nil {
		t.Fatal(err)
	}
	b.index(respell)
	if b.step() || b.find("ไทย", 9) != "3 2 1" {
		t.Errorf("after it was made anew: %q", b.find("ไทย", 9))
	}
}

// An index is made again beside a sound one, which answers, and goes on where it was when it is asked for again.
// A damaged or lost one is dropped at once.
func TestRemakeIndex(t *testing.T) {
	b := respelled(t, 5)
	for b.step() {
	}
	remake := func() {
		t.Helper()
		if err := b.WriteAlone(t.Context(), (*Writer).RemakeIndex); err != nil {
			t.Fatal(err)
		}
	}
	remake()
	b.step()
	for range 2 {
		if got, n := b.find("strasse", 9), b.reindexing(); got != "5 4 3 2 1" || n != 3 {
			t.Errorf("found %q, %d to go", got, n)
		}
		remake()
	}
	for b.step() {
	}
	for _, damage := range []string{`UPDATE search_data SET block = x'0102030405' WHERE id > 10`, `DROP TABLE search`} {
		remake() // and building goes on
		b.execute(damage)
		remake()
		if n := number(t, b.Store, `SELECT count(*) FROM unindexed`); n != 5 || b.reindexing() != 0 {
			t.Errorf("%s: %d to be indexed, %d to go", damage, n, b.reindexing())
		}
		b.index(respell)
		if got := b.find("strasse", 9); got != "5 4 3 2 1" || b.step() {
			t.Errorf("%s: found %q", damage, got)
		}
	}
}

// A new store has the newest spelling before the first mail comes.
func TestEmptyIndexIsRespelled(t *testing.T) {
	b := newBed(t)
	if got := number(t, b.Store, `SELECT spelling FROM index_state`); got != int64(query.Newest) {
		t.Errorf("spelling %d", got)
	}
	if b.step() {
		t.Error("there is something to build")
	}
}
