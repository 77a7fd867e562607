package imap

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	goimap "github.com/emersion/go-imap/v2"
)

// FetchHandler takes the messages that one command asked for. Its functions run
// in the session's goroutine during a call of the session. A nil field ignores
// its data. An error ends the session.
type FetchHandler struct {
	// Body gets a body section while it arrives. section is what stands in
	// BODY[…], followed by the origin ("", "HEADER", "TEXT<0>"). BINARY items
	// keep their whole name. A quoted string counts as a literal. NIL and a
	// missing value have size 0 and leave m.HasBody false. r is valid during
	// the call only; what is left unread is discarded.
	//
	// If a server sends the UID after the body, m.UID is 0. Fetch is then
	// called with the UID, which the command may not have asked for.
	Body func(m *Message, section string, size int64, r io.Reader) error
	// Fetch is called at the end of the message. m is valid during the call
	// only, but Flags and Extra may be kept.
	Fetch func(m *Message) error
}

// openFetch is a FETCH in progress: the messages it asked for and who takes
// them.
type openFetch struct {
	set  goimap.UIDSet
	take FetchHandler
}

// addFetch registers an open FETCH until done is called. The set must be
// sorted, as the methods of UIDSet leave it.
func (s *Session) addFetch(set goimap.UIDSet, take FetchHandler) (done func()) {
	a := &openFetch{set, take}
	s.fetches = append(s.fetches, a)
	return func() { s.fetches = slices.DeleteFunc(s.fetches, func(one *openFetch) bool { return one == a }) }
}

// fetchOf finds the oldest open FETCH that asked for the message; nil: none
// did.
func (s *Session) fetchOf(uid goimap.UID) *openFetch {
	for _, a := range s.fetches {
		if uid != 0 && a.set.Contains(uid) {
			return a
		}
	}
	return nil
}

// bodyFetchOf is fetchOf for a body: it finds the oldest FETCH that takes
// bodies. Before the UID is known any of them may have asked for the body, so
// the oldest gets it.
func (s *Session) bodyFetchOf(uid goimap.UID) *openFetch {
	for _, a := range s.fetches {
		if a.take.Body != nil && (uid == 0 || a.set.Contains(uid)) {
			return a
		}
	}
	return nil
}

// fetchWindow is how many commands of one UIDFetch are in flight.
const fetchWindow = 4

// UIDFetch asks for items of the messages in set. What the server says about
// them until the answer goes to take.
//
// A set that is too long for one command line is split over several commands, a
// few of them in flight at once. After a refusal no more are sent, and those in
// flight are awaited. Whatever came before or despite a refusal has been handed
// over (RFC 2180 allows it). What a server left out because of its MESSAGELIMIT
// is asked for again (RFC 9738).
func (s *Session) UIDFetch(ctx context.Context, set goimap.UIDSet, items []Item, take FetchHandler) error {
	return s.UIDFetchSince(ctx, set, 0, items, take)
}

// UIDFetchSince is UIDFetch limited to messages that changed since modSeq (RFC
// 7162); 0: all messages.
func (s *Session) UIDFetchSince(ctx context.Context, set goimap.UIDSet, modSeq uint64, items []Item,
	take FetchHandler) error {
	const name = "UID FETCH"
	tail := fetchItems(items)
	if modSeq > 0 {
		tail += fmt.Sprintf(" (CHANGEDSINCE %d)", modSeq)
	}
	if len(set) == 0 {
		return nil
	}
	defer s.addFetch(set, take)()
	again := 0
	for todo := []goimap.UIDSet{set}; len(todo) > 0; {
		next := &todo[len(todo)-1]
		left, err := s.fetchParts(ctx, next, name, tail)
		if err != nil {
			return err
		}
		if len(*next) == 0 {
			todo = todo[:len(todo)-1]
		}
		if len(left) > 0 {
			if again++; again > MaxContinued {
				return limitedTooOften(name)
			}
			todo = append(todo, left)
		}
	}
	return nil
}

func limitedTooOften(name string) error {
	return fmt.Errorf("imap: %s: %w: stopped at its MESSAGELIMIT over %d times", name, ErrLimit, MaxContinued)
}

// fetchParts sends the next few commands of a UIDFetch and awaits them. left is
// what the server did not process.
func (s *Session) fetchParts(ctx context.Context, set *goimap.UIDSet, name, tail string) (
	left goimap.UIDSet, err error,
) {
	stop, err := s.begin(ctx, name)
	if err != nil {
		return nil, err
	}
	defer stop()
	// All of them go out in one write. Otherwise a server that answers the
	// first before it reads the second could block while we block writing.
	var lines []byte
	var tags []string
	var parts []goimap.UIDSet
	for len(*set) > 0 && len(tags) < fetchWindow {
		if len(tags) > 0 && s.awaitMeter(ctx, name) != nil {
			break // the meter repeats its error before the next command
		}
		c := s.command(name)
		text, part, rest := cutSet(*set, s.manners.commandLine()-len(c.buf)-len(tail)-3)
		if err := s.enter(c.raw(" " + string(text) + tail)); err != nil {
			return nil, err
		}
		lines, tags, parts, *set = append(lines, c.buf...), append(tags, c.tag), append(parts, part), rest
	}
	if err := s.write(name, lines); err != nil {
		return nil, err
	}
	var first error
	for i, tag := range tags {
		st, err := s.wait(tag)
		if err != nil {
			return nil, err
		}
		if first == nil {
			first = st.Err(name)
		}
		if uid, ok := unprocessed(st); ok {
			left = append(left, uidsBelow(parts[i], uid)...)
		}
	}
	return left, first
}

// cutSet formats as many ranges as fit into most octets, at least one. It also
// returns those ranges and the rest.
func cutSet(set goimap.UIDSet, most int) (text []byte, part, rest goimap.UIDSet) {
	for i, r := range set {
		before := len(text)
		if i > 0 {
			text = append(text, ',')
		}
		text = append(text, goimap.UIDSet{r}.String()...)
		if i > 0 && len(text) > most {
			return text[:before], set[:i:i], set[i:]
		}
	}
	return text, set, nil
}

// fetch reads the list of a FETCH response, in any order.
func (s *Session) fetch(seq uint32) error {
	sc, m := s.sc, &s.msg
	*m = Message{Seq: seq, Size: -1}
	s.bodyFetch = nil
	if _, err := sc.spaces(); err != nil {
		return err
	}
	if err := sc.take('('); err != nil {
		return err
	}
	for {
		c, err := sc.spaces()
		if err != nil {
			return err
		}
		if c == ')' {
			sc.pos++
			break
		}
		if err := s.item(m); err != nil {
			return err
		}
		// A literal with a wrong size shows here.
		if c, err = sc.peek(); err != nil {
			return err
		}
		if c != ' ' && c != ')' {
			return fmt.Errorf("%w: %q behind a FETCH item", ErrSyntax, c)
		}
	}
	if _, err := sc.line(); err != nil {
		return err
	}
	if take := s.fetchTaker(m.UID); take != nil {
		if err := take(m); err != nil {
			return handlerError{err}
		}
	}
	return nil
}

// fetchTaker returns who takes the end of the message: the FETCH that got its
// body, or the one that asked for it, or the observer.
func (s *Session) fetchTaker(uid goimap.UID) func(*Message) error {
	a := s.bodyFetch
	if a == nil {
		a = s.fetchOf(uid)
	}
	if a == nil {
		return s.observer.Fetch
	}
	return a.take.Fetch
}

// item reads one FETCH item: its name and value.
func (s *Session) item(m *Message) error {
	sc := s.sc
	name, err := sc.itemName()
	if err != nil {
		return err
	}
	switch {
	case len(name) == 0:
		return fmt.Errorf("%w: FETCH item without a name", ErrSyntax)
	case is(name, "UID"):
		t, err := sc.plain()
		m.UID = goimap.UID(number32(t))
		return err
	case is(name, "FLAGS"):
		m.HasFlags = true
		m.Flags, err = s.flags()
		return err
	case is(name, "MODSEQ"):
		m.ModSeq, err = s.modSeqItem()
		return err
	case is(name, "RFC822.SIZE"):
		t, err := sc.plain()
		if n, ok := digits(t); ok {
			m.Size = n
		}
		return err
	case is(name, "INTERNALDATE"):
		t, _, err := sc.str()
		m.InternalDate = internalDate(t)
		return err
	}
	if section, ok := bodySection(name); ok {
		return s.body(m, section)
	}
	return s.extra(m, strings.ToUpper(string(name)))
}

// plain skips spaces and reads a word.
func (s *scanner) plain() ([]byte, error) {
	if _, err := s.spaces(); err != nil {
		return nil, err
	}
	return s.token(endsFlag)
}

// bodySection returns the section of an item that holds octets of the message.
func bodySection(name []byte) (string, bool) {
	switch {
	case is(name, "BODY[]"), is(name, "RFC822"):
		return "", true
	case is(name, "BODY[HEADER]"), is(name, "RFC822.HEADER"):
		return "HEADER", true
	case is(name, "BODY[TEXT]"), is(name, "RFC822.TEXT"):
		return "TEXT", true
	case len(name) > 5 && is(name[:5], "BODY["):
		end := bytes.LastIndexByte(name, ']')
		return string(name[5:end]) + string(name[end+1:]), true
	case len(name) > 7 && is(name[:7], "BINARY["):
		return strings.ToUpper(string(name)), true
	}
	return "", false
}

// body streams one section.
func (s *Session) body(m *Message, section string) error {
	sc := s.sc
	c, err := sc.spaces()
	if err != nil {
		return err
	}
	size, null, r := int64(0), false, io.Reader(nil)
	lit := c == '{'
	if c == '~' {
		if lit, err = sc.atLiteral(c); err != nil {
			return err
		}
	}
	if lit {
		if size, err = sc.literalSize(); err != nil {
			return err
		}
		sc.lit.open(size)
		r = &sc.lit
	} else {
		var t []byte
		if t, null, err = sc.str(); err != nil {
			return err
		}
		if null {
			t = nil
		} else if c != '"' {
			return fmt.Errorf("%w: a word where a body was due", ErrSyntax)
		}
		size, r = int64(len(t)), bytes.NewReader(t)
	}
	if s.bodyFetch == nil {
		s.bodyFetch = s.bodyFetchOf(m.UID)
	}
	if s.bodyFetch != nil {
		if err := s.bodyFetch.take.Body(m, section, size, r); err != nil {
			return handlerError{err}
		}
	}
	left := sc.lit.left
	if err := sc.discard(left); err != nil {
		return err
	}
	sc.lit.left = 0
	sc.streamed -= left // nobody took them: they count towards the command's limit
	m.HasBody = m.HasBody || section == "" && !null
	return nil
}

// extra keeps an unknown item, or passes over it.
func (s *Session) extra(m *Message, name string) error {
	keep := &capture{s: s.sc}
	if len(m.Extra) >= MaxExtra || len(name) > 256 {
		keep = nil
	}
	if err := s.sc.value(keep); err != nil || keep == nil || keep.partial {
		return err
	}
	if m.Extra == nil {
		m.Extra = map[string]string{}
	}
	m.Extra[name] = string(keep.out)
	return nil
}
