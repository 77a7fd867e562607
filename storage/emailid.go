package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailcote/storage/internal/file"
)

const (
	// ShortID is how many characters of an email's id a table shows: the letter
	// and 35 random bits.
	ShortID = 8
	// ShortestPrefix is how many characters of an id somebody types at least. A
	// shorter one would soon mean another email.
	ShortestPrefix = 4
	// mostMeant is how many emails an ambiguous prefix lists.
	mostMeant = 5
)

// Meant is one of the emails that an ambiguous prefix may mean.
type Meant struct {
	ID      EmailID
	Subject string
}

// AmbiguousError says that a prefix begins the ids of several emails.
type AmbiguousError struct {
	Prefix string
	Emails []Meant // at most 5
	More   bool    // there are others
}

func (e *AmbiguousError) Error() string {
	length := len(e.Prefix) + 1
	for i, one := range e.Emails[1:] {
		length = max(length, shared(string(e.Emails[i].ID), string(one.ID))+1)
	}
	var all []string
	for _, one := range e.Emails {
		all = append(all, string(one.ID[:min(length, len(one.ID))])+" "+strconv.Quote(one.Subject))
	}
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("%s begins the ids of several messages: %s%s; type more of it", e.Prefix,
		strings.Join(all, ", "), more)
}

// FindEmail finds an email by its JMAP id, or by the first characters of it, 4
// at least, that no other email has, and gives its present id. Emails that are
// shown go first. Then come ids that such emails had in the last 30 days, and
// last emails that are gone. Errors: ErrNotFound, *AmbiguousError.
func (r *Reader) FindEmail(prefix string) (EmailRow, EmailID, error) {
	row, id, err := r.emailNamed(EmailID(prefix))
	if !errors.Is(err, ErrNotFound) || len(prefix) < ShortestPrefix {
		return row, id, err
	}
	past := prefix + "\U0010FFFF" // sorts after every id that begins with prefix
	rows, err := r.snap.Query(`SELECT id, jmap_id, subject, iif(live > 0, 1, 3) AS rank FROM email e
		WHERE jmap_id > ?1 AND jmap_id < ?2 AND `+ofAccount+`
		UNION ALL SELECT DISTINCT e.id, e.jmap_id, e.subject, 2 FROM email_alias a JOIN email e ON e.id = a.email_id
		WHERE a.jmap_id > ?1 AND a.jmap_id < ?2 AND e.live > 0 AND `+ofAccount+`
		ORDER BY rank, jmap_id LIMIT ?3`, prefix, past, mostMeant+1)
	found := AmbiguousError{Prefix: prefix}
	var first int // the rank of the first one
	if err := file.Each(rows, err, func(rows *sql.Rows) error {
		var id EmailRow
		var one Meant
		var rank int
		err := rows.Scan(&id, &one.ID, &one.Subject, &rank)
		if len(found.Emails) == 0 {
			row, first = id, rank
		}
		if rank == first {
			found.Emails = append(found.Emails, one)
		}
		return err
	}); err != nil {
		return 0, "", fmt.Errorf("find email %s: %w", prefix, err)
	}
	switch len(found.Emails) {
	case 0:
		return 0, "", fmt.Errorf("email %s: %w", prefix, ErrNotFound)
	case 1:
		return row, found.Emails[0].ID, nil
	case mostMeant + 1:
		found.Emails, found.More = found.Emails[:mostMeant], true
	}
	return 0, "", &found
}

// IDs lists the emails that are shown whose ids begin with prefix, at most
// limit; the newest ones if it is empty.
func (r *Reader) IDs(prefix string, limit int) ([]Meant, error) {
	var rows *sql.Rows
	var err error
	if past := prefix + "\U0010FFFF"; prefix != "" {
		rows, err = r.snap.Query(`SELECT jmap_id, subject FROM email e WHERE jmap_id >= ? AND jmap_id < ? AND live > 0
			AND `+ofAccount+` ORDER BY jmap_id LIMIT ?`, prefix, past, limit)
	} else {
		rows, err = r.snap.Query(`SELECT jmap_id, subject FROM email e WHERE received_at < ? AND live > 0
			AND `+ofAccount+` ORDER BY received_at DESC LIMIT ?`, int64(1<<62), limit)
	}
	var all []Meant
	return all, file.Each(rows, err, func(rows *sql.Rows) error {
		var one Meant
		err := rows.Scan(&one.ID, &one.Subject)
		all = append(all, one)
		return err
	})
}

// ShortID gives the first characters of an email's id that FindEmail finds it
// by: 8, or more where another email begins with the same ones.
func (r *Reader) ShortID(id EmailID) (string, error) {
	length := ShortID
	var before, after sql.NullString
	if err := r.snap.QueryRow(`SELECT (SELECT max(jmap_id) FROM email WHERE jmap_id < ?1),
		(SELECT min(jmap_id) FROM email WHERE jmap_id > ?1)`, string(id)).Scan(&before, &after); err != nil {
		return "", fmt.Errorf("short id of %s: %w", id, err)
	}
	for _, other := range []sql.NullString{before, after} {
		length = max(length, shared(string(id), other.String)+1)
	}
	return string(id[:min(length, len(id))]), nil
}

// shared is how many bytes two ids begin with in common.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
