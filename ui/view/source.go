package view

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/storage/class"
)

// Source answers the page's questions from a store. It implements web.Source.
type Source struct {
	store    *storage.Store
	progress func() []engine.AccountProgress
}

// NewSource makes a source; progress is the running engine's.
func NewSource(store *storage.Store, progress func() []engine.AccountProgress) *Source {
	return &Source{store, progress}
}

// Overview gives every account with its mailboxes.
func (s *Source) Overview(ctx context.Context) (Overview, error) {
	o := Overview{}
	live := map[string]engine.AccountProgress{}
	for _, p := range s.progress() {
		live[p.Account] = p
	}
	err := s.store.Read(ctx, func(r *storage.Reader) error {
		accounts, err := r.Accounts()
		if err != nil {
			return err
		}
		faults, err := r.Faults(time.Now().Add(-24*time.Hour), 1000)
		if err != nil {
			return err
		}
		for _, a := range accounts {
			one, err := overviewOf(r, a, faults, live[a.Name])
			if err != nil {
				return fmt.Errorf("account %s: %w", a.Name, err)
			}
			o.Accounts = append(o.Accounts, one)
			for _, m := range one.Mailboxes {
				o.Messages += m.Stored
			}
		}
		return nil
	})
	return o, err
}

func overviewOf(r *storage.Reader, a storage.Account, faults []storage.Fault, live engine.AccountProgress) (Account, error) {
	one := Account{ID: int64(a.ID), Name: a.Name, LastSuccess: a.LastSuccess}
	one.State, one.Detail = stateOf(a, live)
	for _, f := range faults {
		if f.Account == a.ID && f.At.After(a.LastSuccess) {
			one.Errors++
		}
	}
	quarantined, err := r.QuarantineOf(a.ID)
	if err != nil {
		return one, err
	}
	one.Errors += len(quarantined)
	mailboxes, err := r.Mailboxes(a.ID)
	for _, m := range mailboxes {
		one.Mailboxes = append(one.Mailboxes, Mailbox{ID: int64(m.ID), Path: m.Path, Role: m.Role, Stored: m.Total, Total: m.RemoteTotal, Unread: m.Unread})
	}
	return one, err
}

// stateOf puts what the store and the engine say of an account into the page's one word.
func stateOf(a storage.Account, live engine.AccountProgress) (State, string) {
	if a.Paused && a.PauseClass == class.Manual {
		return StatePaused, a.PauseReason + ": mailcote account resume " + a.Name
	}
	if a.Paused {
		return StatePaused, a.PauseReason + ": mailcote account test " + a.Name
	}
	detail := live.Note
	switch live.State {
	case "connecting", "signing in", "syncing":
		return StateSyncing, detail
	case "waiting", "offline":
		if live.State == "offline" {
			detail = strings.TrimSuffix("offline: "+detail, ": ")
		}
		if !live.Until.IsZero() {
			detail = strings.TrimPrefix(detail+"; tried again at "+live.Until.Local().Format("15:04:05"), "; ")
		}
		return StateWaiting, detail
	case "paused":
		return StatePaused, detail
	case "failed":
		return StateFailed, detail
	}
	return StateIdle, ""
}

// Message gives one message as text.
func (s *Source) Message(ctx context.Context, id string) (MessageView, error) {
	m, err := Read(ctx, s.store, storage.EmailID(id))
	if errors.Is(err, storage.ErrNotFound) {
		return MessageView{}, ErrNotFound
	}
	if err != nil {
		return MessageView{}, err
	}
	v := MessageView{ID: id, Subject: m.View.Subject, From: people(m.View.From), To: people(m.View.To), Cc: people(m.View.Cc),
		ReplyTo: people(m.View.ReplyTo), Date: m.View.SentDate, Received: m.Copies[0].Date, MessageID: m.View.MessageID,
		Size: m.Copies[0].Size, Flags: strings.Fields(string(m.Copies[0].Flags)), Text: m.View.Text, FromHTML: m.View.FromHTML, Note: m.Note()}
	for _, c := range m.Copies {
		v.Mailboxes = append(v.Mailboxes, c.MailboxPath)
	}
	for _, a := range m.View.Attachments {
		v.Attachments = append(v.Attachments, Attachment{Name: a.Name, Type: a.Type, Size: a.Size})
	}
	return v, nil
}
