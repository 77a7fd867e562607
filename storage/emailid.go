package storage

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
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

// Typed is what a person types of an id, of which the first characters will do:
// the letter and the random part.
func (id EmailID) Typed() string {
	_, random := schema.RandomPart(string(id))
	return string(id[:min(1, len(id))]) + random
}

// Beginning is the form of an id that begins with prefix: the whole id, or what
// is typed of it.
func (id EmailID) Beginning(prefix string) string {
	if strings.HasPrefix(string(id), prefix) {
		return string(id)
	}
	return id.Typed()
}

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
	var all []string
	for i, one := range e.Emails {
		for _, other := range e.Emails[:i] {
			length = max(length, shared(one.ID.Beginning(e.Prefix), other.ID.Beginning(e.Prefix))+1)
		}
	}
	for _, one := range e.Emails {
		id := one.ID.Beginning(e.Prefix)
		all = append(all, id[:min(length, len(id))]+" "+strconv.Quote(one.Subject))
	}
	more := ""
	if e.More {
		more = " and others"
	}
	return fmt.Sprintf("%s begins the ids of several messages: %s%s; type more of it", e.Prefix,
		strings.Join(all, ", "), more)
}

// meaning begins a query of meant, a table of the ranges in which the ids lie
// that a prefix may mean. Ids that begin with it lie from ?1 to ?2. In each group
// of ids that ascend, those whose random part does lie from ?3 to ?4. past goes
// from group to group by the index. schema.ObjectID says how such an id begins.
const meaning = `WITH RECURSIVE past(p) AS (SELECT 'evvv' UNION ALL SELECT (SELECT substr(min(id), 1, 9) || '~'
	FROM (SELECT min(jmap_id) AS id FROM email WHERE jmap_id > p AND jmap_id < 'ew'
	UNION ALL SELECT min(jmap_id) FROM email_alias WHERE jmap_id > p AND jmap_id < 'ew'))
	FROM past WHERE p IS NOT NULL),
	meant(lo, hi) AS (SELECT ?1, ?2 UNION ALL SELECT substr(p, 1, 9) || ?3, substr(p, 1, 9) || ?4 FROM past
	WHERE length(p) = 10) `

// ranges gives the arguments of meaning. No character of an id sorts after "~".
func ranges(prefix string) []any {
	const past = "\U0010FFFF"
	if rest, ok := strings.CutPrefix(prefix, "e"); ok && rest != "" {
		return []any{prefix, prefix + past, rest, rest + past}
	}
	return []any{prefix, prefix + past, past, past}
}

// FindEmail finds an email by its JMAP id, or by what a person types of it, and
// gives its present id. That is the first characters, 4 at least, of the id or
// of its Typed form, which no other email has. Emails that are shown go first.
// Then come ids that such emails had in the last 30 days, and last emails that
// are gone. Errors: ErrNotFound, *AmbiguousError.
func (r *Reader) FindEmail(prefix string) (EmailRow, EmailID, error) {
	row, id, err := r.emailNamed(EmailID(prefix))
	if !errors.Is(err, ErrNotFound) || len(prefix) < ShortestPrefix {
		return row, id, err
	}
	rows, err := r.snap.Query(meaning+`SELECT DISTINCT e.id, e.jmap_id, e.subject, iif(e.live > 0, 1, 3) AS rank
		FROM meant CROSS JOIN email e WHERE e.jmap_id >= lo AND e.jmap_id < hi AND `+ofAccount+`
		UNION ALL SELECT DISTINCT e.id, e.jmap_id, e.subject, 2 FROM meant CROSS JOIN email_alias a
		CROSS JOIN email e
		WHERE a.jmap_id >= lo AND a.jmap_id < hi AND e.id = a.email_id AND e.live > 0 AND `+ofAccount+`
		ORDER BY rank, jmap_id LIMIT ?5`, append(ranges(prefix), mostMeant+1)...)
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

// IDs lists the emails that are shown whose ids, or their Typed forms, begin
// with prefix, at most limit; the newest ones if it is empty.
func (r *Reader) IDs(prefix string, limit int) ([]Meant, error) {
	var rows *sql.Rows
	var err error
	if prefix != "" {
		rows, err = r.snap.Query(meaning+`SELECT DISTINCT e.jmap_id, e.subject FROM meant CROSS JOIN email e
			WHERE e.jmap_id >= lo AND e.jmap_id < hi AND e.live > 0 AND `+ofAccount+` LIMIT ?5`,
			append(ranges(prefix), limit)...)
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

// ShortID gives the first characters of what is typed of an email's id that
// FindEmail finds it by: 8, or more where another email's begins with the same
// ones.
func (r *Reader) ShortID(id EmailID) (string, error) {
	typed := id.Typed()
	for length := ShortID; length < len(typed); length++ {
		all, err := r.IDs(typed[:length], 2)
		if err != nil {
			return "", fmt.Errorf("short id of %s: %w", id, err)
		}
		if len(all) < 2 {
			return typed[:length], nil
		}
	}
	return typed, nil
}

// shared is how many bytes two ids begin with in common.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}
