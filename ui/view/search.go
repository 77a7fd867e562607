package view

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"mailcote/storage"
	"mailcote/storage/query"
)

// mostHits is how many hits the page shows. A narrower search finds the rest.
const mostHits = 2000

// search gives one page of hits. The cursor is "n" and the number of hits
// before the page.
func search(r *storage.Reader, text, before string, limit int) (hits []storage.Mail, next string, err error) {
	q, err := query.Parse(text, time.Local)
	if bad := (*query.SyntaxError)(nil); errors.As(err, &bad) {
		return nil, "", &QueryError{Reason: bad.Error()}
	}
	if err != nil {
		return nil, "", err
	}
	skip := 0
	if before != "" {
		number, ok := strings.CutPrefix(before, "n")
		if skip, err = strconv.Atoi(number); err != nil || !ok || skip < 0 || skip > mostHits {
			return nil, "", storage.ErrNotFound
		}
	}
	found, err := r.Search(q, 0, skip+limit+1)
	if err != nil {
		return nil, "", err
	}
	found = found[min(skip, len(found)):]
	if len(found) > limit && skip+limit <= mostHits {
		next = "n" + strconv.Itoa(skip+limit)
	}
	return found[:min(limit, len(found))], next, nil
}
