package engine

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/truth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is one store, one engine and one account on a server.
type world struct {
	t      *testing.T
	store  *storage.Store
	engine *Engine
	id     storage.AccountID
}

func open(t *testing.T, path string, o Options) *world {
	t.Helper()
	store, err := storage.Open(t.Context(), path, storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	o.Store = store
	e, err := New(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: store, engine: e}
	t.Cleanup(w.close)
	return w
}

func (w *world) close() {
	if w.store == nil {
		return
	}
	if err := w.engine.Close(); err != nil {
		w.t.Error(err)
	}
	if err := w.store.Close(); err != nil {
		w.t.Error(err)
	}
	w.store = nil
}

// account adds the usual account at addr (host and port of a server or a proxy).
func (w *world) account(host string, port int) *world {
	w.t.Helper()
	id, _, err := w.engine.AddAccount(w.t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: host, Port: port, Security: "plain", Password: secret.New(dovecot.Password)}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.id = id
	return w
}

func (w *world) sync() Summary {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	return w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})[0]
}

// complete syncs and fails the test unless everything arrived.
func (w *world) complete() Summary {
	w.t.Helper()
	s := w.sync()
	if s.Result != Complete {
		w.t.Fatalf("sync: %+v", s)
	}
	return s
}

// lines is the view mail as the truth reader would say it.
func (w *world) lines() []truth.Line {
	w.t.Helper()
	var all []truth.Line
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		rows, err := r.Query(`SELECT mailbox, uid, sha256, flags FROM mail ORDER BY mailbox, uid`)
		return storage.Each(rows, err, func(rows *sql.Rows) error {
			var l truth.Line
			err := rows.Scan(&l.Mailbox, &l.UID, &l.SHA256, &l.Flags)
			all = append(all, l)
			return err
		})
	}); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// agrees compares the store with the server.
func (w *world) agrees(s *dovecot.Server) {
	w.t.Helper()
	want, err := truth.Read(w.t.Context(), s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	got := w.lines()
	if diff := truth.Diff(want, got); len(diff) > 0 {
		w.t.Fatalf("server %d lines, store %d, %d differ, first: %v", len(want), len(got), len(diff), diff[:min(3, len(diff))])
	}
	w.clean()
}

// clean runs check.
func (w *world) clean() {
	w.t.Helper()
	findings, err := Check(w.t.Context(), w.store, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(findings) > 0 {
		w.t.Fatalf("check: %d findings, first %+v", len(findings), findings[0])
	}
}
