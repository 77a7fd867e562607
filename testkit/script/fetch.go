package script

import (
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

// fetch answers UID FETCH for the messages this session knows of and that are still there.
func (c *session) fetch(tag, args string) {
	set, rest := word(args)
	since := uint64(0)
	if _, after, ok := strings.Cut(rest, "CHANGEDSINCE "); ok {
		since, _ = strconv.ParseUint(strings.TrimRight(after, ") "), 10, 64)
		c.condstore = true
	}
	bodies := strings.Contains(rest, "BODY.PEEK[]")
	b, ok := c.server.box(c.n, c.open)
	if !ok || c.open == "" {
		c.say("%s BAD no mailbox is open", tag)
		return
	}
	ranges := parseSet(set)
	var asked []Message
	for _, m := range b.Messages {
		if slices.Contains(c.view, m.UID) && m.ModSeq > since && slices.ContainsFunc(ranges, func(r uidRange) bool { return r.from <= m.UID && m.UID <= r.to }) {
			asked = append(asked, m)
		}
	}
	wrong := make([]Fault, len(asked)) // each is asked for once
	if f := c.server.now().Message; f != nil && bodies {
		for i, m := range asked {
			wrong[i] = f(c.open, m.UID)
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
	end := "OK done"
	for i, m := range asked {
		switch wrong[i] {
		case Omit:
			continue
		case RefuseLate:
			end = "NO some messages could not be read"
			continue
		}
		c.message(m, slices.Index(c.view, m.UID)+1, bodies, wrong[i])
		if c.over {
			return
		}
	}
	c.say("%s %s", tag, end)
}

// message writes one FETCH response.
func (c *session) message(m Message, seq int, bodies bool, fault Fault) {
	head := "* " + strconv.Itoa(seq) + " FETCH (UID " + strconv.FormatUint(uint64(m.UID), 10)
	flags := head + " FLAGS (" + m.Flags + ")" + c.modseq(m)
	if !bodies {
		c.say("%s)", flags)
		return
	}
	switch fault {
	case FlagsBefore:
		c.say("%s)", flags)
	case FlagsAfter:
		defer c.say("%s)", flags)
	default:
		head = flags
	}
	head += ` INTERNALDATE "` + m.Date.Format("02-Jan-2006 15:04:05 -0700") + `" BODY[] `
	if fault == Nil {
		c.say("%sNIL)", head)
		return
	}
	size := len(m.Raw)
	switch fault {
	case TooLong:
		size += 25
	case TooShort:
		size -= 5
	}
	c.say("%s{%d}", head, size)
	if fault == Cut || fault == Stall {
		_, _ = c.out.Write(m.Raw[:len(m.Raw)/2])
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
	_, _ = c.out.Write(m.Raw) // an error shows at Flush
	c.say(")")
}
