//go:build unix

package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mailcote/testkit/child"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// stopLimit is what a stop may take, with a moment for a busy machine.
const stopLimit = 5*time.Second + 500*time.Millisecond

// scriptRig is a rig on a scripted server whose INBOX holds n small messages.
func scriptRig(t *testing.T, n int, o script.Options) (*rig, *script.Server) {
	t.Helper()
	s := script.Start(t, o)
	s.Change(func(m *script.Model) {
		for i := range n {
			m.Box("INBOX").Add(fmt.Appendf(nil, "Subject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\n%s\r\n", i, i,
				strings.Repeat("text ", 100)))
		}
	})
	r := &rig{t: t, addr: s.Host() + ":" + strconv.Itoa(s.Port())}
	r.fresh()
	return r, s
}

// reached gives a channel that is closed when want commands of a name have come.
func reached(s *script.Server, name string, want int32, then script.Action) <-chan struct{} {
	c := make(chan struct{})
	var n atomic.Int32
	s.Misbehave(script.Faults{On: func(cmd script.Command) script.Action {
		if cmd.Name != name {
			return script.Answer
		}
		if n.Add(1) == want {
			close(c)
		}
		return then
	}})
	return c
}

// stops sends SIGTERM and wants the program to end in time, with an exit status.
func (r *rig) stops(p *child.Proc, status int) outcome {
	r.t.Helper()
	sent := time.Now()
	if err := p.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
	return r.gone(p, sent, status)
}

func (r *rig) gone(p *child.Proc, sent time.Time, status int) outcome {
	r.t.Helper()
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		r.t.Fatalf("still there 20 s after SIGTERM: %s", p.Stderr())
	}
	took := time.Since(sent)
	o := r.end(p)
	if took > stopLimit || o.code != status {
		r.t.Errorf("status %d, want %d, %v after SIGTERM: %s%s", o.code, status, took, o.out, o.errs)
	}
	r.t.Logf("ended %v after SIGTERM with status %d", took.Round(time.Millisecond), o.code)
	return o
}

func (r *rig) waits(c <-chan struct{}, p *child.Proc) {
	r.t.Helper()
	select {
	case <-c:
	case <-p.Done():
		r.t.Fatalf("the program ended: %s%s", p.Stdout(), p.Stderr())
	case <-time.After(time.Minute):
		r.t.Fatal("the server never came that far")
	}
}

// TestStopInTime ends real programs by SIGTERM while servers do their worst: each is gone within five seconds,
// what came whole is kept, and the next sync brings the rest.
func TestStopInTime(t *testing.T) {
	t.Parallel()
	t.Run("in order", func(t *testing.T) { // the command under way is answered, nothing new follows but LOGOUT
		r, s := scriptRig(t, 400, script.Options{})
		came, goOn := make(chan struct{}), make(chan struct{})
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Name == "UID FETCH" {
				close(came)
				<-goOn
			}
			return script.Answer
		}})
		p := r.start("sync", r.url(), "--once", "--json")
		r.waits(came, p)
		sent := time.Now()
		if err := p.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		r.says(p, "Finishing")
		close(goOn)
		r.gone(p, sent, 3)
		if s.Count("LOGOUT") != 1 || s.Count("UID FETCH") != 1 {
			t.Errorf("commands %v", s.Counts())
		}
		if n := r.number(someMail); n != 400 {
			t.Errorf("%d of 400 messages that were asked for are kept", n)
		}
		s.Misbehave(script.Faults{})
		r.exits(0, "sync", r.url(), "--once")
		r.sound()
	})
	t.Run("silent at LOGOUT", func(t *testing.T) {
		r, s := scriptRig(t, 20, script.Options{})
		came := reached(s, "LOGOUT", 1, script.Silent)
		p := r.start("sync", r.url(), "--once", "--json")
		r.waits(came, p)
		if o := r.stops(p, 3); r.number(someMail) != 20 {
			t.Errorf("not everything is kept: %s", o.out)
		}
	})
	for _, command := range []string{"GREETING", "AUTHENTICATE", "LIST", "EXAMINE", "UID SEARCH", "UID FETCH"} {
		t.Run("silent at "+command, func(t *testing.T) {
			r, s := scriptRig(t, 20, script.Options{})
			came := reached(s, command, 1, script.Silent)
			p := r.start("sync", r.url(), "--once", "--json")
			r.waits(came, p)
			if o := r.stops(p, 3); !strings.Contains(o.out, "interrupted") && !strings.Contains(o.out, `"partial"`) {
				t.Errorf("summary: %s", o.out)
			}
			if n := r.number(`SELECT count(*) AS n FROM sync_errors`); n != 0 {
				t.Errorf("%d errors were recorded for a stop", n)
			}
		})
	}
	t.Run("inside 100 MB", func(t *testing.T) {
		r, s := scriptRig(t, 1, script.Options{})
		s.Change(func(m *script.Model) {
			m.Box("INBOX").Add(append([]byte("Subject: large\r\n\r\n"),
				bytes.Repeat([]byte("0123456789abcdef0123456789abcdef\r\n"), 100<<20/34)...))
		})
		line := proxy.Start(t, r.addr, 1)
		r.addr = line.Addr()
		line.Set(proxy.Faults{Rate: 2 << 20})
		p := r.start("sync", r.url(), "--once", "--json")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for {
			moved := line.Moved()
			if line.Stats().Down >= 3<<20 {
				break
			}
			select {
			case <-moved:
			case <-ctx.Done():
				t.Fatal("3 MB never came")
			}
		}
		r.stops(p, 3)
		if n := r.number(`SELECT count(*) AS n FROM sync_tasks WHERE status = 'processing'`); n != 0 {
			t.Errorf("%d tasks are still being processed", n)
		}
		r.sound()
	})
	t.Run("twenty accounts", func(t *testing.T) {
		const accounts = 20
		r, s := scriptRig(t, 20, script.Options{})
		secret := filepath.Join(r.dir, "..", "password-"+filepath.Base(r.dir))
		r.write(secret, []byte(dovecot.Password))
		for i := range accounts {
			r.exits(0, "account", "add", fmt.Sprintf("imap://%s+%d@%s", dovecot.User, i, r.addr), "--password-file",
				secret, "--no-test")
		}
		came := reached(s, "UID FETCH", accounts, script.Silent)
		p := r.start("sync", "--json")
		r.waits(came, p)
		o := r.stops(p, 3)
		if n := strings.Count(o.out, `"type":"summary"`); n != accounts {
			t.Errorf("%d summaries", n)
		}
	})
	t.Run("store held", func(t *testing.T) { // by another program: nothing can be committed, and nobody waits for that
		r, s := scriptRig(t, 400, script.Options{})
		came := reached(s, "UID FETCH", 1, script.Silent)
		p := r.start("sync", r.url(), "--once", "--json")
		r.waits(came, p)
		free := hold(t, r.store)
		if o := r.stops(p, 75); !strings.Contains(o.errs, "the rest was left") {
			t.Errorf("stderr: %s", o.errs)
		}
		free()
		s.Misbehave(script.Faults{})
		r.exits(0, "sync", r.url(), "--once")
		r.sound()
	})
}
