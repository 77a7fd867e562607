package plan

import (
	"slices"
	"testing"

	"mailcote/storage"
)

// kept makes a stored mailbox; status is what STATUS says of it while nothing changes.
func kept(id storage.MailboxID, raw string, validity storage.UIDValidity, total int64) storage.Mailbox {
	return storage.Mailbox{ID: id, Raw: raw, UIDValidity: validity, Total: total,
		Pass: storage.Pass{UIDNext: storage.UID(total) + 1}}
}

func status(m storage.Mailbox) Status {
	return Status{Said: true, Messages: m.Total, UIDNext: m.Pass.UIDNext, UIDValidity: m.UIDValidity,
		ObjectID: m.ObjectID}
}

func named(raw string, s Status) Named { return Named{Raw: raw, Selectable: true, Status: s} }

// TestFindRenames: what may be renamed is found by name, MAILBOXID and the numbers of STATUS.
func TestFindRenames(t *testing.T) {
	a, b := kept(1, "A", 5, 10), kept(2, "B", 6, 20)
	twin := kept(3, "C", 5, 10)
	other := func(m storage.Mailbox, change func(*storage.Mailbox)) storage.Mailbox { change(&m); return m }
	for _, test := range []struct {
		name   string
		stored []storage.Mailbox
		listed []Named
		want   []string // "name:candidates"
	}{
		{"nothing new", []storage.Mailbox{a, b}, []Named{named("A", status(a)), named("B", status(b))}, nil},
		{"one came", []storage.Mailbox{a}, []Named{named("A", status(a)), named("X", status(b))}, []string{"X:"}},
		{"one went", []storage.Mailbox{a, b}, []Named{named("A", status(a))}, nil},
		{"renamed", []storage.Mailbox{a, b}, []Named{named("X", status(a)), named("B", status(b))}, []string{"X:1"}},
		{"no status", []storage.Mailbox{a, b}, []Named{named("X", Status{}), named("B", status(b))}, []string{"X:1"}},
		{"two may be it", []storage.Mailbox{a, twin, b}, []Named{named("X", status(a)), named("B", status(b))},
			[]string{"X:13"}},
		{"other UIDVALIDITY", []storage.Mailbox{a}, []Named{named("X", status(b))}, []string{"X:"}},
		{"too few", []storage.Mailbox{a}, []Named{named("X", Status{Said: true, Messages: 8, UIDNext: 11,
			UIDValidity: 5})}, []string{"X:"}},
		{"UIDNEXT fell", []storage.Mailbox{a}, []Named{named("X", Status{Said: true, Messages: 10, UIDNext: 10,
			UIDValidity: 5})}, []string{"X:"}},
		{"swapped", []storage.Mailbox{a, b}, []Named{named("A", status(b)), named("B", status(a))},
			[]string{"A:2", "B:1"}},
		{"no status is no change", []storage.Mailbox{a, b}, []Named{named("A", Status{}), named("B", Status{})}, nil},
		{"empty", []storage.Mailbox{kept(1, "A", 5, 0)}, []Named{named("X", Status{Said: true, UIDNext: 1,
			UIDValidity: 5})}, []string{"X:"}},
		{"a number of our own", []storage.Mailbox{other(a, func(m *storage.Mailbox) { m.OwnValidity = 5 })},
			[]Named{named("X", status(a))}, []string{"X:"}},
		{"a number that does not last", []storage.Mailbox{other(a, func(m *storage.Mailbox) { m.Unstable = 2 })},
			[]Named{named("X", status(a))}, []string{"X:"}},
		{"another MAILBOXID", []storage.Mailbox{other(a, func(m *storage.Mailbox) { m.ObjectID = "i" })},
			[]Named{named("X", Status{Said: true, Messages: 10, UIDNext: 11, UIDValidity: 5, ObjectID: "j"})},
			[]string{"X:"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := FindRenames(test.stored, test.listed)
			if len(r.Sure) > 0 {
				t.Errorf("sure %v", r.Sure)
			}
			var got []string
			for _, l := range r.Listed {
				one := l.Raw + ":"
				for _, m := range r.Candidates(l) {
					one += string(rune('0' + m.ID))
				}
				got = append(got, one)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

// TestAlike: one message that differs, or too many that are not there, make another mailbox.
func TestAlike(t *testing.T) {
	var stored []storage.Mark
	for uid := range storage.UID(20) {
		stored = append(stored, storage.Mark{UID: uid + 1, Size: 100, Date: int64(uid)})
	}
	for _, test := range []struct {
		name         string
		there, other int
		doubted      bool
		want         bool
	}{
		{"all", 20, 0, false, true}, {"90 of 100", 18, 0, false, true}, {"fewer", 17, 0, false, false},
		{"one differs", 20, 1, false, false}, {"none", 0, 0, false, false},
		{"doubted dates that are the same", 20, 0, true, true}, {"and some that are not", 20, 2, true, true},
		{"and too many", 20, 3, true, false},
	} {
		server := map[storage.UID]Seen{}
		for i, m := range stored[:test.there] {
			if i < test.other {
				m.Date++
			}
			server[m.UID] = Seen{Mark: m, Doubted: test.doubted}
		}
		var k Likeness
		k.Compare(stored, server)
		if k.Alike() != test.want {
			t.Errorf("%s: %+v, want %t", test.name, k, test.want)
		}
	}
}

// TestSettle: an ambiguous rename is none, nor is one that pushes out most of the mail.
func TestSettle(t *testing.T) {
	a, b, c := kept(1, "A", 5, 10), kept(2, "B", 6, 20), kept(3, "C", 7, 500)
	to := func(id storage.MailboxID, raw string) storage.Rename { return storage.Rename{Mailbox: id, Raw: raw} }
	for _, test := range []struct {
		name        string
		found, want []storage.Rename
	}{
		{"two names for one", []storage.Rename{to(1, "X"), to(1, "Y"), to(2, "Z")}, []storage.Rename{to(2, "Z")}},
		{"two for one name", []storage.Rename{to(1, "X"), to(2, "X"), to(3, "Z")}, []storage.Rename{to(3, "Z")}},
		{"a swap", []storage.Rename{to(1, "C"), to(3, "A")}, []storage.Rename{to(1, "C"), to(3, "A")}},
		{"a small one goes", []storage.Rename{to(1, "B")}, []storage.Rename{to(1, "B")}},
		{"most of the mail goes", []storage.Rename{to(1, "C"), to(2, "A")}, []storage.Rename{to(2, "A")}},
	} {
		if got := Settle([]storage.Mailbox{a, b, c}, test.found); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
