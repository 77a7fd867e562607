package view

import (
	"context"
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
func search(r *storage.Reader, text, before string, limit int) (
	hits []storage.Mail, q query.Query, next string, err error) {
	q, err = query.Parse(text, time.Local)
	if bad := (*query.SyntaxError)(nil); errors.As(err, &bad) {
		return nil, q, "", &QueryError{Reason: bad.Error()}
	}
	if err != nil {
		return nil, q, "", err
	}
	skip := 0
	if before != "" {
		number, ok := strings.CutPrefix(before, "n")
		if skip, err = strconv.Atoi(number); err != nil || !ok || skip < 0 || skip > mostHits {
			return nil, q, "", storage.ErrNotFound
		}
	}
	found, err := r.Search(q, 0, skip+limit+1)
	if err != nil {
		return nil, q, "", err
	}
	found = found[min(skip, len(found)):]
	if len(found) > limit && skip+limit <= mostHits {
		next = "n" + strconv.Itoa(skip+limit)
	}
	return found[:min(limit, len(found))], q, next, nil
}

// Found is what a search finds.
type Found struct {
	Hits      []Hit
	Total     int64    // messages that match, whatever the limit
	Unindexed int64    // messages whose text is not found yet
	Hints     []string // sentences about names in the query that mean nothing
}

// Hit is a message with the text around what was found in it.
type Hit struct {
	Mail    storage.Mail
	Snippet query.Snippet
	Found   bool // there is a snippet
}

// Find searches, with snippets. account 0 means all.
func Find(ctx context.Context, store *storage.Store, q query.Query, account storage.AccountID, limit int) (
	found Found, err error) {
	var hits []storage.Mail
	if err := store.Read(ctx, func(r *storage.Reader) error {
		if hits, err = r.Search(q, account, limit); err != nil {
			return err
		}
		if found.Total = int64(len(hits)); len(hits) == limit {
			if found.Total, err = r.CountHits(q, account); err != nil {
				return err
			}
		}
		if found.Hints, err = r.UnknownNames(q); err != nil {
			return err
		}
		found.Unindexed, err = r.CountUnindexed()
		return err
	}); err != nil {
		return found, err
	}
	for _, m := range hits {
		h := Hit{Mail: m}
		if h.Snippet, h.Found, err = snippet(ctx, store, q, m.ID); err != nil {
			return found, err
		}
		found.Hits = append(found.Hits, h)
	}
	return found, nil
}

// snippet makes the snippet of a message from its blob. A message that went
// meanwhile, or that cannot be read, has none; mailcote check tells of damage.
func snippet(ctx context.Context, store *storage.Store, q query.Query, id storage.EmailID) (
	s query.Snippet, ok bool, err error) {
	if !q.HasText() {
		return s, false, nil
	}
	m, err := Read(ctx, store, id)
	if ctx.Err() != nil {
		return s, false, ctx.Err()
	}
	if err != nil {
		return s, false, nil //nolint:nilerr // see above
	}
	s, ok = q.Snippet(m.View.Text)
	return s, ok, nil
}
