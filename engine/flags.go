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
	if len(stored) == 0 {
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
	var changes []storage.FlagChange
	told := make(map[storage.UID]bool, len(stored))
	h := p.handler()
	h.Fetch = func(m *imap.Message) error {
		flags, known := have[storage.UID(m.UID)]
		if known && m.HasFlags {
			told[storage.UID(m.UID)] = true
		}
		if now := flagsOf(m.Flags); known && m.HasFlags && now != flags {
			changes = append(changes, storage.FlagChange{UID: storage.UID(m.UID), Flags: now, ModSeq: storage.ModSeq(m.ModSeq)})
		}
		return nil
	}
	p.s.SetHandler(h)
	defer p.watch()
	var set goimap.UIDSet
	set.AddRange(goimap.UID(stored[0].UID), goimap.UID(stored[len(stored)-1].UID))
	err := in(phaseFlags, p.s.UIDFetch(ctx, set, []string{"UID", "FLAGS"}, uint64(since)))
	if since > 0 && p.refused(err) { // some offer CONDSTORE and do not know how
		changes, since = nil, 0
		err = in(phaseFlags, p.s.UIDFetch(ctx, set, []string{"UID", "FLAGS"}, 0))
	}
	if err != nil {
		return err
	}
	if p.swapped {
		return in(phaseFlags, errSwapped)
	}
	all := since > 0 || len(told) == len(stored) // an answer that is short vouches for nothing
	return p.applyFlags(ctx, changes, all && condstore && p.mailbox.Building == nil, now)
}

// refused says whether an error, with its phase, is the server's NO or BAD to what was asked, in a session that lives. Words about a
// limit, the line or the mailbox answer nothing: a server that is throttled knows no more of a message than before.
func (p *pass) refused(err error) bool {
	var answer *imap.StatusError
	if !errors.As(err, &answer) || p.s.Err() != nil {
		return false
	}
	class := Classify(err).Class
	return class == Parsing || class == Protocol || class == Bug
}

// askFlags asks for the flags of messages that came without them: they may be older than what the watermark covers, and a server
// with MODSEQ is not asked for them again. What it does not say even now is unknown until it changes.
func (p *pass) askFlags(ctx context.Context, uids []storage.UID) error {
	if len(uids) == 0 {
		return nil
	}
	var said []storage.FlagChange
	h := p.handler()
	h.Fetch = func(m *imap.Message) error {
		if _, asked := slices.BinarySearch(uids, storage.UID(m.UID)); asked && m.HasFlags {
			said = append(said, storage.FlagChange{UID: storage.UID(m.UID), Flags: flagsOf(m.Flags), ModSeq: storage.ModSeq(m.ModSeq)})
		}
		return nil
	}
	p.s.SetHandler(h)
	defer p.watch()
	err := in(phaseFlags, p.s.UIDFetch(ctx, uidSet(uids), []string{"UID", "FLAGS"}, 0))
	if p.refused(err) {
		err = nil
	}
	return errors.Join(err, p.applyFlags(context.WithoutCancel(ctx), said, false, 0))
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
