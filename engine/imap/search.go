package imap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	goimap "github.com/emersion/go-imap/v2"
)

// setBuilder collects UIDs as ranges, in any number and order. It consists of
// pieces, because growing one slice would leave several times its size as
// garbage.
type setBuilder struct {
	full     [][]goimap.UIDRange // each of setPiece ranges
	ranges   []goimap.UIDRange
	max      int
	unsorted bool
}

const setPiece = 16 << 10

// add adds a closed range. Its ends may be swapped. 0 is not a UID and is left
// out.
func (b *setBuilder) add(from, to uint32) error {
	if from > to {
		from, to = to, from
	}
	from = max(from, 1)
	if to == 0 {
		return nil
	}
	r := goimap.UIDRange{Start: goimap.UID(from), Stop: goimap.UID(to)}
	if n := len(b.ranges); n > 0 {
		last := &b.ranges[n-1]
		if extend(last, r) {
			return nil
		}
		b.unsorted = b.unsorted || r.Start < last.Start
	}
	if len(b.full)*setPiece+len(b.ranges) >= b.max {
		return fmt.Errorf("%w: over %d UID ranges", ErrLimit, b.max)
	}
	if len(b.ranges) == setPiece {
		b.full, b.ranges = append(b.full, b.ranges), make([]goimap.UIDRange, 0, setPiece)
	}
	b.ranges = append(b.ranges, r)
	return nil
}

// extend makes a range part of the last one if they touch and are in order. It
// reports whether it did.
func extend(last *goimap.UIDRange, r goimap.UIDRange) bool {
	touch := r.Start >= last.Start && (r.Start <= last.Stop || r.Start-last.Stop == 1)
	if touch {
		last.Stop = max(last.Stop, r.Stop)
	}
	return touch
}

// set returns the ranges sorted and merged.
func (b *setBuilder) set() goimap.UIDSet {
	if len(b.full) > 0 {
		b.ranges, b.full = slices.Concat(append(b.full, b.ranges)...), nil
	}
	if !b.unsorted {
		return b.ranges
	}
	slices.SortFunc(b.ranges, func(x, y goimap.UIDRange) int { return cmp.Compare(x.Start, y.Start) })
	sorted := b.ranges[:0]
	for _, r := range b.ranges {
		if n := len(sorted); n == 0 || !extend(&sorted[n-1], r) {
			sorted = append(sorted, r)
		}
	}
	return sorted
}

// read reads "1:5,9,12:*", with "*" as the highest possible UID.
func (b *setBuilder) read(sc *scanner) error {
	for {
		from, err := sc.setNumber()
		if err != nil {
			return err
		}
		to := from
		c, err := sc.peek()
		if err != nil {
			return err
		}
		if c == ':' {
			sc.pos++
			if to, err = sc.setNumber(); err != nil {
				return err
			}
		}
		if err := b.add(from, to); err != nil {
			return err
		}
		if c, err = sc.peek(); err != nil || c != ',' {
			return err
		}
		sc.pos++
	}
}

func (s *scanner) setNumber() (uint32, error) {
	if c, err := s.peek(); err != nil || c == '*' {
		s.pos++
		return math.MaxUint32, err
	}
	t, err := s.token(func(c byte) bool { return c < '0' || c > '9' })
	if err != nil {
		return 0, err
	}
	n, ok := digits(t)
	if !ok || n > math.MaxUint32 {
		return 0, fmt.Errorf("%w: UID %.20q", ErrSyntax, t)
	}
	return uint32(n), nil
}

// search collects the answer to one search.
type search struct {
	tag      string
	found    setBuilder
	answered bool
}

// plain reads "* SEARCH 1 2 3 (MODSEQ 9)". There may be several.
func (q *search) plain(sc *scanner) error {
	q.answered = true
	sc.lineLimit = sc.lim.Listing
	for {
		c, err := sc.spaces()
		switch {
		case err != nil:
			return err
		case c == '\r' || c == '\n':
			return sc.skipLine()
		case c == '(':
			if err := sc.value(nil); err != nil {
				return err
			}
			continue
		}
		n, err := sc.setNumber()
		if err == nil {
			err = q.found.add(n, n)
		}
		if err != nil {
			return err
		}
		if c, err = sc.peek(); err != nil {
			return err
		}
		if !endsFlag(c) {
			return fmt.Errorf("%w: %q in a SEARCH", ErrSyntax, c)
		}
	}
}

// extended reads `* ESEARCH (TAG "a") UID ALL 1:5,9 COUNT 6`. It ignores an
// answer to another tag or in sequence numbers.
func (q *search) extended(sc *scanner) error {
	sc.lineLimit = sc.lim.Listing
	ours, uid := true, false
	for first := true; ; first = false {
		c, err := sc.spaces()
		switch {
		case err != nil:
			return err
		case c == '(' && first:
			sc.pos++
			if ours, err = q.correlated(sc); err != nil {
				return err
			}
			continue
		case c == '\r' || c == '\n' || !ours:
			q.answered = q.answered || ours && uid
			return sc.skipLine()
		}
		word, err := sc.token(endsWord)
		switch {
		case err != nil:
			return err
		case len(word) == 0:
			return fmt.Errorf("%w: %q in an ESEARCH", ErrSyntax, c)
		case is(word, "UID"):
			uid = true
			continue
		case is(word, "ALL") && uid:
			if _, err = sc.spaces(); err == nil {
				err = q.found.read(sc)
			}
		default:
			err = sc.value(nil)
		}
		if err != nil {
			return err
		}
	}
}

// correlated reads `TAG "a")` and reports whether the tag is ours.
func (q *search) correlated(sc *scanner) (bool, error) {
	if _, err := sc.plain(); err != nil {
		return false, err
	}
	t, _, err := sc.str()
	ours := string(t) == q.tag
	if err != nil {
		return false, err
	}
	if _, err := sc.spaces(); err != nil {
		return false, err
	}
	return ours, sc.take(')')
}

// UIDSearchAll lists the UIDs of the selected mailbox as ranges. An empty set
// means that the server said so. If it gave no result although the mailbox has
// messages, the error wraps ErrSyntax. A server that stops at its MESSAGELIMIT
// is asked for the rest (RFC 9738).
//
// A mailbox with 0 EXISTS is not searched: there is nothing to list, and Proton
// Bridge answers NO.
func (s *Session) UIDSearchAll(ctx context.Context) (goimap.UIDSet, error) {
	const name = "UID SEARCH"
	if s.State() == Selected && s.exists == 0 {
		return goimap.UIDSet{}, nil
	}
	if s.Has("ESEARCH") {
		set, err := s.searchAll(ctx, name, " RETURN (ALL) UID 1:")
		st := (*StatusError)(nil)
		if s.err != nil || !errors.As(err, &st) && !errors.Is(err, ErrSyntax) {
			return set, err
		}
	}
	return s.searchAll(ctx, name, " UID 1:") // not ALL: iCloud then lists messages that do not exist
}

// UIDFetchAll lists the UIDs of the selected mailbox as UIDSearchAll does, by
// the answers to a FETCH. It is for servers whose SEARCH is refused or wrong.
func (s *Session) UIDFetchAll(ctx context.Context) (goimap.UIDSet, error) {
	if s.State() == Selected && s.exists == 0 {
		return goimap.UIDSet{}, nil
	}
	found := setBuilder{max: s.lim.Ranges}
	all := goimap.UIDSet{{Start: 1}} // 1:*
	err := s.UIDFetch(ctx, all, []Item{ItemState}, FetchHandler{Fetch: func(m *Message) error {
		return found.add(uint32(m.UID), uint32(m.UID))
	}})
	set := found.set()
	if set == nil {
		set = goimap.UIDSet{}
	}
	return set, err
}

// searchAll searches down from the highest UID. args lacks the first UID of the
// range.
func (s *Session) searchAll(ctx context.Context, name, args string) (goimap.UIDSet, error) {
	q := &search{found: setBuilder{max: s.lim.Ranges}}
	s.search = q
	defer func() { s.search = nil }()
	again := 0
	for last, from := goimap.UID(math.MaxUint32), "*"; ; again++ {
		if again > MaxContinued {
			return nil, limitedTooOften(name)
		}
		c := s.command(name).raw(args + from)
		q.tag, q.answered = c.tag, false
		st, err := s.run(ctx, c)
		if err != nil {
			return nil, err
		}
		if !q.answered && s.exists > 0 {
			return nil, fmt.Errorf("imap: %s: %w: OK without a result, and %d messages", name, ErrSyntax, s.exists)
		}
		uid, more := unprocessed(st)
		if !more || uid >= last {
			break
		}
		last, from = uid, strconv.FormatUint(uint64(uid-1), 10)
	}
	set := q.found.set()
	if set == nil {
		set = goimap.UIDSet{}
	}
	return set, nil
}
