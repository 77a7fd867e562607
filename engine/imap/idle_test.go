package imap

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailcote/testkit/form"
)

// idling is a server's side of IDLE: it answers every command and counts.
type idling struct {
	idles, dones atomic.Int32
	every        time.Duration // between two lines it says while idling; 0: it says nothing
	says         string
}

func (i *idling) serve(p *peer) {
	for {
		tag, rest := p.next()
		if tag == "" {
			return
		}
		if rest != "IDLE" {
			p.say(tag + " OK done")
			continue
		}
		i.idles.Add(1)
		p.raw("+ idling\r\n")
		done := make(chan string)
		go func() { line, _ := p.next(); done <- line }()
		for over := false; !over; {
			var tick <-chan time.Time
			if i.every > 0 {
				tick = time.After(i.every)
			}
			select {
			case line := <-done:
				if line != "DONE" {
					return
				}
				over = true
			case <-tick:
				p.say(i.says)
			}
		}
		i.dones.Add(1)
		p.say(tag + " OK done")
	}
}

// dialIdle greets and hands over to script.
func dialIdle(t *testing.T, script func(p *peer)) (*Session, *peer) {
	t.Helper()
	d, p := pipe(t, func(p *peer) { p.say("* OK [CAPABILITY IMAP4rev1 IDLE] hi"); script(p) })
	s, err := Dial(context.Background(), Endpoint{"localhost", 143, Plain}, Options{Dial: d})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, p
}

// after gives a channel that is closed later.
func after(d time.Duration) <-chan struct{} {
	c := make(chan struct{})
	time.AfterFunc(d, func() { close(c) })
	return c
}

// TestIdle: news comes, whoever wants the session has it at once, and the line
// is proven meanwhile.
func TestIdle(t *testing.T) {
	tests := []struct {
		name  string
		every time.Duration
		says  string
		idles int32 // within ten hours
	}{
		{"silence", 0, "", 10 * 3600 / 90},
		{"still here", time.Minute, "* OK Still here", 10 * 60 / 9},
		{"spaces", time.Minute, "  ", 10 * 60 / 9},
		{"news", 80 * time.Second, "* 7 EXISTS", 10 * 60 / 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &idling{every: tt.every, says: tt.says}
				s, _ := dialIdle(t, i.serve)
				began := time.Now()
				if err := s.Idle(t.Context(), IdleOptions{Wanted: after(10 * time.Hour)}); err != nil ||
					time.Since(began) != 10*time.Hour {
					t.Fatalf("after %v: %v", time.Since(began), err)
				}
				synctest.Wait()
				if n := i.idles.Load(); n < tt.idles || n > tt.idles+3 || i.dones.Load() != n {
					t.Errorf("%d IDLE, %d DONE, want about %d", n, i.dones.Load(), tt.idles)
				}
				if err := noop(s); err != nil {
					t.Error(err)
				}
			})
		})
	}
	t.Run("enough", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			i := &idling{every: 80 * time.Second, says: "* 7 EXISTS"}
			s, _ := dialIdle(t, i.serve)
			news := false
			s.Observe(Observer{Exists: func(uint32) { news = true }})
			began := time.Now()
			if err := s.Idle(t.Context(), IdleOptions{Enough: func() bool {
				return news
			}}); err != nil || !news || time.Since(began) > 80*time.Second || s.Exists() != 7 {
				t.Errorf("after %v: %v, news %v", time.Since(began), err, news)
			}
			if err := noop(s); err != nil {
				t.Error(err)
			}
		})
	})
}

// TestIdleEnds: what a server or a line can do while nothing is due, and how
// soon it shows.
func TestIdleEnds(t *testing.T) {
	idle := func(p *peer) string { tag, _ := p.next(); p.raw("+ idling\r\n"); return tag }
	var st *StatusError
	tests := []struct {
		name   string
		script func(p *peer)
		most   time.Duration
		want   func(err error) bool
	}{
		{"black hole", func(p *peer) { idle(p); p.untilGone() }, 2 * time.Minute, stalled},
		{"black hole before the go-ahead", func(p *peer) { p.untilGone() }, 30 * time.Second, stalled},
		{"black hole inside a line", func(p *peer) {
			idle(p)
			p.raw("* 1 EXI")
			p.untilGone()
		}, 30 * time.Second, stalled},
		{"black hole behind news", func(p *peer) {
			idle(p)
			p.say("* 1 EXISTS")
			p.untilGone()
		}, 2 * time.Minute, stalled},
		{"nobody reads", func(p *peer) { idle(p); time.Sleep(time.Hour) }, 2 * time.Minute, stalled},
		{"end", func(p *peer) {
			idle(p)
		}, time.Second, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"BYE in place of the go-ahead", func(p *peer) { p.next(); p.say("* BYE not now"); p.untilGone() }, time.Second,
			func(err error) bool { return errors.As(err, &st) && st.Text == "not now" && st.Command == "IDLE" }},
		{"BYE", func(p *peer) {
			idle(p)
			p.say("* BYE Idle for too long")
			p.untilGone()
		}, 2 * time.Second, func(err error) bool {
			return errors.As(err, &st) && st.Type == "BYE" && st.Text == "Idle for too long" && st.Command == "IDLE"
		}},
		{"BYE and the end", func(p *peer) {
			idle(p)
			p.say("* BYE gone")
		}, time.Second, func(err error) bool { return errors.As(err, &st) && st.Text == "gone" }},
		{"BAD", func(p *peer) {
			tag, _ := p.next()
			p.say(tag + " BAD what?")
			p.untilGone()
		}, time.Second, func(err error) bool { return errors.As(err, &st) && st.Type == "BAD" }},
		{"NO later", func(p *peer) {
			tag := idle(p)
			time.Sleep(time.Minute)
			p.say(tag + " NO enough")
			p.untilGone()
		}, time.Minute, func(err error) bool { return errors.As(err, &st) && st.Type == "NO" }},
		{"ended at once", func(p *peer) {
			for tag := idle(p); tag != ""; tag = idle(p) {
				p.say(tag + " OK done")
			}
		}, time.Second, func(err error) bool { return errors.Is(err, ErrSyntax) }},
		{"OK without a go-ahead", func(p *peer) {
			tag, _ := p.next()
			p.say(tag + " OK done")
			p.untilGone()
		}, time.Second, func(err error) bool { return errors.Is(err, ErrSyntax) }},
		{"garbage", func(p *peer) {
			idle(p)
			p.say("HTTP/1.1 200 OK")
			p.untilGone()
		}, time.Second, func(err error) bool { return errors.Is(err, ErrSyntax) }},
		{"endless line", func(p *peer) {
			idle(p)
			for p.t.Context().Err() == nil {
				if _, err := io.WriteString(p.c, strings.Repeat("x", 1<<16)); err != nil {
					return
				}
			}
		}, time.Second, func(err error) bool { return errors.Is(err, ErrLimit) || errors.Is(err, ErrSyntax) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := dialIdle(t, tt.script)
				s.SetProgress(5 * time.Minute) // the mailbox was slow before
				began := time.Now()
				err := s.Idle(t.Context(), IdleOptions{Wanted: after(time.Hour)})
				if took := time.Since(began); !tt.want(err) || took > tt.most {
					t.Errorf("after %v, at most %v: %v", took, tt.most, err)
				}
				t.Logf("after %v: %v", time.Since(began), err)
				_ = s.Close() // "nobody reads" sleeps on
			})
		})
	}
	t.Run("ended by the server", func(t *testing.T) { // some do at their own time-out: the next one begins
		synctest.Test(t, func(t *testing.T) {
			var n atomic.Int32
			s, _ := dialIdle(t, func(p *peer) {
				for range 3 {
					n.Add(1)
					tag := idle(p)
					time.Sleep(time.Minute)
					p.say(tag + " OK timed out")
				}
				idle(p)
				p.untilGone()
			})
			if err := s.Idle(t.Context(), IdleOptions{}); !errors.Is(err, ErrStalled) || n.Load() != 3 {
				t.Errorf("%d IDLE, %v", n.Load(), err)
			}
		})
	})
	t.Run("not offered", func(t *testing.T) {
		s, p := dial(t, Options{}, func(p *peer) { p.untilGone() })
		if err := s.Idle(t.Context(), IdleOptions{}); !errors.Is(err, ErrCommand) || len(p.lines()) > 0 {
			t.Errorf("%v, sent %q", err, p.lines())
		}
	})
	t.Run("context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := dialIdle(t, (&idling{}).serve)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if err := s.Idle(ctx, IdleOptions{}); !errors.Is(err, context.DeadlineExceeded) || s.Err() == nil {
				t.Error(err)
			}
		})
	})
}

func stalled(err error) bool { return errors.Is(err, ErrStalled) }

// TestIdleWanted: whatever is on the line when the session is wanted, also
// inside TLS records, it is there for the next command.
func TestIdleWanted(t *testing.T) {
	now := time.Now()
	cert, pool := certificate(t, "localhost", now.Add(-time.Hour), now.Add(time.Hour))
	random := rand.New(rand.NewPCG(7, 7))
	for n := range 100 {
		wait, every := time.Duration(random.Int64N(int64(400*time.Microsecond))),
			time.Duration(random.Int64N(int64(100*time.Microsecond)))+time.Microsecond
		i := &idling{every: every, says: "* 7 EXISTS\r\n* 8 EXISTS"}
		d, _ := tcp(t, func(p *peer) {
			c := tls.Server(p.c, &tls.Config{Certificates: []tls.Certificate{cert}})
			if c.Handshake() != nil {
				return
			}
			p.c = c
			p.br.Reset(c)
			p.say("* OK [CAPABILITY IMAP4rev1 IDLE] hi")
			i.serve(p)
		})
		s, err := Dial(t.Context(), Endpoint{"localhost", 993, TLS},
			Options{Dial: d, TLSConfig: &tls.Config{RootCAs: pool}, Limits: Limits{Idle: 150 * time.Microsecond}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if err := s.Idle(t.Context(), IdleOptions{Wanted: after(wait)}); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
			if err := s.Noop(t.Context()); err != nil {
				t.Fatalf("%d: %v", n, err)
			}
		}
		_ = s.Close()
	}
}

// TestIdleHours: hours of IDLE on a fake clock, half of them silent, without a
// reconnect, a leak or an IDLE too many.
func TestIdleHours(t *testing.T) {
	hours := 1000
	if form.Long() {
		hours = 10_000
	}
	synctest.Test(t, func(t *testing.T) {
		half := time.Duration(hours) * time.Hour / 2
		i := &idling{}
		s, _ := dialIdle(t, i.serve)
		for _, every := range []time.Duration{0, time.Minute} {
			i.every, i.says = every, "* OK Still here"
			if err := s.Idle(t.Context(), IdleOptions{Wanted: after(half)}); err != nil {
				t.Fatal(err)
			}
			if err := noop(s); err != nil { // the server has seen DONE
				t.Fatal(err)
			}
		}
		want := int32(half/s.lim.Idle + half/s.lim.Reissue + 2)
		if n := i.idles.Load(); n < want-2 || n > want || i.dones.Load() != n {
			t.Errorf("%d IDLE, %d DONE, want %d", n, i.dones.Load(), want)
		}
		t.Logf("%d hours: %d IDLE, 1 connection, %d octets sent, %d received", hours, i.idles.Load(),
			s.BytesWritten(), s.BytesRead())
	})
}

// TestIdleProof: the defaults keep the promise of two minutes.
func TestIdleProof(t *testing.T) {
	if l := DefaultLimits(); l.Idle+l.Progress > 2*time.Minute || l.Reissue > 9*time.Minute {
		t.Errorf("%v and %v, %v", l.Idle, l.Progress, l.Reissue)
	}
}

var _ net.Error = (*interruption)(nil) // what crypto/tls looks for
