package truth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Line is one message as the server has it.
type Line struct {
	Mailbox string // decoded name
	UID     uint32
	SHA256  string // lower-case hex of the raw message
	Flags   string // space-separated and sorted, system flags in RFC case, without \Recent
}

// String is the form in which differences are shown.
func (l Line) String() string {
	return fmt.Sprintf("%s %d %s (%s)", l.Mailbox, l.UID, l.SHA256, l.Flags)
}

// Read gives every message of every mailbox that can be selected, by mailbox
// and UID. The mailboxes of except are left out.
func Read(ctx context.Context, addr, user, password string, except ...string) ([]Line, error) {
	c, err := Dial(ctx, addr, user, password)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, err := c.Mailboxes()
	if err != nil {
		return nil, fmt.Errorf("truth: %w", err)
	}
	var all []Line
	for _, name := range names {
		if slices.Contains(except, DecodeName(name)) {
			continue
		}
		lines, err := c.mailbox(name)
		if err != nil && strings.Contains(err.Error(), "Mailbox doesn't exist") {
			continue // Dovecot lists a deleted mailbox with children
		}
		if err != nil {
			return nil, fmt.Errorf("truth: read %s: %w", name, err)
		}
		all = append(all, lines...)
	}
	slices.SortFunc(all, compare)
	return all, nil
}

func compare(a, b Line) int {
	return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.UID, b.UID), cmp.Compare(a.SHA256, b.SHA256),
		cmp.Compare(a.Flags, b.Flags))
}

// Mailboxes gives the wire names of all mailboxes that can be selected.
func (c *Client) Mailboxes() ([]string, error) {
	responses, err := c.run(`LIST "" "*"`)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range responses {
		rest, ok := strings.CutPrefix(r.text, "* LIST (")
		if !ok {
			continue
		}
		attributes, rest, ok := strings.Cut(rest, ") ")
		if !ok {
			return nil, fmt.Errorf("LIST line %q", r.text)
		}
		if lower := strings.ToLower(attributes); strings.Contains(lower, `\noselect`) ||
			strings.Contains(lower, `\nonexistent`) {
			continue
		}
		in := scanner{text: rest, literals: r.literals}
		in.word() // the separator
		name, ok := in.word()
		if !ok {
			return nil, fmt.Errorf("LIST line %q", r.text)
		}
		names = append(names, name)
	}
	return names, nil
}

func (c *Client) mailbox(name string) ([]Line, error) {
	if _, err := c.run("EXAMINE " + Quote(name)); err != nil {
		return nil, err
	}
	// An empty mailbox answers a UID FETCH of 1:* with OK and nothing else.
	responses, err := c.run("UID FETCH 1:* (UID FLAGS BODY.PEEK[])")
	if err != nil {
		return nil, err
	}
	var lines []Line
	for _, r := range responses {
		line, ok, err := parseFetch(r)
		if err != nil {
			return nil, err
		}
		if ok {
			line.Mailbox = DecodeName(name)
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// parseFetch reads "* n FETCH (UID u FLAGS (…) BODY[] …)" in any order; ok is false for any other response.
func parseFetch(r response) (line Line, ok bool, err error) {
	fields := strings.SplitN(r.text, " ", 4)
	if len(fields) < 4 || fields[0] != "*" || fields[2] != "FETCH" {
		return Line{}, false, nil
	}
	in := scanner{text: strings.TrimPrefix(fields[3], "("), literals: r.literals}
	for in.text != "" && in.text != ")" {
		item, _ := in.word()
		switch strings.ToUpper(item) {
		case "UID":
			word, _ := in.word()
			uid, err := strconv.ParseUint(word, 10, 32)
			if err != nil {
				return Line{}, false, fmt.Errorf("FETCH line %q: %w", r.text, err)
			}
			line.UID = uint32(uid)
		case "FLAGS":
			list, rest, _ := strings.Cut(strings.TrimPrefix(in.text, "("), ")")
			in.text = strings.TrimPrefix(rest, " ")
			line.Flags = normalise(strings.Fields(list))
		case "BODY[]":
			body, _ := in.word()
			sum := sha256.Sum256([]byte(body))
			line.SHA256 = hex.EncodeToString(sum[:])
		default:
			return Line{}, false, fmt.Errorf("FETCH line %q: unexpected %q", r.text, item)
		}
	}
	// An answer without a body is another client's flag change.
	return line, line.UID != 0 && line.SHA256 != "", nil
}

func normalise(flags []string) string {
	system := map[string]string{`\seen`: `\Seen`, `\answered`: `\Answered`, `\flagged`: `\Flagged`,
		`\deleted`: `\Deleted`, `\draft`: `\Draft`}
	var kept []string
	for _, flag := range flags {
		lower := strings.ToLower(flag)
		if lower == `\recent` {
			continue
		}
		kept = append(kept, cmp.Or(system[lower], flag))
	}
	slices.Sort(kept)
	return strings.Join(slices.Compact(kept), " ")
}

// scanner takes words off the front of a response.
type scanner struct {
	text     string
	literals [][]byte
}

// word gives the next atom, quoted string or literal, and skips the blank after it.
func (s *scanner) word() (string, bool) {
	if rest, ok := strings.CutPrefix(s.text, `"`); ok {
		var b strings.Builder
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '"':
				s.text = strings.TrimPrefix(rest[i+1:], " ")
				return b.String(), true
			case '\\':
				i++
			}
			if i < len(rest) {
				b.WriteByte(rest[i])
			}
		}
		s.text = ""
		return "", false
	}
	if strings.HasPrefix(s.text, "{") && len(s.literals) > 0 {
		_, rest, _ := strings.Cut(s.text, "}")
		literal := s.literals[0]
		s.text, s.literals = strings.TrimPrefix(rest, " "), s.literals[1:]
		return string(literal), true
	}
	end := strings.IndexAny(s.text, " )")
	if end < 0 {
		end = len(s.text)
	}
	atom := s.text[:end]
	s.text = strings.TrimPrefix(s.text[end:], " ")
	return atom, atom != ""
}

// Diff compares two sets of lines, and counts doubles. Each difference is one
// text: "-" before a line that only a has, "+" before a line that only b has.
func Diff(a, b []Line) []string {
	a, b = slices.SortedFunc(slices.Values(a), compare), slices.SortedFunc(slices.Values(b), compare)
	var out []string
	for len(a) > 0 || len(b) > 0 {
		switch {
		case len(b) == 0 || len(a) > 0 && compare(a[0], b[0]) < 0:
			out, a = append(out, "- "+a[0].String()), a[1:]
		case len(a) == 0 || compare(a[0], b[0]) > 0:
			out, b = append(out, "+ "+b[0].String()), b[1:]
		default:
			a, b = a[1:], b[1:]
		}
	}
	return out
}

// Counts is what STATUS says of one mailbox.
type Counts struct{ Messages, Recent, Unseen int }

// RecentSeen gives the counts of every mailbox that can be selected, without
// opening one. Reading leaves no trace, so they must be equal before and after
// a sync.
func RecentSeen(ctx context.Context, addr, user, password string) (map[string]Counts, error) {
	c, err := Dial(ctx, addr, user, password)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	names, err := c.Mailboxes()
	if err != nil {
		return nil, fmt.Errorf("truth: %w", err)
	}
	counts := make(map[string]Counts, len(names))
	for _, name := range names {
		lines, err := c.Do("STATUS " + Quote(name) + " (MESSAGES RECENT UNSEEN)")
		if err != nil {
			return nil, fmt.Errorf("truth: status of %s: %w", name, err)
		}
		var n Counts
		text := strings.Join(lines, "\n")
		at := strings.LastIndex(text, "(MESSAGES")
		if at < 0 {
			return nil, fmt.Errorf("truth: status of %s: answer %q", name, text)
		}
		if _, err := fmt.Sscanf(text[at:], "(MESSAGES %d RECENT %d UNSEEN %d)", &n.Messages, &n.Recent,
			&n.Unseen); err != nil {
			return nil, fmt.Errorf("truth: status of %s: answer %q: %w", name, text, err)
		}
		counts[DecodeName(name)] = n
	}
	return counts, nil
}
