package truth_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailcote/testkit/dovecot"
	"mailcote/testkit/truth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func line(mailbox string, uid uint32, raw, flags string) truth.Line {
	return truth.Line{Mailbox: mailbox, UID: uid, SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(raw))), Flags: flags}
}

// wantLines reads the server and compares; it also proves that reading changed no counter.
func wantLines(t *testing.T, s *dovecot.Server, want []truth.Line) {
	t.Helper()
	before := counts(t, s)
	got, err := truth.Read(t.Context(), s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	for _, difference := range truth.Diff(want, got) {
		t.Errorf("%s", difference)
	}
	if after := counts(t, s); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("reading left a trace: %v, before %v", after, before)
	}
}

func counts(t *testing.T, s *dovecot.Server) map[string]truth.Counts {
	t.Helper()
	got, err := truth.RecentSeen(t.Context(), s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func dial(t *testing.T, s *dovecot.Server) *truth.Client {
	t.Helper()
	c, err := truth.Dial(t.Context(), s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestReadDelivered(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	// Bodies that try to be protocol, and every byte there is.
	var all strings.Builder
	for i := range 256 {
		all.WriteByte(byte(i))
	}
	raws := []string{
		"Subject: a\r\n\r\nA {5}\r\n* 1 FETCH (UID 9 BODY[] \"x\")\r\n)\r\n",
		"Subject: \"b\"\r\n\r\n{100000}\r\n",
		"Subject: big\r\n\r\n" + strings.Repeat("0123456789abcdef\r\n", 20000),
	}
	for _, raw := range raws {
		s.Deliver(t, dovecot.User, "INBOX", []byte(raw), dovecot.Options{})
	}
	s.Deliver(t, dovecot.User, "Käse/日本 & \"Co\"", []byte("Subject: c\r\n\r\n\r\n"),
		dovecot.Options{Flags: []string{`\Seen`, `\Answered`}})
	wantLines(t, s, []truth.Line{
		line("INBOX", 1, raws[0], ""), line("INBOX", 2, raws[1], ""), line("INBOX", 3, raws[2], ""),
		line("Käse/日本 & \"Co\"", 1, "Subject: c\r\n\r\n\r\n", `\Answered \Seen`),
	})
	if got, want := counts(t, s)["INBOX"], (truth.Counts{Messages: 3, Recent: 3, Unseen: 3}); got != want {
		t.Errorf("INBOX counts %+v, want %+v", got, want)
	}
}

func TestChanges(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	c := dial(t, s)
	raw := "Subject: x\r\n\r\nBody }\r\n more\r\n"
	steps := []struct {
		name string
		do   func() error
		want []truth.Line
	}{
		{"create", func() error { return c.Create("A/Grüße") }, nil},
		{"append", func() error {
			return c.Append("A/Grüße", []byte(raw), []string{`\Flagged`, "$Work"},
				time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC))
		}, []truth.Line{line("A/Grüße", 1, raw, `$Work \Flagged`)}},
		{"append again", func() error { return c.Append("A/Grüße", []byte(raw), nil, time.Time{}) },
			[]truth.Line{line("A/Grüße", 1, raw, `$Work \Flagged`), line("A/Grüße", 2, raw, "")}},
		{"store", func() error { return c.Store("A/Grüße", "1:*", "FLAGS", `\Seen`) },
			[]truth.Line{line("A/Grüße", 1, raw, `\Seen`), line("A/Grüße", 2, raw, `\Seen`)}},
		{"expunge", func() error { return c.Expunge("A/Grüße", "1") }, []truth.Line{line("A/Grüße", 2, raw, `\Seen`)}},
		{"rename", func() error { return c.Rename("A/Grüße", "B") }, []truth.Line{line("B", 2, raw, `\Seen`)}},
		{"delete", func() error { return c.Delete("B") }, nil},
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		wantLines(t, s, step.want)
	}
}

func TestRefusals(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	if _, err := truth.Read(t.Context(), s.Addr(), dovecot.User, "secret-canary"); err == nil ||
		strings.Contains(err.Error(), "canary") {
		t.Errorf("wrong password: %v", err)
	}
	c := dial(t, s)
	if err := c.Delete("nothing"); err == nil {
		t.Error("deleting a mailbox that is not there succeeded")
	}
	lines, err := c.Do("CAPABILITY")
	if err != nil || len(lines) != 1 || !strings.HasPrefix(lines[0], "* CAPABILITY IMAP4rev1") {
		t.Errorf("CAPABILITY: %q, %v", lines, err)
	}
}

func TestContext(t *testing.T) {
	s := dovecot.Start(t, dovecot.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	c, err := truth.Dial(ctx, s.Addr(), dovecot.User, dovecot.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	if _, err := truth.Read(ctx, s.Addr(), dovecot.User, dovecot.Password); !errors.Is(err, context.Canceled) {
		t.Errorf("Read = %v", err)
	}
}

func TestDiff(t *testing.T) {
	a, b := line("A", 1, "x", ""), line("A", 2, "y", "")
	cases := []struct {
		name        string
		left, right []truth.Line
		want        []string
	}{
		{"equal in any order", []truth.Line{a, b}, []truth.Line{b, a}, nil},
		{"missing", []truth.Line{a, b}, []truth.Line{b}, []string{"- " + a.String()}},
		{"doubled", []truth.Line{a}, []truth.Line{a, a}, []string{"+ " + a.String()}},
		{"flags", []truth.Line{a}, []truth.Line{line("A", 1, "x", `\Seen`)},
			[]string{"- " + a.String(), "+ " + line("A", 1, "x", `\Seen`).String()}},
		{"empty", nil, nil, nil},
	}
	for _, c := range cases {
		if got := truth.Diff(c.left, c.right); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func FuzzName(f *testing.F) {
	for _, name := range []string{"INBOX", "Käse & Brot", "日本", "😀/a", "&", "&-"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		truth.DecodeName(name) // total
		wire := truth.EncodeName(name)
		if valid := strings.ToValidUTF8(name, "\uFFFD"); valid == name && truth.DecodeName(wire) != name {
			t.Errorf("%q → %q → %q", name, wire, truth.DecodeName(wire))
		}
	})
}
