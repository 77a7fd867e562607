package storage

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"mailcote/storage/query"
)

// Dates that bound nothing, in milliseconds.
const (
	noLower = -1 << 62
	noUpper = 1 << 62
)

// parts are what must all hold, by kind.
type parts struct {
	text            query.Match // of all conditions on text; zero: there is none
	unread, flagged bool        // a copy must be so
	after, before   int64
	in              query.Expr // the first mailbox that is asked for; nil: none is
	others          []query.Expr
}

// all is what neither the index nor a range of dates answers, the cheapest first.
func (p parts) all() []query.Expr {
	all := slices.Clone(p.others)
	if p.flagged {
		all = append(all, query.Flagged{})
	}
	if p.unread {
		all = append(all, query.Unread{})
	}
	if p.in != nil {
		all = append(all, p.in)
	}
	return all
}

// split sorts the conditions of a query. account becomes the account that is
// asked for, if there is one only.
func (c *conditions) split(all []query.Expr, account *AccountID, in *[]MailboxID) (p parts, err error) {
	p.after, p.before = noLower, noUpper
	var text query.And
	for _, e := range all {
		if _, ok := c.spelling.Match(e); ok {
			text = append(text, e)
			continue
		}
		switch e := e.(type) {
		case query.After:
			p.after = max(p.after, millis(e.At))
			continue
		case query.Before:
			p.before = min(p.before, millis(e.At))
			continue
		case query.Unread:
			p.unread = true
			continue
		case query.Flagged:
			p.flagged = true
			continue
		case query.In:
			if p.in == nil {
				ids, err := c.names.mailboxes(e.Name)
				if err != nil {
					return p, err
				}
				p.in, *in = e, append([]MailboxID{}, ids...)
				continue
			}
		case query.Account:
			ids, err := c.names.accounts(e.Name)
			if err != nil {
				return p, err
			}
			if len(ids) < 2 && *account == 0 {
				*account = append(ids, -1)[0] // no account has -1
				continue
			}
		}
		p.others = append(p.others, e)
	}
	if len(text) > 0 {
		p.text, _ = c.spelling.Match(text)
	}
	return p, nil
}

// conditions collects conditions on an email as SQL.
type conditions struct {
	names    names
	spelling query.Spelling
	hidden   bool // some live entries may not be shown
	where    []string
	args     []any
}

func (c *conditions) add(where string, args ...any) {
	c.where, c.args = append(c.where, where), append(c.args, args...)
}

// arg is a condition with its argument.
func (c *conditions) arg(where string, arg any) string {
	c.args = append(c.args, arg)
	return where
}

func (c *conditions) match(m query.Match) string {
	if m.Not {
		return c.arg(`e.id NOT IN (SELECT rowid FROM search WHERE search MATCH ?)`, m.Text)
	}
	return c.arg(`e.id IN (SELECT rowid FROM search WHERE search MATCH ?)`, m.Text)
}

// sql gives an Expr as SQL. Its arguments are added in the order of the text.
func (c *conditions) sql(e query.Expr) (string, error) {
	if m, ok := c.spelling.Match(e); ok {
		return c.match(m), nil
	}
	switch e := e.(type) {
	case query.And:
		text, others := c.apart(e)
		if len(text) > 1 {
			others = append(others, query.And(text))
			text = nil
		}
		return c.joined(append(others, text...), ` AND `)
	case query.Or:
		text, others := c.apart(e)
		if len(text) > 1 {
			others = append(others, query.Or(text))
			text = nil
		}
		return c.joined(append(others, text...), ` OR `)
	case query.Not:
		inner, err := c.sql(e.Expr)
		return `NOT ` + inner, err
	case query.Before:
		return c.arg(`(e.received_at < ?)`, millis(e.At)), nil
	case query.After:
		return c.arg(`(e.received_at >= ?)`, millis(e.At)), nil
	case query.Unread:
		return c.copyIn(unreadEntries), nil
	case query.Flagged:
		return c.copyIn(flaggedEntries), nil
	case query.Attached:
		return `(e.has_attachment = 1)`, nil
	case query.Larger:
		return c.arg(`(e.size > ?)`, e.Bytes), nil
	case query.Smaller:
		return c.arg(`(e.size < ?)`, e.Bytes), nil
	case query.In:
		ids, err := c.names.mailboxes(e.Name)
		return `(e.id IN (SELECT x.email_id ` + ofMailboxes + listed(ids) + `))`, err
	case query.Account:
		ids, err := c.names.accounts(e.Name)
		return `(e.account_id IN ` + listed(ids) + `)`, err
	}
	return "", errors.New("a condition that is not known")
}

// copyIn is the condition that one of some entries is a copy which is shown.
func (c *conditions) copyIn(entries string) string {
	if c.hidden {
		entries += ` AND EXISTS (SELECT 1 FROM mailbox y WHERE y.id = mailbox_id AND y.uidvalidity = entry.uidvalidity
			AND y.gone_at IS NULL)`
	}
	return `(e.id IN (SELECT email_id ` + entries + `))`
}

// apart parts what the search index can answer from what it cannot.
func (c *conditions) apart(all []query.Expr) (text, others []query.Expr) {
	for _, e := range all {
		if _, ok := c.spelling.Match(e); ok {
			text = append(text, e)
		} else {
			others = append(others, e)
		}
	}
	return text, others
}

func (c *conditions) joined(all []query.Expr, by string) (string, error) {
	var parts []string
	for _, e := range all {
		part, err := c.sql(e)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	return `(` + strings.Join(parts, by) + `)`, nil
}

// names finds what in: and account: mean. The lists are read once.
type names struct {
	r     *Reader
	known []Account
	boxes map[AccountID][]Mailbox
}

func (n *names) read() (err error) {
	if n.boxes != nil {
		return nil
	}
	if n.known, err = n.r.Accounts(); err != nil {
		return err
	}
	n.boxes = map[AccountID][]Mailbox{}
	for _, a := range n.known {
		if n.boxes[a.ID], err = n.r.Mailboxes(a.ID); err != nil {
			return err
		}
	}
	return nil
}

// mailboxes gives the ids of the mailboxes of a name, in any account.
func (n *names) mailboxes(name query.Name) (ids []MailboxID, err error) {
	if err := n.read(); err != nil {
		return nil, err
	}
	for _, all := range n.boxes {
		for _, m := range all {
			if !m.Gone && name.Mailbox(m.Path, m.Delimiter, m.Role) {
				ids = append(ids, m.ID)
			}
		}
	}
	return ids, nil
}

func (n *names) accounts(name query.Name) (ids []AccountID, err error) {
	if err := n.read(); err != nil {
		return nil, err
	}
	for _, a := range n.known {
		if name.Account(a.Name, a.User, a.Host) {
			ids = append(ids, a.ID)
		}
	}
	return ids, nil
}

// listed is ids as a list of SQL. SQLite sees from it whether they are one, which
// a parameter would hide. Of none it makes one that no row has: an empty list
// leaves SQLite without a use for the index that it is told to take.
func listed[ID ~int64](ids []ID) string {
	if len(ids) == 0 {
		return `(-1)`
	}
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatInt(int64(id), 10)
	}
	return `(` + strings.Join(words, `, `) + `)`
}
