package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"sync"
)

// Types is a set of the change feed's object types.
type Types uint8

// The types of the change feed.
const (
	Emails Types = 1 << iota
	Mailboxes
	Threads
	allTypes = Emails | Mailboxes | Threads
)

// typeBit is the set that holds the feed's type kind.
func typeBit(kind string) Types {
	switch kind {
	case typeEmail:
		return Emails
	case typeMailbox:
		return Mailboxes
	case typeThread:
		return Threads
	}
	return 0
}

// News is what was committed since a Watch was last asked.
type News struct {
	Any      bool  // rows changed; tasks, faults, runs and accounts count, and staged bytes
	Types    Types // which of the feed's types changed; none: only other rows did
	ChangeNo int64 // the highest change number published; 0: no feed type changed, or it is not known
}

func (n *News) add(more News) {
	n.Any = n.Any || more.Any
	n.Types |= more.Types
	n.ChangeNo = max(n.ChangeNo, more.ChangeNo)
}

// Watch is one subscription to a store's commits. Its methods may be called from any goroutine.
type Watch struct {
	// C wakes after a commit that changed rows, when readers already see it. A wake-up stands for one commit or
	// for many.
	C <-chan struct{}

	wake  chan struct{} // C, capacity 1
	from  *watches
	mu    sync.Mutex
	since News
}

// watches are a store's subscriptions.
type watches struct {
	mu  sync.Mutex
	all map[*Watch]struct{}
}

// Changed subscribes to this process's own commits. One group of writes gives one signal. A rolled back or empty
// one gives none. A commit whose outcome is unknown counts as one that changed every type. A slow subscriber
// delays nobody.
//
// A store that is open read-only has no commits of its own: see DataVersion. Closing the store wakes nobody.
func (s *Store) Changed() *Watch {
	wake := make(chan struct{}, 1)
	w := &Watch{C: wake, wake: wake, from: &s.watches}
	s.watches.mu.Lock()
	defer s.watches.mu.Unlock()
	if s.watches.all == nil {
		s.watches.all = map[*Watch]struct{}{}
	}
	s.watches.all[w] = struct{}{}
	return w
}

// News gives what was committed since the last call. It may be empty after a wake-up: an earlier call had it then.
func (w *Watch) News() News {
	w.mu.Lock()
	defer w.mu.Unlock()
	news := w.since
	w.since = News{}
	return news
}

// Close ends the subscription.
func (w *Watch) Close() {
	w.from.mu.Lock()
	defer w.from.mu.Unlock()
	delete(w.from.all, w)
}

// publish wakes every subscriber. The writer calls it after COMMIT and before it answers those who wrote.
func (s *watches) publish(n News) {
	if !n.Any {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for w := range s.all {
		w.mu.Lock()
		w.since.add(n)
		w.mu.Unlock()
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

// rowsChanged is how many rows the writer's connection has changed since it was opened, rolled back ones included.
func (w *writer) rowsChanged() (n int64) {
	stmt, err := w.stmts.get(context.Background(), `SELECT total_changes()`)
	if err == nil {
		err = stmt.QueryRow().Scan(&n)
	}
	if err != nil { // the transaction is about to fail, too
		return -1
	}
	return n
}

// newsOf is what a closure has changed that began at rows.
func (w *writer) newsOf(view *Writer, rows int64) News {
	return News{Any: rows < 0 || w.rowsChanged() != rows, Types: view.types, ChangeNo: view.change}
}

// versions reads PRAGMA data_version, which has a meaning on one connection only.
type versions struct {
	mu   sync.Mutex
	db   *sql.DB
	conn *sql.Conn
	base int64 // what connections before this one came to
	last int64
}

// DataVersion gives a number that changes when another connection commits, in whatever process.
// It costs no snapshot. The first call opens a connection that is kept until Close.
//
// Errors: ErrClosed, ErrFailing, SQLite's own, or ctx's.
func (s *Store) DataVersion(ctx context.Context) (int64, error) {
	s.handles.RLock()
	defer s.handles.RUnlock()
	if s.readers == nil {
		return 0, s.unreadable()
	}
	v := &s.versions
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.conn == nil {
		pragmas := []string{"busy_timeout(5000)", "query_only(1)", "trusted_schema(0)"}
		if err := v.open(ctx, s.dsn(url.Values{"mode": {"ro"}, "_pragma": pragmas})); err != nil {
			return 0, explain("open store to watch it", err)
		}
	}
	var n int64
	if err := v.conn.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&n); err != nil {
		if ctx.Err() == nil {
			err = errors.Join(err, v.close())
		}
		return 0, explain("read data version", err)
	}
	v.last = v.base + n
	return v.last, nil
}

// open takes a connection. It begins at a low number again, so it counts on from where the one before ended.
func (v *versions) open(ctx context.Context, dsn string) error {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	v.db, v.conn, v.base = db, conn, v.last
	return nil
}

// close gives the connection back; the next call opens another.
func (v *versions) close() error {
	if v.conn == nil {
		return nil
	}
	err := errors.Join(v.conn.Close(), v.db.Close())
	v.db, v.conn = nil, nil
	if err != nil {
		return fmt.Errorf("close the watching connection: %w", err)
	}
	return nil
}

// drop is close for whoever exchanges the store's handles.
func (v *versions) drop() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.close()
}
