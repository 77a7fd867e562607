package imap

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// command is a command under construction. Every argument goes through one of
// its methods, so no argument can end the line and inject another command.
type command struct {
	tag, name string
	buf       []byte
	cuts      []int // offsets at which to wait for a continuation request
	plus      bool  // small literals may be sent without waiting
	secret    bool  // mask the arguments in the trace
	literal   int   // end of the last literal
	err       error
}

// command begins a command with the next tag.
func (s *Session) command(name string) *command {
	s.tags++
	c := &command{tag: "m" + strconv.Itoa(s.tags), name: name}
	c.plus = s.Has("LITERAL+") || s.Has("LITERAL-")
	c.buf = append(c.buf, c.tag...)
	c.buf = append(c.buf, ' ')
	return c.raw(name)
}

// raw adds syntax. It refuses text that could end the line.
func (c *command) raw(text string) *command {
	for i := range len(text) {
		if b := text[i]; b < ' ' || b == 0x7f {
			c.refuse("a control character")
			return c
		}
	}
	c.buf = append(c.buf, text...)
	return c
}

// text adds a string argument, quoted if it is short and plain, otherwise as a
// literal.
func (c *command) text(arg string) *command {
	c.buf = append(c.buf, ' ')
	return c.bare(arg)
}

// bare is text without the leading space.
func (c *command) bare(arg string) *command {
	if strings.IndexByte(arg, 0) >= 0 {
		c.refuse("NUL in an argument")
		return c
	}
	if quotable(arg) {
		c.buf = append(c.buf, '"')
		for i := range len(arg) {
			if arg[i] == '"' || arg[i] == '\\' {
				c.buf = append(c.buf, '\\')
			}
			c.buf = append(c.buf, arg[i])
		}
		c.buf = append(c.buf, '"')
		return c
	}
	if c.plus && len(arg) <= 4096 { // the limit of LITERAL-
		c.buf = fmt.Appendf(c.buf, "{%d+}\r\n", len(arg))
	} else {
		c.buf = fmt.Appendf(c.buf, "{%d}\r\n", len(arg))
		c.cuts = append(c.cuts, len(c.buf))
	}
	c.buf = append(c.buf, arg...)
	c.literal = len(c.buf)
	return c
}

func quotable(arg string) bool {
	if len(arg) > 512 {
		return false
	}
	for i := range len(arg) {
		if arg[i] < ' ' || arg[i] > '~' {
			return false
		}
	}
	return true
}

func (c *command) refuse(why string) {
	if c.err == nil {
		c.err = fmt.Errorf("imap: %s: %w: %s", c.name, ErrCommand, why)
	}
}

// looksLikeLiteral reports whether a line ends like a literal's header. The
// server would then read the next command as that literal.
func looksLikeLiteral(line []byte) bool {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return false
	}
	i := strings.LastIndexByte(string(line), '{')
	return i >= 0 && strings.Trim(string(line[i+1:len(line)-1]), "0123456789+") == ""
}

// send writes a command. Before each literal that needs one it waits for a
// continuation request. If the server refuses the command instead, send stops,
// and Wait returns the refusal.
func (s *Session) send(c *command) error {
	if err := s.enter(c); err != nil {
		return err
	}
	from := 0
	for _, cut := range c.cuts {
		if err := s.write(c.name, c.buf[from:cut]); err != nil {
			return err
		}
		from = cut
		going, err := s.goAhead(c.tag)
		if err != nil || !going {
			return err
		}
	}
	return s.write(c.name, c.buf[from:])
}

// enter checks a finished command and registers it as open.
func (s *Session) enter(c *command) error {
	if c.err == nil && looksLikeLiteral(c.buf[c.literal:]) {
		c.refuse("it ends like a literal")
	}
	if c.err != nil {
		return c.err
	}
	if s.bye != nil && !s.leaving {
		return s.fail(c.name, "closed", s.bye)
	}
	if len(s.pending) == 0 {
		s.octets, s.responses = 0, 0
		s.conn.restart()
		s.conn.progress = s.progress
	}
	sent := sentCommand{tag: c.tag, name: c.name}
	if s.meter != nil {
		sent.at = time.Now()
	}
	s.pending = append(s.pending, sent)
	s.trace.client(c)
	c.buf = append(c.buf, '\r', '\n')
	return nil
}

func (s *Session) write(op string, b []byte) error {
	if _, err := s.rw.Write(b); err != nil {
		return s.fail(op, "write", err)
	}
	return nil
}

// goAhead reads until a continuation request (true) or the answer to the
// command (false).
func (s *Session) goAhead(tag string) (bool, error) {
	for s.continued = false; !s.continued; {
		if _, ok := s.done[tag]; ok {
			return false, nil
		}
		if err := s.respond(); err != nil {
			return false, err
		}
	}
	return true, nil
}
