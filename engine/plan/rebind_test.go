package plan

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailcote/storage"
)

func sum(header string) Digest { return SumOf(strings.NewReader(header)) }

func at(minute int) time.Time {
	if minute == 0 {
		return time.Time{}
	}
	return time.Date(2024, 1, 1, 0, minute, 0, 0, time.UTC)
}

// c makes a copy; header "" is unknown.
func c(uid storage.UID, entry storage.EntryID, size int64, header string, minute int) Copy {
	return Copy{UID: uid, Entry: entry, Size: size, Header: sum(header), Date: at(minute)}
}

func TestRebind(t *testing.T) {
	type copies = []Copy
	for _, test := range []struct {
		name                         string
		listed, taken, before, again copies
		want                         []Match
	}{
		{name: "nothing"},
		{name: "unique", listed: copies{c(5, 0, 10, "a", 1)}, before: copies{c(1, 7, 10, "a", 9)},
			want: []Match{{5, 7}}},
		{name: "another size", listed: copies{c(5, 0, 11, "a", 1)}, before: copies{c(1, 7, 10, "a", 1)}},
		{name: "another header", listed: copies{c(5, 0, 10, "b", 1)}, before: copies{c(1, 7, 10, "a", 1)}},
		{name: "no header", listed: copies{c(5, 0, 10, "", 1)}, before: copies{c(1, 7, 10, "", 1)}},
		{name: "two stored", listed: copies{c(5, 0, 10, "a", 0)},
			before: copies{c(1, 7, 10, "a", 1), c(2, 8, 10, "a", 2)}},
		{name: "two listed", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, 10, "a", 1)},
			before: copies{c(1, 7, 10, "a", 1)}},
		{name: "two listed, one stored already", listed: copies{c(5, 0, 10, "a", 1)},
			taken: copies{c(6, 9, 10, "a", 1)}, before: copies{c(1, 7, 10, "a", 1)}},
		{name: "the date breaks a tie", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, 10, "a", 2)},
			before: copies{c(1, 7, 10, "a", 2), c(2, 8, 10, "a", 1)},
			want:   []Match{{5, 8}, {6, 7}}},
		{name: "and leaves a tie", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, 10, "a", 1), c(7, 0, 10, "a", 3)},
			before: copies{c(1, 7, 10, "a", 1), c(2, 8, 10, "a", 1), c(3, 9, 10, "a", 3)}, want: []Match{{7, 9}}},
		{name: "a message of unknown size", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, -1, "", 0)},
			before: copies{c(1, 7, 10, "a", 1)}},
		{name: "a listed one of unknown header", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, 10, "", 0),
			c(8, 0, 11, "b", 0)},
			before: copies{c(1, 7, 10, "a", 1), c(2, 8, 11, "b", 1)}, want: []Match{{8, 8}}},
		{name: "a stored one of unknown header", listed: copies{c(5, 0, 10, "a", 1)},
			before: copies{c(1, 7, 10, "a", 1), c(2, 8, 10, "", 1)}},
		{name: "the same UID again", listed: copies{c(5, 0, 10, "a", 1), c(6, 0, 10, "a", 1)},
			again: copies{c(5, 7, 10, "a", 1), c(6, 8, 10, "a", 1)},
			want:  []Match{{5, 7}, {6, 8}}},
		{name: "the same UID, another message", listed: copies{c(5, 0, 10, "b", 1)},
			again: copies{c(5, 7, 10, "a", 1)}},
		{name: "the same UID, another date", listed: copies{c(5, 0, 10, "a", 2)}, again: copies{c(5, 7, 10, "a", 1)}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := Rebind(test.listed, test.taken, test.before, test.again); !slices.Equal(got, test.want) {
				t.Errorf("%v, want %v", got, test.want)
			}
		})
	}
}

// TestRebindHolds: a match is the only one that is possible, and none of those is missed. A server that only
// renumbers gets each message back as it was, however alike they are.
func TestRebindHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.Custom(func(t *rapid.T) Copy {
			return c(0, 0, rapid.Int64Range(1, 3).Draw(t, "size"),
				rapid.SampledFrom([]string{"", "a", "b", "c"}).Draw(t, "header"),
				rapid.IntRange(1, 4).Draw(t, "minute"))
		})
		before := rapid.SliceOfN(draw, 0, 12).Draw(t, "before")
		for i := range before {
			before[i].UID, before[i].Entry = storage.UID(i+1), storage.EntryID(i+1)
		}
		server := slices.Clone(before) // UID-1 is whose body it has
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 1))
		random.Shuffle(len(server), func(i, j int) { server[i], server[j] = server[j], server[i] })
		body := map[storage.UID]storage.EntryID{}
		for i := range server {
			uid := storage.UID(100 + i)
			body[uid] = server[i].Entry
			server[i].UID, server[i].Entry = uid, 0
		}
		cut := rapid.IntRange(0, len(server)).Draw(t, "taken")
		taken, listed := server[:cut], server[cut:]
		got := map[storage.UID]storage.EntryID{}
		for _, m := range Rebind(listed, taken, before, nil) {
			if body[m.UID] != m.Entry {
				t.Fatalf("UID %d is taken for entry %d and is %d", m.UID, m.Entry, body[m.UID])
			}
			got[m.UID] = m.Entry
		}
		for _, l := range listed {
			alike := func(same func(a, b Copy) bool) (n int) {
				for _, side := range [][]Copy{server, before} {
					for _, o := range side {
						if same(o, l) {
							n++
						}
					}
				}
				return n
			}
			sized := alike(func(a, b Copy) bool { return a.Size == b.Size && !a.Header.Known() })
			one := alike(func(a, b Copy) bool {
				return a.like() == b.like()
			}) == 2 || alike(func(a, b Copy) bool { return a.dated() == b.dated() }) == 2
			if want := l.Header.Known() && sized == 0 && one; want != (got[l.UID] != 0) {
				t.Fatalf("UID %d: matched %v, want %v", l.UID, !want, want)
			}
		}
	})
}

// TestHeaderSum: the digest of a header is that of the message it begins, however it comes in pieces and whatever
// empty line a server puts behind it.
func TestHeaderSum(t *testing.T) {
	for _, test := range []struct{ header, same string }{
		{"A: 1\r\nB: 2\r\n\r\n", "A: 1\r\nB: 2\r\n"},
		{"A: 1\r\n\r\n", "A: 1\r\n\r\nbody\r\n\r\nmore"},
		{"A: 1\n\n", "A: 1\n\nbody"},
		{"A: 1", "A: 1\r\n\r\n"},
	} {
		if sum(test.header) != sum(test.same) || !sum(test.header).Known() {
			t.Errorf("%q and %q differ", test.header, test.same)
		}
	}
	for _, none := range []string{"", "\r\n", "\n", "\r\n\r\nbody", strings.Repeat("\r", 5000) + "A: 1", "A: 1" +
		strings.Repeat("\r", 5000) + "\r\nB: 1"} {
		if sum(none).Known() {
			t.Errorf("%.20q has a digest", none)
		}
	}
	if sum("A: 1\r\nB: 2\r\n\r\n") == sum("A: 1\r\n\r\nB: 2\r\n") || sum("A: 1\r\n") == sum("A: 1\r\n B: 2\r\n") {
		t.Error("different headers have one digest")
	}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "b: c", "\r", "\n", "\r\n",
			"\r\n\r\n"})).Draw(t, "text"), "")
		h := NewHeaderSum()
		for rest := text; rest != ""; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
			h.Write([]byte(rest[:n])) //nolint:errcheck // it never fails
			rest = rest[n:]
		}
		if h.Digest() != sum(text) {
			t.Fatal("the pieces matter")
		}
	})
}

func TestDoubtOf(t *testing.T) {
	for _, test := range []struct {
		said, last, noted storage.UID
		want              Doubt
	}{
		{11, 10, 11, Sure}, {12, 10, 11, Sure}, {11, 9, 11, Sure},
		{0, 10, 11, Unsure}, {10, 10, 11, Unsure}, {5, 10, 50, Unsure},
		{11, 10, 12, Suspect}, {5, 0, 50, Suspect},
	} {
		if got := DoubtOf(test.said, test.last, test.noted); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}
