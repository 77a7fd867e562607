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

// Header makes the row of a message.
func Header(v message.View) storage.Header {
	from := v.From
	if len(from) == 0 {
		from = v.Sender
	}
	return storage.Header{
		MessageID: v.MessageID, ThreadKeys: message.ThreadKeys(v), Subject: v.Subject, BaseSubject: v.BaseSubject,
		Sender: People(from), Recipients: People(slices.Concat(v.To, v.Cc)), SentAt: v.SentDate, Preview: v.Preview,
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
// date, otherwise its top Received field, otherwise now. A date counts only
// between 1971 and two days from now.
func ReceivedAt(internal time.Time, v message.View, now time.Time) time.Time {
	earliest, latest := time.Date(1971, 1, 1, 0, 0, 0, 0, time.UTC), now.Add(48*time.Hour)
	for _, t := range []time.Time{internal, v.SentDate, v.ReceivedDate} {
		if !t.IsZero() && !t.Before(earliest) && !t.After(latest) {
			return t.UTC()
		}
	}
	return now.UTC()
}

// Dated returns an INTERNALDATE that ReceivedAt accepts as it is, otherwise the
// zero time.
func Dated(internal, now time.Time) time.Time {
	if ReceivedAt(internal, message.View{}, now).Equal(internal) {
		return internal
	}
	return time.Time{}
}

// Document makes the index row of a message, without the ID of its email.
func Document(v message.View) storage.IndexDoc {
	names := make([]string, len(v.Attachments))
	for i, a := range v.Attachments {
		names[i] = a.Name
	}
	return storage.IndexDoc{
		Subject: v.Subject, Text: v.Text, Attachments: strings.Join(names, "\n"),
		People: strings.Join([]string{People(v.From), People(v.To), People(v.Cc), People(v.Bcc)}, "\n"),
	}
}
