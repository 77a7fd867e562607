package reconcile

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/fetch"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// MaxRounds bounds how often one pass lists a mailbox that keeps changing. The
// next pass does the rest.
const MaxRounds = 5

// Memory is what a stream has learned of mailboxes for its next passes. The
// zero Memory is empty.
type Memory struct {
	probe    *headerProbe                       // nil: no candidates
	failures map[storage.MailboxID]flagFailures // where comparisons of flags broke off
}

// Task is one folder_sync, with the functions that its pass calls.
type Task struct {
	Account  storage.AccountID
	Mailbox  storage.MailboxID
	Sessions mailbox.Sessions
	Fetcher  *fetch.Fetcher
	Memory   *Memory
	// Said is what STATUS said before the mailbox was opened. If more came
	// since, the next STATUS differs from it, and the mailbox is opened again.
	Said plan.Status
	// Verify: flags differ from the stored ones though MODSEQ shows no change.
	Verify bool
	// Wall is the wall clock.
	Wall func() time.Time

	// Fetching has the functions of a fetch.Job. The pass fills in the rest.
	Fetching fetch.Job
	// Tries reports whether a quarantined message is tried in this pass.
	Tries func(q storage.Quarantined) bool
	// ProgressTx notes how far a mailbox came: the last UID, and how many
	// messages are new.
	ProgressTx func(tx *storage.Writer, path string, last storage.UID, n int) error
	// CompleteTx completes the task.
	CompleteTx func(tx *storage.Writer) error
	// Show publishes how many of the listed messages are stored.
	Show func(path string, done, total int64)
	// Changed counts what the pass changed of stored messages: how many are
	// gone, and how many have other flags.
	Changed func(gone, flags int)
	// Moved tells the watchdog that the task is not stuck.
	Moved func()
}

// pass makes one mailbox equal to what the server lists.
type pass struct {
	Task

	box            *mailbox.Mailbox
	row            storage.Mailbox
	seed           maphash.Seed         // of the flags' hashes
	untried        map[storage.UID]bool // quarantined messages that are not tried in this pass
	aside          []fetch.Aside        // all quarantined messages of this generation
	sizes          storage.Sizes        // what is known of the server's RFC822.SIZEs
	fetching       *fetch.Pass
	listing        []storage.UID
	doubtSettled   bool // all flags were compared because MODSEQ may hide a change
	allCompared    bool // the flags of every stored message
	flagsShort     bool // an answer lacked flags that were asked for: the next pass compares all of them
	reuseChecked   bool // stored messages were checked for UIDs given out again
	inPlace        bool // the server's number does not last: messages are told by what they look like (align)
	realigned      bool // they were compared on a second connection
	builtConfirmed bool // a new connection confirmed that the new generation is so small
}

// Folder makes one mailbox equal to what the server lists.
func Folder(ctx context.Context, t Task) error {
	p := &pass{Task: t, seed: maphash.MakeSeed()}
	if err := p.open(ctx); err != nil {
		return err
	}
	if p.inPlace {
		quiet := plan.Quiet(p.row, p.Said) && time.Since(p.row.CompletedAt) < plan.LookDaily && len(p.aside) == 0
		same, err := numbers{p}.align(ctx, quiet)
		if err == nil && same {
			err = numbers{p}.endQuiet(ctx)
		}
		if err != nil || same {
			return err
		}
	}
	if err := p.begin(ctx); err != nil {
		return err
	}
	for round := 1; ; round++ {
		moved, err := p.round(ctx)
		if err != nil {
			return err
		}
		if moved && round < MaxRounds {
			continue
		}
		same, err := p.confirmBuilt(ctx)
		if err != nil {
			return err
		}
		if same {
			return p.end(ctx, moved)
		}
		if round >= MaxRounds {
			return fault.In(fault.PhaseList, fmt.Errorf("%s: %w", p.row.Path, fault.ErrDisagrees))
		}
	}
}

// open examines the mailbox and fixes the generation that batches go to.
func (p *pass) open(ctx context.Context) (err error) {
	if err := p.load(ctx); err != nil {
		return err
	}
	p.box = mailbox.New(p.Sessions, p.row.Raw, p.row.Path, p.Fetcher.Caps.Messages)
	p.box.Excess = plan.Excess(p.row.Pass)
	if err := p.box.Open(ctx); err != nil {
		return err
	}
	failpoint.Hit("engine.examined")
	if err := (numbers{p}).settleValidity(ctx); err != nil {
		return err
	}
	if err := p.Fetcher.Store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.SetRefused(p.row.ID, "", time.Time{}); err != nil {
			return err
		}
		return tx.OpenGeneration(p.row.ID, p.box.Validity, storage.ModSeq(p.box.Selected.HighestModSeq),
			int64(p.box.Selected.Exists))
	}); err != nil {
		return fault.In(fault.PhaseStore, err)
	}
	return p.load(ctx)
}

// begin prepares to fetch messages of the generation.
func (p *pass) begin(ctx context.Context) error {
	if p.inPlace { // UIDs in quarantine may have moved
		if err := p.load(ctx); err != nil {
			return err
		}
	}
	j := p.Fetching
	j.Mailbox, j.Row, j.Aside = p.box, p.row, p.aside
	j.StoreFlags = func(ctx context.Context, changes []storage.FlagChange) error {
		return (flagSync{p}).applyFlags(ctx, flagUpdate{changes: changes})
	}
	j.AskFlags = (flagSync{p}).askFlags
	p.fetching = p.Fetcher.Begin(j, p.sizes)
	return nil
}

// load reads the mailbox and its quarantine.
func (p *pass) load(ctx context.Context) error {
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Read(ctx, func(r *storage.Reader) (err error) {
		if p.row, err = r.Mailbox(p.Mailbox); err != nil {
			return err
		}
		if p.sizes, err = r.SizesOf(p.Account); err != nil || p.box == nil {
			return err
		}
		all, err := r.QuarantineIn(p.row.ID, p.box.Validity)
		p.untried, p.aside = map[storage.UID]bool{}, nil
		for _, q := range all {
			one := fetch.Aside{UID: q.UID, Tried: p.Tries(q), Ends: q.Alone, Once: !q.Asked}
			if !one.Tried {
				p.untried[q.UID] = true
			}
			p.aside = append(p.aside, one)
		}
		return err
	}))
}

// stored returns the UIDs of the mailbox's stored messages. With what else the
// store has of them a million would not fit into memory.
func (p *pass) stored(ctx context.Context) (all []storage.UID, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) (err error) {
		all, err = r.UIDs(p.row.ID, p.box.Validity, p.row.Total)
		return err
	})
	return all, fault.In(fault.PhaseStore, err)
}

// round lists the mailbox once and removes every difference. moved: the mailbox
// changed meanwhile.
func (p *pass) round(ctx context.Context) (moved bool, err error) {
	have, err := p.stored(ctx)
	if err != nil {
		return false, err
	}
	empty := p.box.Session().Exists() == 0 // then no flags are asked for
	if err := (flagSync{p}).flags(ctx, have); err != nil {
		return false, err
	}
	if p.listing, err = p.box.List(ctx); err != nil {
		return false, err
	}
	failpoint.Hit("engine.listed")
	d := plan.Compare(p.listing, have)
	if plan.Mass(len(d.Gone), len(have)) || len(d.Gone) > 0 && !p.box.Agrees() {
		if p.inPlace {
			if again, err := (numbers{p}).realign(ctx); again || err != nil {
				return again, err
			}
		} else if d, err = p.confirmGone(ctx, d, have); err != nil {
			return false, err
		}
	}
	if d.Gone, err = p.provenGone(ctx, d.Gone); err != nil {
		return false, err
	}
	if p.box.Renumbered() {
		return false, fault.In(fault.PhaseList, fault.ErrRenumbered)
	}
	if err := fetch.Expunge(ctx, p.Fetcher.Store, p.row.ID, p.box.Validity, d.Gone); err != nil {
		return false, err
	}
	p.Changed(len(d.Gone), 0)
	quiet := len(d.Gone)+len(d.New) == 0
	if d.New, err = p.rebind(ctx, d.New); err != nil {
		return false, err
	}
	if !p.reuseChecked {
		again, err := p.reusedUIDs(ctx, have)
		if err != nil {
			return false, err
		}
		d.New, p.reuseChecked = append(d.New, again...), true
		quiet = quiet && len(again) == 0
	}
	damaged, err := p.damaged(ctx)
	if err != nil {
		return false, err
	}
	if len(damaged) > 0 {
		quiet = false
		d.New = append(d.New, damaged...)
		slices.Sort(d.New)
		d.New = slices.Compact(d.New)
	}
	d.New = slices.DeleteFunc(d.New, func(uid storage.UID) bool { return p.untried[uid] })
	p.Show(p.row.Path, int64(len(p.listing)-len(d.New)), int64(len(p.listing)))
	if err := p.fetching.Fetch(ctx, p.listing, d.New); err != nil {
		return false, err
	}
	if !quiet { // otherwise nothing took any time since the listing
		if err := p.box.Session().Noop(ctx); err != nil {
			return false, fault.In(fault.PhaseList, err)
		}
	}
	if p.box.Renumbered() {
		return false, fault.In(fault.PhaseList, fault.ErrRenumbered)
	}
	return p.box.Changed() || empty && len(p.listing) > 0 || p.box.Session().Exists() != p.box.Counted(), nil
}

// damaged returns the listed messages whose stored bytes a repair has found
// missing or damaged.
func (p *pass) damaged(ctx context.Context) (all []storage.UID, err error) {
	err = p.Fetcher.Store.Read(ctx, func(r *storage.Reader) error {
		all, err = r.Refetch(p.row.ID, p.box.Validity)
		return err
	})
	return slices.DeleteFunc(all, func(uid storage.UID) bool {
		_, listed := slices.BinarySearch(p.listing, uid)
		return !listed
	}), fault.In(fault.PhaseStore, err)
}

// confirmGone lists again on a new connection before a mass of messages goes.
// Only what both listings lack is gone.
func (p *pass) confirmGone(ctx context.Context, first plan.Difference, have []storage.UID) (plan.Difference, error) {
	if err := p.relist(ctx); err != nil {
		return first, err
	}
	second := plan.Compare(p.listing, have)
	second.Gone = slices.DeleteFunc(second.Gone, func(uid storage.UID) bool {
		_, missed := slices.BinarySearch(first.Gone, uid)
		return !missed
	})
	return second, nil
}

// verifyGone asks for the messages that are to go. A server that still delivers
// one of them has listed wrongly, and nothing goes.
func (p *pass) verifyGone(ctx context.Context, gone []storage.UID) error {
	if len(gone) == 0 {
		return nil
	}
	alive := false
	take := imap.FetchHandler{Fetch: func(*imap.Message) error {
		alive = true
		return nil
	}}
	err := fault.In(fault.PhaseList, p.box.Session().UIDFetch(ctx, mailbox.SetOf(gone), []imap.Item{imap.ItemState},
		take))
	if alive {
		return fault.In(fault.PhaseList, fmt.Errorf("%s: a message is given that the listing lacks: %w", p.row.Path,
			fault.ErrDisagrees))
	}
	if !p.box.Refused(err) {
		return err
	}
	if len(p.listing) > 0 { // some servers refuse a set of which nothing is left
		return nil
	}
	// An empty mailbox is not searched, so EXISTS stands alone: a new
	// connection must confirm it.
	if err := p.relist(ctx); err != nil {
		return err
	}
	if len(p.listing) > 0 {
		return fault.In(fault.PhaseList, fmt.Errorf("%s: only one of two connections shows it empty: %w", p.row.Path,
			fault.ErrDisagrees))
	}
	return nil
}

// confirmBuilt reports whether the generation that was built may replace the
// shown one. If it has so much less that a mass of messages would go, or its
// listing does not agree with EXISTS, a listing on a new connection must say
// the same.
func (p *pass) confirmBuilt(ctx context.Context) (bool, error) {
	mass := plan.Mass(int(p.row.Total)-len(p.listing), int(p.row.Total))
	if p.builtConfirmed || p.row.Building == nil || !mass && p.box.Agrees() {
		return true, nil
	}
	first := p.listing
	if err := p.relist(ctx); err != nil {
		return false, err
	}
	p.builtConfirmed = slices.Equal(first, p.listing)
	return p.builtConfirmed, nil
}

// relist lists the same generation of the mailbox on a new connection.
func (p *pass) relist(ctx context.Context) (err error) {
	p.listing, err = p.box.Relist(ctx)
	return err
}

// uidNext returns the mailbox's UIDNEXT. Where EXAMINE does not say it, STATUS
// did. 0 means that neither did.
func (p *pass) uidNext() storage.UID {
	next := storage.UID(p.box.Selected.UIDNext)
	if next == 0 && p.Said.UIDValidity == p.box.Validity {
		next = p.Said.UIDNext
	}
	return next
}

// end closes the pass in one transaction: it shows the generation, sets what
// the next pass compares with STATUS, and completes the task.
func (p *pass) end(ctx context.Context, moved bool) error {
	failpoint.Hit("engine.beforePassEnd")
	modseq := storage.ModSeq(p.box.Selected.HighestModSeq)
	done := storage.Pass{UIDNext: p.uidNext(), Total: int64(len(p.listing)), ModSeq: modseq, Unseen: p.Said.Unseen,
		At: time.Now().UTC()}
	if p.flagsShort { // the next pass opens it
		done.ModSeq, done.Unseen, modseq = 0, nil, 0
	}
	if n := len(p.listing); n > 0 {
		done.UIDNext = max(done.UIDNext, p.listing[n-1]+1)
	}
	if counted := int64(p.box.Counted()); !p.box.Agrees() {
		done.Exists = &counted
	}
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			m, err := tx.Mailbox(p.row.ID)
			if err != nil {
				return err
			}
			if m.Building != nil && *m.Building == p.box.Validity {
				stored, err := tx.HasEntries(m.ID, p.box.Validity)
				if err != nil {
					return err
				}
				if stored || len(p.listing) == 0 {
					if err := tx.SwitchGeneration(m.ID, modseq); err != nil {
						return err
					}
				} else { // every message of it is quarantined: the old generation is better than none
					moved = true
				}
			}
			if p.box.Agrees() {
				gone := plan.Compare(p.listing, p.fetching.Quarantined()).Gone
				if err := tx.ReleaseGone(m.ID, p.box.Validity, gone); err != nil {
					return err
				}
			}
			if moved { // it kept changing: the next pass goes on
				if err := tx.BreakPass(m.ID); err != nil {
					return err
				}
			} else if err := tx.EndPass(m.ID, done); err != nil {
				return err
			}
			if p.allCompared && !p.flagsShort {
				if err := tx.SetFlagsPlace(m.ID, true, 0, p.Wall()); err != nil {
					return err
				}
			}
			return p.CompleteTx(tx)
		}))
}
