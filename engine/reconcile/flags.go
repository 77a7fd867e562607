package reconcile

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/fetch"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/failpoint"
)

// flagSync is the part of a pass that makes the flags of stored messages equal
// to the server's.
type flagSync struct{ *pass }

// flags updates the flags of stored messages. It uses CHANGEDSINCE if the
// server's MODSEQ can be relied on. Otherwise it compares all flags.
func (p flagSync) flags(ctx context.Context, stored []storage.UID) error {
	condstore, now := p.condstore()
	since := p.row.ModSeq
	fell := since > 0 && (!condstore || now < since)
	if p.row.Building != nil || fell { // then the watermark is the shown generation's, or worth nothing
		since = 0
	}
	if len(stored) == 0 || p.box.Session().Exists() == 0 { // nothing here or nothing there
		p.allCompared = len(stored) == 0
		if fell && p.row.Building == nil {
			return p.applyFlags(ctx, flagUpdate{anew: true, advance: true})
		}
		return nil
	}
	doubted := since > 0 && !p.doubtSettled && (p.Verify || plan.Hides(p.row, p.Said))
	if since > 0 && since == now && !doubted {
		return nil
	}
	c := &flagCheck{p: p, stored: stored, answered: make([]bool, len(stored)), changes: map[int]storage.FlagChange{},
		flagsPending: map[int]bool{}}
	advance := condstore && p.row.Building == nil
	if since > 0 && !doubted {
		err := c.ask(ctx, 0, len(stored), since)
		switch {
		case err == nil && !c.overflowed:
			p.flagsShort = len(c.flagsPending) > 0
			return c.apply(ctx, advance, now)
		case err != nil && !p.box.Refused(err):
			return err
		}
		// Some servers offer CONDSTORE and do not know how. And more changes
		// than are kept at once come in parts.
		c.reset()
	}
	var err error
	if c.anew, err = p.countsAnew(ctx, condstore, now); err != nil {
		return err
	}
	if c.unmoved = since; doubted && since == now { // the differences are older than this EXAMINE
		c.unmoved = math.MaxInt64
	}
	for from, most := 0, p.Fetcher.Caps.Flags; from < len(stored); from += most {
		to := min(from+most, len(stored))
		if err := c.ask(ctx, from, to, 0); err != nil {
			return c.noteBreak(ctx, err)
		}
		last := to == len(stored)
		p.flagsShort = last && c.received < c.asked // a short answer vouches for nothing
		if err := c.apply(ctx, last && advance && !c.overflowed, now); err != nil {
			return err
		}
		if c.overflowed { // the next pass has fewer of them left
			return p.box.TooMany(fault.PhaseFlags, uint64(c.octets), "octets of new flags in one answer",
				p.Fetcher.Caps.Octets)
		}
	}
	p.allCompared, p.doubtSettled = true, true
	return nil
}

// flagCheck is one comparison of the flags of stored messages. It has the
// changes of one answer, as many as the caps allow.
type flagCheck struct {
	p               flagSync
	stored          []storage.UID
	window          []storage.Listed // some of them, with their flags: see at
	answered        []bool           // by index of stored: its flags came
	received, asked int              // messages whose flags came, and messages asked for
	changes         map[int]storage.FlagChange
	octets          int            // of the flags in changes
	flagsPending    map[int]bool   // by index of stored: an answer came without flags
	overflowed      bool           // the caps left changes out
	unmoved         storage.ModSeq // a message up to which has not changed, says the server; 0: it says nothing
	hidden          bool           // flags of such a message differ
	anew            bool           // the stored MODSEQs are worth nothing
}

// ask asks for the flags of stored[from:to].
func (c *flagCheck) ask(ctx context.Context, from, to int, since storage.ModSeq) error {
	skipped := c.p.flagFailures().skipped
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		i, found := slices.BinarySearch(c.stored, storage.UID(m.UID))
		if !found || i < from || i >= to {
			return nil
		}
		if asked := !skipped[c.stored[i]]; asked && !c.answered[i] {
			c.noteAnswer(i, m.HasFlags)
		}
		if m.HasFlags {
			return c.noteFlags(ctx, i, mailbox.FlagsOf(m.UID, m.State))
		}
		return nil
	}}
	set, asked := c.p.askable(c.stored[from:to])
	c.asked += asked
	return fault.In(fault.PhaseFlags, c.p.box.Fetch(ctx, set, since, []imap.Item{imap.ItemState}, take))
}

// noteAnswer notes that the server answered for stored[i], with its flags or
// without.
func (c *flagCheck) noteAnswer(i int, hasFlags bool) {
	if c.answered[i] = hasFlags; !hasFlags {
		c.flagsPending[i] = true
		return
	}
	delete(c.flagsPending, i)
	c.received++
}

// flagWindow is how many messages' flags are read from the store at once.
const flagWindow = 1000

// at returns stored[i] with its flags, or nothing if it is gone meanwhile.
// Answers ascend, so a window of messages is read ahead. One that comes late is
// read alone: a server that answers in any order causes no more than that.
func (c *flagCheck) at(ctx context.Context, i int) (all []storage.Listed, err error) {
	uid := c.stored[i]
	in, ahead := storage.Range{Lo: uid, Hi: uid}, true
	if n := len(c.window); n > 0 && uid <= c.window[n-1].UID {
		at, found := slices.BinarySearchFunc(c.window, uid, func(one storage.Listed, uid storage.UID) int {
			return cmp.Compare(one.UID, uid)
		})
		if found {
			return c.window[at : at+1], nil
		}
		ahead = false
	}
	if ahead {
		in.Hi = c.stored[min(i+flagWindow, len(c.stored))-1]
	}
	if err = c.p.Fetcher.Store.Read(ctx, func(r *storage.Reader) (err error) {
		all, err = r.EntriesIn(c.p.row.ID, c.p.box.Validity, in, 0, c.p.seed)
		return err
	}); err != nil {
		return nil, fault.In(fault.PhaseStore, err)
	}
	if ahead {
		c.window = all
	}
	if len(all) == 0 || all[0].UID != uid {
		return nil, nil
	}
	return all[:1], nil
}

// noteFlags notes the flags of stored[i]. The last answer counts.
func (c *flagCheck) noteFlags(ctx context.Context, i int, now storage.FlagChange) error {
	have, err := c.at(ctx, i)
	if len(have) == 0 {
		return err
	}
	before, noted := c.changes[i]
	if c.octets -= len(before.Flags); noted {
		delete(c.changes, i)
	}
	caps := c.p.Fetcher.Caps
	switch {
	case now.Flags.Sum(c.p.seed) == have[0].Flags:
	case len(c.changes) >= caps.Flags || c.octets+len(now.Flags) > caps.Octets:
		c.overflowed = true
	default:
		c.changes[i] = now
		c.octets += len(now.Flags)
		c.hidden = c.hidden || c.hides(now)
	}
	return nil
}

// hides reports whether flags differ of which the server says that they have
// not changed.
func (c *flagCheck) hides(now storage.FlagChange) bool {
	if c.unmoved == math.MaxInt64 {
		return true
	}
	return now.ModSeq > 0 && now.ModSeq <= c.unmoved
}

// apply stores the changes. With advance it also stores that all flags are as
// of now.
func (c *flagCheck) apply(ctx context.Context, advance bool, now storage.ModSeq) error {
	if c.p.box.Renumbered() {
		return fault.In(fault.PhaseFlags, fault.ErrRenumbered)
	}
	u := flagUpdate{changes: make([]storage.FlagChange, 0, len(c.changes)), advance: advance, now: now, anew: c.anew,
		hidden: c.hidden}
	for _, i := range slices.Sorted(maps.Keys(c.changes)) {
		u.changes = append(u.changes, c.changes[i])
	}
	clear(c.changes)
	// a short answer vouches for nothing and ends what was vouched for before,
	// and so does a MODSEQ that hides changes
	if c.p.flagsShort || c.hidden {
		u.now = 0
	}
	c.anew = false
	return c.p.applyFlags(ctx, u)
}

// reset begins the comparison anew.
func (c *flagCheck) reset() {
	clear(c.answered)
	clear(c.changes)
	clear(c.flagsPending)
	c.received, c.asked, c.octets, c.overflowed, c.window = 0, 0, 0, false, nil
}

// noteBreak returns the error that ended the comparison. If the session broke
// after the flags of some messages, the connection worked, and noteBreak notes
// whose flags were due.
func (c *flagCheck) noteBreak(ctx context.Context, err error) error {
	if c.p.box.Session().Err() == nil || fault.Stopped(ctx) || c.received == 0 || c.received >= c.asked {
		return err
	}
	skipped := c.p.flagFailures().skipped
	for i, uid := range c.stored {
		if !c.answered[i] && !skipped[uid] {
			return errors.Join(err, c.p.flagsFailed(ctx, uid))
		}
	}
	return err
}

// askable returns the set of stored messages without those whose flags end
// sessions, and how many are asked for.
func (p flagSync) askable(stored []storage.UID) (set goimap.UIDSet, asked int) {
	skipped := p.flagFailures().skipped
	if len(skipped) == 0 {
		set.AddRange(goimap.UID(stored[0]), goimap.UID(stored[len(stored)-1]))
		return set, len(stored)
	}
	for _, uid := range stored {
		if !skipped[uid] {
			set.AddNum(goimap.UID(uid))
			asked++
		}
	}
	return set, asked
}

// flagFailures is where comparisons of a mailbox's flags broke off, and whose
// flags are skipped for that.
type flagFailures struct {
	validity storage.UIDValidity
	at       storage.UID
	times    int
	skipped  map[storage.UID]bool
}

// flagFailures returns those of the mailbox under its present UIDVALIDITY.
func (p flagSync) flagFailures() flagFailures {
	if c := p.Memory.failures[p.row.ID]; c.validity == p.box.Validity {
		return c
	}
	return flagFailures{validity: p.box.Validity}
}

const (
	// MaxFlagFailures is how often in a row a comparison may break off at a
	// message before its flags are blamed.
	MaxFlagFailures = 3
	// MaxSkipped bounds the messages of a mailbox whose flags are skipped. More
	// are the trouble of the connection or the server.
	MaxSkipped = 10
)

// flagsFailed notes that the session broke when the flags of a message were
// due. If it keeps breaking there, the flags of that message are skipped on
// this stream from now on.
func (p flagSync) flagsFailed(ctx context.Context, at storage.UID) error {
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
		err = p.recordOdd(context.WithoutCancel(ctx), at, fault.Fault{
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

// askFlags asks for the flags that a FETCH left out, and restores the watermark
// that its batches dropped. If the session breaks or the answer is short, the
// watermark stays dropped and the next pass compares all flags.
func (p flagSync) askFlags(ctx context.Context, pending fetch.FlagsPending) error {
	if !pending.Dropped {
		return nil
	}
	uids := pending.UIDs
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
			err, uids = nil, nil // the server cannot send them
		}
		if err != nil && p.box.Session().Err() != nil && !fault.Stopped(ctx) && len(said) < len(uids) {
			err = errors.Join(err, p.flagsFailed(ctx, uids[len(said)]))
		}
	}
	if p.box.Renumbered() {
		return mailbox.Renumber(fault.PhaseFlags, err)
	}
	if len(said) < len(uids) {
		p.flagsShort, p.row.ModSeq = true, 0
	}
	complete := err == nil && p.row.Building == nil
	return errors.Join(err, p.applyFlags(context.WithoutCancel(ctx), flagUpdate{
		changes: slices.Collect(maps.Values(said)), advance: complete, now: p.row.ModSeq}))
}

// flagUpdate is what a comparison of flags stores.
type flagUpdate struct {
	changes []storage.FlagChange
	advance bool           // the watermark becomes now
	now     storage.ModSeq // 0: nothing is vouched for
	anew    bool           // the stored MODSEQs are worth nothing
	hidden  bool           // MODSEQ had not shown the changes
}

// applyFlags commits changed flags in slices. Stored MODSEQs are cleared with
// the first, or they would keep the changes out. The watermark moves with the
// last.
func (p flagSync) applyFlags(ctx context.Context, u flagUpdate) error {
	for first := true; first || len(u.changes) > 0; first = false {
		n := min(len(u.changes), 1000)
		some := u.changes[:n]
		u.changes = u.changes[n:]
		last := len(u.changes) == 0
		changed := 0
		failpoint.Hit("engine.beforeFlags")
		if err := p.Fetcher.Store.Write(ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
			if first && (u.anew || u.hidden) {
				if err := p.clearModSeqs(tx, u.hidden); err != nil {
					return err
				}
			}
			var err error
			if changed, err = tx.ApplyFlags(p.row.ID, p.box.Validity, some); err != nil {
				return err
			}
			if last && u.advance {
				return tx.SetModSeq(p.row.ID, u.now)
			}
			return nil
		}); err != nil {
			return fault.In(fault.PhaseStore, err)
		}
		p.Changed(0, changed)
	}
	if u.advance {
		p.row.ModSeq = u.now
	}
	if u.hidden {
		p.row.HiddenAt = p.Wall()
	}
	return nil
}

// recordOdd records what is odd about the flags of a message.
func (p flagSync) recordOdd(ctx context.Context, uid storage.UID, f fault.Fault) error {
	return fault.In(fault.PhaseStore, p.Fetcher.Store.Write(ctx, storage.Interactive, 0,
		func(tx *storage.Writer) error {
			return p.Fetching.RecordTx(tx, uid, f, true)
		}))
}
