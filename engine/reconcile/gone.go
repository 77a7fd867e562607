package reconcile

import (
	"context"
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/storage"
)

// provenGone returns the messages that may go, of those that the listing lacks.
// If the listing agrees with EXISTS, that is all of them or an error; see
// verifyGone. Otherwise two connections have listed the mailbox without them,
// and a message goes only if the server has nothing to give under its UID. A
// server that refuses to answer proves nothing.
func (p *pass) provenGone(ctx context.Context, gone []storage.UID) ([]storage.UID, error) {
	if p.box.Agrees() || len(gone) == 0 {
		return gone, p.verifyGone(ctx, gone)
	}
	given := map[storage.UID]bool{}
	take := imap.FetchHandler{Fetch: func(m *imap.Message) error {
		given[storage.UID(m.UID)] = true
		return nil
	}}
	err := fault.In(fault.PhaseList, p.box.Session().UIDFetch(ctx, mailbox.SetOf(gone), []imap.Item{imap.ItemState},
		take))
	if p.box.Refused(err) {
		return nil, nil
	}
	return slices.DeleteFunc(gone, func(uid storage.UID) bool { return given[uid] }), err
}
