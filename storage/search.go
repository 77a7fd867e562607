package storage

import (
	"fmt"
	"strings"

	"mailcote/storage/query"
)

// fewHits is the number of candidates up to which each is looked up and sorted.
// Where there are more, emails are walked from new to old until enough match.
// What is only counted need not be sorted. What both cost is measured in
// docs/decisions/0001-store.md.
const (
	fewHits    = 1000
	fewCounted = 10_000
)

// An email is shown by its first live entry in a shown mailbox. It counts as
// unread or flagged when any of those entries is. The conditions on flags are
// spelled as in the indexes entry_unread and entry_flagged.
const (
	unreadEntries = `FROM entry INDEXED BY entry_unread
		WHERE expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Seen ') = 0`
	flaggedEntries = `FROM entry INDEXED BY entry_flagged
		WHERE expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Flagged ') > 0`
	shownEntries = `FROM entry x JOIN mailbox y ON y.id = x.mailbox_id AND y.uidvalidity = x.uidvalidity
		AND y.gone_at IS NULL
		WHERE x.email_id = e.id AND x.expunged_at IS NULL`
	ofMailboxes = `FROM mailbox y CROSS JOIN entry x INDEXED BY entry_shown ON x.mailbox_id = y.id
		AND x.uidvalidity = y.uidvalidity WHERE y.gone_at IS NULL AND x.expunged_at IS NULL AND y.id IN `

	fromAll  = `email e INDEXED BY email_newest` // most conditions read nothing but this index
	anything = `TRUE`
)

// Search lists the emails that match, the newest arrival first, at most limit,
// each by one live entry. account 0 means all. Mail that is not indexed yet is
// found by what is no text only.
func (r *Reader) Search(q query.Query, account AccountID, limit int) ([]Mail, error) {
	s, err := r.plan(q, account, false)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	entries := shownEntries
	if s.in != nil { // the copy there is the one that is meant
		entries += ` AND x.mailbox_id IN ` + listed(s.in)
	}
	statement := `SELECT ` + mailColumns + ` FROM ` + s.from + `
		CROSS JOIN entry n ON n.id = (SELECT x.id ` + entries + ` ORDER BY x.id LIMIT 1)
		CROSS JOIN mailbox m ON m.id = n.mailbox_id CROSS JOIN account a ON a.id = m.account_id
		WHERE ` + s.where + ` ORDER BY e.received_at DESC, e.id DESC LIMIT ?`
	rows, err := r.snap.Query(statement, append(s.args, limit)...)
	found, err := listMail(rows, err)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// CountHits counts the emails that match.
func (r *Reader) CountHits(q query.Query, account AccountID) (n int64, err error) {
	s, err := r.plan(q, account, true)
	if err != nil {
		return 0, fmt.Errorf("count hits: %w", err)
	}
	statement := `SELECT count(*) FROM ` + s.from + ` WHERE ` + s.where
	switch m, ok := s.onlyText(q, account); {
	case s.hidden:
		statement += ` AND EXISTS (SELECT 1 ` + shownEntries + `)`
	case ok:
		statement, s.args = countText, []any{m.Text}
	case s.where == anything:
		statement = `SELECT count(*) FROM ` + s.hits // no email is read
	}
	if err := r.snap.QueryRow(statement, s.args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("count hits: %w", err)
	}
	return n, nil
}

// countText counts what the index finds, without the emails that have no live
// entry, of which partial indexes know.
const countText = `SELECT count(*) FROM search WHERE search MATCH ? AND rowid NOT IN
	(SELECT id FROM email WHERE live = 0 AND destroyed_at IS NULL
	 UNION ALL SELECT id FROM email WHERE destroyed_at IS NOT NULL)`

// onlyText gives the expression of a query that asks for text only.
func (s search) onlyText(q query.Query, account AccountID) (query.Match, bool) {
	if q.Expr == nil || account != 0 {
		return query.Match{}, false
	}
	m, ok := s.spelling.Match(q.Expr)
	return m, ok && !m.Not
}

// UnknownNames gives a sentence for each in: and account: of a query that means
// no mailbox and no account.
func (r *Reader) UnknownNames(q query.Query) (all []string, err error) {
	names := names{r: r}
	var look func(e query.Expr) error
	look = func(e query.Expr) error {
		var list []query.Expr
		switch e := e.(type) {
		case query.And:
			list = e
		case query.Or:
			list = e
		case query.Not:
			list = []query.Expr{e.Expr}
		case query.In:
			ids, err := names.mailboxes(e.Name)
			if len(ids) == 0 && err == nil {
				all = append(all, fmt.Sprintf("There is no mailbox %q.", e.Name.Text))
			}
			return err
		case query.Account:
			ids, err := names.accounts(e.Name)
			if len(ids) == 0 && err == nil {
				all = append(all, fmt.Sprintf("There is no account %q.", e.Name.Text))
			}
			return err
		}
		for _, part := range list {
			if err := look(part); err != nil {
				return err
			}
		}
		return nil
	}
	return all, look(q.Expr)
}

// search is a search as a statement.
type search struct {
	hits     string // what the statement begins with, as emails of the column hit; "": all are asked
	from     string
	where    string
	args     []any
	in       []MailboxID // those that every hit is in; nil: any
	hidden   bool        // some live entries may not be shown
	spelling query.Spelling
}

// plan begins with the first condition that leaves few candidates. If none does,
// it walks all emails; where no order is asked for it takes the first condition
// all the same.
func (r *Reader) plan(q query.Query, account AccountID, unsorted bool) (s search, err error) {
	state, err := r.indexState()
	if err != nil {
		return s, err
	}
	s.spelling = state.spelling
	if s.hidden, err = r.hides(); err != nil {
		return s, err
	}
	c := conditions{names: names{r: r}, spelling: state.spelling, hidden: s.hidden}
	parts, err := c.split(q.All(), &account, &s.in)
	if err != nil {
		return s, err
	}
	first, err := r.begin(parts, account, s.in, unsorted)
	if err != nil {
		return s, err
	}
	s.from = fromAll
	if first.kind != walk {
		s.hits, s.args = `(SELECT `+first.column+` AS hit `+first.from+`)`, first.args
		s.from = s.hits + ` CROSS JOIN email e ON e.id = hit`
	}
	// What the statement begins with is asked once, but for a flag where a copy may not be shown.
	switch first.kind {
	case byText:
		parts.text = query.Match{}
	case byMailbox:
		parts.in = nil
	case byFlagged:
		parts.flagged = s.hidden
	case byUnread:
		parts.unread = s.hidden
	}
	if account != 0 {
		c.add(`e.account_id = ?`, account)
	}
	if parts.after != noLower {
		c.add(`e.received_at >= ?`, parts.after)
	}
	if parts.before != noUpper {
		c.add(`e.received_at < ?`, parts.before)
	}
	if first.kind <= byText { // of the other emails an entry is live
		c.add(`e.live > 0`)
	}
	for _, one := range parts.all() {
		part, err := c.sql(one)
		if err != nil {
			return s, err
		}
		c.add(part)
	}
	if parts.text != (query.Match{}) {
		c.add(c.match(parts.text))
	}
	if len(c.where) == 0 {
		c.add(anything)
	}
	s.where = strings.Join(c.where, " AND ")
	s.args = append(s.args, c.args...)
	return s, nil
}

// start is what a statement can begin with: entries or rows of the index that
// give the emails in a column.
type start struct {
	kind   int
	wanted bool
	column string
	from   string
	args   []any
}

// The kinds of a start. Up to byText an email may have no live entry.
const (
	walk = iota // all emails, from new to old
	byAccount
	byText
	byMailbox
	byFlagged
	byUnread
)

// begin chooses a start; see plan.
func (r *Reader) begin(p parts, account AccountID, in []MailboxID, unsorted bool) (first start, err error) {
	few := fewHits
	if unsorted {
		few = fewCounted
	}
	for _, one := range []start{
		{byText, p.text != (query.Match{}) && !p.text.Not, `rowid`, `FROM search WHERE search MATCH ?`,
			[]any{p.text.Text}},
		{byMailbox, in != nil, `DISTINCT x.email_id`, ofMailboxes + listed(in), nil},
		{byFlagged, p.flagged, `DISTINCT email_id`, flaggedEntries, nil},
		{byUnread, p.unread, `DISTINCT email_id`, unreadEntries, nil},
		{byAccount, account != 0, `id`, `FROM email INDEXED BY email_received WHERE account_id = ?`, []any{account}},
	} {
		if !one.wanted {
			continue
		}
		var n int
		count := `SELECT count(*) FROM (SELECT 1 ` + one.from + ` LIMIT ?)`
		if err := r.snap.QueryRow(count, append(one.args, few)...).Scan(&n); err != nil {
			return first, err
		}
		if n < few {
			return one, nil
		}
		if unsorted && first.kind == walk && one.kind != byAccount { // to walk costs less
			first = one
		}
	}
	return first, nil
}

// hides reports whether a live entry may not be shown: its mailbox has another
// generation that is being fetched, or its account is being removed.
func (r *Reader) hides() (hidden bool, err error) {
	err = r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM mailbox WHERE building IS NOT NULL)
		OR EXISTS (SELECT 1 FROM account WHERE removed_at IS NOT NULL)`).Scan(&hidden)
	return hidden, err
}
