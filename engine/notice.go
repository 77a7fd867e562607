package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/storage"
)

// attributed gives words that may be about one mailbox to that mailbox, until a second one says them too. The only mailbox of an
// account speaks for it.
func (a *account) attributed(ctx context.Context, mailbox storage.MailboxID, f Fault) Fault {
	if f.Words == "" || a.words.Say(time.Now(), a.scope(), mailbox, f.Words) || a.single(ctx) {
		return f
	}
	f.Verdict = policy.OfMailbox(f.Wait)
	return f
}

// single reports whether the account has at most one mailbox that can be opened. In doubt it has more.
func (a *account) single(ctx context.Context) bool {
	var all []storage.Mailbox
	err := a.store.Read(context.WithoutCancel(ctx), func(r *storage.Reader) (err error) {
		all, err = r.Mailboxes(a.id)
		return err
	})
	all = slices.DeleteFunc(all, func(m storage.Mailbox) bool { return !m.Selectable })
	return err == nil && len(all) <= 1
}

// mostAlerts is how many different ones of an account are recorded.
const mostAlerts = 20

// alert records what the server wants a person to read. A server that has many of them shuts out nothing but alerts.
func (a *account) alert(st imap.Status) {
	a.tell(true, Fault{
		Verdict: policy.Verdict{Class: Protocol, Scope: "nothing", Hint: "the server wants you to read this; mailcote goes on"},
		Phase:   "alert", ServerText: st.Type + " [ALERT] " + st.Text, Detail: "the server says: " + st.Text})
}

// notice records what stops nothing and comes with each pass, once in the time that faults are kept.
func (a *account) notice(f Fault) { a.tell(false, f) }

func (a *account) tell(alert bool, f Fault) {
	row, now := a.record(f), time.Now()
	a.mu.Lock()
	told := a.notices[alert]
	if told == nil {
		told = map[string]time.Time{}
		a.notices[alert] = told
	}
	maps.DeleteFunc(told, func(_ string, at time.Time) bool { return now.Sub(at) >= storage.FaultAge })
	_, known := told[row.Fingerprint]
	if known = known || alert && len(told) >= mostAlerts; !known {
		told[row.Fingerprint] = now
	}
	a.mu.Unlock()
	if known {
		return
	}
	at := now
	err := a.store.Write(context.Background(), storage.Interactive, 0, func(tx *storage.Writer) error {
		before, err := tx.Faults(now.Add(-storage.FaultAge), 1000)
		if err != nil {
			return err
		}
		// Of an earlier process.
		if i := slices.IndexFunc(before, func(f storage.Fault) bool { return f.Fingerprint == row.Fingerprint }); i >= 0 {
			at = before[i].At
			return nil
		}
		return tx.RecordFault(row)
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if told[row.Fingerprint] = at; err != nil { // a store that cannot be written says so everywhere
		delete(told, row.Fingerprint)
	}
}
