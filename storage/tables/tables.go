// Package tables is how package queue keeps tables of its own in the store: a
// task's rows live in the transactions of the mail they describe. No other
// package imports it (.ci/layers.awk). Whoever is above the queue asks package
// storage for a noun.
package tables

import (
	"database/sql"

	"mailcote/storage/internal/file"
)

// Snapshot runs queries in the snapshot of a storage.Reader.
type Snapshot struct{ *file.Snapshot }

// Tx runs statements in the transaction of a storage.Writer.
type Tx struct{ *file.Tx }

// Of gives the snapshot of a storage.Reader.
func Of(r interface{ LendSnapshot(to *Snapshot) }) (s Snapshot) {
	r.LendSnapshot(&s)
	return s
}

// In gives the transaction of a storage.Writer.
func In(w interface{ LendTx(to *Tx) }) (tx Tx) {
	w.LendTx(&tx)
	return tx
}

// Each calls scan for every row and closes the rows.
func Each(rows *sql.Rows, err error, scan func(*sql.Rows) error) error {
	return file.Each(rows, err, scan)
}
