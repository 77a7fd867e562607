package imap

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// Limits are the limits of one session. Sizes are in octets. A zero field means
// its default; see DefaultLimits.
type Limits struct {
	Line      int64 // one response without its literals
	Listing   int64 // the same for SEARCH, ESEARCH and VANISHED, which are read as a stream
	Literal   int64 // strings of one response that are kept in memory
	Streamed  int64 // one literal that is handed to FetchHandler.Body or skipped
	Command   int64 // all responses to one command, without streamed bodies
	Responses int64 // responses to one command
	Depth     int   // nested parentheses
	Ranges    int   // ranges of a UID set
	Mailboxes int   // LIST entries kept
	Names     int64 // octets kept of mailbox names and their attributes

	// MinRate octets must arrive in each Window of waiting inside a response,
	// and in each Wait of waiting in all. Otherwise the command is stalled.
	MinRate int64
	Window  time.Duration
	Wait    time.Duration

	Connect  time.Duration // name lookup and TCP, over all addresses
	TLS      time.Duration // the handshake, and each CAPABILITY before login
	Greeting time.Duration // the whole greeting; servers look up names first
	Auth     time.Duration // a whole LOGIN or AUTHENTICATE
	Progress time.Duration // silence while a tag is open; also a single write
	Idle     time.Duration // silence in IDLE after which the server must answer a DONE
	Reissue  time.Duration // age at which an IDLE is ended and reissued
	Bye      time.Duration // for a tagged answer that follows a BYE
}

// The limits that no caller changes.
const (
	MaxCapabilities   = 512      // capabilities kept
	MaxCapabilityName = 256      // octets of a capability
	MaxID             = 100      // pairs kept of an ID response
	MaxAttributes     = 64       // attributes kept of a mailbox
	MaxFlags          = 4096     // flags of one message
	MaxFlagOctets     = 32 << 10 // octets of one message's flags
	MaxKeywords       = 1024     // keywords whose string is shared between messages
	MaxExtra          = 64       // other items kept of one message
	MaxContinued      = 10_000   // how often a call continues after a MESSAGELIMIT
)

// DefaultLimits returns the default limits.
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
		Idle:      90 * time.Second, // with Progress, a dead connection is noticed within two minutes
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

// CommandLine is the longest command line, in octets, for a server that nothing
// is known about. Yahoo and UW accept no more.
const CommandLine = 1000

// Manners are a server's peculiarities. The zero value suits every server that
// does not misreport what it can do.
type Manners struct {
	Without     []string // capabilities to treat as not offered
	CommandLine int      // longest line in octets; 0: CommandLine
	OneByOne    bool     // a command is sent only when the one before was answered
}

func (m Manners) commandLine() int {
	if m.CommandLine > 0 {
		return m.CommandLine
	}
	return CommandLine
}

// Meter counts what a session does and paces it. Its methods are called in the
// session's goroutine during a call of the session.
type Meter interface {
	// Before is called before a command is sent, and may wait. If it fails,
	// nothing is sent and the session stays usable.
	Before(ctx context.Context, command string) error
	// Answered gets each tagged answer and how long it took. It also gets each
	// untagged status response, with an empty command.
	Answered(command string, st Status, took time.Duration)
	// Received gets octets as they are read from TCP, below TLS.
	Received(octets int)
}

// SetManners changes the manners for later commands.
func (s *Session) SetManners(m Manners) {
	s.manners = m
	for _, name := range m.Without {
		delete(s.caps, strings.ToUpper(name))
	}
}

// denies reports whether a capability, in upper case, must be treated as
// missing.
func (s *Session) denies(name string) bool {
	return slices.ContainsFunc(s.manners.Without, func(w string) bool { return strings.EqualFold(w, name) })
}

// MostMessages returns how many messages a command may name, as announced by
// the server (MESSAGELIMIT, RFC 9738). 0: no limit was announced.
func (s *Session) MostMessages() int {
	for name := range s.caps {
		if n, ok := strings.CutPrefix(name, "MESSAGELIMIT="); ok {
			if n, err := strconv.Atoi(n); err == nil && n > 0 && (s.messageLimit == 0 || n < s.messageLimit) {
				return n
			}
		}
	}
	return s.messageLimit
}

// awaitMeter calls the meter's Before.
func (s *Session) awaitMeter(ctx context.Context, op string) error {
	if s.meter == nil || op == "wait" {
		return nil
	}
	if err := s.meter.Before(ctx, op); err != nil {
		return fmt.Errorf("imap: %s: %w", op, err)
	}
	return nil
}

// noteMessageLimit records the code MESSAGELIMIT. Its first argument is how
// many messages a command may name.
func (s *Session) noteMessageLimit(args []byte) {
	first, _, _ := strings.Cut(string(args), " ")
	if n, err := strconv.Atoi(first); err == nil && n > 0 {
		s.messageLimit = n
	}
}

// unprocessed returns how far a command got before its MESSAGELIMIT: the UIDs
// below uid are left. ok is false if the command was completed.
func unprocessed(st Status) (uid goimap.UID, ok bool) {
	if st.Code != "MESSAGELIMIT" || st.Type != "OK" {
		return 0, false
	}
	_, last, ok := strings.Cut(st.CodeArgs, " ")
	n, err := strconv.ParseUint(strings.TrimSpace(last), 10, 32)
	return goimap.UID(n), ok && err == nil && n > 1
}

// uidsBelow returns the part of a set that is below uid. It returns nothing if
// that is the whole set: a server that made no progress must not be asked for
// ever.
func uidsBelow(set goimap.UIDSet, uid goimap.UID) (rest goimap.UIDSet) {
	smaller := false
	for _, r := range set {
		if r.Stop == 0 { // "*"
			r.Stop = math.MaxUint32
		}
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
