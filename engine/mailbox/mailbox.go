package mailbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// Sessions leases the sessions that a Mailbox works on.
type Sessions interface {
	// Session returns the session that is leased now.
	Session() *imap.Session
	// Renew leases a session whose answers owe nothing to the one before.
	Renew(ctx context.Context) (*imap.Session, error)
	// Yield fails if the work has to stop, or lets an interactive command have
	// the session. moved: another user had it, so no mailbox is surely open.
	Yield(ctx context.Context) (moved bool, err error)
}

// Mailbox is an examined mailbox.
type Mailbox struct {
	Raw, Path string // its name as the server writes it, and as people read it
	Most      int    // messages that are taken of it; more are an error

	Selected imap.SelectData
	Validity storage.UIDValidity // what UIDs belong to; 0: the server gives nothing, and Own is 0
	Own      storage.UIDValidity // stands in for the number that the server does not give
	Excess   int64               // by how much EXISTS always exceeds the listing; 0: they are known to agree

	sessions Sessions
	s        *imap.Session

	// during a FETCH: gets what the server says of other messages; may be nil
	unasked       func(*imap.Message) error
	changed       bool                // a message came or went since List
	listed        plan.Listing        // by List
	latest        []storage.UID       // the last listing
	stale         bool                // a message came or went since the last listing
	said          storage.UIDValidity // by the server, when the mailbox was opened last; 0: nothing
	renumbered    bool
	expungeIssued bool // since the last FETCH began
}

// New makes a Mailbox that is not open yet.
func New(sessions Sessions, raw, path string, most int) *Mailbox {
	return &Mailbox{Raw: raw, Path: path, Most: most, sessions: sessions, s: sessions.Session()}
}

// Open examines the mailbox. Its UIDVALIDITY is what UIDs belong to from now
// on. If the server gives none, Validity is Own.
func (m *Mailbox) Open(ctx context.Context) error {
	if err := m.examine(ctx); err != nil {
		return err
	}
	m.watch()
	if n := uint64(m.Selected.Exists); n > uint64(m.Most) {
		return m.TooMany(fault.PhaseOpen, n, "messages", m.Most)
	}
	m.Validity = cmp.Or(m.said, m.Own)
	return nil
}

// examine opens the mailbox. If the server offers CONDSTORE and does not
// understand it, it is opened without.
func (m *Mailbox) examine(ctx context.Context) (err error) {
	condstore := m.s.Has("CONDSTORE")
	m.Selected, err = m.s.Examine(ctx, m.Raw, condstore)
	if err = fault.In(fault.PhaseOpen, err); condstore && m.Refused(err) { // a BAD; a NO is about the mailbox
		m.Selected, err = m.s.Examine(ctx, m.Raw, false)
		err = fault.In(fault.PhaseOpen, err)
	}
	if err != nil {
		return err
	}
	if m.said = storage.UIDValidity(m.Selected.UIDValidity); m.said != 0 {
		return nil
	}
	status, err := m.s.Status(ctx, m.Raw, []string{"UIDVALIDITY"})
	m.said = storage.UIDValidity(status.UIDValidity)
	if err = fault.In(fault.PhaseOpen, err); m.Refused(err) {
		return nil
	}
	return err
}

// Said is the UIDVALIDITY that the server gave when the mailbox was opened last;
// 0: none.
func (m *Mailbox) Said() storage.UIDValidity { return m.said }

// Session is the session on which the mailbox is open.
func (m *Mailbox) Session() *imap.Session { return m.s }

// Reopen examines the mailbox on a session that may have had another one open.
func (m *Mailbox) Reopen(ctx context.Context, s *imap.Session) error {
	m.s = s
	before, said := m.Selected, m.said
	if err := m.examine(ctx); err != nil {
		return err
	}
	m.watch()
	now := &m.Selected
	if m.said != said || m.said == 0 && now.UIDNext < before.UIDNext {
		return fault.In(fault.PhaseOpen, fault.ErrRenumbered)
	}
	// Nothing reported what came and went meanwhile.
	if now.UIDNext == 0 || now.UIDNext != before.UIDNext || now.Exists != before.Exists {
		m.change()
	}
	now.HighestModSeq = min(before.HighestModSeq, now.HighestModSeq) // flags were compared up to there
	return nil
}

// Renew opens the mailbox on a session whose answers owe nothing to the one
// before.
func (m *Mailbox) Renew(ctx context.Context) error {
	s, err := m.sessions.Renew(ctx)
	if err != nil {
		return err
	}
	return m.Reopen(ctx, s)
}

// Anew opens the mailbox on a new session, where UIDs may mean other messages
// than before. Validity stays what it is.
func (m *Mailbox) Anew(ctx context.Context) (err error) {
	if m.s, err = m.sessions.Renew(ctx); err != nil {
		return err
	}
	stays := m.Validity
	err = m.Open(ctx)
	m.Validity = stays
	return err
}

// Yield fails if the work has to stop, or lets an interactive command have the
// session and then opens the mailbox again. It is called between commands.
func (m *Mailbox) Yield(ctx context.Context) error {
	moved, err := m.sessions.Yield(ctx)
	if err != nil || !moved {
		return err
	}
	return m.Reopen(ctx, m.sessions.Session())
}

// watch observes the mailbox, which was just opened, while it stays open.
func (m *Mailbox) watch() {
	m.s.Observe(imap.Observer{
		Fetch: func(msg *imap.Message) error {
			if m.unasked == nil {
				return nil
			}
			return m.unasked(msg)
		},
		Exists:  func(uint32) { m.change() },
		Expunge: func(uint32) { m.change() },
		Status: func(st imap.Status) {
			switch st.Code {
			case "UIDVALIDITY":
				other := m.said != 0 && st.CodeArgs != strconv.FormatUint(uint64(m.said), 10)
				m.renumbered = m.renumbered || other
			case "EXPUNGEISSUED":
				m.expungeIssued = true
			}
		},
	})
}

// change notes that a listing may be out of date.
func (m *Mailbox) change() { m.changed, m.stale = true, true }

// Left notes that a listed message is gone.
func (m *Mailbox) Left() { m.changed = true }

// Changed reports whether a message came or went since List.
func (m *Mailbox) Changed() bool { return m.changed }

// Renumbered reports whether the server reported another UIDVALIDITY while the
// mailbox was open.
func (m *Mailbox) Renumbered() bool { return m.renumbered }

// ExpungeIssued reports whether the answer to the last Fetch said that messages
// were expunged meanwhile (RFC 9051 §7.1).
func (m *Mailbox) ExpungeIssued() bool { return m.expungeIssued }

// Fetch asks for messages, or only for those that changed since a MODSEQ.
// take.Fetch also gets what the server says meanwhile of other messages.
func (m *Mailbox) Fetch(ctx context.Context, uids goimap.UIDSet, since storage.ModSeq, items []imap.Item,
	take imap.FetchHandler) error {
	m.unasked, m.expungeIssued = take.Fetch, false
	defer func() { m.unasked = nil }()
	return m.s.UIDFetchSince(ctx, uids, uint64(since), items, take)
}

// Refused reports whether an error, with its phase, is the server's NO or BAD
// to a command within the mailbox.
func (m *Mailbox) Refused(err error) bool { return fault.Declined(m.s, err) }

// TooMany is the error of a server that says more of one mailbox than is taken.
func (m *Mailbox) TooMany(phase string, said uint64, what string, most int) error {
	return fault.In(phase, fmt.Errorf("%s: the server says %d %s, and %d are the most: %w",
		m.Path, said, what, most, fault.ErrTooMany))
}

// Renumber is the error of work whose UIDs now mean something else, joined with
// err.
func Renumber(phase string, err error) error {
	return errors.Join(fault.In(phase, fault.ErrRenumbered), err)
}

// Only is one session that nobody else wants.
func Only(s *imap.Session) Sessions { return only{s} }

type only struct{ s *imap.Session }

var errAlone = errors.New("there is no other session")

func (o only) Session() *imap.Session { return o.s }

func (o only) Renew(context.Context) (*imap.Session, error) {
	return nil, fault.In(fault.PhaseConnect, errAlone)
}

func (o only) Yield(context.Context) (bool, error) { return false, nil }
