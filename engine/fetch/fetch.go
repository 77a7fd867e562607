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
	// PageMost bounds the UIDs that one FETCH of messages asks for.
	PageMost  = 500
	pageStart = 500 // UIDs of the first page
	pageLeast = 1

	unknownSize = 1 << 20 // octets assumed of a message whose size is unknown
)

// Process is what all streams of a process share.
type Process struct {
	Store    *storage.Store
	Packer   *storage.Packer
	Budget   *semaphore.Weighted // octets of raw messages in memory
	Caps     plan.Caps
	Streamed int64 // most octets of a message that comes in parts
}

// Fetcher is one stream. What it learned of the connection and the server
// outlives a pass over a mailbox.
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

// Bisection returns the stream's search for what ends sessions.
func (f *Fetcher) Bisection() *Bisection { return &f.bisection }

// Job is a pass over one mailbox, with the functions that its fetching calls.
type Job struct {
	Mailbox *mailbox.Mailbox
	Row     storage.Mailbox
	Aside   []Aside // the mailbox's quarantined messages, ascending

	// Memory waits while the process is short of memory.
	Memory func(ctx context.Context) error
	// Progressed is called when something came that a later attempt need not
	// ask for.
	Progressed func()
	// StoredTx notes a batch of a mailbox in the batch's transaction. last is
	// the UID of its last message.
	StoredTx func(tx *storage.Writer, path string, last storage.UID, s storage.Stored) error
	// Stored is called after the COMMIT of a batch of messages, with what the
	// search index wants of it.
	Stored func(path string, messages int, s storage.Stored, docs []storage.IndexDoc)
	// RecordTx records a fault of a message, or of the pass if uid is 0. odd
	// means that nobody has to act: the message is stored all the same, or the
	// pass goes on.
	RecordTx func(tx *storage.Writer, uid storage.UID, f fault.Fault, odd bool) error
	// Judge returns a fault with the meaning that it has for the account.
	Judge func(f fault.Fault) fault.Fault
	// InTrouble reports whether the account backs off. Then it gets no session
	// before its wait is over.
	InTrouble func() bool
	// StoreFlags stores flags that the server sent unasked.
	StoreFlags func(ctx context.Context, changes []storage.FlagChange) error
	// AskFlags asks for flags that the server left out.
	AskFlags func(ctx context.Context, pending FlagsPending) error
}

// Aside is a quarantined message. It is not asked for unless Tried.
type Aside struct {
	UID   storage.UID
	Tried bool // in this pass
	Ends  bool // it ended sessions before
	Once  bool // nobody asked for it by hand: one way of asking is tried
}

// FlagsPending lists the messages that a FETCH brought without their flags.
type FlagsPending struct {
	UIDs    []storage.UID
	Dropped bool // the flags' watermark was dropped for such messages, even if their flags came later
}

// Pass is the fetching of one pass over a mailbox.
type Pass struct {
	*Fetcher
	Job

	listing       []storage.UID
	quarantined   []storage.UID        // ascending
	endedSessions map[storage.UID]bool // quarantined messages that are tried and ended sessions before
	tryOnce       map[storage.UID]bool // those of them for which one way of asking is tried
	room          *int                 // rows left in the mailbox's quarantine; nil: not counted yet
	learned       storage.Sizes        // of the server's RFC822.SIZEs
	culprits      int                  // messages found to end sessions
	hopeless      int                  // rescues that brought nothing
	renewals      int                  // new sessions for messages that came in doubt
}

// Begin begins a pass. sizes is what is known of the server's RFC822.SIZEs.
func (f *Fetcher) Begin(j Job, sizes storage.Sizes) *Pass {
	p := &Pass{Fetcher: f, Job: j, learned: sizes, endedSessions: map[storage.UID]bool{},
		tryOnce: map[storage.UID]bool{}}
	for _, a := range j.Aside {
		p.quarantined = append(p.quarantined, a.UID)
		if a.Tried && a.Ends {
			p.endedSessions[a.UID], p.tryOnce[a.UID] = true, a.Once
		}
	}
	return p
}
