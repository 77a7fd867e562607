package imap

import (
	"context"
	"errors"

	goimap "github.com/emersion/go-imap/v2"
)

// maxFlight is how many commands are in flight. Their lines are so short that
// they fit into any buffer: a server may answer before it reads on.
const maxFlight = 32

// Flight returns how many commands may be sent before the first is answered.
func (s *Session) Flight() int {
	if s.manners.OneByOne {
		return 1
	}
	return maxFlight
}

// fly sends commands in one write. For each, in order, it calls before and
// then, when the answer has come, answered.
func (s *Session) fly(ctx context.Context, commands []*command, before func(i int),
	answered func(i int, st Status)) error {
	stop, err := s.begin(ctx, commands[0].name)
	if err != nil {
		return err
	}
	defer stop()
	for _, c := range commands[1:] {
		if err := s.awaitMeter(ctx, c.name); err != nil {
			return err
		}
	}
	var lines []byte
	for _, c := range commands {
		if err := s.enter(c); err != nil {
			return err
		}
		lines = append(lines, c.buf...)
	}
	if err := s.write(commands[0].name, lines); err != nil {
		return err
	}
	for i, c := range commands {
		before(i)
		st, err := s.wait(c.tag)
		if err != nil {
			return err
		}
		answered(i, st)
	}
	return nil
}

// alone reports whether a command cannot be sent with others: it waits for the
// server in its middle, or it is refused.
func (c *command) alone() bool { return len(c.cuts) > 0 || c.err != nil }

// StatusAnswer is the answer to one STATUS of several.
type StatusAnswer struct {
	StatusData
	Err error // the server's refusal, or an ErrCommand
}

// Statuses asks for items of mailboxes that are not selected, Flight of them at
// a time. The answers are in the order of raws. After an error they are those
// that came before it.
func (s *Session) Statuses(ctx context.Context, raws, items []string) (all []StatusAnswer, err error) {
	for len(all) < len(raws) {
		first := len(all)
		var flight []*command
		for _, raw := range raws[first:min(first+s.Flight(), len(raws))] {
			c := s.statusOf(raw, items)
			if c.alone() {
				break
			}
			flight = append(flight, c)
		}
		if len(flight) == 0 {
			one, err := s.Status(ctx, raws[first], items)
			if refusal := (*StatusError)(nil); err != nil && (s.Err() != nil ||
				!errors.As(err, &refusal) && !errors.Is(err, ErrCommand)) {
				return all, err
			}
			all = append(all, StatusAnswer{one, err})
			continue
		}
		l := &listing{lim: &s.lim, statuses: map[string]StatusData{}}
		s.list = l
		err := s.fly(ctx, flight, func(int) {}, func(i int, st Status) {
			all = append(all, StatusAnswer{l.statuses[inbox(raws[first+i])], st.Err(flight[i].name)})
		})
		if s.list = nil; err != nil {
			return all, err
		}
	}
	return all, nil
}

// Glance is a look at the flags of some messages of a mailbox that is not
// opened for long.
type Glance struct {
	Raw  string          // the mailbox's name as on the wire
	UIDs goimap.UIDRange // from 1
	Take func(*Message) error

	Selected SelectData // what EXAMINE said
	Answered bool       // the server answered; false after a nil error: the mailbox's name needs a literal
	Err      error      // the server's refusal: what Take got is worth nothing
}

// Glances opens mailboxes one after the other and asks for flags of each,
// Flight commands at a time. In the end no mailbox counts as selected. If the
// session ends, the first Glance without an answer may be the cause.
func (s *Session) Glances(ctx context.Context, all []*Glance) error {
	s.observer, s.state = Observer{}, Authenticated
	var some []*Glance
	var flight []*command
	for _, g := range all {
		open := s.command("EXAMINE").text(g.Raw)
		if open.alone() {
			continue
		}
		some = append(some, g)
		flight = append(flight, open, s.command("UID FETCH").raw(" "+goimap.UIDSet{g.UIDs}.String()+
			fetchItems([]Item{ItemState})))
	}
	done := func() {}
	defer func() {
		s.sel = nil
		done()
	}()
	for at := 0; at < len(flight); at += s.Flight() {
		err := s.fly(ctx, flight[at:min(at+s.Flight(), len(flight))], func(i int) {
			if g := some[(at+i)/2]; (at+i)%2 == 0 {
				s.sel, s.exists = &g.Selected, 0
			} else {
				done = s.addFetch(goimap.UIDSet{g.UIDs}, FetchHandler{Fetch: g.Take})
			}
		}, func(i int, st Status) {
			g := some[(at+i)/2]
			if g.Err == nil {
				g.Err = st.Err(flight[at+i].name)
			}
			if (at+i)%2 == 0 {
				g.Selected.Exists, s.sel = s.exists, nil
				return
			}
			done()
			done, g.Answered = func() {}, true
		})
		if err != nil {
			return err
		}
	}
	return nil
}
