package file

import (
	"context"
	"errors"
	"sync"

	"mailcote/storage/internal/schema"
)

// damage is what SQLite found damaged in the file, and who must stop for it.
type damage struct {
	mu  sync.Mutex
	err error // what it said first
	end []context.CancelCauseFunc
}

// note gives an error that says what it means (Mark). It ends what runs on the
// file when SQLite found that damaged.
func (d *damage) note(err error) error {
	err = Mark(err)
	if !errors.Is(err, schema.ErrCorrupt) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		d.err = err
		for _, end := range d.end {
			end(err)
		}
	}
	return err
}

// while gives a context that ends when the file turns out to be damaged, with
// an ErrCorrupt as its cause. stop frees it.
func (d *damage) while(ctx context.Context) (while context.Context, stop func()) {
	while, cancel := context.WithCancelCause(ctx)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil {
		cancel(d.err)
	} else {
		d.end = append(d.end, cancel)
	}
	return while, func() { cancel(nil) }
}
