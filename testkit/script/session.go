package script

import (
	"bufio"
	"cmp"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
)

// session is one connection; only its own goroutine touches it.
type session struct {
	server    *Server
	conn      net.Conn
	n         int
	in        *bufio.Reader
	out       *bufio.Writer
	over      bool
	open      string   // raw name of the open mailbox, "" when none
	view      []uint32 // its UIDs as this session knows them
	seen      uint64   // MODSEQ up to which flags were told
	condstore bool
	now       Command // what is being answered
}

func newSession(s *Server, conn net.Conn, n int) *session {
	return &session{server: s, conn: conn, n: n, in: bufio.NewReader(conn), out: bufio.NewWriter(conn)}
}

func (c *session) say(format string, args ...any) {
	if c.over {
		return
	}
	faults := c.server.now()
	said := fmt.Sprintf(format, args...)
	if faults.Last != nil {
		if last, stays := faults.Last(c.now, said); last != "" {
			_, _ = c.out.WriteString(last + "\r\n") // an error shows at Flush
			if stays {
				c.silence()
			} else {
				c.drop()
			}
			return
		}
	}
	if faults.Line != nil {
		if said = faults.Line(c.now, said); said == "" {
			return
		}
	}
	_, _ = c.out.WriteString(said + "\r\n") // an error shows at Flush
}

func (c *session) run() {
	if c.enter(Command{Connection: c.n, Tag: "*", Name: "GREETING"}) {
		c.say("* OK [CAPABILITY %s] script", c.server.caps)
	}
	for !c.over {
		if c.out.Flush() != nil {
			return
		}
		if c.in.Buffered() == 0 {
			c.server.waits()
		}
		line, err := c.line()
		if err != nil {
			return
		}
		tag, rest, _ := strings.Cut(line, " ")
		name, args, _ := strings.Cut(rest, " ")
		name = strings.ToUpper(name)
		if name == "UID" {
			var verb string
			verb, args, _ = strings.Cut(args, " ")
			name += " " + strings.ToUpper(verb)
		}
		command := Command{Connection: c.n, Tag: tag, Name: name, Args: args, Box: c.open}
		if c.enter(command) {
			c.command(tag, command)
		}
	}
	_ = c.out.Flush() // the client may be gone
}

// enter begins a command. It reports whether the right answer is due.
func (c *session) enter(cmd Command) bool {
	c.now = cmd
	if !c.act(cmd.Tag, c.server.enter(cmd)) {
		return false
	}
	raw := c.server.now().Raw
	return raw == nil || !raw(cmd, c.out)
}

// act carries out an action. It reports whether the right answer is due.
func (c *session) act(tag string, a Action) bool {
	switch {
	case a == Answer:
		return true
	case strings.HasPrefix(string(a), "* "):
		c.say("%s", a)
		return true
	case a == Silent:
		c.silence()
	case a == Drop:
		c.drop()
	case a == Bare:
		c.say("%s OK done", tag)
	case strings.HasPrefix(string(a), "BYE"):
		c.say("* %s", a)
		c.over = true
	default:
		c.say("%s %s", tag, a)
	}
	return false
}

// silence reads on and answers nothing.
func (c *session) silence() {
	_ = c.out.Flush()
	_, _ = io.Copy(io.Discard, c.in) // until the client or Close ends it
	c.over = true
}

// drop ends the connection in order, so that what was said arrives. A reset
// might overtake it.
func (c *session) drop() {
	_ = c.out.Flush()
	c.conn.Close()
	c.over = true
}

// line reads a command line with its literals, which come back as quoted strings.
func (c *session) line() (string, error) {
	var whole strings.Builder
	for {
		part, err := c.in.ReadString('\n')
		if err != nil {
			return "", err
		}
		part = strings.TrimRight(part, "\r\n")
		open := strings.LastIndexByte(part, '{')
		if open < 0 || !strings.HasSuffix(part, "}") {
			whole.WriteString(part)
			return whole.String(), nil
		}
		size := strings.TrimSuffix(part[open+1:len(part)-1], "+")
		n, err := strconv.Atoi(size)
		if err != nil {
			return "", err
		}
		if !strings.HasSuffix(part, "+}") {
			c.say("+ go on")
			if err := c.out.Flush(); err != nil {
				return "", err
			}
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(c.in, literal); err != nil {
			return "", err
		}
		whole.WriteString(part[:open] + quote(string(literal)))
	}
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// word takes an atom, a quoted string or a parenthesised list off the front.
func word(s string) (first, rest string) {
	s = strings.TrimLeft(s, " ")
	if strings.HasPrefix(s, "(") {
		inner, rest, _ := strings.Cut(s[1:], ")")
		return inner, rest
	}
	if !strings.HasPrefix(s, `"`) {
		first, rest, _ = strings.Cut(s, " ")
		return first, rest
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), s[i+1:]
		case '\\':
			i++
		}
		if i < len(s) {
			b.WriteByte(s[i])
		}
	}
	return b.String(), ""
}

func (c *session) command(tag string, cmd Command) {
	switch cmd.Name {
	case "CAPABILITY":
		c.say("* CAPABILITY %s", c.server.caps)
	case "NOOP":
		c.news()
	case "ID":
		c.say(`* ID ("name" %s "version" "1")`, quote(cmp.Or(c.server.options.ID, "script")))
	case "LOGIN":
		user, rest := word(cmd.Args)
		password, _ := word(rest)
		c.signIn(tag, user, password)
		return
	case "AUTHENTICATE":
		c.authenticate(tag, cmd.Args)
		return
	case "LIST":
		c.list(cmd.Args)
	case "STATUS":
		name, rest := word(cmd.Args)
		items, _ := word(rest)
		if !c.status(name, items) {
			c.say("%s NO [NONEXISTENT] no such mailbox", tag)
			return
		}
	case "EXAMINE", "SELECT":
		c.examine(tag, cmd)
		return
	case "UID SEARCH":
		c.search(tag, cmd)
		return
	case "UID FETCH":
		c.fetch(tag, cmd.Args)
		return
	case "LOGOUT":
		c.say("* BYE see you")
		c.say("%s OK done", tag)
		c.over = true
		return
	default:
		c.say("%s BAD what?", tag)
		return
	}
	c.say("%s OK done", tag)
}

func (c *session) authenticate(tag, args string) {
	_, initial, given := strings.Cut(args, " ")
	if !given {
		c.say("+ ")
		if c.out.Flush() != nil {
			return
		}
		line, err := c.line()
		if err != nil {
			c.over = true
			return
		}
		initial = line
	}
	text, _ := base64.StdEncoding.DecodeString(initial)
	fields := strings.Split(string(text), "\x00")
	if len(fields) != 3 {
		c.say("%s BAD not PLAIN", tag)
		return
	}
	c.signIn(tag, fields[1], fields[2])
}

func (c *session) signIn(tag, user, password string) {
	c.server.mu.Lock()
	right := (user == User || strings.HasPrefix(user, User+"+")) && password == c.server.password
	c.server.mu.Unlock()
	if !right {
		c.say("%s NO [AUTHENTICATIONFAILED] wrong name or password", tag)
		return
	}
	c.say("%s OK [CAPABILITY %s] welcome", tag, c.server.caps)
}

func (c *session) list(args string) {
	c.server.mu.Lock()
	boxes := make([]Box, len(c.server.model.Boxes))
	for i, b := range c.server.model.Boxes {
		boxes[i] = Box{Name: b.Name, Attrs: b.Attrs}
	}
	c.server.mu.Unlock()
	_, items, status := strings.Cut(args, "STATUS (")
	items, _, _ = strings.Cut(items, ")")
	for _, b := range boxes {
		c.say(`* LIST (%s) "/" %s`, b.Attrs, quote(b.Name))
		if status && !strings.Contains(strings.ToLower(b.Attrs), `\no`) {
			c.status(b.Name, items)
		}
	}
}

func (c *session) status(name, items string) bool {
	b, ok := c.server.box(c.n, name)
	if !ok {
		return false
	}
	var said []string
	for item := range strings.FieldsSeq(strings.ToUpper(items)) {
		switch item {
		case "MESSAGES":
			said = append(said, fmt.Sprintf("MESSAGES %d", c.exists(name, len(b.Messages))))
		case "UNSEEN":
			said = append(said, fmt.Sprintf("UNSEEN %d", b.unseen()))
		case "UIDNEXT":
			said = append(said, fmt.Sprintf("UIDNEXT %d", b.UIDNext))
		case "UIDVALIDITY":
			said = append(said, fmt.Sprintf("UIDVALIDITY %d", b.UIDValidity))
		case "HIGHESTMODSEQ":
			said = append(said, fmt.Sprintf("HIGHESTMODSEQ %d", b.ModSeq))
		case "MAILBOXID":
			said = append(said, fmt.Sprintf("MAILBOXID (%s)", b.ObjectID))
		}
	}
	c.say("* STATUS %s (%s)", quote(name), strings.Join(said, " "))
	return true
}

func (c *session) exists(name string, n int) int {
	if f := c.server.now().Exists; f != nil {
		return f(c.n, name, n)
	}
	return n
}

func (c *session) examine(tag string, cmd Command) {
	c.open = ""
	name, _ := word(cmd.Args)
	b, ok := c.server.box(c.n, name)
	if !ok {
		c.say("%s NO [NONEXISTENT] no such mailbox", tag)
		return
	}
	c.open, c.view, c.seen = name, b.uids(), b.ModSeq
	c.condstore = strings.Contains(c.server.caps, "CONDSTORE") && strings.Contains(cmd.Args, "CONDSTORE")
	c.say(`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft)`)
	c.say("* %d EXISTS", c.exists(name, len(b.Messages)))
	c.say("* 0 RECENT")
	c.say("* OK [UIDVALIDITY %d] this", b.UIDValidity)
	c.say("* OK [UIDNEXT %d] next", b.UIDNext)
	if b.ObjectID != "" {
		c.say("* OK [MAILBOXID (%s)] its own", b.ObjectID)
	}
	if c.condstore {
		c.say("* OK [HIGHESTMODSEQ %d] highest", b.ModSeq)
	}
	c.say("%s OK [READ-ONLY] done", tag)
}

// news tells what changed in the open mailbox.
func (c *session) news() {
	b, ok := c.server.box(c.n, c.open)
	if c.open == "" || !ok {
		return
	}
	now := b.uids()
	for i := len(c.view) - 1; i >= 0; i-- {
		if _, left := slices.BinarySearch(now, c.view[i]); !left {
			c.say("* %d EXPUNGE", i+1)
			c.view = slices.Delete(c.view, i, i+1)
		}
	}
	if len(now) > len(c.view) {
		c.say("* %d EXISTS", c.exists(c.open, len(now)))
	}
	c.view = now
	for i, m := range b.Messages {
		if m.ModSeq > c.seen {
			c.say("* %d FETCH (UID %d FLAGS (%s)%s)", i+1, m.UID, m.Flags, c.modseq(m))
		}
	}
	c.seen = b.ModSeq
}

func (c *session) search(tag string, cmd Command) {
	uids := slices.Clone(c.view)
	if f := c.server.now().Listing; f != nil {
		uids = f(cmd, uids)
	}
	end := "OK done"
	if n := c.server.options.MessageLimit; n > 0 {
		ranges := parseSet(cmd.Args[strings.LastIndexByte(cmd.Args, ' ')+1:])
		uids = slices.DeleteFunc(uids, func(uid uint32) bool {
			return !slices.ContainsFunc(ranges, func(r uidRange) bool { return r.from <= uid && uid <= r.to })
		})
		if len(uids) > n {
			uids = uids[len(uids)-n:]
			end = partial(n, uids[0])
		}
	}
	words := make([]string, len(uids))
	for i, uid := range uids {
		words[i] = strconv.FormatUint(uint64(uid), 10)
	}
	switch {
	case !strings.Contains(cmd.Args, "RETURN"):
		c.say("* SEARCH %s", strings.Join(words, " "))
	case len(words) == 0:
		c.say(`* ESEARCH (TAG "%s") UID`, tag)
	default:
		c.say(`* ESEARCH (TAG "%s") UID ALL %s`, tag, strings.Join(words, ","))
	}
	c.news()
	c.say("%s %s", tag, end)
}

func (c *session) modseq(m Message) string {
	if !c.condstore {
		return ""
	}
	return fmt.Sprintf(" MODSEQ (%d)", m.ModSeq)
}
