package fetch

import (
	"context"

	"golang.org/x/sync/semaphore"

	"mailcote/engine/fault"
	"mailcote/engine/mailbox"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/storage"
)

const (
	// PageMost is how many UIDs one FETCH of messages asks for at most.
	PageMost  = 500
	pageStart = 500 // UIDs of the first page
	pageLeast = 1

	unknownSize = 1 << 20 // octets a message is taken to have where the server does not say
)

// Process is what all streams of a process share.
type Process struct {
	Store    *storage.Store
	Packer   *storage.Packer
	Budget   *semaphore.Weighted // octets of raw messages in memory
	Caps     plan.Caps
	Streamed int64 // octets a message may have that comes in parts
}

// Fetcher is one stream: what it learned of the line and of the server outlives a pass over a mailbox.
type Fetcher struct {
	Process
	Meter    *meter.Meter // the account's limits
	Suspects *Suspects    // the account's

	page      int // UIDs a FETCH asks for
	broke     breakage
	bisection Bisection
}

// New makes a stream.
func New(p Process, m *meter.Meter, s *Suspects) *Fetcher {
	return &Fetcher{Process: p, Meter: m, Suspects: s, page: pageStart}
}

// Bisection is the stream's search for what ends sessions.
func (f *Fetcher) Bisection() *Bisection { return &f.bisection }

// Job is a pass over one mailbox, and what its fetching tells the one who makes it.
type Job struct {
	Mailbox *mailbox.Mailbox
	Row     storage.Mailbox
	Aside   []Aside // the mailbox's quarantined messages, ascending

	// Memory waits while the process is short of memory.
	Memory func(ctx context.Context) error
	// Progressed is called when something came that a later attempt need not ask for.
	Progressed func()
	// StoredTx notes a batch of a mailbox in its own transaction. last is the UID of its last message.
	StoredTx func(tx *storage.Writer, path string, last storage.UID, s storage.Stored) error
	// Stored is told of a batch of messages after COMMIT, with what the search index wants of it.
	Stored func(path string, messages int, s storage.Stored, docs []storage.IndexDoc)
	// RecordTx records a fault of a message. odd: the message is stored all the same, so nobody has to do anything.
	RecordTx func(tx *storage.Writer, uid storage.UID, f fault.Fault, odd bool) error
	// Judge gives a fault the meaning that it has for the account.
	Judge func(f fault.Fault) fault.Fault
	// InTrouble reports whether the account is known to be in trouble: it gets no session beyond its waits.
	InTrouble func() bool
	// StoreFlags stores flags that the server told unasked.
	StoreFlags func(ctx context.Context, changes []storage.FlagChange) error
	// AskFlags asks for flags that the server left out.
	AskFlags func(ctx context.Context, owed FlagsPending) error
}

// Aside is a quarantined message. One that is not Tried stays where it is.
type Aside struct {
	UID   storage.UID
	Tried bool // in this pass
	Ends  bool // it ended sessions before
	Once  bool // nobody asked for it: one way of asking is tried
}

// FlagsPending is what a FETCH left to ask for: the flags of messages that it brought without them.
type FlagsPending struct {
	UIDs    []storage.UID
	Dropped bool // the watermark of flags was dropped for such messages, even if their flags came later
}

// Pass is the fetching of one pass over a mailbox.
type Pass struct {
	*Fetcher
	Job

	listing  []storage.UID
	barred   []storage.UID        // quarantined, ascending
	fatal    map[storage.UID]bool // those that are tried and ended sessions before
	brief    map[storage.UID]bool // those of them of which one way of asking is tried
	room     *int                 // rows that the quarantine still takes of this mailbox; nil: not counted yet
	learned  storage.Sizes        // of the server's RFC822.SIZEs
	culprits int                  // messages that were found to end sessions
	hopeless int                  // rescues that brought nothing
	renewals int                  // new sessions for what came in doubt
}

// Begin begins a pass. sizes is what is known of the server's RFC822.SIZEs.
func (f *Fetcher) Begin(j Job, sizes storage.Sizes) *Pass {
	p := &Pass{Fetcher: f, Job: j, learned: sizes, fatal: map[storage.UID]bool{}, brief: map[storage.UID]bool{}}
	for _, a := range j.Aside {
		p.barred = append(p.barred, a.UID)
		if a.Tried && a.Ends {
			p.fatal[a.UID], p.brief[a.UID] = true, a.Once
		}
	}
	return p
}
