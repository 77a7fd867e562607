package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailcote/engine"
	"mailcote/storage"
	"mailcote/testkit/script"
	"mailcote/ui/cli/voice"
	"mailcote/ui/view"
)

// stage is an engine that keeps one account current and tells events.
type stage struct {
	t      *testing.T
	server *script.Server
	store  *storage.Store
	id     storage.AccountID
	engine *engine.Engine
	lines  *bufio.Scanner
	out    *os.File // what the lines come from
	end    func()
}

// newStage begins passes every so often. The first pass is over before events
// are told. With full nothing can be written until something is read.
func newStage(t *testing.T, mail, full bool) *stage {
	t.Helper()
	s := &stage{t: t, server: script.Start(t, script.Options{})}
	s.server.Change(func(m *script.Model) {
		for range 4 {
			m.Box("INBOX").Add([]byte("Subject: old\r\n\r\nx\r\n"))
		}
		m.Box("Old").Add([]byte("Subject: older\r\n\r\nx\r\n"))
	})
	var err error
	if s.store, err = storage.Open(context.Background(), filepath.Join(t.TempDir(), "t.db"),
		storage.Options{Holder: "mailcote run"}); err != nil {
		t.Fatal(err)
	}
	if s.engine, err = engine.New(context.Background(), engine.Options{Store: s.store}); err != nil {
		t.Fatal(err)
	}
	login, err := engine.ParseURL("imap://" + script.User + ":" + script.Password + "@" + s.server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if s.id, _, err = s.engine.AddAccount(t.Context(), engine.NewAccount{Login: login, Name: "work"}); err != nil {
		t.Fatal(err)
	}
	if all := s.engine.Sync(t.Context(), []storage.AccountID{s.id}, engine.SyncOptions{}); all[0].Fetched != 5 ||
		all[0].Result != engine.Complete {
		t.Fatalf("%+v", all[0])
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	s.out, s.lines = read, bufio.NewScanner(read)
	if full {
		fill(t, write)
	}
	a := &app{voice: voice.New(os.Stdin, write, os.Stderr), json: true}
	ctx, cancel := context.WithCancel(t.Context())
	every := 20 * time.Millisecond
	finish, err := a.tell(ctx, s.store, s.engine, view.NewSource(s.store, s.engine, every), mail)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- s.engine.Run(ctx, every) }()
	s.end = func() {
		t.Helper()
		cancel()
		for _, err := range []error{<-ran, finish(), write.Close(), s.engine.Close(), s.store.Close()} {
			if err != nil {
				t.Error(err)
			}
		}
	}
	return s
}

// fill writes empty lines into a pipe until it takes no more.
func fill(t *testing.T, pipe *os.File) {
	t.Helper()
	if err := pipe.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var err error
	for err == nil {
		_, err = pipe.Write([]byte("\n"))
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := pipe.SetWriteDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
}

// next reads events until one of a type for which is holds, and gives those on
// the way, too.
func (s *stage) next(c Contract, kind string, is func(map[string]any) bool) (all []map[string]any) {
	s.t.Helper()
	if err := s.out.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			continue
		}
		if _, err := c.CheckLine("run", line); err != nil {
			s.t.Fatalf("%v: %s", err, line)
		}
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			s.t.Fatal(err)
		}
		if all = append(all, v); v["type"] == kind && is(v) {
			return all
		}
	}
	s.t.Fatalf("no %s in time: %v; before: %v", kind, s.lines.Err(), all)
	return nil
}

// TestEvents: mail that comes and goes, flags, and a server that refuses are
// told once, what a pass brought before the pass.
func TestEvents(t *testing.T) {
	s, c := newStage(t, true, false), NewContract()
	var refuses atomic.Bool
	s.server.Misbehave(script.Faults{On: func(cmd script.Command) script.Action {
		if refuses.Load() && strings.HasSuffix(cmd.Name, "LIST") {
			return "NO [UNAVAILABLE] try later"
		}
		return script.Answer
	}})
	s.next(c, "pass", func(v map[string]any) bool { return v["new"] == 0.0 && v["gone"] == 0.0 && v["flags"] == 0.0 })
	s.server.Change(func(m *script.Model) {
		m.Box("INBOX").Add([]byte("Subject: new\r\n\r\nx\r\n"))
		m.Box("INBOX").Flag(1, `\Flagged`)
		m.Box("INBOX").Flag(2, `\Flagged`)
		m.Box("INBOX").Expunge(3)
	})
	var came, gone, flags float64
	all := s.next(c, "pass", func(v map[string]any) bool { // a pass may begin between the changes
		came, gone, flags = came+v["new"].(float64), gone+v["gone"].(float64), flags+v["flags"].(float64)
		return came == 1 && gone == 1 && flags == 2
	})
	mails := 0
	for _, v := range all {
		if v["type"] == "mail" {
			mails++
			if v["subject"] != "new" || v["account"] != "work" || v["mailbox"] != "INBOX" {
				t.Errorf("%v", v)
			}
		}
		if v["type"] == "pass" && v["new"] == 1.0 && mails == 0 {
			t.Error("the pass is told before its mail")
		}
	}
	if mails != 1 {
		t.Errorf("%d messages are told", mails)
	}
	s.server.Change(func(m *script.Model) { m.Drop("Old") })
	s.next(c, "pass", func(v map[string]any) bool { return v["gone"] == 1.0 && v["new"] == 0.0 })
	refuses.Store(true)
	all = s.next(c, "error", func(v map[string]any) bool { return v["account"] == "work" })
	if last := all[len(all)-1]; last["class"] == "" || last["message"] == "" {
		t.Errorf("%v", last)
	}
	s.next(c, "state", func(v map[string]any) bool { return v["state"] == "offline" && v["until"] != nil })
	refuses.Store(false)
	s.end()
}

// TestEventsUnread: a program that does not read the events holds up no pass,
// and gets them all when it reads.
func TestEventsUnread(t *testing.T) {
	s, c := newStage(t, false, true), NewContract()
	changed := s.store.Changed()
	defer changed.Close()
	deadline := time.After(60 * time.Second)
	for passes := 0; passes < 10; {
		if err := s.store.Read(t.Context(), func(r *storage.Reader) error {
			run, err := r.LastRun(s.id)
			passes = int(run.ID)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changed.C:
		case <-deadline:
			t.Fatalf("the passes stopped at %d", passes)
		}
	}
	told := 0
	s.next(c, "pass", func(map[string]any) bool { told++; return told >= 8 })
	s.end()
}
