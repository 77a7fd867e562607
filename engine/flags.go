package engine

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

// flags brings the flags of what is stored up to date: by CHANGEDSINCE where the server keeps MODSEQ and never promised
// less than it did, else by comparing all of them.
func (p *pass) flags(ctx context.Context, stored []storage.Listed) error {
	if len(stored) == 0 || p.s.Exists() == 0 { // nothing here or nothing there
		return nil
	}
	since, now := p.mailbox.ModSeq, storage.ModSeq(p.selected.HighestModSeq)
	condstore := p.s.Has("CONDSTORE") && !p.selected.NoModSeq && now > 0
	if p.mailbox.Building != nil {
		since = 0 // the watermark is the shown generation's
	}
	if !condstore || now < since {
		since = 0
	}
	if since > 0 && since == now {
		return nil
	}
	c := &flagCheck{p: p, stored: stored, told: make([]bool, len(stored)), changes: map[int]storage.FlagChange{}, unsaid: map[int]bool{}}
	mark := condstore && p.mailbox.Building == nil
	if since > 0 {
		err := c.ask(ctx, 0, len(stored), since)
		switch {
		case err == nil && !c.over:
			p.short = len(c.unsaid) > 0
			return c.apply(ctx, mark, now)
		case err != nil && !p.refused(err):
			return err
		}
		c.drop() // some offer CONDSTORE and do not know how; and more changes than are kept at once come in parts
	}
	for from, most := 0, p.w.e.o.caps.Flags; from < len(stored); from += most {
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
			return p.tooMany(phaseFlags, uint64(c.octets), "octets of new flags in one answer", p.w.e.o.caps.Octets)
		}
	}
	return nil
}

// flagCheck is one comparison of the flags of what is stored. It holds the changes of one answer and no more of them than the caps
// allow.
type flagCheck struct {
	p            *pass
	stored       []storage.Listed
	told         []bool // of stored: its flags were given
	heard, asked int    // how many of them, and of how many that was asked
	changes      map[int]storage.FlagChange
	octets       int          // of the flags in changes
	unsaid       map[int]bool // of stored: they were named without their flags
	over         bool         // changes lacks some
}

// ask asks for the flags of stored[from:to].
func (c *flagCheck) ask(ctx context.Context, from, to int, since storage.ModSeq) error {
	mute := c.p.choke().mute
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		i, known := slices.BinarySearchFunc(c.stored, storage.UID(m.UID), func(one storage.Listed, uid storage.UID) int {
			return cmp.Compare(one.UID, uid)
		})
		if !known || i < from || i >= to {
			return nil
		}
		if asked := !mute[c.stored[i].UID]; asked && !c.told[i] {
			c.hear(i, m.HasFlags)
		}
		if m.HasFlags {
			c.take(i, flagsOf(m.UID, m.State))
		}
		return nil
	}}
	set, asked := c.p.audible(c.stored[from:to])
	c.asked += asked
	return in(phaseFlags, c.p.uidFetch(ctx, set, since, []imap.Item{imap.ItemState}, take))
}

// hear notes that the server named stored[i], with its flags or without them.
func (c *flagCheck) hear(i int, told bool) {
	if c.told[i] = told; !told {
		c.unsaid[i] = true
		return
	}
	delete(c.unsaid, i)
	c.heard++
}

// take notes what the server says of stored[i]; what it says last counts.
func (c *flagCheck) take(i int, now storage.FlagChange) {
	before, noted := c.changes[i]
	if c.octets -= len(before.Flags); noted {
		delete(c.changes, i)
	}
	caps := c.p.w.e.o.caps
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
	if c.p.swapped {
		return in(phaseFlags, errSwapped)
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
	clear(c.unsaid)
	c.heard, c.asked, c.octets, c.over = 0, 0, 0, false
}

// broke gives an error that ended the comparison, and notes whose flags were due when the session broke behind those of others: the
// line was there.
func (c *flagCheck) broke(ctx context.Context, err error) error {
	if c.p.s.Err() == nil || stopped(ctx) || c.heard == 0 || c.heard >= c.asked {
		return err
	}
	mute := c.p.choke().mute
	for i, one := range c.stored {
		if !c.told[i] && !mute[one.UID] {
			return errors.Join(err, c.p.choked(ctx, one.UID))
		}
	}
	return err
}

// audible gives the set of what is stored, without the messages whose flags end sessions, and how many are asked for.
func (p *pass) audible(stored []storage.Listed) (set goimap.UIDSet, asked int) {
	mute := p.choke().mute
	if len(mute) == 0 {
		set.AddRange(goimap.UID(stored[0].UID), goimap.UID(stored[len(stored)-1].UID))
		return set, len(stored)
	}
	for _, one := range stored {
		if !mute[one.UID] {
			set.AddNum(goimap.UID(one.UID))
			asked++
		}
	}
	return set, asked
}

// refused is declined for a command within a mailbox: words about the mailbox answer nothing.
func (p *pass) refused(err error) bool { return fault.Declined(p.s, err) }

// choke is where comparisons of a mailbox's flags broke off, and whose flags are not asked for any more for that.
type choke struct {
	validity storage.UIDValidity
	at       storage.UID
	times    int
	mute     map[storage.UID]bool
}

// choke gives that of the mailbox as it is numbered now.
func (p *pass) choke() choke {
	if c := p.w.choking[p.mailbox.ID]; c.validity == p.validity {
		return c
	}
	return choke{validity: p.validity}
}

const (
	chokes    = 3  // how often in a row a comparison may break off at a message before its flags are what ends the session
	mostMutes = 10 // messages of a mailbox: more of them are the line's or the server's trouble
)

// choked notes that the session broke when the flags of a message were due. Those of one at which it broke again and again are not
// asked for by this worker any more.
func (p *pass) choked(ctx context.Context, at storage.UID) error {
	c := p.choke()
	if c.at != at {
		c.at, c.times = at, 0
	}
	c.times++
	var err error
	if c.times == chokes && len(c.mute) < mostMutes {
		if c.mute == nil {
			c.mute = map[storage.UID]bool{}
		}
		c.mute[at] = true
		p.w.narrowing.closer = true
		err = p.remark(context.WithoutCancel(ctx), at, Fault{
			Verdict: policy.Verdict{Class: Protocol, Scope: "message"}, Phase: phaseFlags, Command: "UID FETCH",
			Detail: "the session ends whenever the server is asked for the flags of this message: they may not be up to date"})
	}
	p.w.choking[p.mailbox.ID] = c
	return err
}

// askFlags asks for the flags of what a FETCH brought without them, and puts the watermark back that its batches
// dropped. When the session breaks, or the answer is short, it stays dropped, and the next pass compares all flags.
func (p *pass) askFlags(ctx context.Context, owed flagsOwed) error {
	if !owed.dropped {
		return nil
	}
	uids := owed.uids
	said := make(map[storage.UID]storage.FlagChange, len(uids))
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		if m.HasFlags {
			said[storage.UID(m.UID)] = flagsOf(m.UID, m.State)
		}
		return nil
	}}
	var err error
	if len(uids) > 0 {
		err = in(phaseFlags, p.s.UIDFetch(ctx, uidSet(uids), []imap.Item{imap.ItemState}, take))
		if p.refused(err) {
			err, uids = nil, nil // it cannot say them
		}
		if err != nil && p.s.Err() != nil && !stopped(ctx) && len(said) < len(uids) {
			err = errors.Join(err, p.choked(ctx, uids[len(said)]))
		}
	}
	if p.swapped {
		return errors.Join(in(phaseFlags, errSwapped), err)
	}
	if len(said) < len(uids) {
		p.short, p.mailbox.ModSeq = true, 0
	}
	settled := err == nil && p.mailbox.Building == nil
	return errors.Join(err, p.applyFlags(context.WithoutCancel(ctx), slices.Collect(maps.Values(said)), settled, p.mailbox.ModSeq))
}

// applyFlags commits changed flags in slices; the watermark moves with the last one.
func (p *pass) applyFlags(ctx context.Context, changes []storage.FlagChange, mark bool, now storage.ModSeq) error {
	for first := true; first || len(changes) > 0; first = false {
		n := min(len(changes), 1000)
		some := changes[:n]
		changes = changes[n:]
		last := len(changes) == 0
		failpoint.Hit("engine.beforeFlags")
		if err := p.w.e.store.Write(ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
			if _, err := tx.ApplyFlags(p.mailbox.ID, p.validity, some); err != nil {
				return err
			}
			if last && mark {
				return tx.SetModSeq(p.mailbox.ID, now)
			}
			return nil
		}); err != nil {
			return in(phaseStore, err)
		}
	}
	if mark {
		p.mailbox.ModSeq = now
	}
	return nil
}

// flagsOf gives what the server says of a message's flags, for the store.
func flagsOf(uid goimap.UID, st imap.State) storage.FlagChange {
	words := make([]string, len(st.Flags))
	for i, flag := range st.Flags {
		words[i] = string(flag)
	}
	return storage.FlagChange{UID: storage.UID(uid), Flags: storage.NewFlags(words), ModSeq: storage.ModSeq(st.ModSeq)}
}

// uidSet makes the set of some UIDs for the wire.
func uidSet(uids []storage.UID) goimap.UIDSet {
	var set goimap.UIDSet
	for _, uid := range uids {
		set.AddNum(goimap.UID(uid))
	}
	return set
}
