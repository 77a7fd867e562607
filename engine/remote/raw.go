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

// Raw writes to out what the server delivers of a quarantined message, on an
// interactive session. It obeys pauses, waits and limits, and what comes
// counts. most bounds the messages taken of one mailbox. An error is what kept
// it from asking, or out's. What the server made of the message is in the
// report.
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
		err = d.actOn(ctx, report.Why)
	}
	if err != nil {
		return report, fault.Classify(err)
	}
	return report, nil
}

// raw is one run of Raw.
type raw struct {
	a       Account
	store   *storage.Store
	q       storage.Quarantined
	row     storage.Mailbox
	most    int
	meter   *meter.Meter
	box     *mailbox.Mailbox // nil: nothing was asked yet
	release func()
}

// open is a chunk.Open. It acts on the end of the previous command and asks the
// account's limits for the next.
func (d *raw) open(ctx context.Context, want int64, why error) (*imap.Session, error) {
	if d.box != nil {
		if err := d.count(ctx); err != nil {
			return nil, err
		}
		if err := d.actOn(ctx, why); err != nil {
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

// examine opens the mailbox on a new lease.
func (d *raw) examine(ctx context.Context) error {
	d.end()
	s, release, err := d.a.Lease(ctx)
	if err != nil {
		return err
	}
	d.release, d.box = release, mailbox.New(mailbox.Only(s), d.row.Raw, d.row.Path, d.most)
	d.box.Own = d.row.OwnValidity
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
	if d.release != nil {
		d.release()
		d.release = nil
	}
}

// count writes what came since the last time.
func (d *raw) count(ctx context.Context) error {
	return fault.In(fault.PhaseStore, d.store.Write(context.WithoutCancel(ctx), storage.Interactive, 0,
		d.meter.CountTx))
}

// actOn acts on why a command brought nothing. An error ends the download: it
// is the account's trouble, not that of the message or of a session that has
// ended.
func (d *raw) actOn(ctx context.Context, why error) error {
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
