package view

import (
	"context"
	"errors"
	"fmt"
	"io"

	"mailcote/engine/message"
	"mailcote/storage"
)

// Part is one part of a message. Body gives its decoded bytes and must be
// closed. It reports damage of the message only when it is read to its end.
type Part struct {
	message.Attachment
	Body io.ReadCloser
}

// OpenPart opens the part with an IMAP part number. Errors: storage.ErrNotFound,
// ErrNoBody, ErrNoPart.
func OpenPart(ctx context.Context, store *storage.Store, id storage.EmailID, number string) (Part, error) {
	raw, err := openBody(ctx, store, id)
	if err != nil {
		return Part{}, err
	}
	body, a, ok := message.Part(raw, number, reading())
	if !ok {
		err := fmt.Errorf("part %s of message %s: %w", number, id, ErrNoPart)
		if _, broken := io.Copy(io.Discard, raw); broken != nil {
			err = fmt.Errorf("read message %s: %w", id, broken)
		}
		return Part{}, errors.Join(err, raw.Close())
	}
	part := Part{a, &partBody{body, raw}}
	if a.Name != "" {
		return part, nil
	}
	m, err := Read(ctx, store, id) // an attached message is named by its subject
	if err != nil {
		return Part{}, errors.Join(err, raw.Close())
	}
	for _, listed := range m.View.Attachments {
		if listed.Path == number {
			part.Name = listed.Name
		}
	}
	return part, nil
}

// partBody reads a part and then what follows it, because the digest of a
// message is known at its end.
type partBody struct {
	part io.Reader
	raw  io.ReadCloser
}

func (b *partBody) Read(p []byte) (int, error) {
	n, err := b.part.Read(p)
	if errors.Is(err, io.EOF) {
		if _, broken := io.Copy(io.Discard, b.raw); broken != nil {
			return n, fmt.Errorf("read the message to its end: %w", broken)
		}
	}
	return n, err
}

func (b *partBody) Close() error { return b.raw.Close() }

// Parts lists every part of a message that has a body, text parts too, with
// their decoded sizes. Errors: storage.ErrNotFound, ErrNoBody.
func Parts(ctx context.Context, store *storage.Store, id storage.EmailID) ([]message.Attachment, error) {
	var all []message.Attachment
	err := walk(ctx, store, id, func(a message.Attachment, body io.Reader) (err error) {
		a.Size, err = io.Copy(io.Discard, body)
		all = append(all, a)
		return err
	})
	return all, err
}

// Attachments visits the attachments of a message with their decoded bytes,
// those with a body in the order of the message, then the attached messages.
// What was read of the message is returned. Errors: storage.ErrNotFound,
// ErrNoBody, and those of visit.
func Attachments(ctx context.Context, store *storage.Store, id storage.EmailID,
	visit func(message.Attachment, io.Reader) error) (Message, error) {
	m, err := Read(ctx, store, id)
	if err != nil {
		return m, err
	}
	left := map[string]message.Attachment{}
	for _, a := range m.View.Attachments {
		left[a.Path] = a
	}
	if err := walk(ctx, store, id, func(a message.Attachment, body io.Reader) error {
		listed, ok := left[a.Path]
		if !ok {
			return nil
		}
		delete(left, a.Path)
		return visit(listed, body)
	}); err != nil {
		return m, err
	}
	for _, a := range m.View.Attachments {
		if _, ok := left[a.Path]; !ok {
			continue
		}
		part, err := OpenPart(ctx, store, id, a.Path)
		if err != nil {
			return m, err
		}
		if err := errors.Join(visit(a, part.Body), part.Body.Close()); err != nil {
			return m, err
		}
	}
	return m, nil
}

func walk(ctx context.Context, store *storage.Store, id storage.EmailID,
	visit func(message.Attachment, io.Reader) error) error {
	body, err := openBody(ctx, store, id)
	if err != nil {
		return err
	}
	return errors.Join(message.Parts(body, reading(), visit), body.Close())
}
