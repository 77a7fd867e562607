package imap

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// State is the mutable part of a message.
type State struct {
	Flags    []goimap.Flag
	HasFlags bool
	ModSeq   uint64 // 0: absent
}

// Message is one FETCH response: what the server sent of one message.
type Message struct {
	Seq uint32
	UID goimap.UID // 0: absent
	State
	InternalDate time.Time         // UTC; zero: absent or malformed
	Size         int64             // RFC822.SIZE as claimed; -1: absent
	HasBody      bool              // a BODY[] arrived whole
	Extra        map[string]string // other items as sent, by upper-case name; nil: none
}

// Item is an item of a FETCH. UIDs are always asked for in addition.
type Item string

// The items. Those of bodies do not set \Seen.
const (
	ItemState  Item = "FLAGS" // for Message.State
	ItemDate   Item = "INTERNALDATE"
	ItemSize   Item = "RFC822.SIZE"
	ItemHeader Item = "BODY.PEEK[HEADER]"
	ItemBody   Item = "BODY.PEEK[]"
)

// ItemPart asks for count octets of the body, beginning at from.
func ItemPart(from, count int64) Item {
	return Item(fmt.Sprintf("BODY.PEEK[]<%d.%d>", from, count))
}

// fetchItems formats the list of items of a FETCH.
func fetchItems(want []Item) string {
	list := " (UID"
	for _, item := range want {
		list += " " + string(item)
	}
	return list + ")"
}

// itemName reads the name of a FETCH item: a word, a section in brackets, an
// origin. The section may contain spaces, lists and quoted strings.
func (s *scanner) itemName() ([]byte, error) {
	word, err := s.token(endsWord)
	if err != nil {
		return nil, err
	}
	if c, err := s.peek(); err != nil || c != '[' {
		return word, err
	}
	s.tok = append(s.tok[:0], word...)
	for quoted := false; ; {
		c, err := s.peek()
		if err != nil {
			return nil, err
		}
		if c == '\r' || c == '\n' {
			return nil, fmt.Errorf("%w: section without an end", ErrSyntax)
		}
		s.tok = append(s.tok, c)
		s.pos++
		if c == '"' {
			quoted = !quoted
		}
		if c == ']' && !quoted {
			break
		}
	}
	for {
		c, err := s.peek()
		if err != nil || endsFlag(c) || c == '"' || c == '{' || c == '~' {
			return s.tok, err
		}
		s.tok = append(s.tok, c)
		s.pos++
	}
}

// systemFlags are the system flags in the case of the RFCs.
var systemFlags = [...]goimap.Flag{
	goimap.FlagSeen, goimap.FlagAnswered, goimap.FlagFlagged, goimap.FlagDeleted,
	goimap.FlagDraft, `\Recent`, goimap.FlagWildcard,
}

// flags reads a flag list. NIL is an empty one. The slice is new, but its
// strings are shared.
func (s *Session) flags() ([]goimap.Flag, error) {
	sc := s.sc
	c, err := sc.spaces()
	if err != nil {
		return nil, err
	}
	if c != '(' {
		_, _, err := sc.str()
		return nil, err
	}
	sc.pos++
	s.flagBuf = s.flagBuf[:0]
	for octets := 0; ; {
		if c, err = sc.spaces(); err != nil {
			return nil, err
		}
		if c == ')' {
			sc.pos++
			return slices.Clone(s.flagBuf), nil
		}
		if c == '\r' || c == '\n' || c == '(' {
			return nil, fmt.Errorf("%w: %q in a flag list", ErrSyntax, c)
		}
		t, null, err := sc.str()
		if err != nil {
			return nil, err
		}
		if f := s.flag(t); f != "" && !null {
			octets += len(f) + 1
			if len(s.flagBuf) >= MaxFlags || octets > MaxFlagOctets {
				return nil, fmt.Errorf("%w: over %d flags or %d octets of them", ErrLimit, MaxFlags, MaxFlagOctets)
			}
			s.flagBuf = append(s.flagBuf, f)
		}
	}
}

// flag returns one shared string for each flag, system flags in the case of the
// RFCs. A lone backslash is not a flag, nor is anything with a space or a
// control character.
func (s *Session) flag(t []byte) goimap.Flag {
	if f, ok := s.keywords[string(t)]; ok {
		return f
	}
	if len(t) == 0 || len(t) == 1 && t[0] == '\\' || bytes.ContainsFunc(t, func(r rune) bool {
		return r <= ' ' || r == 0x7f
	}) {
		return ""
	}
	f := goimap.Flag(t)
	for _, sys := range systemFlags {
		if strings.EqualFold(string(f), string(sys)) {
			f = sys
		}
	}
	if len(s.keywords) < MaxKeywords && len(f) <= 256 {
		s.keywords[string(t)] = f
	}
	return f
}

// modSeqItem reads "(n)" or "n".
func (s *Session) modSeqItem() (uint64, error) {
	c, err := s.sc.spaces()
	if err != nil {
		return 0, err
	}
	list := c == '('
	if list {
		s.sc.pos++
	}
	t, err := s.sc.plain()
	n := modSeq(t)
	if err != nil || !list {
		return n, err
	}
	if _, err := s.sc.spaces(); err != nil {
		return 0, err
	}
	return n, s.sc.take(')')
}

var months = [...]string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}

// internalDate parses "17-Jul-1996 02:44:25 -0700". The day may have one digit.
// Garbage such as 00-Jan-0000 gives the zero time.
func internalDate(t []byte) time.Time {
	t = bytes.TrimSpace(t)
	if len(t) > 1 && t[1] == '-' {
		t = append([]byte{'0'}, t...)
	}
	if len(t) != 26 || t[2] != '-' || t[6] != '-' || t[11] != ' ' || t[14] != ':' || t[17] != ':' || t[20] != ' ' {
		return time.Time{}
	}
	month := 0
	for i, name := range months {
		if is(t[3:6], name) {
			month = i + 1
		}
	}
	ok := month > 0
	num := func(from, to, most int) int {
		n, good := digits(t[from:to])
		ok = ok && good && int(n) <= most
		return int(n)
	}
	day, year := num(0, 2, 31), num(7, 11, 9999)
	hour, minute, second := num(12, 14, 23), num(15, 17, 59), num(18, 20, 60)
	zone := num(22, 24, 23)*3600 + num(24, 26, 59)*60
	switch t[21] {
	case '-':
		zone = -zone
	case '+':
	default:
		ok = false
	}
	when := time.Date(year, time.Month(month), day, hour, minute, second, 0, time.UTC)
	if !ok || when.Day() != day && second != 60 || year == 0 || day == 0 {
		return time.Time{}
	}
	return when.Add(-time.Duration(zone) * time.Second)
}
