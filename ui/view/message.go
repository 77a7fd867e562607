package view

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"mailcote/engine/message"
	"mailcote/storage"
)

// ErrNoBody says that a message is known and its bytes are not here yet.
var ErrNoBody = errors.New("the message has not been fetched yet")

// ErrNoPart says that a message has no part of a number.
var ErrNoPart = errors.New("no such part")

// Message is one email and the places it is in.
type Message struct {
	Copies  []storage.Mail // its live entries, at least one
	View    message.Whole
	HasBody bool
}

// reading is what a person's view of one message may take. Every attachment is
// listed.
func reading() message.Limits {
	l := message.DefaultLimits()
	l.Attachments = l.Parts
	return l
}

// Note says why the text is missing or incomplete; "" when it is complete.
func (m Message) Note() string {
	switch {
	case !m.HasBody:
		return "The message has not been fetched yet."
	case m.View.Partial:
		return "Parts of this message could not be read: " + strings.Join(m.View.Problems, "; ") + "."
	}
	return ""
}

// Read reads and parses one message. Errors: storage.ErrNotFound.
func Read(ctx context.Context, store *storage.Store, id storage.EmailID) (Message, error) {
	var m Message
	body, err := open(ctx, store, id, &m)
	if err != nil || body == nil {
		return m, err
	}
	m.HasBody = true
	m.View = message.ParseWhole(body, reading())
	return m, body.Close()
}

// Raw copies the bytes of a message to w, which may be slow. Errors:
// storage.ErrNotFound, ErrNoBody.
func Raw(ctx context.Context, store *storage.Store, id storage.EmailID, w io.Writer) error {
	body, err := openBody(ctx, store, id)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, body)
	return errors.Join(err, body.Close())
}

// openBody is open for a message whose bytes are needed.
func openBody(ctx context.Context, store *storage.Store, id storage.EmailID) (io.ReadCloser, error) {
	var m Message
	body, err := open(ctx, store, id, &m)
	if err == nil && body == nil {
		err = fmt.Errorf("message %s: %w", id, ErrNoBody)
	}
	return body, err
}

// open finds an email's live entries and its bytes, which are nil until they
// are stored.
func open(ctx context.Context, store *storage.Store, id storage.EmailID, m *Message) (io.ReadCloser, error) {
	var blob storage.BlobID
	if err := store.Read(ctx, func(r *storage.Reader) error {
		row, _, err := r.FindEmail(string(id))
		if err != nil {
			return err
		}
		if m.Copies, err = r.MailOf(row); err != nil {
			return err
		}
		if len(m.Copies) == 0 {
			return fmt.Errorf("message %s: %w", id, storage.ErrNotFound)
		}
		if blob, err = r.EmailBlob(row); errors.Is(err, storage.ErrNotFound) {
			return nil
		}
		return err
	}); err != nil || blob == 0 {
		return nil, err
	}
	return store.OpenBlob(ctx, blob)
}

func people(all []message.Address) []Address {
	var out []Address
	for _, a := range all {
		out = append(out, Address{Name: a.Name, Addr: a.Email})
	}
	return out
}
