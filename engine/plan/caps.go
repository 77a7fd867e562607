package plan

// Caps bound what a server may make an account keep or write, however large the
// numbers it sends. The session has its own (imap.Limits), the parser too
// (message.Limits). docs/limits.md lists all of them. A zero field means its
// default.
type Caps struct {
	Messages int // messages of one mailbox, by EXISTS or by a listing
	Rebound  int // messages, listed and stored, that are compared after a mailbox was renumbered
	Flags    int // messages whose changed flags one answer may leave in memory
	Octets   int // octets of these flags
	News     int // flags of other messages that one page of mail may bring along
	Aside    int // rows of one mailbox in quarantine
	AllAside int // rows of one account in quarantine
	Culprits int // messages of one mailbox that end sessions, found in one pass
	Rows     int // mailbox rows of one account, with those that are gone and kept for a while
}

// DefaultCaps returns the caps of the product.
func DefaultCaps() Caps {
	return Caps{
		Messages: 4_000_000,
		Rebound:  400_000,
		Flags:    100_000,
		Octets:   32 << 20,
		News:     1000,
		Aside:    10_000,
		AllAside: 100_000,
		Culprits: 250,
		Rows:     200_000,
	}
}

// OrDefaults fills in what is zero.
func (c Caps) OrDefaults() Caps {
	d := DefaultCaps()
	for _, f := range []struct{ have, want *int }{
		{&c.Messages, &d.Messages}, {&c.Rebound, &d.Rebound}, {&c.Flags, &d.Flags}, {&c.Octets, &d.Octets},
		{&c.News, &d.News}, {&c.Aside, &d.Aside}, {&c.AllAside, &d.AllAside}, {&c.Culprits, &d.Culprits},
		{&c.Rows, &d.Rows},
	} {
		if *f.have <= 0 {
			*f.have = *f.want
		}
	}
	return c
}
