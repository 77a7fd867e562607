package engine

import (
	"context"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine/imap"
	"mailcote/engine/secret"
	"mailcote/storage/class"
	"mailcote/testkit/dns"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// named is a world whose account names a host that a name server knows; port is where it listens at each of its
// addresses.
func named(t *testing.T, names *dns.Server, port int, l imap.Limits) *world {
	t.Helper()
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick, retryGap: time.Nanosecond,
		resend: time.Millisecond, Limits: l, resolver: names.Resolver()})
	id, _, err := w.engine.AddAccount(t.Context(), NewAccount{Insecure: true,
		Login: Login{User: script.User, Host: "mail.example.org", Port: port,
			Security: imap.Plain, Password: secret.New(script.Password)}})
	if err != nil {
		t.Fatal(err)
	}
	w.id = id
	return w
}

// TestNames is FAULTS N2: whatever a name server says or keeps to itself is the network's trouble. No attempt
// costs the account more than that attempt, a sync ends with what is wrong, and the next one goes on.
func TestNames(t *testing.T) {
	t.Parallel()
	const here, nowhere = "127.0.0.1", "127.0.0.99" // where nobody listens
	none := func(int, bool) dns.Answer { return dns.Answer{} }
	code := func(c dns.Code) func(int, bool) dns.Answer {
		return func(int, bool) dns.Answer { return dns.Answer{Code: c} }
	}
	silent := func(int, bool) dns.Answer { return dns.Answer{Silent: true} }
	tests := []struct {
		name   string
		ill    func(n int, six bool) dns.Answer
		well   bool        // it syncs all the same
		class  class.Class // of its faults
		detail string      // of the fault
	}{
		{"no such name", code(dns.NoSuchName), false, class.Network, "no such host"},
		{"server failure", code(dns.Failed), false, class.Network, "server misbehaving"},
		{"refused", code(dns.Refused), false, class.Network, ""},
		{"no address", none, false, class.Network, "no such host"},
		{"no answer", silent, false, class.Timeout, "no name server answered"},
		{"an address where nobody is", func(int, bool) dns.Answer {
			return dns.Addrs(nowhere)
		}, false, class.Network, "refused"},
		{"one address of three", func(int, bool) dns.Answer {
			return dns.Addrs(nowhere, "127.0.0.98", here)
		}, true, "", ""},
		{"no route for IPv6", func(int, bool) dns.Answer { return dns.Addrs("2001:db8::1", here) }, true, "", ""},
		{"IPv6 fails", func(_ int, six bool) dns.Answer {
			if six {
				return dns.Answer{Code: dns.Failed}
			}
			return dns.Addrs(here)
		}, true, "", ""},
		{"IPv6 is never answered", func(_ int, six bool) dns.Answer {
			if six {
				return dns.Answer{Silent: true}
			}
			return dns.Addrs(here)
		}, true, "", ""},
		{"IPv6 has no route and is known before IPv4", func(n int, six bool) dns.Answer {
			switch {
			case n == 1: // the look-up of both
				return dns.Answer{Silent: true}
			case six:
				return dns.Addrs("2001:db8::1")
			}
			a := dns.Addrs(here)
			a.Late = 100 * time.Millisecond
			return a
		}, true, "", ""},
		{"IPv4 comes and goes", func(n int, six bool) dns.Answer {
			if n%2 == 1 {
				return dns.Answer{}
			}
			return dns.Addrs(here)
		}, true, class.Network, "no such host"},
	}
	sideBySide(len(tests), func(i int) {
		test := tests[i]
		s := script.Start(t, script.Options{})
		defer s.Close()
		put(s, "INBOX", 5)
		var ill atomic.Bool
		ill.Store(true)
		names := dns.Start(t, func(n int, six bool) dns.Answer {
			if ill.Load() {
				return test.ill(n, six)
			}
			return dns.Addrs(here)
		})
		limits := imap.Limits{}
		if test.class == class.Timeout {
			limits.Connect = 300 * time.Millisecond // stands in for 10 s
		}
		w := named(t, names, s.Port(), limits)
		defer w.close()
		sum := w.sync()
		if (sum.Result == Complete) != test.well || !test.well && sum.Class != test.class {
			t.Errorf("%s: %+v", test.name, sum)
		}
		if four, _ := names.Asked(); !test.well && four < 5 {
			t.Errorf("%s: asked %d times", test.name, four)
		}
		ill.Store(false)
		if sum := w.sync(); sum.Result != Complete {
			t.Errorf("%s, when it is well: %+v", test.name, sum)
		}
		w.equals(s)
		faults := w.faults()
		for _, f := range faults {
			if f.Class != test.class || f.Scope != "connection" || !strings.Contains(f.Detail, test.detail) {
				t.Errorf("%s: fault %+v", test.name, f)
			}
		}
		if (len(faults) == 0) != (test.class == "") || w.find().Paused {
			t.Errorf("%s: %d faults, paused %v", test.name, len(faults), w.find().Paused)
		}
	})
}

// TestNameAway is the same for an agent: while a name is not there for longer than a moment the account is never
// paused, and as soon as it is back everything arrives.
func TestNameAway(t *testing.T) {
	t.Parallel()
	s := script.Start(t, script.Options{})
	put(s, "INBOX", 5)
	var away atomic.Bool
	away.Store(true)
	names := dns.Start(t, func(n int, _ bool) dns.Answer {
		if away.Load() {
			return []dns.Answer{{Code: dns.NoSuchName}, {Code: dns.Failed}, {}}[n%3]
		}
		return dns.Addrs("127.0.0.1")
	})
	w := named(t, names, s.Port(), imap.Limits{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.engine.Run(ctx, time.Millisecond) }()
	defer cancel()
	until(t, 2*time.Minute, "four questions to the name server", names.Changed, func() bool {
		four, _ := names.Asked()
		return four >= 4
	})
	if a := w.find(); a.Paused {
		t.Errorf("paused: %s", a.PauseReason)
	}
	away.Store(false)
	until(t, 2*time.Minute, "five messages", w.commits(), func() bool { return len(w.lines()) == 5 })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	w.equals(s)
}

// TestAddressChanges is FAULTS N12: the address in use goes dead, its sockets stay open, and the name leads to
// another one. The command under way ends by its own limit, the sync goes on over the other address, and nobody
// has to act. Behind a name that still has the dead address first, the dial goes round it.
func TestAddressChanges(t *testing.T) {
	for _, both := range []bool{false, true} {
		t.Run("both named "+strconv.FormatBool(both), func(t *testing.T) {
			t.Parallel()
			s := script.Start(t, script.Options{})
			put(s, "INBOX", 900)
			first := proxy.Start(t, s.Addr(), 1)
			second, err := proxy.NewAt(net.JoinHostPort("127.0.0.2", strconv.Itoa(first.Port())), s.Addr(), 1)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(second.Close)
			var moved atomic.Bool
			names := dns.Start(t, func(int, bool) dns.Answer {
				switch {
				case !moved.Load():
					return dns.Addrs("127.0.0.1")
				case both:
					return dns.Addrs("127.0.0.1", "127.0.0.2")
				}
				return dns.Addrs("127.0.0.2")
			})
			limit := patience
			w := named(t, names, first.Port(), imap.Limits{Greeting: limit, Progress: limit})
			var pages atomic.Int32
			s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
				if c.Name == "UID FETCH" && pages.Add(1) == 2 { // some mail has come
					moved.Store(true)
					first.Set(proxy.Faults{BlackHole: true})
				}
				return script.Answer
			}})
			began := time.Now()
			w.complete()
			took := time.Since(began)
			w.equals(s)
			faults := w.faults()
			t.Logf("complete after %v, %d connections to the dead address, %d to the other, faults %d", took,
				first.Stats().Connections, second.Stats().Connections, len(faults))
			if !moved.Load() || second.Stats().Connections == 0 {
				t.Errorf("%d connections to the second address", second.Stats().Connections)
			}
			for _, f := range faults {
				if f.Class != "timeout" {
					t.Errorf("fault %+v", f)
				}
			}
		})
	}
}
