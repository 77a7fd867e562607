package meter

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
	"mailcote/engine/limit"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/testkit/script"
)

// of makes a meter without a store.
func of(p limit.Profile, local bool) *Meter {
	m := &Meter{limiter: limit.New(p, local, time.Now(), limit.State{})}
	m.metered.Store(m.limiter.Metered())
	return m
}

// A second between two connections, a minute after the server took none; a
// context ends the waiting.
func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, start := of(limit.Unknown(), false), time.Now()
		for i, want := range []time.Duration{0, time.Second, 2 * time.Second} {
			if err := m.Dial(t.Context()); err != nil || time.Since(start) != want {
				t.Errorf("dial %d after %v: %v", i, time.Since(start), err)
			}
		}
		m.Fault(class.Quota, "NO too many", true, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if m.Connections() != 1 {
			t.Errorf("%d connections", m.Connections())
		}
	})
}

// A throttle in an OK slows every command down; so do words about limits, but
// not limits of our own.
func TestSigns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := of(limit.Unknown(), false)
		m.Answered("NOOP", imap.Status{Type: "OK"}, time.Second)
		before := func() time.Duration {
			start := time.Now()
			if err := m.Before(t.Context(), "NOOP"); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		if d := before(); d != 0 {
			t.Errorf("it waits %v", d)
		}
		m.Fault(class.Quota, "", false, 0)
		m.Fault(class.Network, "", false, 0)
		m.Answered("NOOP", imap.Status{Type: "NO", Text: "[THROTTLED]"}, 0)
		if m.Pace() != 1 {
			t.Errorf("pace %v", m.Pace())
		}
		m.Answered("", imap.Status{Type: "OK", Code: "THROTTLED"}, 0)
		if d := before(); m.Pace() != 0.5 || d != time.Second {
			t.Errorf("pace %v, it waits %v", m.Pace(), d)
		}
		time.Sleep(time.Minute)
		m.Fault(class.Quota, "NO [LIMIT] slow down", false, 0)
		if m.Pace() != 0.25 {
			t.Errorf("pace %v", m.Pace())
		}
	})
}

// What an account without limits pays for being counted: a session with and
// without a meter, in round trips and in octets.
func BenchmarkSession(b *testing.B) {
	s := script.Start(b, script.Options{})
	s.Change(func(m *script.Model) {
		for range 40 {
			m.Box("INBOX").Add(make([]byte, 100_000))
		}
	})
	st, err := storage.Open(b.Context(), filepath.Join(b.TempDir(), "mail.db"), storage.Options{Holder: "test"})
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	m, err := Load(b.Context(), st, storage.Account{ID: 1, Host: s.Host()})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		meter imap.Meter
	}{{"without", nil}, {"with", m}} {
		session, err := imap.Dial(b.Context(), imap.Endpoint{Host: s.Host(), Port: s.Port(), Security: imap.Plain},
			imap.Options{Meter: c.meter})
		if err != nil {
			b.Fatal(err)
		}
		defer session.Close()
		if err := session.Login(b.Context(), script.User, script.Password); err != nil {
			b.Fatal(err)
		}
		if _, err := session.Examine(b.Context(), "INBOX", false); err != nil {
			b.Fatal(err)
		}
		b.Run("noop/"+c.name, func(b *testing.B) {
			for b.Loop() {
				if err := session.Noop(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("fetch/"+c.name, func(b *testing.B) {
			b.SetBytes(40 * 100_000)
			for b.Loop() {
				set := goimap.UIDSet{{Start: 1, Stop: 40}}
				if err := session.UIDFetch(b.Context(), set, []imap.Item{imap.ItemBody},
					imap.FetchHandler{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("hook", func(b *testing.B) { // all of it for one command that brings 16 kB
		for b.Loop() {
			if err := m.Before(b.Context(), "NOOP"); err != nil {
				b.Fatal(err)
			}
			m.Received(16_384)
			m.Answered("NOOP", imap.Status{Type: "OK"}, time.Millisecond)
		}
	})
}
