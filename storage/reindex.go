package storage

import (
	"database/sql"
	"errors"
	"fmt"

	"mailcote/storage/internal/file"
	"mailcote/storage/internal/schema"
	"mailcote/storage/query"
)

// indexState says how the index that answers is spelled, and what is built
// beside it.
type indexState struct {
	spelling query.Spelling
	next     query.Spelling // of the index that is being built; 0: none is
	built    EmailRow       // the last email that was written to it
}

// indexState reads the row of index_state. A store that lost it has the oldest
// spelling, which is then built anew.
func (r *Reader) indexState() (s indexState, err error) {
	err = r.snap.QueryRow(`SELECT spelling, coalesce(next, 0), built FROM index_state WHERE id = 1`).
		Scan(&s.spelling, &s.next, &s.built)
	if errors.Is(err, sql.ErrNoRows) {
		return indexState{spelling: query.Bigrams}, nil
	}
	return s, explain("read how the search index is spelled", err)
}

// NewestSpelling reports whether every index that is written to has the newest
// spelling, so that it takes documents that are spelled.
func (r *Reader) NewestSpelling() (bool, error) {
	state, err := r.indexState()
	return state.spelling == query.Newest && (state.next == 0 || state.next == query.Newest), err
}

// setState is the statement that notes what the index is.
func setState(spelling, next query.Spelling) string {
	return fmt.Sprintf(`INSERT INTO index_state (id, spelling, next, built) VALUES (1, %d, nullif(%d, 0), 0)
		ON CONFLICT DO UPDATE SET spelling = excluded.spelling, next = excluded.next, built = 0`, spelling, next)
}

// respellEmpty gives an index that holds nothing the newest spelling at once.
// An index that cannot be read is left for the indexer.
func (w *Writer) respellEmpty() error {
	state, err := w.indexState()
	if err != nil || state.spelling == query.Newest {
		return err
	}
	var holds bool
	if err := w.tx.QueryRow(`SELECT EXISTS (SELECT 1 FROM search_docsize)`).Scan(&holds); err != nil || holds {
		return nil //nolint:nilerr // RenewIndex is the indexer's answer
	}
	return w.RenewIndex()
}

// RebuildIndex begins to build a search index in the newest spelling beside the
// one that answers. What another build had done is dropped. Call it through
// Store.WriteAlone.
func (w *Writer) RebuildIndex() error {
	state, err := w.indexState()
	if err != nil {
		return err
	}
	return w.define("begin another search index", `DROP TABLE IF EXISTS search_next`,
		schema.SearchTable("search_next"), setState(state.spelling, query.Newest))
}

// Rebuild says what the search index that is being built lacks: the next emails
// by row key, at most limit. outdated: none is being built in the newest
// spelling, and the one that answers has another. Emails that wait to be
// indexed get into both that way.
func (r *Reader) Rebuild(limit int) (rows []EmailRow, building, outdated bool, err error) {
	state, err := r.indexState()
	if err != nil || state.next != query.Newest {
		return nil, false, err == nil && state.spelling != query.Newest || state.next != 0, err
	}
	list, err := r.snap.Query(`SELECT id FROM email e WHERE id > ? AND digest IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM unindexed WHERE email_id = e.id) ORDER BY id LIMIT ?`, state.built, limit)
	return rows, true, false, file.Each(list, err, func(list *sql.Rows) error {
		var one EmailRow
		err := list.Scan(&one)
		rows = append(rows, one)
		return err
	})
}

// RebuildDocs writes rows of the index that is being built, in the order of
// Rebuild. Call it through Store.WriteAlone.
func (w *Writer) RebuildDocs(docs []IndexDoc) error {
	state, err := w.indexState()
	if err != nil || state.next == 0 || len(docs) == 0 {
		return err
	}
	for _, doc := range docs {
		if _, err := w.putIndexRow(`search_next`, state.next, doc); err != nil {
			return err
		}
	}
	_, err = w.tx.Exec(`UPDATE index_state SET built = ? WHERE id = 1`, docs[len(docs)-1].Email)
	return explain("note how far the search index is built", err)
}

// SwapIndex lets the index that was built answer, unless it lacks something.
// Call it through Store.WriteAlone.
func (w *Writer) SwapIndex() error {
	rows, building, _, err := w.Rebuild(1)
	if err != nil || !building || len(rows) > 0 {
		return err
	}
	return w.define("let the new search index answer", `DROP TABLE search`,
		`ALTER TABLE search_next RENAME TO search`, setState(query.Newest, 0))
}

// toRebuild counts what the index that is being built lacks.
func (r *Reader) toRebuild() (n int64, err error) {
	state, err := r.indexState()
	if err != nil || state.spelling == query.Newest && state.next == 0 {
		return 0, err
	}
	err = r.snap.QueryRow(`SELECT count(*) FROM email e WHERE id > ? AND digest IS NOT NULL
		AND NOT EXISTS (SELECT 1 FROM unindexed WHERE email_id = e.id)`, state.built).Scan(&n)
	return n, explain("count what is to be indexed again", err)
}
