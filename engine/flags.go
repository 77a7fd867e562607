package engine

import (
	"context"
	"errors"
	"slices"

	goimap "github.com/emersion/go-imap/v2"

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
	have := make(map[storage.UID]storage.Flags, len(stored))
	for _, entry := range stored {
		have[entry.UID] = entry.Flags
	}
	set, asked := p.audible(stored)
	var changes []storage.FlagChange
	named := make(map[storage.UID]bool)
	told := make(map[storage.UID]bool, len(stored))
	h := p.handler()
	h.Fetch = func(m *imap.Message) error {
		flags, known := have[storage.UID(m.UID)]
		if known {
			named[storage.UID(m.UID)] = true
		}
		if known && m.HasFlags && set.Contains(m.UID) {
			told[storage.UID(m.UID)] = true
		}
		if now := flagsOf(m.Flags); known && m.HasFlags && now != flags {
			changes = append(changes, storage.FlagChange{UID: storage.UID(m.UID), Flags: now, ModSeq: storage.ModSeq(m.ModSeq)})
		}
		return nil
	}
	p.s.SetHandler(h)
	defer p.watch()
	err := in(phaseFlags, p.s.UIDFetch(ctx, set, []string{"UID", "FLAGS"}, uint64(since)))
	if since > 0 && p.refused(err) { // some offer CONDSTORE and do not know how
		changes, since = nil, 0
		clear(told)
		err = in(phaseFlags, p.s.UIDFetch(ctx, set, []string{"UID", "FLAGS"}, 0))
	}
	if err != nil {
		if since == 0 && p.s.Err() != nil && !stopped(ctx) && 0 < len(told) && len(told) < asked { // behind others: the line was there
			due := slices.IndexFunc(stored, func(one storage.Listed) bool { return !told[one.UID] && !p.choke().mute[one.UID] })
			err = errors.Join(err, p.choked(ctx, stored[due].UID))
		}
		return err
	}
	if p.swapped {
		return in(phaseFlags, errSwapped)
	}
	if since > 0 {
		asked = len(named) // what did not change is left out
	}
	if p.short = len(told) < asked; p.short { // it vouches for nothing, nor does what was vouched for before it
		now = 0
	}
	return p.applyFlags(ctx, changes, condstore && p.mailbox.Building == nil, now)
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
func (p *pass) refused(err error) bool { return declined(p.s, err) }

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
		err = p.remark(context.WithoutCancel(ctx), at, Fault{Class: Protocol, Scope: "message", Phase: phaseFlags, Command: "UID FETCH",
			Detail: "the session ends whenever the server is asked for the flags of this message: they may not be up to date"})
	}
	p.w.choking[p.mailbox.ID] = c
	return err
}

// askFlags asks for the flags of what the last FETCH brought without them, and puts the watermark back that its batches dropped. When
// the session breaks, or the answer is short, it stays dropped, and the next pass compares all flags.
func (p *pass) askFlags(ctx context.Context) error {
	uids, owing := p.unsaid, p.owing
	p.unsaid, p.owing = nil, false
	if !owing {
		return nil
	}
	var said []storage.FlagChange
	told := map[storage.UID]bool{}
	h := p.handler()
	h.Fetch = func(m *imap.Message) error {
		if _, asked := slices.BinarySearch(uids, storage.UID(m.UID)); asked && m.HasFlags {
			told[storage.UID(m.UID)] = true
			said = append(said, storage.FlagChange{UID: storage.UID(m.UID), Flags: flagsOf(m.Flags), ModSeq: storage.ModSeq(m.ModSeq)})
		}
		return nil
	}
	var err error
	if len(uids) > 0 {
		p.s.SetHandler(h)
		defer p.watch()
		if err = in(phaseFlags, p.s.UIDFetch(ctx, uidSet(uids), []string{"UID", "FLAGS"}, 0)); p.refused(err) {
			err, uids = nil, nil // it cannot say them
		}
		if err != nil && p.s.Err() != nil && !stopped(ctx) && len(said) < len(uids) {
			err = errors.Join(err, p.choked(ctx, uids[len(said)]))
		}
	}
	if p.swapped {
		return errors.Join(in(phaseFlags, errSwapped), err)
	}
	if len(told) < len(uids) {
		p.short, p.mailbox.ModSeq = true, 0
	}
	settled := err == nil && p.mailbox.Building == nil
	return errors.Join(err, p.applyFlags(context.WithoutCancel(ctx), said, settled, p.mailbox.ModSeq))
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

func flagsOf(flags []goimap.Flag) storage.Flags {
	words := make([]string, len(flags))
	for i, flag := range flags {
		words[i] = string(flag)
	}
	return storage.NewFlags(words)
}

// uidSet makes the set of some UIDs for the wire.
func uidSet(uids []storage.UID) goimap.UIDSet {
	var set goimap.UIDSet
	for _, uid := range uids {
		set.AddNum(goimap.UID(uid))
	}
	return set
}
