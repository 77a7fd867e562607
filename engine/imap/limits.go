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

// Limits are the ceilings of one session. Sizes are octets. A zero field means
// its default; see DefaultLimits.
type Limits struct {
	Line      int64 // one response without its literals
	Listing   int64 // the same for SEARCH and ESEARCH, which are read as a stream
	Literal   int64 // a string kept in memory, and what one message keeps in Extra
	Streamed  int64 // a literal handed to FetchHandler.Body, or skipped
	Command   int64 // all octets of one command's responses, streamed bodies apart
	Responses int64 // responses to one command
	Depth     int   // nested parentheses
	Ranges    int   // ranges of a UID set
	Mailboxes int   // LIST entries kept
	Names     int64 // octets kept of mailbox names and their attributes

	// MinRate octets must arrive in each Window spent waiting inside a
	// response, and in each Wait spent waiting at all, or the command is
	// stalled.
	MinRate int64
	Window  time.Duration
	Wait    time.Duration

	Connect  time.Duration // name look-up and TCP, over all addresses
	TLS      time.Duration // the handshake, and each CAPABILITY before login
	Greeting time.Duration // the whole greeting (servers look up names first)
	Auth     time.Duration // a whole LOGIN or AUTHENTICATE
	Progress time.Duration // silence while a tag is open; also one write
	Idle     time.Duration // silence in IDLE before the server has to answer
	Reissue  time.Duration // the age at which an IDLE is ended and begun anew
	Bye      time.Duration // a tagged answer that may still follow BYE
}

// The ceilings that no caller moves.
const (
	MaxCapabilities   = 512      // capabilities kept,
	MaxCapabilityName = 256      // octets of one
	MaxID             = 100      // pairs of ID kept
	MaxAttributes     = 64       // attributes kept of a mailbox
	MaxFlags          = 4096     // flags of one message
	MaxFlagOctets     = 32 << 10 // of one message's flags
	MaxKeywords       = 1024     // keywords that messages share in memory
	MaxExtra          = 64       // other items kept of one message
	MaxContinued      = 10_000   // times a call goes on behind a MESSAGELIMIT
)

// DefaultLimits returns the limits of DESIGN §6.
func DefaultLimits() Limits {
	return Limits{
		Line:      1 << 20,
		Listing:   32 << 20,
		Literal:   1 << 20,
		Streamed:  1 << 31,
		Command:   512 << 20,
		Responses: 8 << 20,
		Depth:     100,
		Ranges:    2 << 20,
		Mailboxes: 100_000,
		Names:     16 << 20,
		MinRate:   1 << 10,
		Window:    time.Minute,
		Wait:      15 * time.Minute,
		Connect:   10 * time.Second,
		TLS:       10 * time.Second,
		Greeting:  30 * time.Second,
		Auth:      30 * time.Second,
		Progress:  30 * time.Second,
		Idle:      90 * time.Second, // with Progress, a dead line is noticed within two minutes
		Reissue:   9 * time.Minute,
		Bye:       time.Second,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, f := range []struct{ have, def *int64 }{
		{&l.Line, &d.Line}, {&l.Listing, &d.Listing}, {&l.Literal, &d.Literal},
		{&l.Streamed, &d.Streamed}, {&l.Command, &d.Command}, {&l.Responses, &d.Responses},
		{&l.Names, &d.Names}, {&l.MinRate, &d.MinRate},
	} {
		orDefault(f.have, *f.def)
	}
	orDefault(&l.Depth, d.Depth)
	orDefault(&l.Ranges, d.Ranges)
	orDefault(&l.Mailboxes, d.Mailboxes)
	for _, f := range []struct{ have, def *time.Duration }{
		{&l.Window, &d.Window}, {&l.Wait, &d.Wait}, {&l.Connect, &d.Connect}, {&l.TLS, &d.TLS},
		{&l.Greeting, &d.Greeting},
		{&l.Auth, &d.Auth}, {&l.Progress, &d.Progress}, {&l.Bye, &d.Bye}, {&l.Idle, &d.Idle}, {&l.Reissue, &d.Reissue},
	} {
		orDefault(f.have, *f.def)
	}
	return l
}

func orDefault[T int | int64 | time.Duration](have *T, def T) {
	if *have <= 0 {
		*have = def
	}
}

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
