//go:build unix

package engine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/engine/imap"
	"mailcote/engine/mailbox"
	"mailcote/engine/message"
	"mailcote/engine/plan"
	"mailcote/engine/progress"
	"mailcote/engine/secret"
	"mailcote/storage"
	"mailcote/testkit/script"
)

// BenchmarkSlope prints how processor time grows with the numbers that a server or a message may choose: the
// exponent of n over two doublings, 1 where it grows as n does, 2 where as its square.
//
//	go test ./engine -run '^$' -bench Slope -benchtime 1x
func BenchmarkSlope(b *testing.B) {
	for _, one := range []struct {
		name  string
		n     int // the smallest; twice and four times as many follow
		run   func(b *testing.B, n int) func()
		times int // the fastest counts
	}{
		{"mailboxes/listed twice", 25_000, unions, 3},
		{"mailboxes/shown", 25_000, shows, 3},
		{"mailboxes/first pass", 150, firstPass, 1},
		{"mailboxes/later pass", 250, laterPass, 3},
		{"UIDs/listed", 250_000, listing, 3},
		{"UIDs/asked for", 50_000, asking, 3},
		{"UIDs/quarantined", 500, quarantines, 1},
		{"UIDs/stored, later pass", 1000, storedPass, 3},
		{"flags/of each message", 1000, changedFlags, 3},
		{"flags/of one message", 1000, longFlags, 3},
		{"parts/side by side", 2500, parts, 3},
		{"parts/nested", 25, nests, 3},
		{"parts/parameters", 25, parameters, 3},
		{"parts/references", 20_000, references, 3},
	} {
		b.Run(one.name, func(b *testing.B) {
			for range b.N {
				var took [3]float64
				var words []string
				for i := range took {
					n := one.n << i
					took[i] = math.Inf(1)
					run := one.run(b, n)
					for range one.times {
						start := processor(b)
						run()
						took[i] = min(took[i], processor(b)-start)
					}
					words = append(words, fmt.Sprintf("%d in %.1f ms", n, 1000*took[i]))
				}
				b.ReportMetric(math.Log2(took[2]/took[0])/2, "slope")
				b.Log(strings.Join(words, ", "))
			}
		})
	}
}

// processor gives the seconds of processor time that the program has used: other programs do not count.
func processor(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func names(n int) []imap.ListEntry {
	all := make([]imap.ListEntry, n)
	for i := range all {
		all[i].Raw = fmt.Sprintf("Archive/%06d", i)
		all[i].Name = all[i].Raw
	}
	return all
}

func unions(_ *testing.B, n int) func() {
	all := names(n)
	known := make([]storage.Mailbox, n)
	for i, entry := range all {
		known[i] = storage.Mailbox{Raw: entry.Raw, Total: 1}
	}
	return func() {
		plan.MassGone(known, all)
		plan.Within(2*n, known, plan.Union(slices.Clone(all[n/2:]), all))
	}
}

func shows(_ *testing.B, n int) func() {
	all := names(n)
	known, now := make(map[string]storage.Mailbox, n), make([]found, n)
	for i, entry := range all {
		known[entry.Raw] = storage.Mailbox{Raw: entry.Raw, Total: 1, Synced: true}
		now[i] = found{mailbox: plan.Describe(1, entry)}
		now[i].status.Said = true
	}
	process := &shared{progress: progress.New(), o: Options{wall: time.Now}}
	a := newAccount(process, 1).setRow(storage.Account{Name: "a"})
	w := &discovery{worker: &worker{e: &Engine{shared: process}, stream: stream{account: a}}, known: known}
	return func() {
		w.showProgress(now)
		w.showProgress(now)
	}
}

// many is a server with n empty mailboxes that answers each of them in the same time.
func many(b *testing.B, n int) *world {
	s := script.Start(b, script.Options{})
	s.Misbehave(script.Faults{Raw: func(c script.Command, w io.Writer) bool {
		switch c.Name {
		case "LIST":
			for i := range n {
				_, _ = fmt.Fprintf(w,
					"* LIST () \"/\" \"Box %d\"\r\n* STATUS \"Box %d\" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1 "+
						"HIGHESTMODSEQ 1)\r\n", i, i)
			}
		case "EXAMINE":
			_, _ = io.WriteString(w,
				"* 0 EXISTS\r\n* OK [UIDVALIDITY 1] this\r\n* OK [UIDNEXT 1] next\r\n* OK [HIGHESTMODSEQ 1] "+
					"highest\r\n")
		case "UID SEARCH":
			_, _ = fmt.Fprintf(w, "* ESEARCH (TAG %q) UID\r\n", c.Tag)
		default:
			return false
		}
		_, _ = fmt.Fprintf(w, "%s OK done\r\n", c.Tag)
		return true
	}})
	return slopeWorld(b, s)
}

// slopeWorld is a store and an engine with one account on s.
func slopeWorld(b *testing.B, s *script.Server) *world {
	store, err := storage.Open(b.Context(), b.TempDir()+"/mail.db", storage.Options{Holder: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(b.Context(), Options{Store: store, backoff: quick})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := e.Close(); err != nil {
			b.Error(err)
		}
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	id, _, err := e.AddAccount(b.Context(), NewAccount{Login: Login{User: script.User, Host: s.Host(), Port: s.Port(),
		Security: "plain", Password: secret.New(script.Password)}})
	if err != nil {
		b.Fatal(err)
	}
	return &world{store: store, engine: e, id: id}
}

func (w *world) syncs(b *testing.B, want string) {
	if sum := w.engine.Sync(b.Context(), []storage.AccountID{w.id}, SyncOptions{})[0]; sum.Result != want {
		b.Fatalf("%+v", sum)
	}
}

func firstPass(b *testing.B, n int) func() {
	w := many(b, n)
	return func() { w.syncs(b, Complete) }
}

func laterPass(b *testing.B, n int) func() {
	w := many(b, n)
	w.syncs(b, Complete)
	return func() { w.syncs(b, Complete) }
}

// sparse is a set of n UIDs that do not touch.
func sparse(n int) string {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, ",%d", 2*i+1)
	}
	return b.String()[1:]
}

func listing(b *testing.B, n int) func() {
	set := sparse(n)
	s := examined(b, n, func(c script.Command, w io.Writer) bool {
		if c.Name != "UID SEARCH" {
			return false
		}
		_, _ = fmt.Fprintf(w, "* ESEARCH (TAG %q) UID ALL %s\r\n%s OK done\r\n", c.Tag, set, c.Tag)
		return true
	})
	box := mailbox.New(mailbox.Only(s), "INBOX", "INBOX", n)
	return func() {
		if uids, err := box.List(b.Context()); err != nil || len(uids) != n {
			b.Fatal(len(uids), err)
		}
	}
}

func asking(b *testing.B, n int) func() {
	s := examined(b, 1, func(c script.Command, w io.Writer) bool {
		if c.Name != "UID FETCH" {
			return false
		}
		_, _ = fmt.Fprintf(w, "%s OK done\r\n", c.Tag)
		return true
	})
	uids := make([]storage.UID, n)
	for i := range uids {
		uids[i] = storage.UID(2*i + 1)
	}
	return func() {
		if err := s.UIDFetch(b.Context(), mailbox.SetOf(uids), []imap.Item{imap.ItemState},
			imap.FetchHandler{}); err != nil {
			b.Fatal(err)
		}
	}
}

// examined is a session with an open mailbox of n messages on a server that answers by raw.
func examined(b *testing.B, n int, raw func(script.Command, io.Writer) bool) *imap.Session {
	server := script.Start(b, script.Options{})
	server.Misbehave(script.Faults{Raw: raw, Exists: announces("INBOX", n)}) // an empty mailbox is not searched
	s, err := imap.Dial(context.Background(), imap.Endpoint{Host: server.Host(), Port: server.Port(),
		Security: imap.Plain}, imap.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	if err := s.Login(b.Context(), script.User, script.Password); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Examine(b.Context(), "INBOX", false); err != nil {
		b.Fatal(err)
	}
	return s
}

func quarantines(b *testing.B, n int) func() {
	s := script.Start(b, script.Options{})
	s.Misbehave(script.Faults{Exists: announces("INBOX", n), Raw: lists("INBOX", fmt.Sprintf("1:%d", n))})
	w := slopeWorld(b, s)
	return func() { w.syncs(b, Partial) }
}

// stored is an account with n messages in INBOX.
func stored(b *testing.B, n int) (*script.Server, *world) {
	s := script.Start(b, script.Options{})
	put(s, "INBOX", n)
	w := slopeWorld(b, s)
	w.syncs(b, Complete)
	return s, w
}

func storedPass(b *testing.B, n int) func() {
	s, w := stored(b, n)
	return func() {
		put(s, "INBOX", 1)
		w.syncs(b, Complete)
	}
}

func changedFlags(b *testing.B, n int) func() {
	s, w := stored(b, n)
	return func() {
		s.Change(func(m *script.Model) {
			box := m.Box("INBOX")
			for i := range box.Messages {
				box.ModSeq++
				box.Messages[i].Flags, box.Messages[i].ModSeq = fmt.Sprintf(`\Seen $k%d`, box.ModSeq), box.ModSeq
			}
		})
		w.syncs(b, Complete)
	}
}

func longFlags(_ *testing.B, n int) func() {
	flags := make([]goimap.Flag, n)
	for i := range flags {
		flags[i] = goimap.Flag(fmt.Sprintf("$k%d", i%(n/2)))
	}
	return func() {
		for range 50 {
			mailbox.FlagsOf(1, imap.State{Flags: flags})
		}
	}
}

func parses(raw string) func() {
	return func() { message.ThreadKeys(message.Parse(strings.NewReader(raw), message.Limits{})) }
}

func parts(_ *testing.B, n int) func() {
	return parses("Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Type: text/html; name=x\r\n\r\n<p>x\r\n", n) + "--b--\r\n")
}

// nests has a page in each of n alternatives that lie in each other, and as much text at each depth.
func nests(_ *testing.B, n int) func() {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "Content-Type: multipart/alternative; boundary=b%d\r\n\r\n--b%d\r\nContent-Type: "+
			"text/html\r\n\r\n%s\r\n--b%d\r\n", i, i, strings.Repeat("<p>x", 4000), i)
	}
	return parses(b.String())
}

func parameters(_ *testing.B, n int) func() {
	var fields strings.Builder
	for i := range n {
		fmt.Fprintf(&fields, "; name*%d=a", n-1-i)
	}
	return parses("Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
		strings.Repeat("--b\r\nContent-Type: a/b"+fields.String()+"\r\n\r\nx\r\n", 500) + "--b--\r\n")
}

func references(_ *testing.B, n int) func() {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "<%d@b> ", i)
	}
	return parses("References: " + b.String() + "\r\n\r\nx")
}
