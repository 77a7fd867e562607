package engine

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/engine/fault/policy"
	"mailcote/engine/health"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/queue"
	"mailcote/storage"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/form"
	"mailcote/testkit/script"
	"mailcote/testkit/truth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// volume is how much of something a test does: a fifth under the race detector.
func volume(n int) int {
	if form.Race {
		return n / 5
	}
	return n
}

// patience is how long a server may be silent in tests that do not want to wait.
var patience = func() time.Duration {
	if form.Race {
		return 5 * time.Second
	}
	return time.Second
}()

// world is one store, one engine and one account on a server.
type world struct {
	t      *testing.T
	store  *storage.Store
	engine *Engine
	id     storage.AccountID
}

// blank gives the bytes of a store that holds nothing. Making one takes more processor time than many a test.
var blank = sync.OnceValues(func() (_ []byte, err error) {
	dir, err := os.MkdirTemp("", "mailcote")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path := filepath.Join(dir, "mail.db")
	store, err := storage.Open(context.Background(), path, storage.Options{Holder: "test"})
	if err != nil {
		return nil, err
	}
	if err := store.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// open opens the store at path, which is made if it is not there.
func open(t *testing.T, path string, o Options) *world {
	t.Helper()
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		made, err := blank()
		if err == nil {
			err = os.WriteFile(path, made, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := storage.Open(t.Context(), path, storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	o.Store = store
	if o.Approvals.Dir == "" { // a machine whose user may name commands and files
		o.Approvals.Dir = filepath.Join(t.TempDir(), "approved")
	}
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
	w.store, w.engine = nil, nil // the cleanup keeps w, and an engine holds buffers
}

// restart ends the process, as far as the engine can tell, and starts another with the same password.
func (w *world) restart() {
	w.t.Helper()
	path, o, given := w.store.Path(), w.engine.o, map[storage.AccountID]secret.Secret{}
	for _, a := range w.engine.usedAccounts() {
		if a.processPassword != nil {
			given[a.id] = *a.processPassword
		}
	}
	w.close()
	next := open(w.t, path, o)
	w.store, w.engine = next.store, next.engine
	next.store = nil // w closes it
	for id, password := range given {
		w.engine.UsePassword(id, password)
	}
}

// live gives what the process knows of the account, as the store has it now.
func (w *world) live() *account { return w.engine.account(w.id).setRow(w.find()) }

// account adds the usual account at addr (host and port of a server or a proxy).
func (w *world) account(host string, port int) *world {
	w.t.Helper()
	id, _, err := w.engine.AddAccount(w.t.Context(), NewAccount{Login: Login{User: dovecot.User, Host: host,
		Port: port, Security: "plain", Password: secret.New(dovecot.Password)}})
	if err != nil {
		w.t.Fatal(err)
	}
	w.id = id
	return w
}

// until waits until something is so. next gives a channel that wakes when it may have become so.
func until(t *testing.T, within time.Duration, what string, next func() <-chan struct{}, is func() bool) {
	t.Helper()
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		changed := next()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-late.C:
			t.Errorf("not in %v: %s", within, what) // it may be a server's goroutine
			return
		}
	}
}

// commits wakes after each commit of the store.
func (w *world) commits() (next func() <-chan struct{}) {
	changed := w.store.Changed()
	w.t.Cleanup(changed.Close)
	return func() <-chan struct{} { return changed.C }
}

// state is what the account does now; "": nothing is known of it.
func (w *world) state() progress.State {
	for _, a := range w.engine.Progress() {
		if a.Account == w.live().name() {
			return a.State
		}
	}
	return ""
}

func (w *world) sync() Summary {
	w.t.Helper()
	most := 5 * time.Minute
	if form.Long() {
		most = time.Hour
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), most)
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
		rows, err := tables.Of(r).Query(`SELECT mailbox, uid, sha256, flags FROM mail ORDER BY mailbox, uid`)
		return tables.Each(rows, err, func(rows *sql.Rows) error {
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
		w.t.Fatalf("server %d lines, store %d, %d differ, first: %v", len(want), len(got), len(diff),
			diff[:min(3, len(diff))])
	}
	w.clean()
}

// clean runs check, beside the owner and on connections of its own.
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

// equals compares the store with the model of a scripted server, apart from some UIDs of INBOX, and runs check.
func (w *world) equals(s *script.Server, apart ...uint32) {
	w.t.Helper()
	w.same(modelOf(s, apart...))
	w.clean()
}

// same compares the store with lines.
func (w *world) same(want []truth.Line) {
	w.t.Helper()
	got := w.lines()
	if diff := truth.Diff(want, got); len(diff) > 0 {
		w.t.Fatalf("want %d lines, store %d, %d differ, first: %v", len(want), len(got), len(diff),
			diff[:min(3, len(diff))])
	}
}

func modelOf(s *script.Server, apart ...uint32) []truth.Line {
	var all []truth.Line
	s.Change(func(m *script.Model) {
		for _, b := range m.Boxes {
			for _, one := range b.Messages {
				if b.Name == "INBOX" && slices.Contains(apart, one.UID) {
					continue
				}
				sum := one.Sum()
				all = append(all, truth.Line{Mailbox: truth.DecodeName(b.Name), UID: one.UID,
					SHA256: hex.EncodeToString(sum[:]),
					Flags:  string(storage.NewFlags(strings.Fields(one.Flags)))})
			}
		}
	})
	return all
}

// scripted is a world on a scripted server whose mailbox INBOX holds n messages. Retries are quick.
func scripted(t *testing.T, n int, so script.Options, o Options) (*script.Server, *world) {
	t.Helper()
	s := script.Start(t, so)
	put(s, "INBOX", n)
	port := 143
	if so.Pipe {
		o.dialer = s.Dial
	} else {
		port = s.Port()
	}
	if o.backoff == nil {
		o.backoff = quick
	}
	if o.retryGap == 0 {
		o.retryGap = time.Nanosecond
	}
	return s, open(t, filepath.Join(t.TempDir(), "mail.db"), o).account(s.Host(), port)
}

// plainCaps is a server without STATUS in LIST and without CONDSTORE.
const plainCaps = "IMAP4rev1 SASL-IR ID AUTH=PLAIN"

// asks matches commands about a mailbox, whether it is open or named.
func asks(box, name string) func(script.Command) bool {
	return func(c script.Command) bool {
		return c.Name == name && (c.Box == box || strings.Contains(c.Args, `"`+box+`"`))
	}
}

// several is a world whose account has other mailboxes than INBOX, with two messages each.
func several(t *testing.T, so script.Options, o Options, boxes ...string) (*script.Server, *world) {
	s, w := scripted(t, 2, so, o)
	for _, box := range boxes {
		put(s, box, 2)
	}
	return s, w
}

// stored is how many messages of a mailbox the store shows.
func (w *world) stored(box string) string {
	return w.text(`SELECT count(*) FROM mail WHERE mailbox = ?`, box)
}

// rests says what holds the account.
func (w *world) rests() string {
	var all []string
	for _, b := range w.engine.health.Rows(health.AccountScope(w.id)) {
		all = append(all, string(b.Class))
	}
	if w.meter().Resumes().After(time.Now()) {
		all = append(all, "limit")
	}
	return strings.Join(all, " ")
}

// soon does not wait for a server that is unavailable; every other least wait is kept.
func soon(w policy.Wait, n int) time.Duration {
	if w.Floor == 30*time.Second {
		return 0
	}
	return w.After(n)
}

// quick stands in for plan.Backoff.
func quick(int, *rand.Rand) time.Duration { return time.Millisecond }

// put adds n messages to a mailbox.
func put(s *script.Server, box string, n int) {
	s.Change(func(m *script.Model) {
		b := m.Box(box)
		for range n {
			b.Add(mail(box, b.UIDNext), []string{"", `\Seen`, `\Flagged \Seen`, "$Work"}[b.UIDNext%4])
		}
	})
}

// mail makes a message that no other mailbox or number has.
func mail(box string, n uint32) []byte {
	return fmt.Appendf(nil,
		"From: Ada <ada@example.org>\r\nTo: bob@example.org\r\nSubject: %[1]s %[2]d\r\nDate: Mon, 1 Jan 2024 "+
			"00:00:00 +0000\r\nMessage-ID: <%[1]s.%[2]d@example.org>\r\n\r\nThe text of message %[2]d.\r\n%[3]s",
		box, n, strings.Repeat("More text.\r\n", int(n%20)))
}

// faults gives what was recorded, newest first.
func (w *world) faults() (all []storage.Fault) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) (err error) {
		all, err = r.Faults(time.Time{}, 1000)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return all
}

// tasks gives the tasks that are not finished.
func (w *world) tasks() (all []queue.Task) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) (err error) {
		all, err = queue.List(r, 0, 1000)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(t queue.Task) bool { return !t.CompletedAt.IsZero() })
}

func (w *world) find() (a storage.Account) {
	w.t.Helper()
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) (err error) {
		a, err = r.Account(w.id)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// text runs a query for one column and joins its rows.
func (w *world) text(query string, args ...any) string {
	w.t.Helper()
	var all []string
	if err := w.store.Read(w.t.Context(), func(r *storage.Reader) error {
		rows, err := tables.Of(r).Query(query, args...)
		return tables.Each(rows, err, func(rows *sql.Rows) error {
			var one string
			err := rows.Scan(&one)
			all = append(all, one)
			return err
		})
	}); err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// raise makes a maximum at least n.
func raise(most *atomic.Int32, n int32) {
	for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
	}
}
