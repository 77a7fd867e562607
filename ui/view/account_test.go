package view_test

import (
	"context"
	"regexp"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
	"mailcote/ui/view"
)

// standing reads where the bed's account stands.
func (b *bed) standing(around view.Around) view.Account {
	b.t.Helper()
	var all []view.Account
	around.Now = time.Now()
	if err := b.store.Read(b.t.Context(), func(r *storage.Reader) (err error) {
		all, err = view.Accounts(r, around)
		return err
	}); err != nil || len(all) != 1 {
		b.t.Fatalf("%d accounts, %v", len(all), err)
	}
	return all[0]
}

// TestAccounts follows an account through its first sync, its interruption and its end.
func TestAccounts(t *testing.T) {
	b := newBed(t)
	if a := b.standing(view.Around{Owned: true, Interval: time.Minute}); !a.Standing.UpToDate() || a.NextStep != "" {
		t.Errorf("after a whole sync, with an agent: %s, %q", a.Standing, a.NextStep)
	}
	if a := b.standing(view.Around{}); a.Standing.State != view.OK || a.Standing.AsOf.IsZero() {
		t.Errorf("without one: %s", a.Standing)
	}

	b.arrive(600)
	b.server.Change(func(m *script.Model) { m.Box("Sent").Add([]byte("Subject: sent\r\n\r\nText.\r\n")) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sent atomic.Int32
	b.server.Misbehave(script.Faults{
		Message: func(string, uint32) script.Fault {
			if sent.Add(1) > 300 {
				return script.Stall
			}
			return script.Whole
		},
		Stalled: cancel,
	})
	b.engine.Sync(ctx, []storage.AccountID{b.id}, engine.SyncOptions{})
	b.server.Misbehave(script.Faults{})
	a := b.standing(view.Around{})
	interrupted := regexp.MustCompile(`^interrupted \(as of [-0-9: ]+\): \d+ of 604 messages$`)
	if !interrupted.MatchString(a.Standing.String()) || a.Stored >= 604 {
		t.Errorf("interrupted: %s", a.Standing)
	}
	if a.NextStep != "mailcote sync robin" {
		t.Errorf("next step: %q", a.NextStep)
	}
	b.sync()
	if a := b.standing(view.Around{Owned: true, Interval: time.Minute}); !a.Standing.UpToDate() || a.Stored != 604 {
		t.Errorf("in the end: %s, %d messages", a.Standing, a.Stored)
	}

	// A fault is counted for a day, whatever came after it.
	fault := func(at time.Time) {
		if err := b.store.Write(t.Context(), storage.Interactive, 0, func(w *storage.Writer) error {
			return w.RecordFault(storage.Fault{At: at, Account: b.id, Class: "network", Scope: "account",
				Detail: "no route"})
		}); err != nil {
			t.Fatal(err)
		}
	}
	before := b.standing(view.Around{}).Errors
	fault(time.Now().Add(-25 * time.Hour))
	fault(time.Now().Add(-23 * time.Hour))
	fault(time.Now())
	if got := b.standing(view.Around{}).Errors - before; got != 2 {
		t.Errorf("%d errors in 24 hours, want 2", got)
	}
}

// TestResume: what ends a pause says where the password comes from.
func TestResume(t *testing.T) {
	a := storage.Account{Name: "my mail", User: "you@example.org", Host: "imap.example.org", Port: 993, Security: "tls"}
	for _, c := range []struct{ class, secret, want string }{
		{"manual", "saved", "mailcote account resume 'my mail'"},
		{"auth", "saved", "give the password: mailcote account add imaps://you%40example.org@imap.example.org:993"},
		{"auth", "file:/tmp/p",
			"correct the password in /tmp/p (an agent notices that by itself), then mailcote sync 'my mail'"},
		{"policy", "saved", "correct it, then mailcote sync 'my mail'"},
	} {
		a.PauseClass, a.SecretRef = class.Class(c.class), c.secret
		if got := view.Resume(a); got != c.want {
			t.Errorf("%s, %s: %s", c.class, c.secret, got)
		}
	}
}
