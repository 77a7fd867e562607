package storage

import (
	"fmt"
	"math"
	"strings"

	"mailcote/storage/query"
)

// fewHits is the number of candidates up to which each is looked up and sorted.
// Where there are more, emails are walked from new to old until enough match.
// Both keep within the budget of 50 ms at 100 000 mails
// (docs/decisions/0001-store.md).
const fewHits = 1000

// An email is shown by its first live entry in a shown mailbox. It counts as
// unread or flagged when any of those entries is. The conditions on flags are
// spelled as in the indexes entry_unread and entry_flagged.
const (
	isUnread     = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Seen ') = 0`
	isFlagged    = `expunged_at IS NULL AND instr(' ' || flags || ' ', ' \Flagged ') > 0`
	shownEntries = `FROM entry x JOIN mailbox y ON y.id = x.mailbox_id AND y.uidvalidity = x.uidvalidity
		AND y.gone_at IS NULL
		WHERE x.email_id = e.id AND x.expunged_at IS NULL`
	inMailboxes = `FROM mailbox y CROSS JOIN entry x INDEXED BY entry_shown ON x.mailbox_id = y.id
		AND x.uidvalidity = y.uidvalidity
		WHERE y.id IN (SELECT value FROM json_each(?)) AND y.gone_at IS NULL AND x.expunged_at IS NULL`

	fromHits    = `(SELECT rowid AS hit FROM search WHERE search MATCH ?) CROSS JOIN email e ON e.id = hit`
	fromFlagged = `(SELECT DISTINCT email_id AS hit FROM entry WHERE ` + isFlagged + `)
		CROSS JOIN email e ON e.id = hit`
	fromUnread = `(SELECT DISTINCT email_id AS hit FROM entry WHERE ` + isUnread + `)
		CROSS JOIN email e ON e.id = hit`
	fromMailboxes = `(SELECT DISTINCT x.email_id AS hit ` + inMailboxes + `) CROSS JOIN email e ON e.id = hit`
	fromAccount   = `email e INDEXED BY email_received`
	fromAll       = `email e INDEXED BY email_newest`
)

// Search lists the emails that match, the newest arrival first, at most limit,
// each by one live entry. account 0 means all. Mail that is not indexed yet is
// found by what is no text only.
func (r *Reader) Search(q query.Query, account AccountID, limit int) ([]Mail, error) {
	s, err := r.plan(q, account, fewHits)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	entries, args := shownEntries, s.args
	if s.in != "" { // the copy there is the one that is meant
		entries += ` AND x.mailbox_id IN (SELECT value FROM json_each(?))`
		args = append(append(append([]any{}, args[:s.fromArgs]...), s.in), args[s.fromArgs:]...)
	}
	statement := `SELECT ` + mailColumns + ` FROM ` + s.from + `
		CROSS JOIN entry n ON n.id = (SELECT x.id ` + entries + ` ORDER BY x.id LIMIT 1)
		CROSS JOIN mailbox m ON m.id = n.mailbox_id CROSS JOIN account a ON a.id = m.account_id
		WHERE ` + s.where + ` ORDER BY e.received_at DESC, e.id DESC LIMIT ?`
	rows, err := r.snap.Query(statement, append(args, limit)...)
	found, err := listMail(rows, err)
	if err != nil {
		return nil, fmt.Errorf("search: %w", err)
	}
	return found, nil
}

// CountHits counts the emails that match.
func (r *Reader) CountHits(q query.Query, account AccountID) (n int64, err error) {
	s, err := r.plan(q, account, math.MaxInt) // nothing is sorted
	if err != nil {
		return 0, fmt.Errorf("count hits: %w", err)
	}
	// A live entry is shown, unless a mailbox has another generation that is being fetched, or its account is being
	// removed.
	var hidden bool
	if err := r.snap.QueryRow(`SELECT EXISTS (SELECT 1 FROM mailbox WHERE building IS NOT NULL)
		OR EXISTS (SELECT 1 FROM account WHERE removed_at IS NOT NULL)`).
		Scan(&hidden); err != nil {
		return 0, fmt.Errorf("count hits: %w", err)
	}
	statement := `SELECT count(*) FROM ` + s.from + ` WHERE ` + s.where
	if m, ok := s.onlyText(q, account); ok && !hidden {
		statement, s.args = countText, []any{m.Text}
	}
	if hidden {
		statement += ` AND EXISTS (SELECT 1 ` + shownEntries + `)`
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

// search is a search as a statement: FROM with its arguments, WHERE with the
// others.
type search struct {
	from     string
	where    string
	args     []any
	fromArgs int    // how many of args belong to from
	in       string // ids of the mailboxes that every hit is in, as JSON; "": any
	spelling query.Spelling
}

// plan begins with the first condition that leaves fewer candidates than few, if
// one does.
func (r *Reader) plan(q query.Query, account AccountID, few int) (s search, err error) {
	state, err := r.indexState()
	if err != nil {
		return s, err
	}
	s.spelling = state.spelling
	c := conditions{names: names{r: r}, spelling: state.spelling}
	parts, err := c.split(q.All(), &account, &s.in)
	if err != nil {
		return s, err
	}
	text := parts.text
	for _, begin := range []struct {
		wanted      bool
		from, count string
		args        []any
	}{
		{text != (query.Match{}) && !text.Not, fromHits, `SELECT 1 FROM search WHERE search MATCH ?`, []any{text.Text}},
		{s.in != "", fromMailboxes, `SELECT 1 ` + inMailboxes, []any{s.in}},
		{parts.flagged, fromFlagged, `SELECT 1 FROM entry WHERE ` + isFlagged, nil},
		{parts.unread, fromUnread, `SELECT 1 FROM entry WHERE ` + isUnread, nil},
	} {
		if !begin.wanted {
			continue
		}
		n := 0
		if few != math.MaxInt {
			count := `SELECT count(*) FROM (` + begin.count + ` LIMIT ?)`
			if err := r.snap.QueryRow(count, append(begin.args, few)...).Scan(&n); err != nil {
				return s, err
			}
		}
		if n < few {
			s.from, s.args = begin.from, begin.args
			break
		}
	}
	if s.from == fromHits {
		text = query.Match{} // asked once is enough
	}
	switch {
	case s.from == "" && account != 0:
		s.from = fromAccount
	case s.from == "":
		s.from = fromAll
	}
	s.fromArgs = len(s.args)
	if account != 0 {
		c.add(`e.account_id = ?`, account)
	}
	c.add(`e.received_at >= ?`, parts.after)
	c.add(`e.received_at < ?`, parts.before)
	c.add(`e.live > 0`)
	for _, one := range parts.others {
		part, err := c.sql(one)
		if err != nil {
			return s, err
		}
		c.add(part)
	}
	if text != (query.Match{}) {
		c.add(c.match(text))
	}
	s.where = strings.Join(c.where, " AND ")
	s.args = append(s.args, c.args...)
	return s, nil
}
