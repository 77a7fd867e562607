package remote

import (
	"context"
	"errors"
	"fmt"
	"io"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/chunk"
	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/meter"
	"mailcote/storage"
	"mailcote/storage/class"
)

// Raw writes to out what the server will give of a quarantined message, on an interactive session. It keeps to
// pauses, waits and limits, and what comes counts. most is how many messages are taken of one mailbox. Errors:
// what kept it from asking at all or on, or out's; what the server did of the message is in the report.
func Raw(ctx context.Context, store *storage.Store, a Account, q storage.Quarantined, most int,
	out io.Writer) (chunk.Report, error) {
	d := &raw{a: a, store: store, q: q, most: most}
	err := store.Read(ctx, func(r *storage.Reader) (err error) {
		d.row, err = r.Mailbox(q.Mailbox)
		return err
	})
	if err != nil {
		return chunk.Report{}, err
	}
	if d.meter, err = a.Meter(ctx); err != nil {
		return chunk.Report{}, fault.Classify(err)
	}
	defer d.end()
	report, err := chunk.Download(ctx, d.open, goimap.UID(q.UID), out)
	if counted := d.count(ctx); err == nil {
		err = counted
	}
	if err == nil {
		err = d.settle(ctx, report.Why)
	}
	if err != nil {
		return report, fault.Classify(err)
	}
	return report, nil
}

// raw is one run of Raw.
type raw struct {
	a     Account
	store *storage.Store
	q     storage.Quarantined
	row   storage.Mailbox
	most  int
	meter *meter.Meter
	box   *mailbox.Mailbox // nil: nothing was asked yet
	give  func()
}

// open is a chunk.Open: it settles the command before, and asks the account's limits for the next.
func (d *raw) open(ctx context.Context, want int64, why error) (*imap.Session, error) {
	if d.box != nil {
		if err := d.count(ctx); err != nil {
			return nil, err
		}
		if err := d.settle(ctx, why); err != nil {
			return nil, err
		}
	}
	if d.box == nil || d.box.Session().Err() != nil {
		if err := d.examine(ctx); err != nil {
			return nil, err
		}
	}
	_, err := d.meter.Page(ctx, 1)
	if err == nil {
		_, err = d.meter.Fits([]int64{want})
	}
	if err != nil {
		err = fault.In(fault.PhaseFetch, err)
		return nil, errors.Join(err, d.commandFailed(ctx, err))
	}
	return d.box.Session(), nil
}

// examine opens the mailbox on a session, in place of one that has ended.
func (d *raw) examine(ctx context.Context) error {
	d.end()
	s, give, err := d.a.Lease(ctx)
	if err != nil {
		return err
	}
	d.give, d.box = give, mailbox.New(mailbox.Only(s), d.row.Raw, d.row.Path, d.most)
	if err := d.box.Open(ctx); err != nil {
		return errors.Join(err, d.commandFailed(ctx, err))
	}
	if v := d.box.Validity; v != d.q.Validity {
		return fmt.Errorf("the server has numbered %s anew since (UIDVALIDITY was %d, is %d): the next sync looks "+
			"for the message",
			d.row.Path, d.q.Validity, v)
	}
	return nil
}

func (d *raw) end() {
	if d.give != nil {
		d.give()
		d.give = nil
	}
}

// count writes what came since the last time.
func (d *raw) count(ctx context.Context) error {
	return fault.In(fault.PhaseStore, d.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0,
		d.meter.CountTx))
}

// settle acts on why a command brought nothing. An error is one that ends the download: it is the account's
// trouble, and neither the message's nor that of a session that is over.
func (d *raw) settle(ctx context.Context, why error) error {
	why = fault.In(fault.PhaseFetch, why)
	if why == nil || errors.Is(why, chunk.ErrLeftOut) || errors.Is(why, chunk.ErrShort) || d.box.Refused(why) {
		return nil
	}
	noting := d.commandFailed(ctx, why)
	if d.box.Session().Err() != nil && fault.Classify(why).Class != class.Quota {
		return noting
	}
	return errors.Join(why, noting)
}

// commandFailed acts on the error of a command in the mailbox.
func (d *raw) commandFailed(ctx context.Context, err error) error {
	return d.a.Failed(ctx, d.a.Judge(ctx, d.q.Mailbox, fault.Classify(err)))
}
