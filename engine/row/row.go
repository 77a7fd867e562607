// Package row makes the rows that the store keeps of a message from the
// message's view. Every function is pure, so that a check can compare stored
// rows with fresh ones.
package row

import (
	"slices"
	"strings"
	"time"

	"mailcote/engine/message"
	"mailcote/storage"
)

// maxPeople bounds the addresses in a row, in bytes. The message has them all.
const maxPeople = 4 << 10

// sender and recipients are those that a message's row names.
func sender(v message.View) string {
	if len(v.From) == 0 {
		return People(v.Sender)
	}
	return People(v.From)
}

func recipients(v message.View) string { return People(slices.Concat(v.To, v.Cc)) }

// Header makes the row of a message.
func Header(v message.View) storage.Header {
	return storage.Header{
		MessageID: v.MessageID, ThreadKeys: message.ThreadKeys(v), Subject: v.Subject, BaseSubject: v.BaseSubject,
		Sender: sender(v), Recipients: recipients(v), SentAt: v.SentDate, Preview: v.Preview,
		HasAttachment: v.HasAttachment, Partial: v.Partial,
	}
}

// People formats addresses for reading: Name <address>, separated by commas.
func People(all []message.Address) string {
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

// ReceivedAt is when a message arrived: its INTERNALDATE, otherwise its own
// date, otherwise that of its top Received field, otherwise the start of 1970. A
// date before 1970 or after 9999 becomes the nearest one between them, which
// RFC 3339 can write. The hour of the sync is no source, so every store of a
// mailbox has the same dates.
func ReceivedAt(internal time.Time, v message.View) time.Time {
	earliest, latest := time.Unix(0, 0).UTC(), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, t := range []time.Time{internal, v.SentDate, v.ReceivedDate} {
		switch {
		case t.IsZero():
		case t.Before(earliest):
			return earliest
		case t.After(latest):
			return latest
		default:
			return t.UTC()
		}
	}
	return earliest
}

// Dated returns an INTERNALDATE by which a stored message may be known again,
// otherwise the zero time. Earlier versions stored one before 1971 or in the
// future as the hour of the sync.
func Dated(internal, now time.Time) time.Time {
	if internal.Before(time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC)) || internal.After(now) {
		return time.Time{}
	}
	return internal
}

// Document makes the index row of a message, without the ID of its email.
func Document(v message.View) storage.IndexDoc {
	names := make([]string, len(v.Attachments))
	for i, a := range v.Attachments {
		names[i] = a.Name
	}
	return storage.IndexDoc{
		Subject: v.Subject, Text: v.Text, Attachments: strings.Join(names, "\n"), From: sender(v), To: recipients(v),
		Cc: People(v.Cc), Bcc: People(v.Bcc),
		People: strings.Join([]string{People(v.From), People(v.To), People(v.Cc), People(v.Bcc)}, "\n"),
	}
}
