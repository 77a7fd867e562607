package imap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	goimap "github.com/emersion/go-imap/v2"
)

// timed runs one call against a script on a fake clock and tells how long it
// took.
func timed(t *testing.T, script func(p *peer), call func(s *Session) error,
	check func(d time.Duration, s *Session, err error)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, _ := dial(t, Options{}, script)
		start := time.Now()
		err := call(s)
		check(time.Since(start), s, err)
	})
}

func fetchOne(s *Session) error { return fetchInto(s, FetchHandler{}) }

func fetchInto(s *Session, take FetchHandler) error {
	return s.UIDFetch(context.Background(), all, []Item{ItemBody}, take)
}

func noop(s *Session) error { return s.Noop(context.Background()) }

// TestStalls: every way of sending nothing, or too little, has an end.
func TestStalls(t *testing.T) {
	drip := func(text string, every time.Duration) func(p *peer) {
		return func(p *peer) {
			go p.untilGone()
			for i := 0; ; i++ {
				time.Sleep(every)
				if _, err := io.WriteString(p.c, text[i%len(text):i%len(text)+1]); err != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		name   string
		script func(p *peer)
		most   time.Duration
	}{
		{"black hole", func(p *peer) { p.untilGone() }, 30 * time.Second},
		{"black hole inside a line", func(p *peer) { p.next(); p.raw("* 1 FET"); p.untilGone() }, 30 * time.Second},
		{"black hole inside a literal", func(p *peer) {
			p.next()
			p.raw("* 1 FETCH (BODY[] {50}\r\nx")
			p.untilGone()
		}, 30 * time.Second},
		{"a byte a second", func(p *peer) {
			p.next()
			p.raw("* 1 FETCH (BODY[] {500000}\r\n")
			drip("x", time.Second)(p)
		}, 2 * time.Minute},
		{"a byte every 29 s", func(p *peer) {
			p.next()
			p.raw("* 1 FETCH (BODY[] {500000}\r\n")
			drip("x", 29*time.Second)(p)
		}, 2 * time.Minute},
		{"a byte a second of whole responses", func(p *peer) {
			p.next()
			drip("* 1 FETCH (FLAGS ())\r\n", time.Second)(p)
		}, 2 * time.Minute},
		{"a whole response every 29 s", func(p *peer) {
			p.next()
			go p.untilGone()
			for {
				time.Sleep(29 * time.Second)
				if _, err := io.WriteString(p.c, "* OK\r\n"); err != nil {
					return
				}
			}
		}, 15 * time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timed(t, tt.script, fetchOne, func(d time.Duration, s *Session, err error) {
				if !errors.Is(err, ErrStalled) || d > tt.most {
					t.Errorf("after %v: %v; want ErrStalled within %v", d, err, tt.most)
				}
				if again := s.Noop(context.Background()); again != err {
					t.Errorf("later call: %v", again)
				}
				t.Logf("%v: %v", d, err)
			})
		})
	}
}

// What must not count as a stall.
func TestNoStall(t *testing.T) {
	t.Run("a slow handler", func(t *testing.T) {
		timed(t, func(p *peer) {
			tag, _ := p.next()
			for range 4 {
				p.raw("* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n")
			}
			p.say(tag + " OK")
			p.untilGone()
		}, func(s *Session) error {
			return fetchInto(s, FetchHandler{Fetch: func(*Message) error { time.Sleep(time.Hour); return nil }})
		}, func(d time.Duration, _ *Session, err error) {
			if err != nil || d < 4*time.Hour {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
	t.Run("2 KiB a minute", func(t *testing.T) {
		const size = 40 << 10
		timed(t, func(p *peer) {
			tag, _ := p.next()
			p.raw(fmt.Sprintf("* 1 FETCH (UID 1 BODY[] {%d}\r\n", size))
			for range size / 512 {
				time.Sleep(15 * time.Second)
				p.raw(strings.Repeat("x", 512))
			}
			p.say(")", tag+" OK")
			p.untilGone()
		}, fetchOne, func(d time.Duration, _ *Session, err error) {
			if err != nil || d < 10*time.Minute {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
	t.Run("a slow server that says so", func(t *testing.T) {
		timed(t, func(p *peer) {
			tag, _ := p.next()
			for range 40 {
				time.Sleep(15 * time.Second)
				p.say("* OK Hang in there..")
			}
			p.say(tag + " OK")
			p.untilGone()
		}, noop, func(d time.Duration, _ *Session, err error) {
			if err != nil || d != 10*time.Minute {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
	t.Run("more patience asked for", func(t *testing.T) {
		timed(t, func(p *peer) {
			tag, _ := p.next()
			time.Sleep(4 * time.Minute)
			p.say(tag + " OK")
			p.untilGone()
		}, func(s *Session) error {
			s.SetProgress(5 * time.Minute)
			return noop(s)
		}, func(d time.Duration, _ *Session, err error) {
			if err != nil {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
	t.Run("idle between commands", func(t *testing.T) {
		timed(t, func(p *peer) { p.answer(); p.answer(); p.untilGone() }, func(s *Session) error {
			if err := noop(s); err != nil {
				return err
			}
			time.Sleep(time.Hour)
			return noop(s)
		}, func(d time.Duration, _ *Session, err error) {
			if err != nil {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
}

// Writes into a peer that reads nothing have a limit of their own.
func TestWriteStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		s, _ := dial(t, Options{}, func(*peer) { <-hold })
		start := time.Now()
		err := noop(s)
		close(hold)
		var wire *WireError
		if !errors.Is(err, ErrStalled) || !errors.As(err, &wire) || wire.Phase != "write" ||
			time.Since(start) > 30*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

// TestDripsUp: a peer that reads a byte a second is left as well, but not one
// that reads a short command that way.
func TestDripsUp(t *testing.T) {
	dripping := func(every time.Duration, answers func(p *peer, line string)) func(p *peer) {
		return func(p *peer) {
			var text []byte
			for b := make([]byte, 1); ; {
				time.Sleep(every)
				if n, err := p.c.Read(b); n == 0 || err != nil {
					return
				}
				if text = append(text, b[0]); b[0] == '\n' {
					answers(p, string(text))
					text = nil
				}
			}
		}
	}
	deaf := func(*peer, string) {}
	secret := strings.Repeat("s", 3000)
	tests := []struct {
		name   string
		every  time.Duration
		script func(p *peer, line string)
		call   func(s *Session) error
		phase  string
		most   time.Duration
	}{
		{"LOGIN with a quoted password", time.Second, deaf, func(s *Session) error {
			return s.Login(context.Background(), "u", secret[:500])
		}, "write", 30 * time.Second},
		{"LOGIN with a literal", time.Second, deaf, func(s *Session) error {
			return s.Login(context.Background(), "u", secret)
		}, "write", 30 * time.Second},
		{"LOGIN with a literal that was asked for", 20 * time.Millisecond, // a whole minute for the literal
			func(p *peer, _ string) { p.say("+ go on") }, func(s *Session) error {
				delete(s.caps, "LITERAL+")
				return s.Login(context.Background(), "u", secret)
			}, "write", 30 * time.Second},
		{"a large UID set", time.Second, deaf, func(s *Session) error {
			var set goimap.UIDSet
			for uid := goimap.UID(1); uid < 2000; uid += 2 {
				set = append(set, goimap.UIDRange{Start: uid, Stop: uid})
			}
			return s.UIDFetch(context.Background(), set, []Item{ItemState}, FetchHandler{})
		}, "write", 30 * time.Second},
		{"a long mailbox name", time.Second, deaf, func(s *Session) error {
			_, err := s.Examine(context.Background(), strings.Repeat("n", 400), false)
			return err
		}, "write", 30 * time.Second},
		{"NOOP, never answered", time.Second, deaf, noop, "response", time.Minute},
		{"NOOP", time.Second, func(p *peer, line string) {
			tag, _, _ := strings.Cut(line, " ")
			p.say(tag + " OK")
		}, noop, "", time.Minute},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			timed(t, dripping(tt.every, tt.script), tt.call, func(d time.Duration, s *Session, err error) {
				var wire *WireError
				stalled := errors.Is(err, ErrStalled) && errors.As(err, &wire) && wire.Phase == tt.phase
				if tt.phase == "" && err != nil || tt.phase != "" && !stalled || d > tt.most {
					t.Errorf("after %v: %v; want it within %v", d, err, tt.most)
				}
				if tt.phase != "" && noop(s) != err {
					t.Error("the session lives")
				}
			})
		})
	}
}

// The steps of Dial and login have absolute limits, whatever drips in.
func TestDialTimes(t *testing.T) {
	slow := func(text string) func(p *peer) {
		return func(p *peer) {
			go p.untilGone()
			for {
				time.Sleep(9 * time.Second)
				if _, err := io.WriteString(p.c, text); err != nil {
					return
				}
			}
		}
	}
	tests := []struct {
		name   string
		e      Endpoint
		script func(p *peer)
		phase  string
		most   time.Duration
	}{
		{"no greeting", Endpoint{"localhost", 143, Plain}, func(p *peer) {
			p.untilGone()
		}, "greeting", 30 * time.Second},
		{"dripping greeting", Endpoint{"localhost", 143, Plain}, slow("*"), "greeting", 30 * time.Second},
		{"no handshake", Endpoint{"localhost", 993, TLS}, func(p *peer) { p.untilGone() }, "tls", 10 * time.Second},
		{"no capabilities", Endpoint{"localhost", 143, Plain}, func(p *peer) {
			p.say("* OK hi")
			p.untilGone()
		}, "response", 10 * time.Second},
		{"dripping capabilities", Endpoint{"localhost", 143, Plain}, func(p *peer) {
			p.say("* OK hi")
			slow("* OK\r\n")(p)
		}, "response", 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, _ := pipe(t, tt.script)
				start := time.Now()
				_, err := Dial(t.Context(), tt.e, Options{Dial: d})
				var wire *WireError
				if !errors.Is(err, ErrStalled) || !errors.As(err, &wire) || wire.Phase != tt.phase ||
					time.Since(start) > tt.most {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
	t.Run("no connection", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			_, err := Dial(t.Context(), Endpoint{"localhost", 143, Plain}, Options{
				Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { <-ctx.Done(); return nil, ctx.Err() },
			})
			if !errors.Is(err, ErrStalled) || time.Since(start) != 10*time.Second {
				t.Errorf("after %v: %v", time.Since(start), err)
			}
		})
	})
	t.Run("login", func(t *testing.T) {
		timed(t, func(p *peer) { p.next(); slow("* OK wait\r\n")(p) }, func(s *Session) error {
			return s.Login(context.Background(), "u", "p")
		}, func(d time.Duration, _ *Session, err error) {
			if !errors.Is(err, ErrStalled) || d != 30*time.Second {
				t.Errorf("after %v: %v", d, err)
			}
		})
	})
}

// A context that ends in the middle of anything closes the connection; the call
// and every later one give its error.
func TestContextEnds(t *testing.T) {
	why := errors.New("because")
	stages := map[string]string{"before an answer": "", "inside a line": "* 1 FET",
		"inside a literal": "* 1 FETCH (BODY[] {50}\r\nx"}
	for name, said := range stages {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := dial(t, Options{}, func(p *peer) { p.next(); p.raw(said); p.untilGone() })
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(5*time.Second, func() { cancel(why) })
				start := time.Now()
				err := s.UIDFetch(ctx, all, []Item{ItemBody}, (&got{}).handler())
				if !errors.Is(err, context.Canceled) || !errors.Is(err, why) || time.Since(start) != 5*time.Second {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
				if again := noop(s); again != err {
					t.Errorf("later call: %v", again)
				}
			})
		})
	}
	t.Run("before the call", func(t *testing.T) {
		s, p := dial(t, Options{}, func(p *peer) { p.answer(); p.untilGone() })
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := s.Noop(ctx); !errors.Is(err, context.Canceled) || len(p.lines()) != 0 {
			t.Errorf("%v, sent %q", err, p.lines())
		}
		if err := noop(s); err != nil {
			t.Errorf("the session did not live on: %v", err)
		}
	})
	t.Run("while dialling", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			d, _ := pipe(t, func(p *peer) { p.untilGone() })
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			if _, err := Dial(ctx, Endpoint{"localhost", 143, Plain}, Options{Dial: d}); !errors.Is(err,
				context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	})
}

// TestBye: BYE ends the session with the server's words. We close the socket
// even if the server does not. A tagged answer right after it says more.
func TestBye(t *testing.T) {
	t.Run("stays open", func(t *testing.T) {
		timed(t, func(p *peer) {
			p.next()
			p.say("* BYE Session expired\x1b[31m")
			p.untilGone()
		}, noop, func(d time.Duration, s *Session, err error) {
			var st *StatusError
			if !errors.As(err, &st) || st.Type != "BYE" || st.Text != `Session expired\u{1b}[31m` ||
				st.Command != "NOOP" || d > time.Second {
				t.Errorf("after %v: %v", d, err)
			}
			if noop(s) != err {
				t.Error("the session lives")
			}
		})
	})
	t.Run("answer behind", func(t *testing.T) {
		timed(t, func(p *peer) {
			tag, _ := p.next()
			p.say("* BYE too many", tag+" NO [LIMIT] too many connections")
			p.untilGone()
		}, func(s *Session) error {
			return s.Login(context.Background(), "u", "p")
		}, func(_ time.Duration, s *Session, err error) {
			var st *StatusError
			if !errors.As(err, &st) || st.Code != "LIMIT" {
				t.Error(err)
			}
			if err := noop(s); !errors.As(err, &st) || st.Type != "BYE" {
				t.Errorf("later call: %v", err)
			}
		})
	})
	t.Run("greeting", func(t *testing.T) {
		d, _ := pipe(t, func(p *peer) { p.say("* BYE [UNAVAILABLE] not now"); p.untilGone() })
		_, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
		var st *StatusError
		if !errors.As(err, &st) || st.Code != "UNAVAILABLE" {
			t.Error(err)
		}
	})
	t.Run("STARTTLS", func(t *testing.T) {
		for _, stays := range []bool{true, false} {
			synctest.Test(t, func(t *testing.T) {
				d, p := pipe(t, func(p *peer) {
					p.say("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi")
					p.next()
					p.say("* BYE [UNAVAILABLE] not now")
					if stays {
						p.untilGone()
					}
				})
				start := time.Now()
				_, err := Dial(context.Background(), Endpoint{"localhost", 143, StartTLS}, Options{Dial: d})
				var st *StatusError
				if !errors.As(err, &st) || st.Code != "UNAVAILABLE" || errors.Is(err, ErrNoStartTLS) ||
					time.Since(start) > time.Second || len(p.lines()) != 1 {
					t.Errorf("after %v: %v; sent %q", time.Since(start), err, p.lines())
				}
			})
		}
	})
	t.Run("logout", func(t *testing.T) {
		for _, script := range []func(p *peer){
			func(p *peer) { p.answer("* BYE bye") },
			func(p *peer) { p.next(); p.say("* BYE bye") },
		} {
			timed(t, script, func(s *Session) error {
				return s.Logout(context.Background())
			}, func(_ time.Duration, s *Session, err error) {
				if err != nil || s.State() != Closed {
					t.Errorf("%v, state %v", err, s.State())
				}
				if err := noop(s); !errors.Is(err, net.ErrClosed) {
					t.Errorf("later call: %v", err)
				}
			})
		}
	})
}

// Trap 5: Close returns at once while a FETCH is in the middle, from elsewhere.
func TestCloseWhileFetching(t *testing.T) {
	s, _ := dial(t, Options{}, func(p *peer) { p.next(); p.raw("* 1 FETCH (BODY[] {50}\r\nx"); p.untilGone() })
	started, done := make(chan struct{}), make(chan error)
	take := FetchHandler{Body: func(_ *Message, _ string, _ int64, r io.Reader) error {
		close(started)
		_, err := io.Copy(io.Discard, r)
		return err
	}}
	go func() { done <- fetchInto(s, take) }()
	<-started
	_ = s.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}
