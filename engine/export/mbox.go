package export

import (
	"bufio"
	"bytes"
	"strings"

	"mailcote/storage"
)

// A message in an mbox file:
//
//	From MAILER-DAEMON Thu Jan  1 00:00:00 1970      its INTERNALDATE in UTC
//	Status: RO                                       R is \Seen
//	X-Status: AFDT                                   \Answered \Flagged \Deleted \Draft
//	X-Keywords: $Forwarded Work                      every other flag
//	the message, with one more > before each line that is From_, >From_, …
//	an empty line
//
// The three header lines are always there, end in LF and come first, so they
// can be taken away without a doubt. Dovecot and mutt hide them. A message that
// does not end in LF gets one, and its empty line is CR LF instead of LF: that
// tells it from one that does.

// mboxHead is what comes before a message.
func mboxHead(c storage.Copy) string {
	var b strings.Builder
	b.WriteString("From MAILER-DAEMON " + c.InternalDate.UTC().Format("Mon Jan _2 15:04:05 2006") + "\nStatus: ")
	if c.Flags.Has(`\Seen`) {
		b.WriteByte('R')
	}
	b.WriteString("O\nX-Status: ")
	for _, one := range []struct{ flag, letter string }{{`\Answered`, "A"}, {`\Flagged`, "F"}, {`\Deleted`, "D"},
		{`\Draft`, "T"}} {
		if c.Flags.Has(one.flag) {
			b.WriteString(one.letter)
		}
	}
	b.WriteString("\nX-Keywords: " + strings.Join(keywords(c.Flags), " ") + "\n")
	return b.String()
}

// keywords are the flags that are no system flags.
func keywords(flags storage.Flags) []string {
	var all []string
	for one := range strings.FieldsSeq(string(flags)) {
		switch one {
		case `\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`:
		default:
			all = append(all, one)
		}
	}
	return all
}

// quoter writes a message as mboxrd has it. Close ends the message. Its errors
// are those of w, which keeps the first one.
type quoter struct {
	w       *bufio.Writer
	within  bool // the line is past the place where it could be a From_ line
	depth   int  // ">" held back since the beginning of the line
	matched int  // bytes of "From " held back after them
	last    byte // 0: nothing was written
}

const from = "From "

func (q *quoter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		switch c := rest[0]; {
		case q.within:
			n := bytes.IndexByte(rest, '\n') + 1
			if q.within = n == 0; q.within {
				n = len(rest)
			}
			if _, err := q.w.Write(rest[:n]); err != nil {
				return 0, err
			}
			rest = rest[n:]
		case q.matched == 0 && c == '>':
			q.depth++
			rest = rest[1:]
		case c == from[q.matched]:
			rest = rest[1:]
			if q.matched++; q.matched == len(from) {
				q.depth++ // the quote
				q.release()
			}
		default:
			q.release()
		}
	}
	if len(p) > 0 {
		q.last = p[len(p)-1]
	}
	return len(p), nil
}

// release writes what was held back of a line.
func (q *quoter) release() {
	for ; q.depth > 0; q.depth-- {
		q.w.WriteByte('>') //nolint:errcheck // w keeps the error
	}
	q.w.WriteString(from[:q.matched]) //nolint:errcheck // w keeps the error
	q.matched, q.within = 0, true
}

// Close writes what is held back and the empty line.
func (q *quoter) Close() error {
	q.release()
	end := "\n"
	if q.last != '\n' {
		end = "\n\r\n"
	}
	_, err := q.w.WriteString(end)
	return err
}
