package web

import (
	"context"

	"mailcote/ui/view"
)

// Source is what the page reads. It must be safe for concurrent use, and
// must answer beside a running sync without waiting for it.
type Source interface {
	// Overview returns every account with its mailboxes.
	Overview(ctx context.Context) (view.Overview, error)
	// Messages returns one page of a list, newest first. An unknown mailbox
	// is view.ErrNotFound, an unreadable search a *view.QueryError.
	Messages(ctx context.Context, q view.ListQuery) (view.MessageList, error)
	// Message returns one message by its email id, or view.ErrNotFound.
	Message(ctx context.Context, id string) (view.MessageView, error)
	// Part opens a part of a message by its IMAP part number, or returns
	// view.ErrNotFound.
	Part(ctx context.Context, id, number string) (view.Part, error)
	// Watch subscribes to what changes the answers.
	Watch() view.Watch
}
