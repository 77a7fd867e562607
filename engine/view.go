package engine

import (
	"slices"
	"strings"
	"time"

	"mailcote/engine/message"
	"mailcote/storage"
)

// maxPeople bounds the people kept in a row, in bytes; the rest is in the message.
const maxPeople = 4 << 10

// headerOf makes the row of a message from its view. It is pure, so that check can compare a fresh one.
func headerOf(v message.View) storage.Header {
	from := v.From
	if len(from) == 0 {
		from = v.Sender
	}
	return storage.Header{
		MessageID: v.MessageID, ThreadKeys: message.ThreadKeys(v), Subject: v.Subject, BaseSubject: v.BaseSubject,
		Sender: people(from), Recipients: people(slices.Concat(v.To, v.Cc)), SentAt: v.SentDate, Preview: v.Preview,
		HasAttachment: v.HasAttachment, Partial: v.Partial,
	}
}

// people writes addresses for reading: Name <address>, separated by commas.
func people(all []message.Address) string {
	var b strings.Builder
	for i, a := range all {
		if b.Len() > maxPeople {
			b.WriteString(", …")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		switch {
		case a.Name == "":
			b.WriteString(a.Email)
		case a.Email == "":
			b.WriteString(a.Name)
		default:
			b.WriteString(a.Name + " <" + a.Email + ">")
		}
	}
	return b.String()
}

// receivedAt is when a message arrived: INTERNALDATE, else the date it says itself, else the top Received field, else now;
// within 1971 and two days from now (PROVIDERS §4).
func receivedAt(internal time.Time, v message.View, now time.Time) time.Time {
	earliest, latest := time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(48*time.Hour)
	for _, t := range []time.Time{internal, v.SentDate, v.ReceivedDate} {
		if !t.IsZero() && !t.Before(earliest) && !t.After(latest) {
			return t.UTC()
		}
	}
	return now.UTC()
}

func sorted(uids []storage.UID) []storage.UID {
	out := slices.Clone(uids)
	slices.Sort(out)
	return out
}
