package imap

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// The server of the demo: no CONDSTORE, other habits than Dovecot's.
func TestMemServer(t *testing.T) {
	mem := imapmemserver.New()
	user := imapmemserver.NewUser("jo", "pw")
	for _, name := range []string{"INBOX", "Entw\u00fcrfe"} {
		if err := user.Create(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	raw := []byte("Subject: hi\r\n\r\nthere\r\n")
	for range 3 {
		if _, err := user.Append("Entw\u00fcrfe", bytes.NewReader(raw),
			&goimap.AppendOptions{Flags: []goimap.Flag{goimap.FlagSeen}}); err != nil {
			t.Fatal(err)
		}
	}
	mem.AddUser(user)
	srv := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		},
		InsecureAuth: true,
	})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		_ = srv.Close()
		<-done
	}()

	ctx := context.Background()
	s, err := Dial(ctx, endpoint(t, ln.Addr().String(), Plain), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Login(ctx, "jo", "pw"); err != nil {
		t.Fatal(err)
	}
	boxes, err := s.List(ctx, []string{"MESSAGES", "UIDNEXT"})
	if err != nil || len(boxes) != 2 {
		t.Fatalf("LIST %+v, %v", boxes, err)
	}
	raw8 := encodeMailbox("Entw\u00fcrfe")
	if sel, err := s.Examine(ctx, raw8, true); err != nil || sel.Exists != 3 || sel.UIDNext != 4 {
		t.Fatalf("EXAMINE %+v, %v", sel, err)
	}
	set, err := s.UIDSearchAll(ctx)
	if err != nil || set.String() != "1:3" {
		t.Fatalf("UID SEARCH %v, %v", set, err)
	}
	bodies := 0
	take := FetchHandler{
		Body: func(_ *Message, _ string, _ int64, r io.Reader) error {
			b, err := io.ReadAll(r)
			if bytes.Equal(b, raw) {
				bodies++
			}
			return err
		},
		Fetch: func(m *Message) error {
			if !m.HasBody || m.UID == 0 || len(m.Flags) != 1 || m.InternalDate.IsZero() {
				t.Errorf("%+v", m)
			}
			return nil
		},
	}
	if err := s.UIDFetch(ctx, set, []Item{ItemState, ItemDate, ItemBody}, take); err != nil || bodies != 3 {
		t.Errorf("%d bodies, %v", bodies, err)
	}
	if err := s.Logout(ctx); err != nil {
		t.Error(err)
	}
}
