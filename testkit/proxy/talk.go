package proxy

import "strings"

// talk follows one connection, under proxy.mu.
type talk struct {
	followed bool // there was something to follow it for when it began
	up, down framing
	asking   *command   // whose octets are going up
	open     []*command // not answered yet, oldest first
}

// command is one that was begun.
type command struct {
	tag, name string
	asked     int64 // octets of it that passed
	answered  int64 // octets of its answer that passed
	literals  int   // of its answer that have begun
}

// framing is where one direction stands in lines and literals.
type framing struct {
	head    []byte // of the line, at most headMax octets; what follows a literal on the same line is not part of it
	line    int64  // octets of the line, literals apart
	inside  int64  // octets of the literal that have passed
	left    int64  // octets of the literal that are still to come
	size    int64  // the number in "{n}" so far; -1: the line does not end in one so far
	counted bool   // the brace was closed
}

const headMax = 64

// step follows one octet of a line. announces reports that a literal follows,
// over that the line has ended.
func (f *framing) step(b byte) (announces, over bool) {
	if f.line == 0 {
		f.head, f.size = f.head[:0], -1
	}
	f.line++
	if len(f.head) < headMax {
		f.head = append(f.head, b)
	}
	switch {
	case b == '{':
		f.size, f.counted = 0, false
	case b >= '0' && b <= '9' && f.size >= 0 && !f.counted && f.size < 1<<40:
		f.size = f.size*10 + int64(b-'0')
	case (b == '+' || b == '-') && !f.counted, b == '\r':
	case b == '}' && f.size >= 0 && !f.counted:
		f.counted = true
	case b == '\n':
		if f.size >= 0 && f.counted {
			f.left, f.inside, f.size = f.size, 0, -1
			return true, false
		}
		f.line = 0
		return false, true
	default:
		f.size = -1
	}
	return false, false
}

// begins reads "tag NAME " or "tag UID NAME " off the head of a line whose
// newest octet ends a word. A continuation has one word and is no command.
func begins(head []byte) *command {
	words := strings.Fields(string(head))
	if len(words) < 2 {
		return nil
	}
	c := &command{tag: words[0], name: strings.ToUpper(words[1])}
	if c.name == "UID" {
		if len(words) < 3 {
			return nil
		}
		c.name += " " + strings.ToUpper(words[2])
	}
	return c
}

// follow lets octets pass until a fault is due. It gives how many may pass and what happens behind them.
func (l *link) follow(octets []byte, d direction) (n int, act *Act) {
	for i, b := range octets {
		if d == up {
			act = l.asks(b)
		} else {
			act = l.answers(b)
		}
		if act != nil {
			return i + 1, act
		}
	}
	return len(octets), nil
}

func (l *link) asks(b byte) *Act {
	t, f := &l.talk, &l.talk.up
	over := false
	if f.left > 0 {
		f.left--
	} else {
		_, over = f.step(b)
	}
	if t.asking == nil && (b == ' ' || b == '\n') && f.line <= headMax && f.left == 0 {
		if t.asking = begins(f.head); t.asking != nil {
			t.asking.asked = int64(len(f.head)) - 1
			l.begun(t.asking)
		}
	}
	if c := t.asking; c != nil {
		c.asked++
		if act := l.proxy.due(c, Asked, c.asked); act != nil {
			return act
		}
		if over {
			t.asking = nil
			return l.proxy.due(c, Sent, 0)
		}
	}
	return nil
}

func (l *link) begun(c *command) {
	l.talk.open = append(l.talk.open, c)
	for _, a := range l.proxy.armed {
		a.begun(c)
	}
}

func (l *link) answers(b byte) *Act {
	t, f := &l.talk, &l.talk.down
	announces, over, inside := false, false, f.left > 0
	if inside {
		f.left--
		f.inside++
	} else {
		announces, over = f.step(b)
	}
	if len(t.open) == 0 {
		return nil // said unasked
	}
	c := t.open[0]
	c.answered++
	if announces {
		c.literals++
	}
	last := c.name == greeting || len(f.head) > len(c.tag) && f.head[len(c.tag)] == ' ' &&
		string(f.head[:len(c.tag)]) == c.tag
	if over && last {
		t.open = t.open[1:]
	}
	p := l.proxy
	act := p.due(c, Answer, c.answered)
	switch {
	case act != nil:
	case announces, inside:
		act = p.due(c, Literal, f.inside)
	case over && last:
		if act = p.due(c, Tagged, int64(len(f.head))); act == nil {
			act = p.due(c, Done, 0)
		}
	case last:
		act = p.due(c, Tagged, f.line)
	}
	return act
}

// greeting is what a server says first.
const greeting = "GREETING"

// due takes the fault that waits for a place, if there is one.
func (p *Proxy) due(c *command, part Part, octet int64) *Act {
	for i, a := range p.armed {
		if a.reached(c, part, octet) {
			p.armed = append(p.armed[:i:i], p.armed[i+1:]...)
			p.stats.Fired++
			return &a.act
		}
	}
	return nil
}
