package mailbox

import (
	"cmp"
	"context"
	"io"
	"slices"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/fault"
	"mailcote/engine/imap"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/engine/row"
	"mailcote/storage"
)

// Describe asks what messages look like, with their headers or without. Headers
// are hashed as they come and not kept.
func (m *Mailbox) Describe(ctx context.Context, uids []storage.UID, header bool,
	take func(*imap.Message, plan.Copy)) error {
	items := []imap.Item{imap.ItemSize, imap.ItemDate, imap.ItemState}
	if header {
		items = append(items, imap.ItemHeader)
	}
	var digest plan.Digest
	handler := imap.FetchHandler{
		Body: func(_ *imap.Message, section string, _ int64, r io.Reader) error {
			if section != "HEADER" {
				return nil
			}
			sum := plan.NewHeaderSum()
			_, err := io.Copy(sum, r)
			digest = sum.Digest()
			return err
		},
		Fetch: func(msg *imap.Message) error {
			take(msg, plan.Copy{UID: storage.UID(msg.UID), Size: msg.Size, Header: digest,
				Date: row.Dated(msg.InternalDate, time.Now())})
			digest = plan.Digest{}
			return nil
		},
	}
	return m.eachPage(ctx, uids, items, handler)
}

// Look asks for the size and date of messages. What the server does not give
// both of is left out.
func (m *Mailbox) Look(ctx context.Context, uids []storage.UID, take func(plan.Seen)) error {
	handler := imap.FetchHandler{Fetch: func(msg *imap.Message) error {
		if date := msg.InternalDate; msg.Size >= 0 && !date.IsZero() {
			take(plan.Seen{Mark: storage.Mark{UID: storage.UID(msg.UID), Size: msg.Size,
				Date: row.ReceivedAt(date, message.View{}).Unix()}, Doubted: row.Dated(date, time.Now()).IsZero()})
		}
		return nil
	}}
	return m.eachPage(ctx, uids, []imap.Item{imap.ItemSize, imap.ItemDate}, handler)
}

// eachPage asks for items of as many messages at once as the server allows.
func (m *Mailbox) eachPage(ctx context.Context, uids []storage.UID, items []imap.Item, take imap.FetchHandler) error {
	most := cmp.Or(m.s.MostMessages(), len(uids), 1)
	for some := range slices.Chunk(uids, most) {
		if err := m.Yield(ctx); err != nil {
			return err
		}
		if err := m.Fetch(ctx, SetOf(some), 0, items, take); err != nil {
			return fault.In(fault.PhaseList, err)
		}
	}
	return nil
}

// SetOf makes a UID set for the wire.
func SetOf(uids []storage.UID) goimap.UIDSet {
	var set goimap.UIDSet
	for _, uid := range uids {
		set.AddNum(goimap.UID(uid))
	}
	return set
}

// FlagsOf converts what the server says of a message's flags for the store.
func FlagsOf(uid goimap.UID, st imap.State) storage.FlagChange {
	words := make([]string, len(st.Flags))
	for i, flag := range st.Flags {
		words[i] = string(flag)
	}
	return storage.FlagChange{UID: storage.UID(uid), Flags: storage.NewFlags(words), ModSeq: storage.ModSeq(st.ModSeq)}
}
