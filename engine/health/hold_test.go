package health

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/engine/connpool"
	"mailcote/engine/fault"
	"mailcote/storage"
	"mailcote/storage/class"
)

// TestHold: which of several causes decides, until when, and who may end the wait.
func TestHold(t *testing.T) {
	now := time.Now()
	in := func(minutes int) time.Time { return now.Add(time.Duration(minutes) * time.Minute) }
	changed := make(chan struct{})
	failing := Hold{What: TheAccount, Cause: Failing, Class: class.Network, Since: now, Until: in(2), Changed: changed}
	host := Hold{What: TheHost, Name: "h:143", Cause: Failing, Class: class.Timeout, Until: in(3)}
	pause := OfPause(storage.Account{Paused: true, PauseClass: class.Auth, PauseReason: "refused"})
	quota := failing
	quota.Class = class.Quota
	probing := Hold{What: TheHost, Name: "h:143", Cause: Failing, Class: class.Network, Until: in(-1), Probing: true}
	for name, test := range map[string]struct {
		all   Holds
		cause Cause
		until time.Time
		who   Who
		says  string
	}{
		"nothing": {nil, "", time.Time{}, Nobody, ""},
		"nothing that is in force": {Holds{{}, OfLimit(now, time.Time{}), OfLimit(now, in(-1)),
			OfPause(storage.Account{})}, "", time.Time{}, Nobody, ""},
		"a failure":                {Holds{failing}, Failing, in(2), Person, "it is tried again at"},
		"what ends last":           {Holds{failing, host}, Failing, in(3), Person, "h:143 is tried again at"},
		"a limit that ends later":  {Holds{failing, OfLimit(now, in(5))}, Limited, in(5), Forced, "limit is used up"},
		"a limit that ends first":  {Holds{OfLimit(now, in(1)), failing}, Failing, in(2), Person, ""},
		"a limit of a wrong clock": {Holds{OfLimit(now, in(60*24*365))}, "", time.Time{}, Nobody, ""},
		"a server's limit":         {Holds{quota}, Failing, in(2), Forced, ""},
		"somebody probes":          {Holds{probing}, Failing, in(-1), Person, "another account is trying h:143"},
		"a pause before all": {Holds{OfLimit(now, in(5)), pause}, Paused, time.Time{}, Person,
			"the account is paused (refused)"},
		"no memory":              {Holds{failing, OfMemory()}, NoMemory, time.Time{}, Itself, "when there is room"},
		"a task's next try":      {Holds{OfTasks(in(1))}, Retrying, in(1), Person, "it is tried again at"},
		"a task that is due":     {Holds{OfTasks(in(-1))}, "", time.Time{}, Nobody, ""},
		"a failure and its task": {Holds{failing, OfTasks(in(2))}, Failing, in(2), Person, ""},
		"an unanswered sign-in": {Holds{OfSignIn(now, connpool.Unanswered{At: now, Silent: 1})}, Unanswered,
			in(1), Nobody, ""},
		"the first that broke": {Holds{OfSignIn(now, connpool.Unanswered{At: now, Dropped: 1})}, "",
			time.Time{}, Nobody, ""},
		"a mailbox holds no account": {Holds{{What: AMailbox, Cause: Cooling, Until: in(9)}}, "", time.Time{}, Nobody,
			""},
		"a message holds no account": {Holds{OfMessage(storage.Quarantined{LastAt: now, Attempts: 9})}, "",
			time.Time{}, Nobody, ""},
		"a retry holds no account": {Holds{OfRetry(Row{Until: in(1)})}, "", time.Time{}, Nobody, ""},
	} {
		h, held := test.all.Hold(now)
		if held != (test.cause != "") || h.Cause != test.cause || !h.Until.Equal(test.until) ||
			held && h.Hurry() != test.who ||
			!strings.Contains(h.String(), test.says) {
			t.Errorf("%s: held %v, %q until %v, %s may end it: %s", name, held, h.Cause, h.Until.Sub(now), h.Hurry(), h)
		}
	}
	if h, _ := (Holds{failing, OfLimit(now, in(5))}).Hold(now); h.Changed != changed {
		t.Error("a change of the breaker is not heard while a limit holds the account")
	}
	if failing.Offline() == quota.Offline() {
		t.Error("a quota is taken for a network that is away, or a network is not")
	}
	for attempts, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 20: 24 * time.Hour} {
		if h := OfMessage(storage.Quarantined{LastAt: now, Attempts: attempts}); h.Until.Sub(now) != want ||
			h.Hurry() != Person {
			t.Errorf("after %d tries of a message: %v", attempts, h.Until.Sub(now))
		}
	}
}

// TestStored: another process gives the answer of the one that works.
func TestStored(t *testing.T) {
	s, err := storage.Open(t.Context(), filepath.Join(t.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	write := func(do func(w *storage.Writer) error) {
		t.Helper()
		if err := s.Write(context.Background(), storage.Interactive, 0, do); err != nil {
			t.Fatal(err)
		}
	}
	const addr = "Mail.example.org:993"
	now := time.Now()
	var row storage.Account
	write(func(w *storage.Writer) error {
		id, err := w.AddAccount(storage.Account{Name: "a", User: "a", Host: "h", Port: 143, Security: "plain"})
		if err == nil {
			row, err = w.Account(id)
		}
		return err
	})
	decides := func() (h Hold, held bool) {
		t.Helper()
		if err := s.Read(t.Context(), func(r *storage.Reader) error {
			all, err := Stored(r, row, addr, now)
			h, held = all.Hold(now)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		return h, held
	}
	if h, held := decides(); held {
		t.Errorf("a new account waits: %+v", h)
	}
	p, err := Load(t.Context(), s, Options{})
	if err != nil {
		t.Fatal(err)
	}
	a := NewAccount(p, row.ID, func() fault.Account { return fault.Account{Name: row.Name} })
	for _, scope := range []string{HostScope(addr), AccountScope(row.ID)} {
		p.Fail(now, scope, class.Timeout, "no answer from "+scope, func(int) time.Duration { return time.Hour })
		if err := p.Note(t.Context(), scope); err != nil {
			t.Fatal(err)
		}
		want, held := a.Hold(now, addr)
		got, also := decides()
		if !held || !also || got.String() != want.String() || got.What != want.What ||
			got.Until.Sub(want.Until).Abs() > time.Second {
			t.Errorf("memory says %+v, the store %+v", want, got)
		}
		if h, _ := a.Hold(now, addr, OfLimit(now, want.Until)); h.Cause != Failing {
			t.Errorf("a rest for as long as the failure hides its words: %s", h)
		}
		p.Succeed(scope)
		if err := p.Note(t.Context(), scope); err != nil {
			t.Fatal(err)
		}
	}
	write(func(w *storage.Writer) error {
		return w.PutSignIn(row.ID, storage.SignIn{SentAt: now, Silent: 1})
	})
	if h, held := decides(); !held || h.Cause != Unanswered {
		t.Errorf("%+v", h)
	}
	row.Paused, row.PauseClass, row.PauseReason = true, class.Auth, "refused"
	if h, held := decides(); !held || h.Cause != Paused {
		t.Errorf("%+v", h)
	}
}
