package imap

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/google/go-cmp/cmp"

	goimap "github.com/emersion/go-imap/v2"

	"mailcote/testkit/dovecot"
)

func endpoint(t testing.TB, addr string, sec Security) Endpoint {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	return Endpoint{host, n, sec}
}

// The whole life of a session against a real server, in each way to connect.
func TestDovecot(t *testing.T) {
	srv := dovecot.Start(t, dovecot.Config{TLS: true})
	want := map[[32]byte]bool{}
	when := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	for i := range 300 {
		raw := fmt.Appendf(nil, "From: a@example.org\r\nSubject: no %d\r\n\r\n%s\r\n", i, strings.Repeat("x", i*97))
		var flags []string
		if i%3 == 0 {
			flags = []string{`\Seen`}
		}
		srv.Deliver(t, dovecot.User, "Entwürfe/a b", raw, dovecot.Options{Flags: flags, Date: when})
		want[sha256.Sum256(raw)] = true
	}
	srv.Deliver(t, dovecot.User, "Trash", []byte("Subject: gone\r\n\r\n"), dovecot.Options{})
	plain, tlsAt := endpoint(t, srv.Addr(), Plain), endpoint(t, srv.TLSAddr(), TLS)
	start := plain
	start.Security = StartTLS
	for _, e := range []Endpoint{plain, tlsAt, start} {
		t.Run(string(e.Security), func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			s, err := Dial(ctx, e, Options{TLSConfig: &tls.Config{RootCAs: srv.Roots}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if e.Security == Plain {
				err = s.Login(ctx, dovecot.User, dovecot.Password)
			} else {
				err = s.Authenticate(ctx, sasl.NewPlainClient("", dovecot.User, dovecot.Password))
			}
			if err != nil {
				t.Fatal(err)
			}
			if id, err := s.ID(ctx, map[string]string{"name": "mailcote"}); err != nil || id["name"] != "Dovecot" {
				t.Errorf("ID %v, %v", id, err)
			}
			boxes, err := s.List(ctx, []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "HIGHESTMODSEQ"})
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(boxes, func(b ListEntry) bool { return b.Name == "Entwürfe/a b" })
			if i < 0 || boxes[i].Status == nil || boxes[i].Status.Messages != 300 ||
				boxes[i].Status.HighestModSeq == 0 || boxes[i].Delim != '/' {
				t.Fatalf("LIST %+v", boxes)
			}
			if !slices.ContainsFunc(boxes, func(b ListEntry) bool {
				return slices.Contains(b.Attrs, goimap.MailboxAttrTrash)
			}) {
				t.Errorf("no \\Trash in %+v", boxes)
			}
			st, err := s.Status(ctx, boxes[i].Raw, []string{"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN",
				"HIGHESTMODSEQ"})
			if err != nil || st != *boxes[i].Status {
				t.Errorf("STATUS %+v, LIST-STATUS %+v, %v", st, *boxes[i].Status, err)
			}
			sel, err := s.Examine(ctx, boxes[i].Raw, true)
			if err != nil || sel.Exists != 300 || sel.UIDNext != 301 || sel.UIDValidity != st.UIDValidity ||
				sel.HighestModSeq == 0 {
				t.Fatalf("EXAMINE %+v, %v", sel, err)
			}
			set, err := s.UIDSearchAll(ctx)
			if err != nil || set.String() != "1:300" {
				t.Fatalf("UID SEARCH %v, %v", set, err)
			}
			if again, err := s.searchAll(ctx, "UID SEARCH", " UID 1:"); err != nil || cmp.Diff(set, again) != "" {
				t.Errorf("plain UID SEARCH %v, %v", again, err)
			}
			// Every other UID: several lines, a few in flight.
			have := map[[32]byte]bool{}
			seen, last := 0, [32]byte{}
			take := FetchHandler{
				Body: func(_ *Message, _ string, _ int64, r io.Reader) error {
					h := sha256.New()
					_, err := io.Copy(h, r)
					h.Sum(last[:0])
					return err
				},
				Fetch: func(m *Message) error {
					if !m.HasBody || m.UID == 0 || !m.HasFlags || m.ModSeq == 0 || !m.InternalDate.Equal(when) ||
						m.Size < 40 {
						t.Errorf("message %+v", m)
					}
					have[last] = true
					if slices.Contains(m.Flags, goimap.FlagSeen) {
						seen++
					}
					return nil
				},
			}
			items := []Item{ItemState, "MODSEQ", ItemDate, ItemSize, ItemBody}
			for odd := range goimap.UID(2) {
				var half goimap.UIDSet
				for uid := 2 - odd; uid <= 300; uid += 2 {
					half.AddNum(uid)
				}
				if err := s.UIDFetch(ctx, half, items, take); err != nil {
					t.Fatal(err)
				}
			}
			if cmp.Diff(want, have) != "" || seen != 100 {
				t.Errorf("%d of %d messages, %d seen", len(have), len(want), seen)
			}
			if err := s.UIDFetchSince(ctx, set, sel.HighestModSeq, []Item{ItemState}, take); err != nil {
				t.Errorf("CHANGEDSINCE: %v", err)
			}
			var no *StatusError
			if _, err := s.Examine(ctx, "none\r\nsuch", false); !errors.As(err, &no) {
				t.Errorf("EXAMINE of a mailbox that is not there: %v", err)
			}
			if err := s.Noop(ctx); err != nil {
				t.Error(err)
			}
			if err := s.Logout(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	s, err := Dial(context.Background(), plain, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var no *StatusError
	if err := s.Login(context.Background(), dovecot.User, "wrong"); !errors.As(err, &no) ||
		no.Code != "AUTHENTICATIONFAILED" {
		t.Errorf("wrong password: %v", err)
	}
}

// BenchmarkDovecot drains all bodies from a real server on loopback.
func BenchmarkDovecot(b *testing.B) {
	srv := dovecot.Start(b, dovecot.Config{})
	const count = 2000
	size := int64(0)
	for i := range count {
		raw := append(fmt.Appendf(nil, "Subject: no %d\r\n\r\n", i),
			bytes.Repeat([]byte("some words in a line of mail\r\n"), 700)...)
		size += int64(len(raw))
		srv.Deliver(b, dovecot.User, "INBOX", raw, dovecot.Options{Flags: []string{`\Seen`}})
	}
	ctx := context.Background()
	s, err := Dial(ctx, endpoint(b, srv.Addr(), Plain), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if err := s.Login(ctx, dovecot.User, dovecot.Password); err != nil {
		b.Fatal(err)
	}
	if _, err := s.Examine(ctx, "INBOX", true); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.UIDFetch(ctx, all, []Item{ItemBody}, FetchHandler{}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(count)*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
}
