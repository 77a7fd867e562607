package engine

import (
	"context"
	"errors"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/class"
)

// statuses returns what LIST and STATUS say of the mailboxes. A refusal may be
// about the account though it names a mailbox (Fault.Words). It is when a
// second mailbox is refused and none has answered. Each attempt begins with
// other mailboxes.
func (d *discovery) statuses(ctx context.Context, t queue.Task, entries []imap.ListEntry) ([]found, error) {
	all := make([]found, len(entries))
	var asked []int // of all: STATUS is asked for them
	var raws []string
	answered, refused := false, 0
	var absent []int // of all: the server lists them, and says that they do not exist
	for i := range entries {
		entry := entries[(i+2*t.RetryCount)%len(entries)]
		all[i] = found{mailbox: plan.Describe(d.account.id, entry)}
		if entry.Status != nil {
			all[i].status = statusOf(*entry.Status)
			answered = answered || all[i].status.Said
		} else if all[i].mailbox.Selectable && d.asksFor(entry.Raw, all[i].mailbox.Path) {
			asked, raws = append(asked, i), append(raws, entry.Raw)
		}
	}
	for len(asked) > 0 {
		if _, err := d.Yield(ctx); err != nil {
			return nil, err
		}
		s := d.lease.Session()
		n := min(len(asked), s.Flight())
		if !answered { // two refusals are enough to tell that the account is refused
			n = min(n, 2)
		}
		answers, err := s.Statuses(ctx, raws[:n], statusItems(s))
		for i, a := range answers {
			one := &all[asked[i]]
			if fault.Nonexistent(a.Err) {
				absent = append(absent, asked[i])
			}
			var refusal error
			if one.status, refusal = d.status(s, a); refusal != nil {
				refused++
				refusal = fault.In(fault.PhaseDiscover, refusal)
				if fault.Classify(refusal).Words == "" || s.Err() != nil || refused > 1 && !answered {
					return nil, refusal
				}
			}
			answered = answered || one.status.Said
		}
		if err != nil {
			d.flightBroke(ctx, s, n)
			return nil, fault.In(fault.PhaseDiscover, err)
		}
		asked, raws = asked[n:], raws[n:]
	}
	if d.incomplete == "" && slices.ContainsFunc(entries, func(e imap.ListEntry) bool { return e.Status != nil }) {
		d.onlyNames(all, absent)
	}
	return all, nil
}

// onlyNames takes mailboxes for mere names: the listing has them without the
// STATUS that it has of others, and STATUS says that they do not exist. Dovecot
// lists a deleted mailbox with children like that. If most of the account's mail
// would go, EXAMINE has the last word.
func (d *discovery) onlyNames(all []found, absent []int) {
	var gone, stored int64
	for _, m := range d.known {
		stored += m.Total
	}
	for _, i := range absent {
		gone += d.known[all[i].mailbox.Raw].Total
	}
	if plan.Mass(int(gone), int(stored)) {
		return
	}
	for _, i := range absent {
		all[i].mailbox.Selectable = false
	}
}

// flightBroke notes that a session ended while n commands were in flight. The
// server may not understand that, so from now on it gets one at a time.
func (d *discovery) flightBroke(ctx context.Context, s *imap.Session, n int) {
	if n > 1 && s.Err() != nil && !fault.Stopped(ctx) {
		d.meter.OneByOne()
	}
}

// status returns what STATUS said of a mailbox. A refusal that is about the
// mailbox leaves its status unknown. The mailbox is then opened, and EXAMINE
// shows the cause.
func (d *discovery) status(s *imap.Session, a imap.StatusAnswer) (plan.Status, error) {
	if fault.Declined(s, fault.In(fault.PhaseOpen, a.Err), class.Mailbox) ||
		errors.Is(a.Err, imap.ErrCommand) && s.Err() == nil {
		return plan.Status{}, nil
	}
	if a.Err != nil {
		return plan.Status{}, a.Err
	}
	return statusOf(a.StatusData), nil
}

// statusOf converts a STATUS response. Without MESSAGES it says nothing.
func statusOf(data imap.StatusData) plan.Status {
	if !data.HasMessages {
		return plan.Status{}
	}
	said := plan.Status{Said: true, Messages: int64(data.Messages), UIDNext: storage.UID(data.UIDNext),
		UIDValidity: storage.UIDValidity(data.UIDValidity), ModSeq: storage.ModSeq(data.HighestModSeq),
		ObjectID: data.MailboxID}
	if unseen := int64(data.Unseen); data.HasUnseen {
		said.Unseen = &unseen
	}
	return said
}
