package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	goimap "github.com/emersion/go-imap/v2"
)

// ListEntry is one mailbox in a LIST response.
type ListEntry struct {
	Raw    string // the name as on the wire, in modified UTF-7
	Name   string // decoded for display: valid UTF-8, not unique, not escaped
	Delim  rune   // 0: none
	Attrs  []goimap.MailboxAttr
	Status *StatusData // nil: LIST-STATUS gave none
}

// StatusData is a STATUS response. 0 in UIDNext, UIDValidity and HighestModSeq
// means that it was not said, or for HighestModSeq that none is kept.
type StatusData struct {
	Messages      uint32
	HasMessages   bool
	Unseen        uint32
	HasUnseen     bool
	UIDNext       uint32
	UIDValidity   uint32
	HighestModSeq uint64
	MailboxID     string // "": not said
}

// listing collects LIST and STATUS responses, at most Limits.Mailboxes of them.
type listing struct {
	lim      *Limits
	entries  []ListEntry
	statuses map[string]StatusData
	names    int64
	over     bool
	garbled  int   // LIST responses that could not be read
	why      error // the first of them
}

// UnreadableError means that LIST responses could not be read. The others could.
type UnreadableError struct {
	Lines int
	Err   error // the first one's
}

func (e *UnreadableError) Error() string {
	if e.Lines == 1 {
		return "imap: LIST: a response cannot be read: " + e.Err.Error()
	}
	return fmt.Sprintf("imap: LIST: %d responses cannot be read, the first: %v", e.Lines, e.Err)
}

// Unwrap returns what is wrong with the first response.
func (e *UnreadableError) Unwrap() error { return e.Err }

// List lists all mailboxes with their special uses. It also returns the status
// items where the server offers LIST-STATUS. If the server refuses that or
// answers nothing, a plain LIST follows. With more mailboxes than the limit
// allows, it returns those within the limit and an error that wraps ErrLimit.
// With responses that cannot be read, it returns the others and an
// UnreadableError.
func (s *Session) List(ctx context.Context, statusItems []string) ([]ListEntry, error) {
	var options []string
	if s.Has("SPECIAL-USE") && s.Has("LIST-EXTENDED") {
		options = append(options, "SPECIAL-USE")
	}
	if s.Has("LIST-STATUS") && len(statusItems) > 0 {
		options = append(options, "STATUS ("+strings.Join(statusItems, " ")+")")
	}
	if len(options) > 0 {
		got, err := s.listWith(ctx, " RETURN ("+strings.Join(options, " ")+")")
		st := (*StatusError)(nil)
		refused := errors.As(err, &st) && s.err == nil
		if !refused && (err != nil || len(got) > 0) {
			return got, err
		}
	}
	return s.listWith(ctx, "")
}

func (s *Session) listWith(ctx context.Context, options string) ([]ListEntry, error) {
	l := &listing{lim: &s.lim, statuses: map[string]StatusData{}}
	s.list = l
	defer func() { s.list = nil }()
	if _, err := s.run(ctx, s.command("LIST").raw(` "" "*"`+options)); err != nil {
		return nil, err
	}
	for i := range l.entries {
		e := &l.entries[i]
		if st, ok := l.statuses[inbox(e.Raw)]; ok {
			e.Status = &st
		}
	}
	if l.over {
		return l.entries, fmt.Errorf("imap: LIST: %w: more than %d mailboxes or %d octets of names", ErrLimit,
			s.lim.Mailboxes, s.lim.Names)
	}
	if l.garbled > 0 {
		return l.entries, &UnreadableError{l.garbled, l.why}
	}
	return l.entries, nil
}

// Status asks for items of a mailbox that is not selected. Responses about
// other mailboxes are ignored. The server may also say nothing at all.
func (s *Session) Status(ctx context.Context, raw string, items []string) (StatusData, error) {
	l := &listing{lim: &s.lim, statuses: map[string]StatusData{}}
	s.list = l
	defer func() { s.list = nil }()
	_, err := s.run(ctx, s.statusOf(raw, items))
	return l.statuses[inbox(raw)], err
}

func (s *Session) statusOf(raw string, items []string) *command {
	return s.command("STATUS").text(raw).raw(" (" + strings.Join(items, " ") + ")")
}

// inbox normalises INBOX, the only name that is case-insensitive.
func inbox(raw string) string {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX"
	}
	return raw
}

// room books the octets kept of a name. It reports whether they are within the
// limits.
func (l *listing) room(have, name int) bool {
	l.names += int64(name) + 64 // an estimate of the struct around it
	l.over = l.over || have >= l.lim.Mailboxes || l.names > l.lim.Names
	return !l.over
}

// lenient ends a response whose form is wrong, and returns what is wrong with
// it. Any other error is err, and the session ends.
func lenient(sc *scanner, wrong error) (garbled, err error) {
	if wrong == nil || sc.err != nil || !errors.Is(wrong, ErrSyntax) || errors.Is(wrong, ErrLimit) {
		return nil, wrong
	}
	return wrong, sc.skipLine()
}

// entry reads a LIST response. One that cannot be read costs only itself.
func (l *listing) entry(sc *scanner) error {
	garbled, err := lenient(sc, l.readEntry(sc))
	if garbled != nil {
		if l.garbled++; l.why == nil {
			l.why = garbled
		}
	}
	return err
}

// readEntry reads `* LIST (\HasNoChildren) "/" name`.
func (l *listing) readEntry(sc *scanner) error {
	c, err := sc.spaces()
	if err != nil {
		return err
	}
	var e ListEntry
	if c == '(' {
		if e.Attrs, err = sc.attrs(); err != nil {
			return err
		}
	}
	t, null, err := sc.str()
	if err != nil {
		return err
	}
	if !null {
		if e.Delim, _ = utf8.DecodeRune(t); e.Delim == utf8.RuneError {
			e.Delim = 0
		}
	}
	if c, err = sc.spaces(); err == nil && (c == '\r' || c == '\n') {
		err = fmt.Errorf("%w: no name in a LIST", ErrSyntax)
	}
	if err == nil {
		e.Raw, err = sc.mailboxName()
	}
	if err != nil {
		return err
	}
	kept := len(e.Raw)
	for _, a := range e.Attrs {
		kept += len(a)
	}
	if l.room(len(l.entries), kept) {
		e.Name = decodeMailbox(e.Raw)
		l.entries = append(l.entries, e)
	}
	return sc.skipLine()
}

// mailboxName reads a name. A name without quotes ends at the end of the line
// or before a list: Exchange omits quotes around names with spaces.
func (s *scanner) mailboxName() (string, error) {
	c, err := s.spaces()
	if err != nil {
		return "", err
	}
	if c == '"' || c == '{' {
		t, _, err := s.str()
		return string(t), err
	}
	name := []byte(nil)
	for {
		t, err := s.token(func(c byte) bool { return c == ' ' || c == '\r' || c == '\n' })
		if err != nil {
			return "", err
		}
		name = append(name, t...)
		before := s.pos
		c, err := s.spaces()
		if err != nil {
			return "", err
		}
		if c == '(' || c == '\r' || c == '\n' {
			return string(name), nil
		}
		for range max(1, s.pos-before) {
			name = append(name, ' ')
		}
	}
}

var knownAttrs = [...]goimap.MailboxAttr{
	goimap.MailboxAttrNonExistent, goimap.MailboxAttrNoInferiors, goimap.MailboxAttrNoSelect,
	goimap.MailboxAttrHasChildren, goimap.MailboxAttrHasNoChildren, goimap.MailboxAttrMarked,
	goimap.MailboxAttrUnmarked, goimap.MailboxAttrSubscribed, goimap.MailboxAttrRemote,
	goimap.MailboxAttrAll, goimap.MailboxAttrArchive, goimap.MailboxAttrDrafts, goimap.MailboxAttrFlagged,
	goimap.MailboxAttrJunk, goimap.MailboxAttrSent, goimap.MailboxAttrTrash, goimap.MailboxAttrImportant,
}

// attrs reads an attribute list. Known attributes get the case of go-imap's
// constants.
func (s *scanner) attrs() ([]goimap.MailboxAttr, error) {
	s.pos++
	var out []goimap.MailboxAttr
	for {
		c, err := s.spaces()
		if err != nil {
			return nil, err
		}
		if c == ')' {
			s.pos++
			return out, nil
		}
		if c == '\r' || c == '\n' || c == '(' {
			return nil, fmt.Errorf("%w: %q in an attribute list", ErrSyntax, c)
		}
		t, _, err := s.str()
		if err != nil {
			return nil, err
		}
		if len(out) < MaxAttributes && len(t) > 1 && len(t) <= 256 {
			out = append(out, attr(t))
		}
	}
}

func attr(t []byte) goimap.MailboxAttr {
	for _, a := range knownAttrs {
		if strings.EqualFold(string(t), string(a)) {
			return a
		}
	}
	return goimap.MailboxAttr(t)
}

// status reads a STATUS response. One that cannot be read says nothing.
func (l *listing) status(sc *scanner) error {
	_, err := lenient(sc, l.readStatus(sc))
	return err
}

// readStatus reads `* STATUS name (MESSAGES 3 UIDNEXT 4)`. The list may be
// empty.
func (l *listing) readStatus(sc *scanner) error {
	raw, err := sc.mailboxName()
	if err != nil {
		return err
	}
	c, err := sc.spaces()
	if err != nil || c != '(' {
		return errors.Join(err, sc.skipLine())
	}
	sc.pos++
	var st StatusData
	for {
		if c, err = sc.spaces(); err != nil {
			return err
		}
		if c == ')' {
			break
		}
		word, err := sc.token(endsWord)
		if err != nil {
			return err
		}
		if len(word) == 0 {
			return fmt.Errorf("%w: %q in a STATUS", ErrSyntax, c)
		}
		if err := st.item(sc, strings.ToUpper(string(word))); err != nil {
			return err
		}
	}
	if l.room(len(l.statuses), len(raw)+len(st.MailboxID)) {
		l.statuses[inbox(raw)] = st
	}
	return sc.skipLine()
}

func (st *StatusData) item(sc *scanner, name string) error {
	keep := &capture{s: sc}
	if err := sc.value(keep); err != nil {
		return err
	}
	_, ok := digits(keep.out)
	switch name {
	case "MESSAGES":
		st.Messages, st.HasMessages = number32(keep.out), ok
	case "UNSEEN":
		st.Unseen, st.HasUnseen = number32(keep.out), ok
	case "UIDNEXT":
		st.UIDNext = number32(keep.out)
	case "UIDVALIDITY":
		st.UIDValidity = number32(keep.out)
	case "HIGHESTMODSEQ":
		st.HighestModSeq = modSeq(keep.out)
	case "MAILBOXID":
		st.MailboxID = objectID(keep.out)
	}
	return nil
}

// objectID reads an identifier in parentheses (RFC 8474 §7). It returns "" for
// what is none.
func objectID(t []byte) string {
	t = bytes.Trim(t, "() ")
	if len(t) > 255 || bytes.ContainsFunc(t, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return ""
	}
	return string(t)
}
