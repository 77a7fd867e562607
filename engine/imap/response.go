package imap

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handlerError marks an error that a FetchHandler or an Observer returned.
type handlerError struct{ err error }

func (e handlerError) Error() string { return e.err.Error() }

// respond reads one response and acts on it.
func (s *Session) respond() error {
	op := s.op()
	if s.sc.buffered() == 0 {
		s.conn.await()
	}
	err := s.response()
	if err == nil {
		var n int64
		n, err = s.sc.done()
		s.octets += n
		s.responses++
		if err == nil && (s.octets > s.lim.Command || s.responses > s.lim.Responses) {
			err = fmt.Errorf("%w: answer of over %d octets or %d responses", ErrLimit, s.lim.Command, s.lim.Responses)
		}
	}
	if err == nil {
		return nil
	}
	if h := (handlerError{}); errors.As(err, &h) && s.sc.err == nil {
		return s.fail(op, "handler", h.err)
	}
	phase := "response"
	if s.sc.lit.left > 0 {
		phase = "literal"
	}
	if s.sc.err != nil {
		err = s.sc.err
	}
	return s.fail(op, phase, err)
}

func (s *Session) response() error {
	sc := s.sc
	if err := sc.begin(); err != nil {
		return err
	}
	switch sc.buf[sc.pos] {
	case '*':
		sc.pos++
		return s.untagged()
	case '+':
		sc.pos++
		t, err := sc.line()
		s.continued, s.continuation = true, append(s.continuation[:0], bytes.TrimLeft(t, " ")...)
		return err
	}
	return s.tagged()
}

func (s *Session) tagged() error {
	t, err := s.sc.token(endsTag)
	if err != nil {
		return err
	}
	tag := string(t[:min(len(t), 32)])
	i := slices.IndexFunc(s.pending, func(c sentCommand) bool { return c.tag == tag })
	if i < 0 {
		// A tag that is answered twice is noise. One that was never sent means
		// that we are out of step with the server, or that somebody injects
		// data.
		n, err := strconv.Atoi(strings.TrimPrefix(tag, "m"))
		if !strings.HasPrefix(tag, "m") || err != nil || n < 1 || n > s.tags {
			return fmt.Errorf("%w: answer to unknown tag %s", ErrSyntax, s.quote(t))
		}
		return s.sc.skipLine()
	}
	if _, err = s.sc.spaces(); err != nil {
		return err
	}
	word, err := s.sc.token(endsWord)
	if err != nil {
		return err
	}
	kind := statusType(word)
	if kind == "" || kind == "BYE" || kind == "PREAUTH" {
		return fmt.Errorf("%w: tagged %s", ErrSyntax, s.quote(word))
	}
	st, err := s.status(tag, kind)
	if err != nil {
		return err
	}
	if s.meter != nil {
		s.meter.Answered(s.pending[i].name, st, time.Since(s.pending[i].at))
	}
	s.pending = slices.Delete(s.pending, i, i+1)
	s.done[tag] = st
	return nil
}

// quote shows what a server said in place of something expected. During a login
// that may be a piece of the password.
func (s *Session) quote(t []byte) string {
	if s.secrets != nil {
		return "***"
	}
	return fmt.Sprintf("%.40q", t)
}

func statusType(word []byte) string {
	for _, t := range [...]string{"OK", "NO", "BAD", "BYE", "PREAUTH"} {
		if is(word, t) {
			return t
		}
	}
	return ""
}

// status reads the rest of a status response after its type, and acts on its
// code.
func (s *Session) status(tag, kind string) (Status, error) {
	line, err := s.sc.line()
	if err != nil {
		return Status{}, err
	}
	code, args, text := splitCode(bytes.TrimLeft(line, " "))
	s.applyCode(code, args)
	st := Status{
		Tag: tag, Type: kind,
		Code: escape(bytes.ToUpper(code)), CodeArgs: escape(s.scrub(args)), Text: escape(s.scrub(text)),
	}
	if s.trace != nil && s.trace.mask {
		fmt.Fprintf(s.trace.w, "S: %s %s [%s %s] %s\n", tag, kind, st.Code, st.CodeArgs, st.Text)
	}
	if s.observer.Status != nil {
		s.observer.Status(st)
	}
	if tag == "" && s.meter != nil {
		s.meter.Answered("", st, 0)
	}
	if st.Code == "ALERT" && s.alert != nil && kind != "BYE" && (tag == "" || kind == "OK") {
		s.alert(st)
	}
	return st, nil
}

// splitCode splits "[CODE args] text". A bracket inside the parentheses of
// PERMANENTFLAGS does not end the code.
func splitCode(line []byte) (code, args, text []byte) {
	if len(line) == 0 || line[0] != '[' {
		return nil, nil, line
	}
	end, depth := -1, 0
	for i, c := range line {
		if c == ']' && depth <= 0 {
			end = i
			break
		}
		switch c {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
	if end < 0 {
		end = bytes.IndexByte(line, ']')
	}
	if end < 0 {
		return nil, nil, line
	}
	code, args, _ = bytes.Cut(line[1:end], []byte(" "))
	return code, args, bytes.TrimLeft(line[end+1:], " ")
}

// scrub removes the secrets of a login in progress from the server's text.
func (s *Session) scrub(t []byte) []byte {
	for _, secret := range s.secrets {
		if len(secret) > 1 {
			t = bytes.ReplaceAll(t, []byte(secret), []byte("***"))
		}
	}
	return t
}

// applyCode acts on the codes that change what the session knows.
func (s *Session) applyCode(code, args []byte) {
	switch {
	case is(code, "CAPABILITY"):
		s.capabilities(args)
	case is(code, "MESSAGELIMIT"):
		s.noteMessageLimit(args)
	case s.sel == nil:
	case is(code, "UIDVALIDITY"):
		s.sel.UIDValidity = number32(args)
	case is(code, "UIDNEXT"):
		s.sel.UIDNext = number32(args)
	case is(code, "HIGHESTMODSEQ"):
		s.sel.HighestModSeq = modSeq(args)
	case is(code, "NOMODSEQ"):
		s.sel.NoModSeq = true
	case is(code, "MAILBOXID"):
		s.sel.MailboxID = objectID(args)
	}
}

// modSeq returns 0 (absent) for -1, garbage, and values over 2^63-1.
func modSeq(t []byte) uint64 {
	n, ok := digits(bytes.Trim(t, "() "))
	if !ok {
		return 0
	}
	return uint64(n)
}

// untagged reads a response after its "*".
func (s *Session) untagged() error {
	sc := s.sc
	if _, err := sc.spaces(); err != nil {
		return err
	}
	word, err := sc.token(endsWord)
	if err != nil {
		return err
	}
	if n, ok := digits(word); ok {
		return s.numbered(n)
	}
	if kind := statusType(word); kind != "" && kind != "PREAUTH" {
		st, err := s.status("", kind)
		if err == nil && kind == "BYE" {
			s.noteBye(st)
		}
		return err
	}
	switch {
	case is(word, "CAPABILITY"):
		line, err := sc.line()
		s.capabilities(line)
		return err
	case is(word, "SEARCH") && s.search != nil:
		return s.search.plain(sc)
	case is(word, "ESEARCH") && s.search != nil:
		return s.search.extended(sc)
	case is(word, "LIST") && s.list != nil:
		return s.list.entry(sc)
	case is(word, "STATUS") && s.list != nil:
		return s.list.status(sc)
	case is(word, "VANISHED"):
		return s.vanished()
	case is(word, "ID") && s.id != nil:
		return s.idResponse()
	}
	return sc.skipLine()
}

// noteBye records that the server is about to close. A tagged answer may still
// come, and says more. It gets Limits.Bye for that, since some servers never
// close.
func (s *Session) noteBye(st Status) {
	if s.bye != nil || s.leaving {
		return
	}
	s.bye = &StatusError{Type: st.Type, Code: st.Code, CodeArgs: st.CodeArgs, Text: st.Text, Command: s.op()}
	if t := time.Now().Add(s.lim.Bye); s.conn.phaseEnd.IsZero() || t.Before(s.conn.phaseEnd) {
		s.conn.phaseEnd = t
	}
}

// numbered reads "* n WORD".
func (s *Session) numbered(n int64) error {
	sc := s.sc
	if _, err := sc.spaces(); err != nil {
		return err
	}
	word, err := sc.token(endsWord)
	if err != nil {
		return err
	}
	if n > math.MaxUint32 {
		return sc.skipLine()
	}
	num := uint32(n)
	switch {
	case is(word, "FETCH"):
		return s.fetch(num)
	case is(word, "EXISTS"):
		s.exists = num
		if s.sel != nil {
			s.sel.hasExists = true
		}
		if s.observer.Exists != nil {
			s.observer.Exists(num)
		}
	case is(word, "EXPUNGE") && num > 0:
		s.exists -= min(1, s.exists)
		if s.observer.Expunge != nil {
			s.observer.Expunge(num)
		}
	}
	return sc.skipLine()
}

// vanished reads "* VANISHED (EARLIER) set".
func (s *Session) vanished() error {
	sc := s.sc
	sc.lineLimit = s.lim.Listing
	c, err := sc.spaces()
	if err != nil {
		return err
	}
	earlier := c == '('
	if earlier {
		if err := sc.value(nil); err != nil {
			return err
		}
		if _, err := sc.spaces(); err != nil {
			return err
		}
	}
	b := setBuilder{max: s.lim.Ranges}
	if err := b.read(sc); err != nil {
		return err
	}
	set := b.set()
	if !earlier {
		gone := uint64(0)
		for _, r := range set {
			gone += uint64(r.Stop) - uint64(r.Start) + 1
		}
		s.exists -= uint32(min(gone, uint64(s.exists), math.MaxUint32))
	}
	if s.observer.Vanished != nil {
		s.observer.Vanished(earlier, set)
	}
	return sc.skipLine()
}
