package remote

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/plan"
	"mailcote/storage"
)

// content compares what a mailbox holds, where the server's numbers do not last
// and say nothing.
type content struct {
	*comparison
	s      *imap.Session
	a      Account
	m      storage.Mailbox
	stored map[[sha256.Size]byte][]storage.Shown // by digest: what the server was not seen to have yet
	aside  int                                   // messages in quarantine: so many may be missing
}

// contents compares the messages of the open mailbox by their bytes.
func (c *comparison) contents(ctx context.Context, box *mailbox.Mailbox, a Account, m storage.Mailbox) error {
	all := content{comparison: c, s: box.Session(), a: a, m: m}
	listing, err := box.List(ctx)
	if err != nil {
		return err
	}
	sizes := map[storage.UID]storage.Shown{}
	if err := box.Describe(ctx, listing, false, func(_ *imap.Message, now plan.Copy) {
		sizes[now.UID] = storage.Shown{Size: max(now.Size, 0)}
	}); err != nil {
		return err
	}
	if err := all.load(ctx); err != nil {
		return err
	}
	for len(listing) > 0 {
		n, err := c.pageSize(ctx, all.s, listing, sizes)
		if err != nil {
			return fault.In(fault.PhaseFetch, err)
		}
		page, rest := plan.Page(listing, n)
		if err := all.page(ctx, page); err != nil {
			return err
		}
		listing = rest
	}
	for _, left := range all.stored {
		for _, h := range left {
			if h.HasBody {
				c.add(a, m, h.UID, "not on the server",
					"The store has it and the server does not: it was deleted there since the last sync; a sync "+
						"settles it.")
			}
		}
	}
	return nil
}

// load reads what the store shows of the mailbox.
func (c *content) load(ctx context.Context) error {
	return fault.In(fault.PhaseStore, c.store.Read(ctx, func(r *storage.Reader) error {
		c.stored = map[[sha256.Size]byte][]storage.Shown{}
		all, err := r.Shown(c.m.ID, c.m.UIDValidity)
		if err != nil {
			return err
		}
		for _, h := range all {
			c.stored[h.SHA256] = append(c.stored[h.SHA256], h)
		}
		aside, err := r.QuarantineIn(c.m.ID, c.m.UIDValidity)
		c.aside = len(aside)
		return err
	}))
}

// page compares some messages. Bytes are hashed as they come and not kept.
func (c *content) page(ctx context.Context, page []storage.UID) error {
	var sum [sha256.Size]byte
	seen := map[storage.UID]bool{}
	take := imap.FetchHandler{
		Body: hashing(&sum),
		Fetch: func(msg *imap.Message) error {
			if uid := storage.UID(msg.UID); msg.HasBody && !seen[uid] {
				seen[uid] = true
				c.compare(msg, sum)
			}
			return nil
		},
	}
	err := fault.In(fault.PhaseFetch, c.s.UIDFetch(ctx, mailbox.SetOf(page), []imap.Item{imap.ItemState, imap.ItemDate,
		imap.ItemBody}, take))
	return c.counted(ctx, err, len(page))
}

// compare compares one message with the stored ones that have its bytes, most of
// all with one that has its flags.
func (c *content) compare(msg *imap.Message, sum [sha256.Size]byte) {
	same := c.stored[sum]
	now := mailbox.FlagsOf(msg.UID, msg.State).Flags
	switch i := slices.IndexFunc(same, func(h storage.Shown) bool { return h.Flags == now }); {
	case len(same) == 0 && (c.m.Pass.At.IsZero() || msg.InternalDate.After(c.m.Pass.At.Add(-time.Minute))):
	case len(same) == 0 && c.aside > 0:
		c.aside--
	case len(same) == 0:
		c.add(c.a, c.m, storage.UID(msg.UID), "missing message",
			"The server has it and the store does not: sync to fetch it.")
	default:
		if i < 0 && msg.HasFlags {
			c.add(c.a, c.m, same[0].UID, "other flags",
				"The store has %q, the server %q: a sync settles it, if the server notes such changes.",
				same[0].Flags, now)
		}
		c.stored[sum] = slices.Delete(same, max(i, 0), max(i, 0)+1)
	}
}
