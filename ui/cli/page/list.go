package page

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailcote/storage"
	"mailcote/ui/web"
)

// mostItems is the longest page of a list.
const mostItems = 200

// Messages gives one page of a list, newest first.
func (s *Source) Messages(ctx context.Context, q web.ListQuery) (web.MessageList, error) {
	q.Limit = min(max(q.Limit, 1), mostItems)
	var list web.MessageList
	after, err := parseCursor(q.Before)
	if err != nil {
		return list, web.ErrNotFound
	}
	var found []storage.Mail
	err = s.store.Read(ctx, func(r *storage.Reader) error {
		switch {
		case q.Search != "":
			found, err = search(r, q.Search, after, q.Limit+1)
		case q.Mailbox != 0:
			var m storage.Mailbox
			if m, err = r.Mailbox(storage.MailboxID(q.Mailbox)); err != nil {
				return err
			}
			if m.Gone {
				return storage.ErrNotFound
			}
			var a storage.Account
			if a, err = r.Account(m.Account); err != nil {
				return err
			}
			list.Title, list.Account = m.Path, a.Name
			found, err = r.Newest(m.ID, after, q.Limit+1)
		default:
			found, err = newestOfAll(r, after, q.Limit+1)
		}
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return list, web.ErrNotFound
	}
	if err != nil {
		return list, err
	}
	if len(found) > q.Limit {
		found = found[:q.Limit]
		list.Next = cursorOf(found[len(found)-1])
	}
	for _, m := range found {
		list.Items = append(list.Items, item(m))
	}
	return list, nil
}

func item(m storage.Mail) web.MessageItem {
	return web.MessageItem{ID: string(m.ID), From: m.Sender, Subject: m.Subject, Preview: m.Preview, Date: m.Date, Mailbox: m.MailboxPath,
		Unread: !m.Flags.Has(`\Seen`), Flagged: m.Flags.Has(`\Flagged`), Attachment: m.HasAttachment}
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
