package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"mailcote/engine/imap"
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
		if err == nil {
			err = p.singly(ctx, missing)
		} else {
			err = p.blame(ctx, missing, len(missing) == len(page), err)
		}
		if err != nil {
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
	if f.Phase != phaseFetch || f.Class != Protocol && f.Class != Timeout && f.Class != Network || ctx.Err() != nil {
		return err
	}
	if s.mailbox == p.mailbox.ID && slices.Equal(s.page, missing) {
		s.times++
	} else {
		s.times = 1
	}
	s.mailbox, s.page, s.barren = p.mailbox.ID, missing, barren
	if len(missing) == 1 && s.times >= 3 {
		*s = suspicion{}
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

// singly asks once more for messages that a tagged OK or NO left out, one by one. What still does not come and is still
// listed is quarantined; everything else goes on.
func (p *pass) singly(ctx context.Context, missing []storage.UID) error {
	for _, uid := range missing {
		left, err := p.fetch(ctx, []storage.UID{uid})
		if err != nil {
			return p.blame(ctx, left, true, err)
		}
		if len(left) == 0 {
			continue
		}
		listing, err := p.list(ctx)
		if err != nil {
			return err
		}
		if _, listed := slices.BinarySearch(listing, uid); !listed {
			p.stirred = true // it left: the next round lists again
			continue
		}
		why := Fault{Class: Parsing, Scope: "message", Phase: phaseFetch, Command: "UID FETCH", Detail: "the server lists the message and does not deliver it"}
		if p.refusal != nil {
			why = Classify(in(phaseFetch, p.refusal))
		}
		if err := p.quarantine(ctx, uid, why); err != nil {
			return err
		}
	}
	return nil
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
	p.s.SetHandler(imap.Handler{Exists: p.exists, Expunge: p.expunged, Body: take.body, Fetch: take.fetched})
	defer p.watch()
	err = p.s.UIDFetch(ctx, uidSet(page), []string{"UID", "FLAGS", "INTERNALDATE", "BODY.PEEK[]"}, 0)
	var refused *imap.StatusError
	if errors.As(err, &refused) && p.s.Err() == nil {
		p.refusal, err = err, nil // what came before the NO is kept (RFC 2180); the rest is asked for singly
	}
	stored := take.close()
	if stored != nil {
		return take.missing(), in(phaseStore, stored)
	}
	if err != nil {
		return take.missing(), in(phaseFetch, fmt.Errorf("%s: %w", p.mailbox.Path, err))
	}
	return take.missing(), nil
}
