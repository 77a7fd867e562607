package fetch

import (
	"slices"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/storage"
	"mailcote/storage/class"
)

// A server may send the items of one message in several responses (RFC 9051
// §7.5.2), and what it was not asked for. What concerns one message is merged.

// merge adds a response about a message to what was said before. said.UID is 0
// if that is nothing. Of two sets of flags the later counts, unless its MODSEQ
// is lower.
func merge(said, now imap.Message) imap.Message {
	if said.UID == 0 {
		return now
	}
	if now.Size < 0 {
		now.Size = said.Size
	}
	if now.InternalDate.IsZero() {
		now.InternalDate = said.InternalDate
	}
	if said.HasFlags && (!now.HasFlags || now.ModSeq > 0 && now.ModSeq < said.ModSeq) {
		now.Flags, now.HasFlags = said.Flags, true
	}
	now.ModSeq = max(now.ModSeq, said.ModSeq)
	return now
}

// inBatch returns where a message is in the gathered batch; -1: it is not.
func (t *intake) inBatch(uid storage.UID) int {
	return slices.IndexFunc(t.batch, func(a arrival) bool { return a.uid == uid })
}

// amend adds what came behind a message's body. Its size may show that the body
// was cut off.
func (t *intake) amend(i int, m *imap.Message) error {
	a := t.batch[i]
	said := merge(a.said, *m)
	if said.Size == a.said.Size {
		t.batch[i].said = said
		return nil
	}
	t.batch = slices.Delete(t.batch, i, i+1)
	t.bytes -= int64(len(a.raw))
	a.said = said
	return t.settle(a.uid, &a)
}

// noteTwice notes that a second body came of a message.
func (t *intake) noteTwice(uid storage.UID, a *arrival) {
	again := t.another || a != nil && t.took[uid]
	if t.another = false; again && uid != 0 && len(t.twice) < maxTwice && !slices.Contains(t.twice, uid) {
		t.twice = append(t.twice, uid)
	}
}

// maxTwice bounds how many messages of one answer are recorded for coming
// twice.
const maxTwice = 10

// recordTwice records messages whose bodies came twice in one answer.
func (t *intake) recordTwice() error {
	if len(t.twice) == 0 {
		return nil
	}
	return t.p.Store.Write(t.ctx, storage.Bulk, 0, func(tx *storage.Writer) error {
		for _, uid := range t.twice {
			if err := t.p.RecordTx(tx, uid, fault.Fault{Verdict: policy.Verdict{Class: class.Protocol,
				Scope: "message"},
				Phase: fault.PhaseFetch, Command: "UID FETCH",
				Detail: "the server gives two bodies under this UID in one " +
					"answer: the first is stored"}, true); err != nil {
				return err
			}
		}
		return nil
	})
}
