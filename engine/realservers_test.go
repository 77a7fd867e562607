package engine

import (
	"context"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailcote/testkit/courier"
	"mailcote/testkit/cyrus"
	"mailcote/testkit/truth"
)

// realServer is another server than Dovecot, with the same account.
type realServer interface {
	Host() string
	Port() int
	Addr() string
	Restart() error
}

// is compares the store with a server, and runs check.
func (w *world) is(s realServer) {
	w.t.Helper()
	want, err := truth.Read(w.t.Context(), s.Addr(), cyrus.User, cyrus.Password)
	if err != nil {
		w.t.Fatal(err)
	}
	w.same(want)
	w.clean()
}

// TestRealServersAgree: what Cyrus and Courier have is what the store has, after a first sync, after changes, and
// after a restart of the server. Names are those that servers write in different ways.
func TestRealServersAgree(t *testing.T) {
	for _, c := range []struct {
		name, prefix, separator string
		start                   func(t testing.TB) realServer
	}{
		{"Cyrus", "", "/", func(t testing.TB) realServer { return cyrus.Start(t) }},
		{"Courier", "INBOX.", ".", func(t testing.TB) realServer { return courier.Start(t) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.start(t)
			other := clientOf(t, s)
			boxes := []string{"INBOX"}
			for _, name := range []string{"two words", "it's", "Käse & Brot", "日本", "deep|er|still", "empty"} {
				boxes = append(boxes, c.prefix+strings.ReplaceAll(name, "|", c.separator))
			}
			for i, box := range boxes {
				if i > 0 {
					must(t, other.Create(box))
				}
				for n := range uint32(6-i) * 2 {
					must(t, other.Append(box, mail(box, n), [][]string{nil, {`\Seen`}, {`\Flagged`, "$Work"}}[n%3],
						time.Date(2020, 1, 1+int(n), 0, 0, 0, 0, time.UTC)))
				}
			}
			w := open(t, filepath.Join(t.TempDir(), "mail.db"), Options{}).account(s.Host(), s.Port())
			w.complete()
			w.is(s)
			must(t, other.Store("INBOX", "1:3", "+FLAGS", `\Answered`))
			must(t, other.Expunge("INBOX", "5:7"))
			must(t, other.Append(boxes[1], mail("late", 1), nil, time.Time{}))
			must(t, other.Rename(boxes[3], c.prefix+"Wurst"))
			must(t, other.Delete(boxes[4]))
			must(t, s.Restart())
			w.complete()
			w.is(s)
			if again := w.complete(); again.Fetched != 0 || again.Wire > 60_000 {
				t.Errorf("a sync without news fetched %d messages and moved %d bytes", again.Fetched, again.Wire)
			}
		})
	}
}

func clientOf(t *testing.T, s realServer) *truth.Client {
	t.Helper()
	client, err := truth.Dial(context.WithoutCancel(t.Context()), s.Addr(), cyrus.User, cyrus.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}
