package imap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// CommandLine is the most octets of a command's line where nothing is known of
// the server: Yahoo and UW take no more.
const CommandLine = 1000

// Manners are what a server wants of a client beside the protocol. The zero
// value suits every server that does not lie.
type Manners struct {
	Without     []string // capabilities to treat as not offered
	CommandLine int      // octets; 0: CommandLine
}

func (m Manners) line() int {
	if m.CommandLine > 0 {
		return m.CommandLine
	}
	return CommandLine
}

// Meter counts what a session does, and holds it back. Before and Answered are
// called in the session's goroutine while a call of the session runs; so is
// Received, as octets come.
type Meter interface {
	// Before is asked before a command is sent. It may wait. After an error
	// nothing was sent, and the session lives.
	Before(ctx context.Context, command string) error
	// Answered gets each tagged answer and how long it took, and each untagged
	// status response with an empty command.
	Answered(command string, st Status, took time.Duration)
	// Received gets octets taken from TCP, below TLS.
	Received(octets int)
}

// SetManners changes the manners for the commands to come.
func (s *Session) SetManners(m Manners) {
	s.manners = m
	for _, name := range m.Without {
		delete(s.caps, strings.ToUpper(name))
	}
}

// denied says whether a capability, in upper case, is to be treated as missing.
func (s *Session) denied(name string) bool {
	return slices.ContainsFunc(s.manners.Without, func(w string) bool { return strings.EqualFold(w, name) })
}

// MostMessages is how many messages a command may name by the server's own word
// (MESSAGELIMIT, RFC 9738); 0: it said nothing.
func (s *Session) MostMessages() int {
	for name := range s.caps {
		if n, ok := strings.CutPrefix(name, "MESSAGELIMIT="); ok {
			if n, err := strconv.Atoi(n); err == nil && n > 0 && (s.most == 0 || n < s.most) {
				return n
			}
		}
	}
	return s.most
}

// before asks the meter.
func (s *Session) before(ctx context.Context, op string) error {
	if s.meter == nil || op == "wait" {
		return nil
	}
	if err := s.meter.Before(ctx, op); err != nil {
		return fmt.Errorf("imap: %s: %w", op, err)
	}
	return nil
}

// messageLimit notes the code MESSAGELIMIT, whose first argument is how many
// messages a command may name.
func (s *Session) messageLimit(args []byte) {
	first, _, _ := strings.Cut(string(args), " ")
	if n, err := strconv.Atoi(first); err == nil && n > 0 {
		s.most = n
	}
}

// unprocessed reads how far a command got before its MESSAGELIMIT: from the
// highest UID down to uid. false: it got to the end.
func unprocessed(st Status) (uid goimap.UID, ok bool) {
	if st.Code != "MESSAGELIMIT" || st.Type != "OK" {
		return 0, false
	}
	_, last, ok := strings.Cut(st.CodeArgs, " ")
	n, err := strconv.ParseUint(strings.TrimSpace(last), 10, 32)
	return goimap.UID(n), ok && err == nil && n > 1
}

// below gives what of a set is under uid; nothing if that is all of it, so that
// a server which got nowhere is not asked for ever.
func below(set goimap.UIDSet, uid goimap.UID) (rest goimap.UIDSet) {
	smaller := false
	for _, r := range set {
		if r.Stop >= uid {
			smaller = true
		}
		if r.Start < uid {
			rest = append(rest, goimap.UIDRange{Start: r.Start, Stop: min(r.Stop, uid-1)})
		}
	}
	if !smaller {
		return nil
	}
	return rest
}
