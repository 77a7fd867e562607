package imap

import "time"

// Limits are the ceilings of one session. Sizes are octets. A zero field means
// its default; see DefaultLimits.
type Limits struct {
	Line      int64 // one response without its literals
	Listing   int64 // the same for SEARCH and ESEARCH, which are read as a stream
	Literal   int64 // a string kept in memory, and what one message keeps in Extra
	Streamed  int64 // a literal handed to Handler.Body, or skipped
	Command   int64 // all octets of one command's responses, streamed bodies apart
	Responses int64 // responses to one command
	Depth     int   // nested parentheses
	Ranges    int   // ranges of a UID set
	Mailboxes int   // LIST entries kept
	Names     int64 // octets kept of mailbox names and their attributes

	// MinRate octets must arrive in each Window spent waiting inside a response,
	// and in each Wait spent waiting at all, or the command is stalled.
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
		Names:     32 << 20,
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
		{&l.Window, &d.Window}, {&l.Wait, &d.Wait}, {&l.Connect, &d.Connect}, {&l.TLS, &d.TLS}, {&l.Greeting, &d.Greeting},
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
