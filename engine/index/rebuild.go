package index

import (
	"errors"
	"fmt"
	"io"
	"time"

	"mailcote/engine/fault"
	"mailcote/engine/message"
	"mailcote/engine/row"
	"mailcote/storage"
	"mailcote/testkit/failpoint"
)

const (
	viewBatch = 100     // emails whose views one transaction makes again
	viewBytes = 8 << 20 // raw bytes of them, unless one alone is larger
)

// rebuild makes some outdated views again and reports whether there were any.
// Parsing is done outside of the transaction.
func (x *Indexer) rebuild() (more bool, err error) {
	start := time.Now()
	var batch []storage.EmailRow
	var left int64
	if err := x.store.Read(x.ctx, func(r *storage.Reader) (err error) {
		batch, left, err = r.OutdatedViews(viewBatch, viewBytes)
		return err
	}); err != nil {
		return false, fmt.Errorf("read which views are outdated: %w", err)
	}
	x.progress.SetOutdated(left)
	if len(batch) == 0 {
		return false, nil
	}
	views := make([]storage.NewView, 0, len(batch))
	for _, email := range batch {
		v, err := x.view(email)
		if err != nil {
			return false, err
		}
		views = append(views, v)
	}
	failpoint.Hit("engine.beforeRebuild")
	if err := x.store.WriteAlone(x.ctx, func(tx *storage.Writer) error {
		_, err := tx.RenewViews(views)
		return err
	}); err != nil {
		return false, fmt.Errorf("make views again: %w", err)
	}
	failpoint.Hit("engine.afterRebuild")
	x.rest(time.Since(start))
	return true, nil
}

// view reads a message again. One whose bytes are missing or damaged keeps the
// view it has; mailcote check reports it. So does one that the parser cannot
// bear.
func (x *Indexer) view(email storage.EmailRow) (v storage.NewView, err error) {
	err = x.store.Read(x.ctx, func(r *storage.Reader) error {
		v = storage.NewView{Email: email}
		blob, err := r.EmailBlob(email)
		if err != nil {
			return err
		}
		body, _, err := r.OpenBlob(blob)
		if err != nil {
			return err
		}
		defer body.Close() //nolint:errcheck // it only frees memory
		whole := &sound{r: body}
		return fault.Guard(func() error {
			parsed := message.Parse(whole, message.Limits{})
			if _, err := io.Copy(io.Discard, whole); err != nil || whole.err != nil {
				return errors.Join(err, whole.err)
			}
			v.Read, v.Header, v.Doc = true, row.Header(parsed), row.Document(parsed)
			return nil
		})
	})
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrDamaged) {
		return storage.NewView{Email: email}, nil
	}
	if bug := (*fault.PanicError)(nil); errors.As(err, &bug) {
		x.report("the message is shown as before", fmt.Errorf("read email %d again: %w", email, err))
		return storage.NewView{Email: email}, nil
	}
	if err != nil {
		return v, fmt.Errorf("read email %d again: %w", email, err)
	}
	return v, nil
}

// sound remembers a failure that the parser swallows.
type sound struct {
	r   io.Reader
	err error
}

func (s *sound) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// rest leaves the machine to new mail and to commands for as long as a batch
// took, unless somebody waits for the end.
func (x *Indexer) rest(took time.Duration) {
	x.mu.Lock()
	awaited := x.draining > 0
	x.mu.Unlock()
	if awaited {
		return
	}
	select {
	case <-x.ctx.Done():
	case <-x.hurry:
	case <-time.After(took):
	}
}
