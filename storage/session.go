package storage

import (
	"database/sql"
	"errors"
	"fmt"

	"mailcote/storage/internal/file"
	"mailcote/storage/tables"
)

// Lane says who goes first when both wait.
type Lane = file.Lane

// The writer's lanes.
const (
	Interactive = file.Interactive // a person or a decision waits for it
	Bulk        = file.Bulk        // batches of mail, indexing, sweeping
)

// Reader reads one snapshot. It is valid inside the closure it was given to.
type Reader struct{ snap *file.Snapshot }

// Writer writes in one transaction and reads what it wrote. It is valid inside
// the closure it was given to.
type Writer struct {
	Reader
	tx      *file.Tx
	change  int64 // next change number, 0 before the first
	types   Types // of the objects whose change was recorded
	touched map[MailboxID]AccountID
	told    map[int64]bool // threads whose change was recorded since an end of one was
}

// writing makes a closure on mail a closure of the file.
func writing(fn func(*Writer) error) func(*file.Tx) error {
	return func(tx *file.Tx) error {
		w := &Writer{Reader: Reader{&tx.Snapshot}, tx: tx}
		if err := fn(w); err != nil {
			return err
		}
		err := w.finish()
		tx.Note = News{Types: w.types, ChangeNo: w.change}
		return err
	}
}

// LendSnapshot is for package queue, by way of package tables.
func (r *Reader) LendSnapshot(to *tables.Snapshot) { to.Snapshot = r.snap }

// LendTx is for package queue, by way of package tables: its rows live in the
// transaction of the mail they describe.
func (w *Writer) LendTx(to *tables.Tx) { to.Tx = w.tx }

// missing turns the absence of a row into ErrNotFound.
func missing(what string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return err
}
