package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"mailcote/engine/fault"
	"mailcote/engine/fault/policy"
	"mailcote/engine/imap"
	"mailcote/engine/reconcile"
	"mailcote/storage"
	"mailcote/storage/class"
	"mailcote/storage/tables"
	"mailcote/testkit/dovecot"
	"mailcote/testkit/proxy"
	"mailcote/testkit/script"
)

// TestIdentity: digest decides, not headers; the same mail in two mailboxes is one email, two copies in one are two.
func TestIdentity(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	same, twin := mail("same", 1), mail("same", 1)
	twin[len(twin)-4] ^= 1
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Add(same)
		m.Box("INBOX").Add(twin)
		m.Box("INBOX").Add(same)
		m.Box("Archive").Add(same)
	})
	if sum := w.complete(); sum.Fetched != 4 {
		t.Errorf("fetched %d", sum.Fetched)
	}
	w.equals(s)
	if got := w.text(`SELECT count(DISTINCT email_id) || ' ' || count(DISTINCT sha256) FROM mail`); got != "3 2" {
		t.Errorf("emails and digests: %s, want 3 2", got)
	}
	if got := w.text(`SELECT group_concat(mailbox || ' ' || uid, ', ')
		FROM (SELECT * FROM mail ORDER BY mailbox, uid)
		GROUP BY email_id HAVING count(*) > 1`); got != "Archive 1, INBOX 1" {
		t.Errorf("one email in two mailboxes: %q", got)
	}
}

// TestStrangeMessages: whatever its octets are, a message arrives as it is.
func TestStrangeMessages(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) {
		for _, raw := range []string{"", "x", "\r\n", "\r\n\r\n", "Subject: \xff\xfe\r\n\r\n\x00\x01",
			strings.Repeat("a", 100_000), "a OK done\r\n* BYE\r\n)\r\n", strings.Repeat("X: y\r\n", 20_000) + "\r\n"} {
			m.Box("INBOX").Add([]byte(raw))
		}
		m.Box("Entw&APw-rfe").Add([]byte("Subject: ä\r\n\r\nä"))
		m.Box(`quo"te\d`).Add([]byte("Subject: q\r\n\r\n"))
		m.Box("broken &name").Add([]byte("Subject: b\r\n\r\n"))
	})
	w.complete()
	w.equals(s)
}

// large makes a message of about so many megabytes that does not compress.
func large(seed uint64, megabytes int) []byte {
	random := rand.New(rand.NewPCG(seed, 1))
	b := bytes.NewBufferString(fmt.Sprintf("Subject: large %d\r\nMessage-ID: <%d@large>\r\n\r\n", seed, seed))
	for b.Len() < megabytes<<20 {
		fmt.Fprintf(b, "%016x%016x%016x%016x\r\n", random.Uint64(), random.Uint64(), random.Uint64(), random.Uint64())
	}
	return b.Bytes()
}

// TestLargeMessages: messages above the inline size are staged; cut in the middle they come whole the next time,
// and memory does not grow with them.
func TestLargeMessages(t *testing.T) {
	s, w := scripted(t, 5, script.Options{}, Options{})
	s.Change(func(m *script.Model) {
		m.Box("INBOX").Add(large(1, 9))
		m.Box("INBOX").Add(large(2, 30))
		m.Box("INBOX").Add(mail("last", 1))
	})
	var first, second atomic.Bool
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		if uid == 6 && !first.Swap(true) || uid == 7 && s.Count("UID FETCH") > 1 && !second.Swap(true) {
			return script.Cut
		}
		return script.Whole
	}})
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	w.complete()
	runtime.ReadMemStats(&after)
	if n := len(w.faults()); n != 2 {
		t.Errorf("%d cuts, want 2", n)
	}
	w.equals(s)
	if grown := int64(after.Sys) - int64(before.Sys); grown > 64<<20 {
		t.Errorf("memory taken from the system grew by %d MB", grown>>20)
	}
	if left := w.text(`SELECT count(*) FROM blob WHERE state = 'staged'`); left != "0" {
		t.Errorf("%s staged blobs are left", left)
	}
}

// TestLargeMessageDovecot is the same over a line that is reset inside it.
func TestLargeMessageDovecot(t *testing.T) {
	t.Parallel()
	server := dovecot.Start(t, dovecot.Config{})
	server.Deliver(t, dovecot.User, "INBOX", large(3, 9), dovecot.Options{})
	server.Deliver(t, dovecot.User, "INBOX", large(4, 12), dovecot.Options{})
	p := proxy.Start(t, server.Addr(), 1)
	p.Set(proxy.Faults{CutDown: 6 << 20, CutsAtMost: 2})
	w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{backoff: quick}).account("127.0.0.1", p.Port())
	w.complete()
	w.agrees(server)
	if p.Stats().Cuts != 2 {
		t.Errorf("%d cuts", p.Stats().Cuts)
	}
}

// TestMovingMailbox: mail that comes, goes and is flagged while a pass works is right at the end of it or of the next.
func TestMovingMailbox(t *testing.T) {
	for _, at := range []string{"EXAMINE", "UID SEARCH", "UID FETCH", "NOOP"} {
		for _, caps := range []string{"", "IMAP4rev1"} {
			t.Run(at+" "+caps, func(t *testing.T) {
				t.Parallel()
				s, w := scripted(t, 120, script.Options{Capabilities: caps}, Options{})
				w.complete()
				put(s, "INBOX", 30)
				var times atomic.Int32
				s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
					if n := times.Load(); c.Name == at && n < 3 {
						times.Add(1)
						s.Change(func(m *script.Model) {
							b := m.Box("INBOX")
							b.Add(mail("during", uint32(n)))
							b.Flag(uint32(3+n), "$During")
							b.Flag(b.UIDNext-3, "$During", strconv.Itoa(int(n)))
							b.Expunge(uint32(10+n), b.UIDNext-2-uint32(n))
						})
					}
					return script.Answer
				}})
				w.complete()
				s.Misbehave(script.Faults{})
				w.complete()
				w.equals(s)
			})
		}
	}
	t.Run("never still", func(t *testing.T) {
		t.Parallel()
		s, w := scripted(t, 20, script.Options{}, Options{})
		var n atomic.Uint32
		s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
			if c.Name == "NOOP" {
				s.Change(func(m *script.Model) { m.Box("INBOX").Add(mail("busy", n.Add(1))) })
			}
			return script.Answer
		}})
		if sum := w.sync(); sum.Result != Partial || s.Count("UID SEARCH") > 3*reconcile.MaxRounds {
			t.Errorf("%d searches, summary %+v", s.Count("UID SEARCH"), sum)
		}
		s.Misbehave(script.Faults{})
		w.complete()
		w.equals(s)
	})
}

// panicking is a trace that panics once, at a line that holds its text.
type panicking struct {
	text string
	left atomic.Int32
}

func (p *panicking) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(p.text)) && p.left.Add(-1) >= 0 {
		panic("on purpose")
	}
	return len(b), nil
}

// TestPanic: a bug costs one task its try, leaves its stack, and the others go on.
func TestPanic(t *testing.T) {
	for _, times := range []int32{1, 100} {
		trace := &panicking{text: "Broken"}
		trace.left.Store(0)
		s, w := scripted(t, 20, script.Options{}, Options{Trace: trace})
		put(s, "Other", 5)
		w.complete()
		put(s, "Broken", 5)
		put(s, "Other", 5)
		trace.text = `EXAMINE \"Broken\"`
		trace.left.Store(times)
		sum := w.sync()
		if want := map[int32]string{1: Complete, 100: Partial}[times]; sum.Result != want {
			t.Errorf("%d panics: %+v", times, sum)
		}
		f := w.faults()
		if len(f) == 0 || f[0].Class != "bug" || !strings.Contains(f[0].Stack, "panicking") ||
			!strings.Contains(f[0].Detail, "on purpose") {
			t.Errorf("faults %+v", f)
		}
		if times > 1 && len(f) != policy.PolicyOf(class.Bug).Tries {
			t.Errorf("%d faults", len(f))
		}
		trace.left.Store(0)
		w.complete()
		w.equals(s)
	}
}

// TestRecoverEverywhere: what runs beside the worker's goroutine does not end the process either.
func TestRecoverEverywhere(t *testing.T) {
	err := fault.Guard(func() error { panic("x") })
	if f := fault.Classify(err); f.Class != class.Bug || !strings.Contains(f.Stack, "TestRecoverEverywhere") {
		t.Errorf("%+v", f)
	}
}

// TestSecondAccount: two accounts with one address on two hosts, side by side.
func TestSecondAccount(t *testing.T) {
	s, w := scripted(t, 20, script.Options{}, Options{})
	first := w.id
	second, created, err := w.engine.AddAccount(t.Context(),
		NewAccount{Login: Login{User: dovecot.User, Host: "localhost", Port: s.Port(), Security: imap.Plain}})
	if err != nil || !created || second == first {
		t.Fatalf("%d %v %v", second, created, err)
	}
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "localhost"} {
		if _, created, err := w.engine.AddAccount(t.Context(),
			NewAccount{Login: Login{User: "ada@example.org", Host: host, Port: 1,
				Security: imap.Plain}}); err != nil || !created {
			t.Fatalf("%s: %v %v", host, created, err)
		}
	}
	port := fmt.Sprint(":", s.Port())
	if names := w.text(`SELECT name FROM account ORDER BY id`); names !=
		"alice@127.0.0.1"+port+"\nalice@localhost"+port+
			"\nada@example.org\nada@example.org@127.0.0.2:1\nada@example.org@localhost:1" {
		t.Errorf("names %q", names)
	}
}

// TestRefusedBatch: what was staged for a batch that cannot be stored does not stay and fill the disk.
func TestRefusedBatch(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add(large(1, 6)) })
	exec := func(statement string) {
		t.Helper()
		if err := w.store.Write(t.Context(), storage.Interactive, 0, func(tx *storage.Writer) error {
			_, err := tables.In(tx).Exec(statement)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	exec(`CREATE TRIGGER refuse BEFORE INSERT ON entry BEGIN SELECT RAISE(ABORT, 'no'); END`)
	if sum := w.sync(); sum.Result == Complete {
		t.Fatalf("summary %+v", sum)
	}
	if n := w.text(`SELECT count(*) FROM blob_piece`); n != "0" {
		t.Errorf("%s pieces stay", n)
	}
	exec(`DROP TRIGGER refuse`)
	w.complete()
	w.equals(s)
}

// TestFlagsApart: a server may say a message's flags in a response of their own (RFC 9051 §7.5.2); they count all
// the same.
func TestFlagsApart(t *testing.T) {
	s, w := scripted(t, 250, script.Options{}, Options{})
	s.Misbehave(script.Faults{Message: func(_ string, uid uint32) script.Fault {
		return []script.Fault{script.Whole, script.FlagsBefore, script.FlagsAfter}[uid/3%3]
	}})
	w.complete()
	w.equals(s)
}

// TestFlagsLeftOut: a server that gives bodies without flags is asked for these; if the session breaks over it,
// or the process ends there, the next pass asks, though the server keeps MODSEQ and nothing has changed since.
func TestFlagsLeftOut(t *testing.T) {
	flags := regexp.MustCompile(` FLAGS \([^)]*\)`)
	for name, end := range map[string]func(context.CancelFunc) script.Action{
		"nothing":  func(context.CancelFunc) script.Action { return script.Answer },
		"the line": func(context.CancelFunc) script.Action { return script.Drop },
		"a stop": func(stop context.CancelFunc) script.Action {
			stop()
			return script.Drop
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, w := scripted(t, 250, script.Options{}, Options{})
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var asked atomic.Bool
			s.Misbehave(script.Faults{
				Line: func(c script.Command, line string) string {
					if c.Name == "UID FETCH" && strings.Contains(c.Args, "BODY") {
						return flags.ReplaceAllString(line, "")
					}
					return line
				},
				On: func(c script.Command) script.Action {
					if c.Name == "UID FETCH" && !strings.Contains(c.Args, "BODY") && !asked.Swap(true) {
						return end(stop)
					}
					return script.Answer
				},
			})
			w.engine.Sync(ctx, []storage.AccountID{w.id}, SyncOptions{})
			w.restart()
			w.complete()
			w.equals(s)
		})
	}
}

// TestSwappedBudget: a UIDVALIDITY that moves before a body costs no memory of the process-wide budget and
// nothing staged.
func TestSwappedBudget(t *testing.T) {
	s, w := scripted(t, 0, script.Options{}, Options{})
	s.Change(func(m *script.Model) {
		for i, megabytes := range []int{1, 6, 1} {
			m.Box("INBOX").Add(large(uint64(i), megabytes))
		}
	})
	var told atomic.Int32
	s.Misbehave(script.Faults{On: func(c script.Command) script.Action {
		if c.Name == "UID FETCH" && told.Add(1) <= 3 {
			return "* OK [UIDVALIDITY 77] moved"
		}
		return script.Answer
	}})
	w.complete()
	w.equals(s)
	if !w.engine.process.Budget.TryAcquire(budgetBytes) {
		t.Error("part of the budget is gone for good")
	}
	if n := w.text(`SELECT count(*) FROM blob WHERE state = 'staged'`); n != "0" {
		t.Errorf("%s staged blobs stay", n)
	}
}
