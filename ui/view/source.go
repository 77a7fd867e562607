package view

import (
	"context"
	"errors"
	"strings"
	"time"

	"mailcote/engine"
	"mailcote/storage"
)

// Source answers the page's questions from a store and the engine that keeps
// it current.
type Source struct {
	store  *storage.Store
	engine *engine.Engine
	every  time.Duration
}

// NewSource makes a source; every is the agent's interval.
func NewSource(store *storage.Store, e *engine.Engine, every time.Duration) *Source {
	return &Source{store, e, every}
}

// Overview gives every account with its mailboxes.
func (s *Source) Overview(ctx context.Context) (Overview, error) {
	around := Around{Now: time.Now(), Owned: true, Interval: s.every, Live: s.engine.Progress()}
	if p, rests := s.store.Pause(); rests {
		around.NoRoom = p.String() + "; resumes by itself"
	}
	o := Overview{Interval: s.every}
	err := s.store.Read(ctx, func(r *storage.Reader) (err error) {
		o.Accounts, err = Accounts(r, around)
		return err
	})
	for _, a := range o.Accounts {
		o.Messages += a.Stored
	}
	return o, err
}

// Watch is a subscription to what changes the answers. One goroutine uses it.
type Watch interface {
	// Wait returns when something changed since the call before. mail
	// reports whether that was mail, and not only figures.
	Wait(ctx context.Context) (mail bool, err error)
	// Close ends the subscription.
	Close()
}

// Watch subscribes to changes of the store and of the engine's progress.
func (s *Source) Watch() Watch {
	return &watch{store: s.store.Changed(), engine: s.engine, progress: s.engine.ProgressChanged()}
}

type watch struct {
	store    *storage.Watch
	engine   *engine.Engine
	progress <-chan struct{}
}

func (w *watch) Wait(ctx context.Context) (mail bool, err error) {
	select {
	case <-w.store.C:
	case <-w.progress:
		w.progress = w.engine.ProgressChanged()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return w.store.News().Types != 0, nil
}

func (w *watch) Close() { w.store.Close() }

// Message gives one message as text.
func (s *Source) Message(ctx context.Context, id string) (MessageView, error) {
	m, err := Read(ctx, s.store, storage.EmailID(id))
	if unknown(err) {
		return MessageView{}, ErrNotFound
	}
	if err != nil {
		return MessageView{}, err
	}
	v := MessageView{ID: string(m.Copies[0].ID), Subject: m.View.Subject, From: people(m.View.From),
		To:      people(m.View.To),
		Cc:      people(m.View.Cc),
		ReplyTo: people(m.View.ReplyTo), Date: m.View.SentDate, Received: m.Copies[0].Date, MessageID: m.View.MessageID,
		Size: m.Copies[0].Size, Flags: strings.Fields(string(m.Copies[0].Flags)), Text: m.View.Numbered(),
		Links: m.View.Links, FromHTML: m.View.FromHTML, Note: m.Note()}
	for _, c := range m.Copies {
		v.Mailboxes = append(v.Mailboxes, c.MailboxPath)
	}
	for _, a := range m.View.Attachments {
		v.Attachments = append(v.Attachments, Attachment{Number: a.Path, Name: a.Name, Type: a.Type, Size: a.Size})
	}
	return v, nil
}

// Part opens a part of a message by its IMAP part number. Unknown ones and
// messages that are not here yet are ErrNotFound.
func (s *Source) Part(ctx context.Context, id, number string) (Part, error) {
	p, err := OpenPart(ctx, s.store, storage.EmailID(id), number)
	if unknown(err) || errors.Is(err, ErrNoBody) || errors.Is(err, ErrNoPart) {
		return Part{}, ErrNotFound
	}
	return p, err
}

// unknown reports whether an id is that of no message, or the beginning of
// several.
func unknown(err error) bool {
	which := (*storage.AmbiguousError)(nil)
	return errors.Is(err, storage.ErrNotFound) || errors.As(err, &which)
}
