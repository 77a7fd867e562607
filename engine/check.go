package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"mailcote/engine/chunk"
	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/engine/health"
	"mailcote/engine/imap"
	"mailcote/engine/message"
	"mailcote/engine/meter"
	"mailcote/engine/plan"
	"mailcote/engine/remote"
	"mailcote/engine/row"
	"mailcote/storage"
)

// Check verifies a store, also alongside its owner; see storage.Store.Check.
func Check(ctx context.Context, s *storage.Store, progress func(done, total int64)) ([]storage.Finding, error) {
	return s.Check(ctx, storage.CheckOptions{Parse: header, Reader: message.Version, Progress: progress})
}

// Salvage returns how a damaged store is salvaged; see storage.Salvage.
func Salvage(cause error, progress func(done, total int64)) *storage.Salvage {
	return &storage.Salvage{Parse: header, Progress: progress, Cause: cause}
}

// header parses a message as on its arrival.
func header(r io.Reader) storage.Header { return row.Header(message.Parse(r, message.Limits{})) }

// RemoteOptions configure a comparison with the servers.
type RemoteOptions = remote.Options

// CheckRemote compares the store with the servers; see remote.Compare. It uses
// the connection for interactive commands and respects pauses, waits and
// limits. Its downloads count against the limits.
func (e *Engine) CheckRemote(ctx context.Context, o RemoteOptions) ([]storage.Finding, error) {
	o.Messages = e.o.caps.Messages
	return remote.Compare(ctx, e.store, o, func(row storage.Account) remote.Account {
		return &interactive{account: e.account(row.ID).setRow(row)}
	})
}

// CheckRemoteBeside is CheckRemote for a process that does not own the store.
// It signs in by itself and respects the pauses, waits and limits in the store.
// It records nothing, so its downloads do not count.
func CheckRemoteBeside(ctx context.Context, e Options, o RemoteOptions) ([]storage.Finding, error) {
	loaded, err := health.Load(ctx, e.Store, health.Options{})
	if err != nil {
		return nil, err
	}
	o.Messages = plan.Caps{}.OrDefaults().Messages
	process := newShared(e, loaded)
	return remote.Compare(ctx, e.Store, o, func(row storage.Account) remote.Account {
		return &interactive{newAccount(process, row.ID).setRow(row)}
	})
}

// Raw writes to out what the server returns for a quarantined message; see
// remote.Raw.
func (e *Engine) Raw(ctx context.Context, q storage.Quarantined, out io.Writer) (chunk.Report, error) {
	var row storage.Account
	if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
		row, err = r.Account(q.Account)
		return err
	}); err != nil {
		return chunk.Report{}, err
	}
	return remote.Raw(ctx, e.store, &interactive{e.account(q.Account).setRow(row)}, q, e.o.caps.Messages, out)
}

// Came writes to out what the store has kept of a quarantined message: the most
// bytes of one attempt. If that is no more than a number of bytes, the error is
// storage.ErrNotFound. Other errors are out's or the store's.
func (e *Engine) Came(ctx context.Context, q storage.Quarantined, than int64, out io.Writer) (chunk.Report, error) {
	report := chunk.Report{Claimed: q.Claimed}
	body, size, err := e.store.OpenCame(ctx, q.Mailbox, q.Validity, q.UID)
	if err != nil {
		return report, err
	}
	if size <= than {
		return report, errors.Join(storage.ErrNotFound, body.Close())
	}
	sum := sha256.New()
	report.Got, err = io.Copy(io.MultiWriter(out, sum), body)
	sum.Sum(report.SHA256[:0])
	return report, errors.Join(err, body.Close())
}

// interactive is an account that an interactive command uses. It implements
// remote.Account.
type interactive struct{ *account }

// Name returns the account's name.
func (p *interactive) Name() string { return p.name() }

// Meter returns the account's limits.
func (p *interactive) Meter(ctx context.Context) (*meter.Meter, error) { return p.meter(ctx) }

// Judge decides whether a fault in a mailbox is the mailbox's or the account's.
func (p *interactive) Judge(ctx context.Context, mailbox storage.MailboxID, f fault.Fault) fault.Fault {
	return p.health.Attributed(ctx, mailbox, f)
}

// Failed handles a fault of the command.
func (p *interactive) Failed(ctx context.Context, f fault.Fault) error {
	m, err := p.meter(ctx)
	if err != nil {
		return err
	}
	return p.commandFailed(ctx, m, f)
}

// Lease leases the connection for interactive commands. A process that does not
// own the store signs in by itself.
func (p *interactive) Lease(ctx context.Context) (s *imap.Session, give func(), err error) {
	if p.store.ReadOnly() {
		return p.signInAlone(ctx)
	}
	var lease *connpool.Lease
	s, err = p.leaseInteractive(ctx, &lease)
	return s, func() { lease.Give() }, err
}

// signInAlone signs in without the account's pool, which is another process's.
func (p *interactive) signInAlone(ctx context.Context) (s *imap.Session, give func(), err error) {
	m, err := p.allowed(ctx)
	if err != nil {
		return nil, nil, err
	}
	password, err := p.password(ctx)
	if err != nil {
		return nil, nil, fault.In(fault.PhaseSignIn, fmt.Errorf("%w: %w", connpool.ErrSecret, err))
	}
	dial := func() (*imap.Session, error) {
		return imap.Dial(ctx, p.login().Endpoint(), imap.Options{Limits: p.o.Limits, TLSConfig: p.o.TLSConfig,
			Insecure: p.row().Insecure, Trace: p.o.Trace, Manners: m.Manners(), Meter: m})
	}
	if s, err = dial(); err != nil {
		return nil, nil, fault.In(fault.PhaseConnect, err)
	}
	give = func() {
		_ = s.Logout(context.WithoutCancel(ctx)) //nolint:errcheck // what was read was read
		_ = s.Close()                            //nolint:errcheck // as above
	}
	if s, err = connpool.Authenticate(ctx, s, p.row().User, password, dial); err != nil {
		give()
		return nil, nil, fault.In(fault.PhaseSignIn, err)
	}
	if _, err := connpool.Introduce(ctx, s, false); err != nil { // some servers want it before SELECT
		give()
		return nil, nil, fault.In(fault.PhaseDiscover, err)
	}
	return s, give, nil
}

// RepairOptions say who watches a repair, and which accounts may be asked.
type RepairOptions struct {
	Accounts []storage.AccountID             // whose servers are asked for what is missing
	Checked  func(done, total int64)         // is told how far a check is; may be nil
	Sync     func(context.Context) []Summary // brings the accounts to the server's state
}

// Repaired says what a repair did.
type Repaired struct {
	Found     []storage.Finding // before it
	Left      []storage.Finding // after it
	Summaries []Summary         // of the last time that the servers were asked
}

// repairRounds bounds how often a repair checks and mends. What one round mends
// may uncover what the next one finds.
const repairRounds = 8

// Repair mends the store, then checks it again. Derived rows are made again from
// the mail. What is missing or damaged is downloaded again, by a pass that lists
// every mailbox and compares all flags. No mail is deleted: what the server does
// not have stays as it is. With an error comes what was done until then.
func (e *Engine) Repair(ctx context.Context, o RepairOptions) (done Repaired, err error) {
	//nolint:errcheck // what cannot be indexed is found below
	_ = e.indexer.Drain(ctx) // what is underway is no damage
	if err := e.store.Write(ctx, storage.Interactive, 0, (*storage.Writer).Reopen); err != nil {
		return done, err
	}
	for round := range repairRounds {
		found, err := Check(ctx, e.store, o.Checked)
		if err != nil {
			return done, err
		}
		stuck := round > 0 && sameFindings(found, done.Left)
		if done.Left = found; round == 0 {
			done.Found = found
		}
		if stuck || round > 0 && !slices.ContainsFunc(found, func(f storage.Finding) bool { return f.Mends }) {
			return done, nil
		}
		if err := e.store.Repair(ctx, storage.RepairOptions{Found: found, Parse: header,
			Synced: round > 0}); err != nil {
			return done, err
		}
		missing := false
		if err := e.store.Read(ctx, func(r *storage.Reader) (err error) {
			missing, err = r.Refetches()
			return err
		}); err != nil {
			return done, err
		}
		if len(o.Accounts) > 0 && (round == 0 || missing) {
			done.Summaries = o.Sync(ctx)
		}
		if err := errors.Join(e.indexer.Drain(ctx), ctx.Err()); err != nil {
			return done, err
		}
	}
	return done, nil
}

func sameFindings(a, b []storage.Finding) bool {
	return slices.EqualFunc(a, b, func(a, b storage.Finding) bool { return a.What == b.What && a.Where == b.Where })
}

// Rebuilding is what Rebuild makes again.
type Rebuilding string

// What can be made again from the mail.
const (
	RebuildViews   Rebuilding = "views"
	RebuildSearch  Rebuilding = "search"
	RebuildThreads Rebuilding = "threads"
)

// Rebuild makes derived rows again from the mail and says of how many messages.
// Views and a search index that it did not end, the next owner of the store
// ends. Of threads see storage.RebuildThreads.
func (e *Engine) Rebuild(ctx context.Context, what Rebuilding,
	progress func(done, total int64)) (total int64, err error) {
	if what == RebuildThreads {
		return e.store.RebuildThreads(ctx, storage.ThreadsOptions{Progress: progress,
			Parse: func(r io.Reader) (h storage.Header, err error) {
				err = fault.Guard(func() error { h = header(r); return nil })
				return h, err
			}})
	}
	left := func() (n int64, err error) {
		err = e.store.Read(ctx, func(r *storage.Reader) (err error) {
			n, err = r.ToRebuild()
			return err
		})
		return n, err
	}
	if err := e.indexer.Drain(ctx); err != nil && !errors.Is(err, storage.ErrIndex) {
		return 0, err
	}
	begin, wait := (*storage.Writer).OutdateAll, e.indexer.Drain
	if what == RebuildSearch {
		begin, wait = (*storage.Writer).RemakeIndex, e.indexer.Remade
	}
	if err := e.store.WriteAlone(ctx, begin); err != nil {
		return 0, err
	}
	if total, err = left(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- wait(ctx) }()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case err := <-ended:
			tick.Stop()
			if err == nil && progress != nil {
				progress(total, total)
			}
			return total, err
		case <-tick.C:
			if n, err := left(); err == nil && progress != nil {
				progress(max(total-n, 0), total)
			}
		}
	}
}
