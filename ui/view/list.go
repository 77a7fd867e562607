package view

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailcote/engine/message"
	"mailcote/storage"
	"mailcote/storage/query"
)

// mostItems is the longest page of a list.
const mostItems = 200

// Messages gives one page of a list, newest first.
func (s *Source) Messages(ctx context.Context, q ListQuery) (MessageList, error) {
	q.Limit = min(max(q.Limit, 1), mostItems)
	var list MessageList
	var found []storage.Mail
	var asked query.Query
	err := s.store.Read(ctx, func(r *storage.Reader) (err error) {
		if q.Search != "" {
			found, asked, list.Next, err = search(r, q.Search, q.Before, q.Limit)
			return err
		}
		after, err := parseCursor(q.Before)
		if err != nil {
			return storage.ErrNotFound
		}
		if q.Mailbox == 0 {
			found, err = newestOfAll(r, after, q.Limit+1)
		} else {
			found, err = newest(r, storage.MailboxID(q.Mailbox), after, q.Limit+1, &list)
		}
		if len(found) > q.Limit {
			found = found[:q.Limit]
			list.Next = cursorOf(found[len(found)-1])
		}
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return list, ErrNotFound
	}
	if err != nil {
		return list, err
	}
	for _, m := range found {
		one := item(m)
		around, ok, err := snippet(ctx, s.store, asked, m.ID)
		if err != nil {
			return list, err
		}
		if ok {
			one.Preview = around.Text
		}
		list.Items = append(list.Items, one)
	}
	return list, nil
}

func item(m storage.Mail) MessageItem {
	return MessageItem{ID: string(m.ID), From: Names(m.Sender), Subject: m.Subject, Preview: m.Preview, Date: m.Date,
		Mailbox: m.MailboxPath,
		Unread:  !m.Flags.Has(`\Seen`), Flagged: m.Flags.Has(`\Flagged`), Attachment: m.HasAttachment}
}

// Names is the display names of senders, or their addresses.
func Names(senders string) string {
	var all []string
	for _, a := range message.ParseAddressList(senders) {
		all = append(all, cmp.Or(a.Name, a.Email))
	}
	return cmp.Or(strings.Join(all, ", "), senders)
}

// newest lists one mailbox and names it.
func newest(r *storage.Reader, id storage.MailboxID, after storage.Cursor, limit int, list *MessageList) (
	[]storage.Mail, error) {
	m, err := r.Mailbox(id)
	if err != nil {
		return nil, err
	}
	if m.Gone {
		return nil, storage.ErrNotFound
	}
	a, err := r.Account(m.Account)
	if err != nil {
		return nil, err
	}
	list.Title, list.Account = m.Path, a.Name
	return r.Newest(id, after, limit)
}

// newestOfAll merges the newest of every mailbox.
func newestOfAll(r *storage.Reader, after storage.Cursor, limit int) ([]storage.Mail, error) {
	accounts, err := r.Accounts()
	if err != nil {
		return nil, err
	}
	var all []storage.Mail
	for _, a := range accounts {
		mailboxes, err := r.Mailboxes(a.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range mailboxes {
			some, err := r.Newest(m.ID, after, limit)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
	}
	slices.SortFunc(all, func(a, b storage.Mail) int {
		return cmp.Or(b.Date.Compare(a.Date), cmp.Compare(b.Entry, a.Entry))
	})
	return all[:min(len(all), limit)], nil
}

// A cursor is "milliseconds-entry" of the last message of the page before.
func cursorOf(m storage.Mail) string {
	return fmt.Sprintf("%d-%d", m.Date.UnixMilli(), m.Entry)
}

func parseCursor(s string) (storage.Cursor, error) {
	if s == "" {
		return storage.Cursor{}, nil
	}
	date, entry, _ := strings.Cut(s, "-")
	ms, err := strconv.ParseInt(date, 10, 64)
	if err != nil {
		return storage.Cursor{}, err
	}
	id, err := strconv.ParseInt(entry, 10, 64)
	if err != nil || id < 1 {
		return storage.Cursor{}, errors.Join(err, strconv.ErrRange)
	}
	return storage.Cursor{Date: time.UnixMilli(ms).UTC(), Entry: storage.EntryID(id)}, nil
}
