package reconcile

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// flags brings the flags of what is stored up to date: by CHANGEDSINCE where the server keeps MODSEQ and never promised
// less than it did, else by comparing all of them.
func (p *pass) flags(ctx context.Context, stored []storage.Listed) error {
	if len(stored) == 0 || p.box.Session().Exists() == 0 { // nothing here or nothing there
		return nil
	}
	since, now := p.row.ModSeq, storage.ModSeq(p.box.Selected.HighestModSeq)
	condstore := p.box.Session().Has("CONDSTORE") && !p.box.Selected.NoModSeq && now > 0
	if p.row.Building != nil {
		since = 0 // the watermark is the shown generation's
	}
	if !condstore || now < since {
		since = 0
	}
	if since > 0 && since == now {
		return nil
	}
	c := &flagCheck{p: p, stored: stored, told: make([]bool, len(stored)), changes: map[int]storage.FlagChange{},
		flagsPending: map[int]bool{}}
	mark := condstore && p.row.Building == nil
	if since > 0 {
		err := c.ask(ctx, 0, len(stored), since)
		switch {
		case err == nil && !c.over:
			p.short = len(c.flagsPending) > 0
			return c.apply(ctx, mark, now)
		case err != nil && !p.box.Refused(err):
			return err
		}
		c.drop() // some offer CONDSTORE and do not know how; and more changes than are kept at once come in parts
	}
	for from, most := 0, p.Fetcher.Caps.Flags; from < len(stored); from += most {
		to := min(from+most, len(stored))
		if err := c.ask(ctx, from, to, 0); err != nil {
			return c.broke(ctx, err)
		}
		last := to == len(stored)
		p.short = last && c.heard < c.asked // an answer that is short vouches for nothing
		if err := c.apply(ctx, last && mark && !c.over, now); err != nil {
			return err
		}
		if c.over { // the next pass has fewer of them left
			return p.box.TooMany(fault.PhaseFlags, uint64(c.octets), "octets of new flags in one answer",
				p.Fetcher.Caps.Octets)
		}
	}
	return nil
}

// flagCheck is one comparison of the flags of what is stored. It holds the changes of one answer and no more of
// them than the caps allow.
type flagCheck struct {
	p            *pass
	stored       []storage.Listed
	told         []bool // of stored: its flags were given
	heard, asked int    // how many of them, and of how many that was asked
	changes      map[int]storage.FlagChange
	octets       int          // of the flags in changes
	flagsPending map[int]bool // of stored: they were named without their flags
	over         bool         // changes lacks some
}

// ask asks for the flags of stored[from:to].
func (c *flagCheck) ask(ctx context.Context, from, to int, since storage.ModSeq) error {
	skipped := c.p.flagFailures().skipped
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		i, known := slices.BinarySearchFunc(c.stored, storage.UID(m.UID),
			func(one storage.Listed, uid storage.UID) int {
				return cmp.Compare(one.UID, uid)
			})
		if !known || i < from || i >= to {
			return nil
		}
		if asked := !skipped[c.stored[i].UID]; asked && !c.told[i] {
			c.hear(i, m.HasFlags)
		}
		if m.HasFlags {
			c.take(i, mailbox.FlagsOf(m.UID, m.State))
		}
		return nil
	}}
	set, asked := c.p.audible(c.stored[from:to])
	c.asked += asked
	return fault.In(fault.PhaseFlags, c.p.box.Fetch(ctx, set, since, []imap.Item{imap.ItemState}, take))
}

// hear notes that the server named stored[i], with its flags or without them.
func (c *flagCheck) hear(i int, told bool) {
	if c.told[i] = told; !told {
		c.flagsPending[i] = true
		return
	}
	delete(c.flagsPending, i)
	c.heard++
}

// take notes what the server says of stored[i]; what it says last counts.
func (c *flagCheck) take(i int, now storage.FlagChange) {
	before, noted := c.changes[i]
	if c.octets -= len(before.Flags); noted {
		delete(c.changes, i)
	}
	caps := c.p.Fetcher.Caps
	switch {
	case now.Flags.Sum(c.p.seed) == c.stored[i].Flags:
	case len(c.changes) >= caps.Flags || c.octets+len(now.Flags) > caps.Octets:
		c.over = true
	default:
		c.changes[i] = now
		c.octets += len(now.Flags)
	}
}

// apply stores the changes, and with mark that all flags are as they are at now.
func (c *flagCheck) apply(ctx context.Context, mark bool, now storage.ModSeq) error {
	if c.p.box.Renumbered() {
		return fault.In(fault.PhaseFlags, fault.ErrRenumbered)
	}
	changes := make([]storage.FlagChange, 0, len(c.changes))
	for _, i := range slices.Sorted(maps.Keys(c.changes)) {
		c.stored[i].Flags = c.changes[i].Flags.Sum(c.p.seed)
		changes = append(changes, c.changes[i])
	}
	clear(c.changes)
	if c.p.short { // it vouches for nothing, nor does what was vouched for before it
		now = 0
	}
	return c.p.applyFlags(ctx, changes, mark, now)
}

// drop begins anew.
func (c *flagCheck) drop() {
	clear(c.told)
	clear(c.changes)
	clear(c.flagsPending)
	c.heard, c.asked, c.octets, c.over = 0, 0, 0, false
}

// broke gives an error that ended the comparison, and notes whose flags were due when the session broke behind
// those of others: the line was there.
func (c *flagCheck) broke(ctx context.Context, err error) error {
	if c.p.box.Session().Err() == nil || fault.Stopped(ctx) || c.heard == 0 || c.heard >= c.asked {
		return err
	}
	skipped := c.p.flagFailures().skipped
	for i, one := range c.stored {
		if !c.told[i] && !skipped[one.UID] {
			return errors.Join(err, c.p.flagsFailed(ctx, one.UID))
		}
	}
	return err
}

// audible gives the set of what is stored, without the messages whose flags end sessions, and how many are asked for.
func (p *pass) audible(stored []storage.Listed) (set goimap.UIDSet, asked int) {
	skipped := p.flagFailures().skipped
	if len(skipped) == 0 {
		set.AddRange(goimap.UID(stored[0].UID), goimap.UID(stored[len(stored)-1].UID))
		return set, len(stored)
	}
	for _, one := range stored {
		if !skipped[one.UID] {
			set.AddNum(goimap.UID(one.UID))
			asked++
		}
	}
	return set, asked
}

// flagFailures is where comparisons of a mailbox's flags broke off, and whose flags are not asked for any more
// for that.
type flagFailures struct {
	validity storage.UIDValidity
	at       storage.UID
	times    int
	skipped  map[storage.UID]bool
}

// flagFailures gives that of the mailbox as it is numbered now.
func (p *pass) flagFailures() flagFailures {
	if c := p.Memory.failures[p.row.ID]; c.validity == p.box.Validity {
		return c
	}
	return flagFailures{validity: p.box.Validity}
}

const (
	// how often in a row a comparison may break off at a message before its flags are what ends the session
	MaxFlagFailures = 3
	MaxSkipped      = 10 // messages of a mailbox: more of them are the line's or the server's trouble
)

// flagsFailed notes that the session broke when the flags of a message were due. Those of one at which it broke
// again and again are not asked for on this stream any more.
func (p *pass) flagsFailed(ctx context.Context, at storage.UID) error {
	c := p.flagFailures()
	if c.at != at {
		c.at, c.times = at, 0
	}
	c.times++
	var err error
	if c.times == MaxFlagFailures && len(c.skipped) < MaxSkipped {
		if c.skipped == nil {
			c.skipped = map[storage.UID]bool{}
		}
		c.skipped[at] = true
		p.Fetcher.Bisection().Closer()
		err = p.record(context.WithoutCancel(ctx), at, fault.Fault{
			Verdict: policy.Verdict{Class: class.Protocol,
				Scope: "message"}, Phase: fault.PhaseFlags, Command: "UID FETCH",
			Detail: "the session ends whenever the server is asked for the flags of this message: they may not be up " +
				"to date"})
	}
	if p.Memory.failures == nil {
		p.Memory.failures = map[storage.MailboxID]flagFailures{}
	}
	p.Memory.failures[p.row.ID] = c
	return err
}

// askFlags asks for the flags of what a FETCH brought without them, and puts the watermark back that its batches
// dropped. When the session breaks, or the answer is short, it stays dropped, and the next pass compares all flags.
func (p *pass) askFlags(ctx context.Context, owed fetch.FlagsPending) error {
	if !owed.Dropped {
		return nil
	}
	uids := owed.UIDs
	said := make(map[storage.UID]storage.FlagChange, len(uids))
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if m.HasFlags {
			said[storage.UID(m.UID)] = mailbox.FlagsOf(m.UID, m.State)
		}
		return nil
	}}
	var err error
	if len(uids) > 0 {
		err = fault.In(fault.PhaseFlags, p.box.Session().UIDFetch(ctx, mailbox.SetOf(uids),
			[]imap.Item{imap.ItemState}, take))
		if p.box.Refused(err) {
			err, uids = nil, nil // it cannot say them
		}
		if err != nil && p.box.Session().Err() != nil && !fault.Stopped(ctx) && len(said) < len(uids) {
			err = errors.Join(err, p.flagsFailed(ctx, uids[len(said)]))
		}
	}
	if p.box.Renumbered() {
		return mailbox.Renumber(fault.PhaseFlags, err)
	}
	if len(said) < len(uids) {
		p.short, p.row.ModSeq = true, 0
	}
	settled := err == nil && p.row.Building == nil
	return errors.Join(err, p.applyFlags(context.WithoutCancel(ctx), slices.Collect(maps.Values(said)), settled,
		p.row.ModSeq))
}

// applyFlags commits changed flags in slices; the watermark moves with the last one.
func (p *pass) applyFlags(ctx context.Context, changes []storage.FlagChange, mark bool, now storage.ModSeq) error {
	for first := true; first || len(changes) > 0; first = false {
		n := min(len(changes), 1000)
		some := changes[:n]
		changes = changes[n:]
		last := len(changes) == 0
		failpoint.Hit("engine.beforeFlags")
		if err := p.Fetcher.Store.Write(ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
			if _, err := tx.ApplyFlags(p.row.ID, p.box.Validity, some); err != nil {
				return err
			}
			if last && mark {
				return tx.SetModSeq(p.row.ID, now)
			}
			return nil
		}); err != nil {
			return fault.In(fault.PhaseStore, err)
		}
	}
	if mark {
		p.row.ModSeq = now
	}
	return nil
}

// record records what is odd about the flags of a message.
func (p *pass) record(ctx context.Context, uid storage.UID, f fault.Fault) error {
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			return p.Fetching.RecordTx(tx, uid, f, true)
		}))
}
