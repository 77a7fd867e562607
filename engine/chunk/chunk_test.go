package chunk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	goimap "github.com/emersion/go-imap/v2"
	"go.uber.org/goleak"

	"mailcote/engine/imap"
	"mailcote/testkit/script"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestDownload: what a server will give of a message comes, and no more is said of it than is so.
func TestDownload(t *testing.T) {
	raw := make([]byte, 700_001)
	random := rand.New(rand.NewPCG(1, 1))
	for i := range raw {
		raw[i] = byte(random.Uint32())
	}
	body := func(p script.Part) bool { return strings.Contains(p.Items, "BODY") }
	for _, test := range []struct {
		name  string
		part  func(script.Part) script.Fault
		whole bool
		least int
	}{
		{"a good server", func(script.Part) script.Fault { return script.Whole }, true, len(raw)},
		{"small parts", func(p script.Part) script.Fault {
			if body(p) && (p.Most == 0 || p.Most > 10_000) {
				return script.CutEarly
			}
			return script.Whole
		}, true, len(raw)},
		{"a wrong size", func(script.Part) script.Fault { return script.WrongSize }, true, len(raw)},
		{"short parts", func(script.Part) script.Fault { return script.Stingy }, true, len(raw)},
		{"no parts", func(p script.Part) script.Fault {
			if p.Most > 0 {
				return script.Refuse
			}
			return script.Whole
		}, true, len(raw)},
		{"no parts, cut", func(p script.Part) script.Fault {
			switch {
			case p.Most > 0:
				return script.Omit
			case body(p):
				return script.Cut
			}
			return script.Whole
		}, false, len(raw) / 3},
		{"the beginning", func(p script.Part) script.Fault {
			if body(p) && (p.Most == 0 || p.From+p.Most > 400_000) {
				return script.CutEarly
			}
			return script.Whole
		}, false, 390_000},
		{"the beginning, then NO", func(p script.Part) script.Fault {
			if body(p) && p.From > 0 {
				return script.Refuse
			}
			return script.Whole
		}, false, 250_000},
		{"an early end", func(script.Part) script.Fault { return script.Half }, false, len(raw) / 2},
		{"an early end, no parts", func(p script.Part) script.Fault {
			if p.Most > 0 {
				return script.Refuse
			}
			return script.Half
		}, false, len(raw) / 2},
		{"empty", func(p script.Part) script.Fault {
			if p.Most > 0 {
				return script.Refuse
			}
			return script.Empty
		}, false, 0},
		{"nothing", func(p script.Part) script.Fault { return script.CutEarly }, false, 0},
		{"left out", func(p script.Part) script.Fault { return script.Omit }, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := script.Start(t, script.Options{})
			s.Change(func(m *script.Model) { m.Box("INBOX").Add(raw) })
			s.Misbehave(script.Faults{Part: test.part})
			var session *imap.Session
			var out bytes.Buffer
			report, err := Download(t.Context(), func(ctx context.Context, _ int64, _ error) (*imap.Session, error) {
				if session == nil || session.Err() != nil {
					session = dial(t, ctx, s)
				}
				return session, nil
			}, 1, &out)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d of %d bytes over %d connections: %v", report.Got, report.Claimed, s.Connections(), report.Why)
			if int64(out.Len()) != report.Got || !bytes.HasPrefix(raw, out.Bytes()) ||
				report.SHA256 != sha256.Sum256(out.Bytes()) {
				t.Errorf("%d bytes were written, %d are reported", out.Len(), report.Got)
			}
			if report.Whole != test.whole || out.Len() < test.least || report.Whole && out.Len() != len(raw) ||
				report.Whole == (report.Why != nil) {
				t.Errorf("%d bytes, %+v", out.Len(), report)
			}
		})
	}
}

// TestFullDisk: an error of the file ends the download.
func TestFullDisk(t *testing.T) {
	s := script.Start(t, script.Options{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add([]byte("x")) })
	full := errors.New("no space")
	for _, part := range []script.Fault{script.Whole, script.Omit} {
		s.Misbehave(script.Faults{Part: func(p script.Part) script.Fault {
			if p.Most > 0 {
				return part
			}
			return script.Whole
		}})
		session := dial(t, t.Context(), s)
		if _, err := Download(t.Context(), func(context.Context, int64, error) (*imap.Session, error) {
			return session, nil
		}, 1, broken{full}); !errors.Is(err, full) {
			t.Errorf("%v", err)
		}
	}
}

type broken struct{ err error }

func (b broken) Write([]byte) (int, error) { return 0, b.err }

func dial(t *testing.T, ctx context.Context, s *script.Server) *imap.Session {
	t.Helper()
	session, err := imap.Dial(ctx, imap.Endpoint{Host: s.Host(), Port: s.Port(), Security: imap.Plain}, imap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	if err := session.Login(ctx, script.User, script.Password); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Examine(ctx, "INBOX", false); err != nil {
		t.Fatal(err)
	}
	return session
}

// TestNoLiar: a part that is larger than was asked for ends the session instead of being stored.
func TestNoLiar(t *testing.T) {
	s := script.Start(t, script.Options{})
	s.Change(func(m *script.Model) { m.Box("INBOX").Add(make([]byte, 100)) })
	s.Misbehave(script.Faults{Part: func(script.Part) script.Fault { return script.TooLong }})
	b := New(goimap.UID(1), 100)
	piece, _, err := b.Next(t.Context(), dial(t, t.Context(), s), b.Want())
	if piece != nil || !errors.Is(err, imap.ErrSyntax) {
		t.Errorf("%d bytes, %v", len(piece), err)
	}
}
