package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"mailcote/engine/plan"
	"mailcote/storage"
)

const (
	pageStart = 500 // UIDs of the first page
	pageMost  = 500
	pageLeast = 1
)

// suspicion remembers the page during which sessions break, so that a message that breaks them is found by halving.
type suspicion struct {
	mailbox storage.MailboxID
	page    []storage.UID // what was asked for and had not come when the session broke
	times   int           // how often in a row
	barren  bool          // nothing of the page came
}

// fetchAll brings messages, newest first, page by page.
func (p *pass) fetchAll(ctx context.Context, todo []storage.UID) error {
	for len(todo) > 0 {
		page, rest := plan.Page(todo, p.w.page)
		missing, err := p.fetch(ctx, page)
		if err != nil {
			return err
		}
		if err := p.without(ctx, missing); err != nil {
			return err
		}
		p.w.page = min(p.w.page*2, pageMost)
		todo = rest
	}
	return nil
}

// blame notes which messages were outstanding when a session broke. One that breaks three sessions alone is quarantined.
func (p *pass) blame(ctx context.Context, missing []storage.UID, barren bool, err error) error {
	f, s := Classify(err), &p.w.suspect
	if f.Phase != phaseFetch || f.Class != Protocol && f.Class != Timeout && f.Class != Network || stopped(ctx) {
		return err
	}
	if s.mailbox == p.mailbox.ID && slices.Equal(s.page, missing) {
		s.times++
	} else {
		s.times = 1
	}
	s.mailbox, s.page, s.barren = p.mailbox.ID, missing, barren
	p.w.narrowed = barren && len(missing) > 1 // the next page is smaller: that is getting further
	if len(missing) == 1 && s.times >= 3 {
		*s = suspicion{}
		p.w.narrowed = true
		return errors.Join(err, p.quarantine(context.WithoutCancel(ctx), missing[0], f))
	}
	return err
}

// shrink makes the next page smaller after a fault that its messages may have caused. It grows again on success.
func (w *worker) shrink(f Fault) {
	if f.Phase == phaseFetch && (f.Class == Protocol || f.Class == Timeout || f.Class == Network && w.suspect.barren) {
		w.page = max(min(w.page, len(w.suspect.page))/2, pageLeast)
	}
}

// without goes on without the messages that a tagged OK or NO left out. They are asked for again in halves; what does not
// come even alone, and is still listed, is quarantined.
func (p *pass) without(ctx context.Context, missing []storage.UID) error {
	why := map[storage.UID]error{}
	if err := p.halve(ctx, missing, why); err != nil || len(why) == 0 {
		return err
	}
	stirred := p.stirred
	listing, err := p.list(ctx)
	if err != nil {
		return err
	}
	p.stirred = p.stirred || stirred
	for _, uid := range slices.Sorted(maps.Keys(why)) {
		if _, listed := slices.BinarySearch(listing, uid); !listed {
			p.stirred = true // it left: the next round lists again
			continue
		}
		f := Fault{Class: Parsing, Scope: "message", Phase: phaseFetch, Command: "UID FETCH", Detail: "the server lists the message and does not deliver it"}
		if refusal := why[uid]; refusal != nil {
			f = Classify(in(phaseFetch, refusal))
		}
		if err := p.quarantine(ctx, uid, f); err != nil {
			return err
		}
	}
	return nil
}

// halve asks for messages again, in ever smaller pages. why gets those that did not come alone, with the refusal if there was one.
func (p *pass) halve(ctx context.Context, missing []storage.UID, why map[storage.UID]error) error {
	if len(missing) == 0 {
		return nil
	}
	left, err := p.fetch(ctx, missing)
	if err != nil {
		return err
	}
	if len(missing) == 1 && len(left) == 1 {
		why[left[0]] = p.refusal
		return nil
	}
	if len(left) == 1 && len(missing) > 1 {
		return p.halve(ctx, left, why)
	}
	half := len(left) / 2
	if err := p.halve(ctx, left[:half], why); err != nil {
		return err
	}
	return p.halve(ctx, left[half:], why)
}

// quarantine sets one message aside and records why.
func (p *pass) quarantine(ctx context.Context, uid storage.UID, f Fault) error {
	row := p.w.record(p.t, Fault{Class: Parsing, Scope: "message", Phase: f.Phase, Command: f.Command, ServerText: f.ServerText, Detail: f.Detail})
	row.UID = uid
	return in(phaseStore, p.w.e.store.Write(ctx, storage.Interactive, 0, func(tx *storage.Writer) error {
		if err := tx.RecordFault(row); err != nil {
			return err
		}
		return tx.Quarantine(p.mailbox.ID, p.validity, uid, f.Detail)
	}))
}

// fetch brings one page in one FETCH. missing are the UIDs that did not come: after a nil error the server left them out.
// What came whole before an error is committed first.
func (p *pass) fetch(ctx context.Context, page []storage.UID) (missing []storage.UID, err error) {
	p.refusal = nil
	take := p.newIntake(ctx, page)
	defer take.close() //nolint:errcheck // it was asked below; this one is for a panic on the way
	h := p.handler()
	h.Body, h.Fetch = take.body, take.fetched
	p.s.SetHandler(h)
	defer p.watch()
	err = in(phaseFetch, p.s.UIDFetch(ctx, uidSet(page), []string{"UID", "FLAGS", "INTERNALDATE", "BODY.PEEK[]"}, 0))
	if err != nil && p.s.Err() == nil && Classify(err).Class == Parsing {
		p.refusal, err = err, nil // what came before the NO is kept (RFC 2180); the rest is asked for again
	}
	if stored := take.close(); stored != nil {
		return nil, in(phaseStore, stored)
	}
	if len(take.late) > 0 {
		if err := p.applyFlags(take.ctx, slices.Collect(maps.Values(take.late)), false, 0); err != nil {
			return nil, err
		}
	}
	missing = take.missing()
	if err != nil {
		return missing, p.blame(ctx, missing, len(missing) == len(page), fmt.Errorf("%s: %w", p.mailbox.Path, err))
	}
	return missing, nil
}
