package script

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

type uidRange struct{ from, to uint32 }

func parseSet(s string) []uidRange {
	number := func(s string) uint32 {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			return math.MaxUint32 // "*"
		}
		return uint32(n)
	}
	var all []uidRange
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, ":")
		r := uidRange{number(from), number(from)}
		if isRange {
			r.to = number(to)
		}
		if r.from > r.to {
			r.from, r.to = r.to, r.from
		}
		all = append(all, r)
	}
	return all
}

// part is what a FETCH asks for of a body: all of it, or most octets from an offset.
type part struct {
	body, partial bool
	from, most    int64
}

func partOf(items string) (p part) {
	_, after, ok := strings.Cut(items, "BODY.PEEK[]")
	p.body = ok
	if rest, ok := strings.CutPrefix(after, "<"); ok {
		from, most, _ := strings.Cut(rest[:strings.IndexByte(rest, '>')], ".")
		p.partial = true
		p.from, _ = strconv.ParseInt(from, 10, 64)
		p.most, _ = strconv.ParseInt(most, 10, 64)
	}
	return p
}

// of cuts the part out of a message's size.
func (p part) of(size int64) (from, n int64) {
	if !p.partial {
		return 0, size
	}
	from = min(p.from, size)
	return from, min(p.most, size-from)
}

// fetch answers UID FETCH for the messages this session knows of and that are still there.
func (c *session) fetch(tag, args string) {
	set, rest := word(args)
	items, modifiers := word(rest)
	since := uint64(0)
	if _, after, ok := strings.Cut(modifiers, "CHANGEDSINCE "); ok {
		since, _ = strconv.ParseUint(strings.TrimRight(after, ") "), 10, 64)
		c.condstore = true
	}
	wanted := partOf(items)
	b, ok := c.server.box(c.n, c.open)
	if !ok || c.open == "" {
		c.say("%s BAD no mailbox is open", tag)
		return
	}
	ranges := parseSet(set)
	var asked []Message
	for _, m := range b.Messages {
		if _, known := slices.BinarySearch(c.view, m.UID); known && m.ModSeq > since &&
			slices.ContainsFunc(ranges, func(r uidRange) bool {
				return r.from <= m.UID && m.UID <= r.to
			}) {
			asked = append(asked, m)
		}
	}
	end := "OK done"
	if n := c.server.options.MessageLimit; n > 0 && len(asked) > n {
		asked = asked[len(asked)-n:]
		end = partial(n, asked[0].UID)
	}
	wrong := make([]Fault, len(asked)) // each is asked for once
	faults := c.server.now()
	for i, m := range asked {
		if f := faults.Message; f != nil && wanted.body {
			wrong[i] = f(c.open, m.UID)
		}
		if f := faults.Part; f != nil {
			wrong[i] = f(Part{Box: c.open, UID: m.UID, Items: items, From: wanted.from, Most: wanted.most})
		}
	}
	if slices.Contains(wrong, Refuse) {
		c.say("%s NO [SERVERBUG] cannot read a message", tag)
		return
	}
	if slices.Contains(wrong, CutEarly) {
		c.drop()
		return
	}
	for i, m := range asked {
		switch wrong[i] {
		case Omit:
			continue
		case RefuseLate:
			end = "NO some messages could not be read"
			continue
		}
		seq, _ := slices.BinarySearch(c.view, m.UID)
		c.message(m, seq+1, items, wanted, wrong[i])
		if c.over {
			return
		}
	}
	c.say("%s %s", tag, end)
}

// partial is the end of a command that got down to a UID.
func partial(limit int, uid uint32) string {
	return fmt.Sprintf("OK [MESSAGELIMIT %d %d] not all of them", limit, uid)
}

// message writes one FETCH response with the items that were asked for.
func (c *session) message(m Message, seq int, items string, wanted part, fault Fault) {
	head := "* " + strconv.Itoa(seq) + " FETCH (UID " + strconv.FormatUint(uint64(m.UID), 10)
	flags := head
	if strings.Contains(items, "FLAGS") {
		flags += " FLAGS (" + m.Flags + ")" + c.modseq(m)
	}
	switch {
	case fault == FlagsBefore && wanted.body:
		c.say("%s)", flags)
	case fault == FlagsAfter && wanted.body:
		defer c.say("%s)", flags)
	default:
		head = flags
	}
	if strings.Contains(items, "INTERNALDATE") && m.Dated != "-" {
		head += ` INTERNALDATE "` + cmp.Or(m.Dated, m.Date.Format("02-Jan-2006 15:04:05 -0700")) + `"`
	}
	if strings.Contains(items, "RFC822.SIZE") {
		size := m.size()
		if fault == WrongSize {
			size = 7
		}
		if f := c.server.now().Size; f != nil {
			size = f(c.open, m.UID, size)
		}
		if size >= 0 {
			head += " RFC822.SIZE " + strconv.FormatInt(size, 10)
		}
	}
	if strings.Contains(items, "BODY.PEEK[HEADER]") {
		header := m.header()
		c.say("%s BODY[HEADER] {%d}\r\n%s)", head, len(header), header)
		return
	}
	if !wanted.body {
		if fault == Broken {
			head += " )("
		}
		c.say("%s)", head)
		return
	}
	head += " BODY[]"
	if wanted.partial {
		head += "<" + strconv.FormatInt(wanted.from, 10) + ">"
	}
	if nothing, ok := map[Fault]string{Nil: "NIL", Empty: "{0}\r\n", Quoted: `""`}[fault]; ok {
		c.say("%s %s)", head, nothing)
		return
	}
	size := m.size()
	if fault == Half {
		size /= 2
	}
	from, n := wanted.of(size)
	if fault == Stingy && wanted.partial {
		n = min(n, 1000)
	}
	claim := strconv.FormatInt(n, 10)
	switch fault {
	case TooLong:
		claim = strconv.FormatInt(n+25, 10)
	case TooShort:
		claim = strconv.FormatInt(max(n-5, 0), 10)
	case Huge:
		claim = strconv.FormatInt(1<<40, 10)
	case Negative:
		claim = "-1"
	case Overflow:
		claim = "9223372036854775808"
	case Garbled:
		claim = "12x"
	}
	c.say("%s {%s}", head, claim)
	if fault == Cut || fault == Stall {
		m.write(c.out, from, n/2)
		if fault == Cut {
			c.drop()
		} else {
			_ = c.out.Flush() // the client may be gone
			if stalled := c.server.now().Stalled; stalled != nil {
				stalled()
			}
			c.silence()
		}
		return
	}
	m.write(c.out, from, n)
	c.say(")")
}
