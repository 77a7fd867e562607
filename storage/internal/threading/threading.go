// Package threading finds out which emails of an account are one conversation,
// and which thread each conversation keeps. It is pure.
package threading

import (
	"cmp"
	"slices"
)

// Set collects emails and the keys by which they join. Emails that share a key,
// directly or through others, are one conversation.
type Set struct {
	ids   []int64            // ascending
	up    []int32            // by place in ids: towards the email that stands for the conversation
	first map[[16]byte]int32 // by key: the first email that has it
}

// New makes an empty set.
func New() *Set { return &Set{first: map[[16]byte]int32{}} }

// Add takes an email with its keys of 16 bytes. Emails come in ascending order.
func (s *Set) Add(id int64, keys [][]byte) {
	at := int32(len(s.ids)) //nolint:gosec // far fewer
	s.ids, s.up = append(s.ids, id), append(s.up, at)
	for _, one := range keys {
		key := [16]byte(one)
		if other, ok := s.first[key]; ok {
			s.Join(int(at), int(other))
		} else {
			s.first[key] = at
		}
	}
}

// Join makes one conversation of those of two emails, given by their places.
func (s *Set) Join(a, b int) {
	x, y := s.head(int32(a)), s.head(int32(b)) //nolint:gosec // places
	s.up[max(x, y)] = min(x, y)
}

func (s *Set) head(at int32) int32 {
	for s.up[at] != at {
		s.up[at] = s.up[s.up[at]]
		at = s.up[at]
	}
	return at
}

// IDs are the emails; an email's place is its index. Nobody may change them.
func (s *Set) IDs() []int64 { return s.ids }

// Keys gives each key once with the place of an email that has it, in order.
func (s *Set) Keys() func(yield func(key []byte, place int) bool) {
	all := make([][16]byte, 0, len(s.first))
	for key := range s.first {
		all = append(all, key)
	}
	slices.SortFunc(all, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	return func(yield func([]byte, int) bool) {
		for _, key := range all {
			if !yield(key[:], int(s.first[key])) {
				return
			}
		}
	}
}

// part is what a thread has of a conversation.
type part struct {
	thread int64
	slot   int32 // of the thread
	head   int32 // of the conversation
	n      int32
}

// Plan says in which thread each email must be, by place. threads says where
// they are; 0: in none that they can stay in. The largest part of a thread
// keeps it, of equal ones the one with the oldest email, unless its
// conversation keeps another thread, of which it has more. A conversation that
// keeps no thread gets a new one: its emails have one negative number.
func (s *Set) Plan(threads []int64) []int64 {
	order := make([]int32, 0, len(s.ids))
	for i, thread := range threads {
		if thread != 0 {
			order = append(order, int32(i)) //nolint:gosec // places
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(threads[a], threads[b]), cmp.Compare(s.head(a), s.head(b)))
	})
	var parts []part
	slots := int32(0)
	for _, i := range order {
		last := len(parts) - 1
		if last < 0 || parts[last].thread != threads[i] {
			slots++
		} else if parts[last].head == s.head(i) {
			parts[last].n++
			continue
		}
		parts = append(parts, part{threads[i], slots - 1, s.head(i), 1})
	}
	slices.SortFunc(parts, func(a, b part) int {
		return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.thread, b.thread), cmp.Compare(a.head, b.head))
	})
	kept, taken := make([]int64, len(s.ids)), make([]bool, slots)
	for _, p := range parts {
		if !taken[p.slot] && kept[p.head] == 0 {
			taken[p.slot], kept[p.head] = true, p.thread
		}
	}
	want := make([]int64, len(s.ids))
	for i := range want {
		head := s.head(int32(i)) //nolint:gosec // places
		if want[i] = kept[head]; want[i] == 0 {
			want[i] = -1 - int64(head)
		}
	}
	return want
}
