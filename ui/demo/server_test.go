package demo

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func start(t *testing.T, o Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

func dial(t *testing.T, s *Server, o *imapclient.Options) (*imapclient.Client, *url.URL) {
	t.Helper()
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	if u.Scheme != "imap" || u.Hostname() != "127.0.0.1" || u.User.Username() != "demo" {
		t.Fatalf("url %s", u.Redacted())
	}
	c, err := imapclient.DialInsecure(u.Host, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, u
}

func login(t *testing.T, s *Server, o *imapclient.Options) *imapclient.Client {
	t.Helper()
	c, u := dial(t, s, o)
	password, _ := u.User.Password()
	if len(password) < 20 {
		t.Fatalf("a password of %d characters", len(password))
	}
	if err := c.Login("demo", password).Wait(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestServerServesTheMailbox(t *testing.T) {
	s := start(t, Options{Seed: 1})
	c := login(t, s, nil)
	list, err := c.List("", "*", &imap.ListOptions{
		ReturnSpecialUse: true,
		ReturnStatus:     &imap.StatusOptions{NumMessages: true},
	}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	roles, total := map[string]string{}, 0
	for _, data := range list {
		for _, a := range data.Attrs {
			if specialUse(data.Mailbox) != nil && a == specialUse(data.Mailbox)[0] {
				roles[data.Mailbox] = string(a)
			}
		}
		if data.Status == nil || data.Status.NumMessages == nil {
			t.Fatalf("no STATUS for %s", data.Mailbox)
		}
		total += int(*data.Status.NumMessages)
	}
	if total != DefaultMessages {
		t.Errorf("%d messages, want %d", total, DefaultMessages)
	}
	if len(roles) != 5 || roles["Junk"] != `\Junk` {
		t.Errorf("special use: %v", roles)
	}
	special, err := c.List("", "*", &imap.ListOptions{SelectSpecialUse: true}).Collect()
	if err != nil || len(special) != 5 {
		t.Errorf("special-use selection gives %d: %v", len(special), err)
	}
	top, err := c.List("", "%", nil).Collect()
	if err != nil || slices.ContainsFunc(top, func(d *imap.ListData) bool { return strings.Contains(d.Mailbox, "/") }) {
		t.Errorf("one level: %v %v", top, err)
	}
	if _, err := c.Select("Drafts", &imap.SelectOptions{ReadOnly: true}).Wait(); err != nil {
		t.Fatal(err)
	}
	whole := &imap.FetchItemBodySection{Peek: true}
	messages, err := c.Fetch(imap.SeqSet{{Start: 1, Stop: 0}}, &imap.FetchOptions{
		Flags: true, InternalDate: true, BodySection: []*imap.FetchItemBodySection{whole},
	}).Collect()
	if err != nil || len(messages) != drafts {
		t.Fatalf("%d drafts: %v", len(messages), err)
	}
	for _, m := range messages {
		h, _, _ := read(t, m.FindBodySection(whole))
		date, _ := h.Date()
		if !date.Equal(m.InternalDate) || !slices.Contains(m.Flags, imap.FlagDraft) {
			t.Errorf("date %v, internal %v, flags %v", date, m.InternalDate, m.Flags)
		}
	}
}

func TestServerKeepsTheRosterInStep(t *testing.T) {
	s := start(t, Options{Messages: 20})
	c := login(t, s, nil)
	for _, step := range []error{
		c.Create("Projects/New", nil).Wait(),
		c.Rename("Projects/New", "Projects/Newer", nil).Wait(),
		c.Subscribe("Projects/Newer").Wait(),
		c.Unsubscribe("Trash").Wait(),
		c.Delete("Junk").Wait(),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	var names []string
	list, err := c.List("", "*", &imap.ListOptions{SelectSubscribed: true}).Collect()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		names = append(names, d.Mailbox)
	}
	if !slices.Contains(names, "Projects/Newer") || slices.Contains(names, "Projects/New") ||
		slices.Contains(names, "Junk") || slices.Contains(names, "Trash") {
		t.Error(names)
	}
}

func TestWrongPassword(t *testing.T) {
	s := start(t, Options{Messages: 20})
	c, _ := dial(t, s, nil)
	if err := c.Login("demo", "guess").Wait(); err == nil {
		t.Fatal("let in")
	}
}

// New mail reaches a client that idles, and Close ends the server although
// the client does not.
func TestMailArrivesAndCloseEndsIdlers(t *testing.T) {
	s := start(t, Options{Messages: 30, Arrivals: 20 * time.Millisecond})
	grown := make(chan uint32, 64)
	c := login(t, s, &imapclient.Options{UnilateralDataHandler: &imapclient.UnilateralDataHandler{
		Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				select {
				case grown <- *d.NumMessages:
				default:
				}
			}
		},
	}})
	selected, err := c.Select("INBOX", nil).Wait()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Idle(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.After(20 * time.Second); ; {
		select {
		case n := <-grown:
			if n < selected.NumMessages+3 {
				continue
			}
		case <-deadline:
			t.Fatal("no mail arrived")
		}
		break
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(s.URL())
	if conn, err := net.Dial("tcp", u.Host); err == nil {
		conn.Close()
		t.Error("still listening after Close")
	}
}

func TestArrivalsEndWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := Start(ctx, Options{Messages: 20, Arrivals: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}
